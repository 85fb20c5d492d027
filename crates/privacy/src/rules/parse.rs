//! Reads the rule files.

use super::{
    CodeCheck, RemovedAs, Rule, RulesError, SetId,
    lookup::{Lookup, names_alone},
    tree::Tree,
};
use crate::IdentifierKind;
use std::collections::{BTreeMap, BTreeSet};

/// The lines that say something, indented lines joined to the one above.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match entries.last_mut() {
            Some(last) if line.starts_with(' ') => last.push_str(line),
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

fn codes<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    words.map(|code| code.replace("%20", " ")).collect()
}

/// `name  code code ...`
pub(super) fn sets(
    text: &str,
    names: &mut BTreeMap<String, SetId>,
    sets: &mut Vec<BTreeSet<String>>,
) -> Result<(), RulesError> {
    for entry in entries(text) {
        let mut words = entry.split_whitespace();
        let name = words.next().unwrap_or_default();
        if names.insert(name.to_owned(), SetId(sets.len())).is_some() {
            return Err(RulesError::new("the same set twice", &entry));
        }
        sets.push(codes(words));
    }
    Ok(())
}

/// `system  pattern NAME` or `system  codes code code ...`
pub(super) fn systems(text: &str) -> Result<BTreeMap<String, CodeCheck>, RulesError> {
    let mut systems = BTreeMap::new();
    for entry in entries(text) {
        let mut words = entry.split_whitespace();
        let system = words.next().unwrap_or_default();
        let check = match words.next() {
            Some("pattern") => words.next().and_then(CodeCheck::pattern),
            Some("codes") => Some(CodeCheck::Codes(Lookup::new(names_alone(codes(words))))),
            _ => None,
        };
        let check = check.ok_or(RulesError::new("no known check", &entry))?;
        if systems.insert(system.to_owned(), check).is_some() {
            return Err(RulesError::new("the same system twice", &entry));
        }
    }
    Ok(systems)
}

/// `Type.path.to.element  action` and `*.name  removed KIND`
pub(super) fn elements(
    text: &str,
    sets: &BTreeMap<String, SetId>,
    resource_types: &BTreeSet<String>,
) -> Result<(Tree, BTreeMap<String, RemovedAs>), RulesError> {
    let mut tree = Tree::default();
    let mut removed = BTreeMap::new();
    for entry in entries(text) {
        let (path, action) =
            entry.split_once(char::is_whitespace).ok_or(RulesError::new("no action", &entry))?;
        let words: Vec<_> = action.split_whitespace().collect();
        let done = match (path.strip_prefix("*."), words.as_slice()) {
            (Some(name), ["removed", kind]) => {
                removed_as(kind).map(|kind| removed.insert(name.to_owned(), kind)).is_some()
            }
            (None, words) => rule(&mut tree, sets, words).is_some_and(|rule| place(&mut tree, path, rule)),
            _ => false,
        };
        if !done {
            return Err(RulesError::new("no known path or action", &entry));
        }
    }
    let base = tree.root_or_new("Resource");
    if !tree.inherit(base, |name| resource_types.contains(name)) {
        return Err(RulesError::new("a member that every resource has", "Resource"));
    }
    match tree.empty_root() {
        Some(name) => Err(RulesError::new("a type without lines", name)),
        None => Ok((tree, removed)),
    }
}

fn removed_as(word: &str) -> Option<RemovedAs> {
    match word {
        "telecom" => Some(RemovedAs::Telecom),
        "identifier" => Some(RemovedAs::Identifier),
        letter => IdentifierKind::ALL
            .into_iter()
            .find(|kind| letter == kind.letter().to_string())
            .map(RemovedAs::Kind),
    }
}

fn rule(tree: &mut Tree, sets: &BTreeMap<String, SetId>, words: &[&str]) -> Option<Rule> {
    Some(match words {
        ["coding"] => Rule::Coding,
        ["code", set] => Rule::Code(*sets.get(*set)?),
        ["quantity"] => Rule::Quantity,
        ["decimal"] => Rule::Decimal,
        ["integer"] => Rule::Integer,
        ["boolean"] => Rule::Boolean,
        ["year"] => Rule::Year,
        ["reference"] => Rule::Reference,
        ["id"] => Rule::Id,
        ["address"] => Rule::Address,
        ["contained"] => Rule::Contained,
        ["resource-type"] => Rule::ResourceType,
        [name] if name.starts_with(|first: char| first.is_ascii_uppercase()) => {
            Rule::Node(tree.root_or_new(name))
        }
        _ => return None,
    })
}

/// Puts `rule` at `path`, whose parts are `name` or `name[extension URL]`.
fn place(tree: &mut Tree, path: &str, rule: Rule) -> bool {
    let parts = parts(path);
    let Some((&(root, None), rest)) = parts.split_first() else { return false };
    let Some((&(last, None), middle)) = rest.split_last() else { return false };
    let mut node = tree.root_or_new(root);
    for &(name, url) in middle {
        let next = match url {
            Some(url) => tree.extension(node, name, url),
            None => tree.child(node, name),
        };
        match next {
            Some(next) => node = next,
            None => return false,
        }
    }
    tree.insert(node, last, rule)
}

/// Splits at the dots that stand outside brackets.
fn parts(path: &str) -> Vec<(&str, Option<&str>)> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let url = tail.strip_prefix('[').and_then(|tail| tail.split_once(']'));
        let tail = url.map_or(tail, |(_, tail)| tail);
        parts.push((name, url.map(|(url, _)| url)));
        rest = tail.strip_prefix('.').unwrap_or_default();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{
        super::names::{Name, Names},
        *,
    };

    fn read(text: &str) -> Result<(Tree, BTreeMap<String, RemovedAs>), RulesError> {
        let sets = BTreeMap::from([("status".to_owned(), SetId(0))]);
        elements(&format!("Resource.id  id\n{text}"), &sets, &BTreeSet::from(["Patient".to_owned()]))
    }

    #[test]
    fn lines_become_a_tree() {
        let text =
            "Patient.a.b  year\nPatient.a.c  Period\nPeriod.start  year\nPatient.x[http://e.x/y].v  coding\n";
        let (tree, _) = read(text).unwrap();
        let patient = tree.root("Patient").unwrap();
        let Some((_, Rule::Node(a))) = tree.member(patient, "a") else { panic!("no object") };
        assert_eq!(tree.member(a, "b").map(|(_, rule)| rule), Some(Rule::Year));
        assert_eq!(tree.member(a, "c").map(|(_, rule)| rule), tree.root("Period").map(Rule::Node));
        assert_eq!(tree.member(patient, "id").map(|(_, rule)| rule), Some(Rule::Id), "every resource has it");
        let Some((_, Rule::Extensions(list))) = tree.member(patient, "x") else { panic!("no extensions") };
        let Some((_, Rule::Node(extension))) = tree.member(list, "http://e.x/y") else {
            panic!("no extension")
        };
        assert_eq!(tree.member(extension, "v").map(|(_, rule)| rule), Some(Rule::Coding));
        let names = Names::new(tree.names(), &BTreeMap::new());
        let finished = &tree.finish(&names)[extension.0];
        assert_eq!(finished.url.as_deref(), Some("http://e.x/y"));
        assert_eq!(finished.member(names.get(b"v")).map(|(_, rule)| rule), Some(Rule::Coding));
        assert_eq!(finished.member(names.get(b"b")).map(|(_, rule)| rule), None);
        assert_eq!(finished.member(Name::UNKNOWN).map(|(_, rule)| rule), None);
    }

    #[test]
    fn a_line_that_is_not_understood_breaks_the_table() {
        for wrong in [
            "Patient.name",
            "Patient  year",
            "Patient.name  keep",
            "Patient.status  code nothing",
            "Patient.a  year\nPatient.a  year",
            "Patient.a  year\nPatient.a.b  year",
            "Patient.a  Unknown",
            "*.name  removed Z",
            "Patient.id  id",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
