//! References between the resources of a bundle, turned into addresses of this server (R4 section 3.1.0.11.2).

use super::{Inner, redo::own_permit};
use crate::{
    compartment::identifiers,
    fhir::element::{resource_type, text},
    source::{Entry, Submission},
};
use bxp_fhir_store::{Parameters, Reader, Store, extract::is_id, search};
use bxp_types::Phi;
use memchr::{memchr, memmem};
use rayon::prelude::*;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    ops::Range,
};

/// What stands before the text of a reference, as sonic-rs writes it.
const REFERENCE: &str = "\"reference\":\"";

/// Rewrites the literal references in a resource's compact JSON for which `lookup` knows an address; none where there is
/// nothing to rewrite.
///
/// In compact JSON a quotation mark within a text is escaped, so that the name of the property is met as a property only.
#[must_use]
pub fn rewrite_references(json: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let (mut rewritten, mut from) = (None::<String>, 0);
    for place in reference_places(json) {
        if let Some(address) = lookup(&json[place.clone()]) {
            let text = rewritten.get_or_insert_with(|| String::with_capacity(json.len()));
            text.push_str(&json[from..place.start]);
            text.push_str(&address);
            from = place.end;
        }
    }
    let mut text = rewritten?;
    text.push_str(&json[from..]);
    Some(text)
}

/// Where the literal references stand in a resource's compact JSON, in bytes and without their quotation marks.
fn reference_places(json: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = json.as_bytes();
    memmem::find_iter(bytes, REFERENCE).map_while(move |at| {
        let start = at + REFERENCE.len();
        let length = memchr(b'"', bytes.get(start..)?)?;
        Some(start..start + length)
    })
}

/// The literal references anywhere in the resource of an entry, in no order.
pub(super) fn references(entry: &Entry) -> Vec<&str> {
    match entry.known_text() {
        // Without escapes, so that the references are what the text has.
        Some(text) if memchr(b'\\', text.as_bytes()).is_none() => {
            reference_places(text).map(|place| &text[place]).collect()
        }
        _ => references_of_tree(entry.resource.expose()),
    }
}

fn references_of_tree(resource: &Value) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), vec![resource]);
    while let Some(value) = rest.pop() {
        if let Some(array) = value.as_array() {
            rest.extend(array.iter());
        } else if let Some(object) = value.as_object() {
            for (key, child) in object.iter() {
                match child.as_str() {
                    Some(text) if key == "reference" => found.push(text),
                    Some(_) => {}
                    None => rest.push(child),
                }
            }
        }
    }
    found
}

/// The submission with references that lead to ids; none where nothing changes.
///
/// An entry that has a `urn:uuid:` for its address and no id gets that UUID for its id. What is referred to by identifier is
/// looked for in the bundle, then in the working copy, as it was committed: what is in the gate meanwhile may yet be undone,
/// and nobody has been told of it.
pub(super) fn resolve(inner: &Inner, store: &Store, submission: &Submission) -> Option<Submission> {
    let mut addresses: HashMap<String, String> = HashMap::new();
    let mut new_ids: Vec<Option<String>> = Vec::with_capacity(submission.entries.len());
    for entry in &submission.entries {
        let resource = entry.resource.expose();
        let kind = resource_type(resource).unwrap_or_default();
        let own = text(resource, "id").filter(|id| is_id(id)).map(str::to_owned);
        let given = if own.is_none() { uuid_of(entry) } else { None };
        if let Some(id) = own.as_ref().or(given.as_ref()) {
            let address = format!("{kind}/{id}");
            for name in identifiers(entry) {
                addresses.entry(name).or_insert_with(|| address.clone());
            }
            if let Some(url) = &entry.full_url {
                addresses.insert(url.expose().clone(), address);
            }
        }
        new_ids.push(given);
    }
    let referred: Vec<Vec<&str>> = submission.entries.par_iter().map(references).collect();
    let conditional: BTreeSet<&str> = referred
        .iter()
        .flatten()
        .copied()
        .filter(|reference| reference.contains('?') && !addresses.contains_key(*reference))
        .collect();
    if let Some(reader) = reader_for(&conditional, inner, store) {
        for reference in conditional {
            if let Some(address) = found(reference, &reader) {
                addresses.insert(reference.to_owned(), address);
            }
        }
    }
    let changed: Vec<Option<Entry>> = submission
        .entries
        .par_iter()
        .zip(&new_ids)
        .zip(&referred)
        .map(|((entry, id), referred)| rewritten(entry, id.as_deref(), referred, &addresses))
        .collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let entries = changed.into_iter().zip(&submission.entries);
    Some(Submission {
        source_name: submission.source_name.clone(),
        bytes: submission.bytes,
        entries: entries.map(|(changed, entry)| changed.unwrap_or_else(|| entry.clone())).collect(),
        refused: submission.refused.clone(),
        unmapped: submission.unmapped.clone(),
    })
}

fn uuid_of(entry: &Entry) -> Option<String> {
    let uuid = entry.full_url.as_ref()?.expose().strip_prefix("urn:uuid:")?;
    is_id(uuid).then(|| uuid.to_owned())
}

/// The entry with its new id, and with addresses in place of what it has `referred` to; none where nothing changes.
fn rewritten(
    entry: &Entry,
    id: Option<&str>,
    referred: &[&str],
    addresses: &HashMap<String, String>,
) -> Option<Entry> {
    // Most resources of NDJSON have neither: to write their text in order to see it would cost as much as all of this.
    if id.is_none() && !referred.iter().any(|reference| addresses.contains_key(*reference)) {
        return None;
    }
    let json = entry.text().ok()?;
    let plain = Cell::new(true);
    let lookup = |reference: &str| {
        let address = addresses.get(reference)?;
        plain.set(plain.get() && is_plain(address));
        Some(address.clone())
    };
    let mut text = rewrite_references(json.expose(), &lookup);
    if let Some(id) = id {
        let json: &str = text.as_deref().unwrap_or(json.expose());
        text = json.strip_prefix('{').map(|rest| format!("{{\"id\":\"{id}\",{rest}"));
    }
    let text = text?;
    let resource = sonic_rs::from_str(&text).ok()?;
    let changed = Entry::new(entry.position, entry.full_url.clone(), Phi::new(resource));
    // The serialiser wrote all of the text but the addresses and the id, and would write these as they are.
    Some(if plain.get() { changed.with_text(text.into()) } else { changed })
}

/// Whether an address stands in JSON as it is. The type in it is what a submitter wrote for one.
fn is_plain(address: &str) -> bool {
    !address.bytes().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
}

/// A reader, so that no one waits for who writes; none where nothing is asked for.
fn reader_for(conditional: &BTreeSet<&str>, inner: &Inner, store: &Store) -> Option<Reader> {
    if conditional.is_empty() {
        return None;
    }
    store.reader(&own_permit(inner).ok()?, inner.clock.now_ms()).ok()
}

/// What the working copy has under a conditional reference, if it is one resource.
fn found(reference: &str, reader: &Reader) -> Option<String> {
    let (kind, query) = reference.split_once('?')?;
    let kind_of = Parameters::r4().kind(kind)?;
    let (name, value) = query.split_once('=').filter(|(_, value)| !value.contains('&'))?;
    let parsed = search::parse(kind_of, &[(name.to_owned(), value.to_owned())], &[], 0).ok()?;
    if !parsed.ignored.is_empty() {
        return None;
    }
    let (found, _) = reader.search(&parsed.query, 2, None, i64::MAX).ok()?;
    match found.as_slice() {
        [one] => Some(format!("{kind}/{}", one.id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{references, references_of_tree, rewrite_references, rewritten};
    use crate::source::{Entry, Limits, Position, parse_ndjson};
    use bxp_types::Phi;
    use proptest::{collection::vec, prelude::*, sample::select};
    use sonic_rs::Value;
    use std::collections::HashMap;

    /// JSON with references of several kinds, sometimes with spaces and escapes.
    fn json() -> impl Strategy<Value = String> {
        let texts = [
            r#""Patient?a=1""#,
            r#""urn:uuid:1""#,
            r#""Practitioner/2""#,
            r#""Patient?a\u003d1""#,
            r#""\"reference\":\"urn:uuid:1""#,
            r#""\u00e9\/\n""#,
            "\"\u{7f}\u{2028}\"",
            "1.50",
            "-0",
            "1E+2",
            "12345678901234567890123",
            "true",
            "null",
        ];
        let text = "[a-zA-Z0-9 é🎉/:.?=|\\[{,-]{0,12}".prop_map(|text| format!("\"{text}\""));
        let leaf = prop_oneof![text, select(texts.to_vec()).prop_map(str::to_owned)];
        let name = || select(vec!["reference", "reference", "display", "référence", "re\\u0066erence"]);
        let comma = || select(vec![",", ",", ", "]);
        leaf.prop_recursive(4, 32, 4, move |inner| {
            let array = (vec(inner.clone(), 0..4), comma());
            let member = (name(), inner).prop_map(|(name, value)| format!("\"{name}\":{value}"));
            prop_oneof![
                array.prop_map(|(items, comma)| format!("[{}]", items.join(comma))),
                (vec(member, 0..4), comma())
                    .prop_map(|(members, comma)| format!("{{{}}}", members.join(comma))),
            ]
        })
    }

    fn entry(value: &str) -> Entry {
        let line = format!(r#"{{"resourceType":"Basic","a":{value}}}"#);
        parse_ndjson("x", line.as_bytes(), &Limits::default()).unwrap().entries.remove(0)
    }

    /// The text of an entry, and what the serialiser writes of its tree.
    fn texts(entry: &Entry) -> (String, String) {
        (entry.text().unwrap().expose().to_string(), sonic_rs::to_string(entry.resource.expose()).unwrap())
    }

    /// What is stored of an entry that changes, by way of its tree alone.
    fn rewritten_by_tree(
        entry: &Entry,
        id: Option<&str>,
        addresses: &HashMap<String, String>,
    ) -> Option<String> {
        let json = sonic_rs::to_string(entry.resource.expose()).unwrap();
        let mut text = rewrite_references(&json, &|reference| addresses.get(reference).cloned());
        if let Some(id) = id {
            let json = text.take().unwrap_or(json);
            text = json.strip_prefix('{').map(|rest| format!("{{\"id\":\"{id}\",{rest}"));
        }
        let resource: Value = sonic_rs::from_str(&text?).ok()?;
        Some(sonic_rs::to_string(&resource).unwrap())
    }

    proptest! {
        #[test]
        fn the_text_of_an_entry_is_what_the_serialiser_writes(value in json()) {
            let (text, written) = texts(&entry(&value));
            prop_assert_eq!(text, written);
        }

        #[test]
        fn references_are_found_in_the_text_as_in_the_tree(value in json()) {
            let entry = entry(&value);
            let (mut found, mut of_tree) = (references(&entry), references_of_tree(entry.resource.expose()));
            found.sort_unstable();
            of_tree.sort_unstable();
            prop_assert_eq!(found, of_tree);
        }

        #[test]
        fn a_changed_entry_has_the_text_of_its_tree(
            value in json(),
            id in select(vec![None, Some("7")]),
            practitioner in select(vec!["Practitioner/é", "A\\u0062/1", "A\"/1"]),
        ) {
            let entry = entry(&value);
            let given = [("Patient?a=1", "Patient/x"), ("urn:uuid:1", "Group/y"), ("Practitioner/2", practitioner)];
            let given = given.map(|(name, address)| (name.to_owned(), address.to_owned()));
            let addresses = HashMap::from(given);
            let changed = rewritten(&entry, id, &references(&entry), &addresses);
            let expected = rewritten_by_tree(&entry, id, &addresses);
            prop_assert_eq!(changed.as_ref().map(texts), expected.map(|text| (text.clone(), text)));
        }
    }

    #[test]
    fn references_are_rewritten_and_texts_that_look_like_them_are_not() {
        let json = r#"{"a":{"reference":"urn:uuid:1"},"note":"\"reference\":\"urn:uuid:1\"","b":[{"reference":"Patient/2"},{"reference":"urn:uuid:1"}]}"#;
        let lookup = |name: &str| (name == "urn:uuid:1").then(|| "Patient/x".to_owned());
        let expected = r#"{"a":{"reference":"Patient/x"},"note":"\"reference\":\"urn:uuid:1\"","b":[{"reference":"Patient/2"},{"reference":"Patient/x"}]}"#;
        assert_eq!(rewrite_references(json, &lookup).as_deref(), Some(expected));
        assert_eq!(rewrite_references(json, &|_| None), None);
        assert_eq!(rewrite_references(r#"{"reference":""#, &lookup), None);
    }

    #[test]
    fn an_entry_is_made_anew_where_its_id_or_a_reference_changes() {
        let json = r#"{"resourceType":"Condition","subject":{"reference":"Patient?identifier=s|7"}}"#;
        let resource = Phi::new(sonic_rs::from_str(json).unwrap());
        let entry = Entry::new(Position::Whole, None, resource);
        let referred = references(&entry);
        let address = |name: &str| HashMap::from([(name.to_owned(), "Patient/x".to_owned())]);
        let (known, other) = (address("Patient?identifier=s|7"), address("Patient?identifier=s|8"));
        let text = |id: Option<&str>, addresses: &HashMap<String, String>| {
            let changed = rewritten(&entry, id, &referred, addresses)?;
            sonic_rs::to_string(changed.resource.expose()).ok()
        };
        assert_eq!(text(None, &other), None);
        assert_eq!(text(None, &known), Some(json.replace("Patient?identifier=s|7", "Patient/x")));
        assert_eq!(text(Some("1"), &other), Some(json.replacen('{', r#"{"id":"1","#, 1)));
    }
}
