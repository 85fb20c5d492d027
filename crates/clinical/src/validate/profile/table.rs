//! The table of profiles, read once from `data/us-core-6.1.txt`, whose head says what its lines mean.

use super::{
    path::{Coded, Filter, Path, Step, Wanted},
    rules::Rule,
};
use std::{collections::HashMap, sync::LazyLock};

const TABLE: &str = include_str!("../../../data/us-core-6.1.txt");
/// Where the profiles of the table are, by their names.
const BASE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/";
/// The version of the table, which a canonical URL may name.
const VERSION: &str = "6.1.0";

static US_CORE: LazyLock<Profiles> = LazyLock::new(|| Profiles::read(TABLE));

/// The profiles that are known.
#[derive(Debug, Default)]
pub struct Profiles {
    profiles: Vec<Profile>,
    by_name: HashMap<&'static str, usize>,
    /// Lines that were not understood; none in the table that is shipped.
    #[cfg_attr(not(test), allow(dead_code, reason = "a test holds that there are none"))]
    pub(super) wrong: Vec<&'static str>,
}

/// A profile of a resource type.
#[derive(Debug)]
pub struct Profile {
    /// The last part of its URL.
    pub name: &'static str,
    /// The resource type.
    pub resource: &'static str,
    pub(super) rules: Vec<Rule>,
}

impl Profile {
    /// Its canonical URL, without a version.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{BASE}{}", self.name)
    }
}

/// What lines refer to.
#[derive(Default)]
struct Names {
    aliases: HashMap<&'static str, &'static str>,
    sets: HashMap<&'static str, Vec<Coded>>,
    shared: HashMap<&'static str, Vec<Rule>>,
}

/// Where rules go.
enum Open {
    Nothing,
    Shared(&'static str),
    Profile,
}

impl Profiles {
    /// US Core 6.1.0.
    #[must_use]
    pub fn us_core() -> &'static Self {
        &US_CORE
    }

    /// The profile of a canonical URL, with or without its version.
    #[must_use]
    pub fn find(&self, url: &str) -> Option<&Profile> {
        let (plain, version) =
            url.split_once('|').map_or((url, None), |(plain, version)| (plain, Some(version)));
        if version.is_some_and(|version| version != VERSION) {
            return None;
        }
        let place = self.by_name.get(plain.strip_prefix(BASE)?)?;
        self.profiles.get(*place)
    }

    /// The profiles of a resource type.
    pub fn of<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a Profile> {
        self.profiles.iter().filter(move |profile| profile.resource == resource)
    }

    /// All profiles.
    pub fn all(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter()
    }

    fn read(table: &'static str) -> Self {
        let (mut read, mut names, mut open) = (Self::default(), Names::default(), Open::Nothing);
        for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if read.line(line, &mut names, &mut open).is_none() {
                read.wrong.push(line);
            }
        }
        read
    }

    fn line(&mut self, line: &'static str, names: &mut Names, open: &mut Open) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "alias" => {
                let (name, url) = rest.split_once(' ')?;
                names.aliases.insert(name, url);
            }
            "set" => {
                let mut words = rest.split(' ');
                let name = words.next()?;
                let codes = words.map(|code| names.coded(code)).collect::<Option<_>>()?;
                names.sets.insert(name, codes);
            }
            "=" => {
                names.shared.insert(rest, Vec::new());
                *open = Open::Shared(rest);
            }
            ">" => {
                let (name, resource) = rest.split_once(' ')?;
                self.by_name.insert(name, self.profiles.len());
                self.profiles.push(Profile { name, resource, rules: Vec::new() });
                *open = Open::Profile;
            }
            _ => {
                let rules =
                    if word == "+" { names.shared.get(rest)?.clone() } else { vec![names.rule(word, rest)?] };
                match open {
                    Open::Nothing => return None,
                    Open::Shared(name) => names.shared.get_mut(name)?.extend(rules),
                    Open::Profile => self.profiles.last_mut()?.rules.extend(rules),
                }
            }
        }
        Some(())
    }
}

impl Names {
    fn rule(&self, word: &str, rest: &'static str) -> Option<Rule> {
        let two = || rest.split_once(' ');
        Some(match word {
            "need" => Rule::Need(self.path(rest)?),
            "only" => {
                let (path, set) = two()?;
                Rule::Only(self.path(path)?, set, Wanted::Codes(self.sets.get(set)?.clone()))
            }
            "equal" => {
                let (path, text) = two()?;
                Rule::Equal(self.path(path)?, self.aliases.get(text).copied().unwrap_or(text))
            }
            "refer" => {
                let (path, kinds) = two()?;
                Rule::Refer(self.path(path)?, kinds.split(',').collect())
            }
            "type" => {
                let (path, names) = two()?;
                Rule::Type(self.path(path)?, names.split(',').collect())
            }
            "either" => Rule::Either(rest.split(' ').map(|path| self.path(path)).collect::<Option<_>>()?),
            "when" => {
                let (path, rest) = two()?;
                let (texts, needed) = rest.split_once(' ')?;
                Rule::When(self.path(path)?, texts.split(',').collect(), self.path(needed)?)
            }
            "day" => Rule::Day(self.path(rest)?),
            "unchecked" => {
                let (path, what) = two()?;
                Rule::Unchecked(self.path(path)?, what)
            }
            _ => return None,
        })
    }

    /// `SYSTEM|CODE` or `CODE`.
    fn coded(&self, text: &'static str) -> Option<Coded> {
        Some(match text.split_once('|') {
            Some((system, code)) => Coded { system: Some(self.aliases.get(system).copied()?), code },
            None => Coded { system: None, code: text },
        })
    }

    fn path(&self, text: &'static str) -> Option<Path> {
        let (mut steps, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let end = rest.find(['.', '(']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            let (filter, behind) = match behind.strip_prefix('(') {
                Some(within) => {
                    let (filter, behind) = within.split_once(')')?;
                    (Some(self.filter(filter)?), behind)
                }
                None => (None, behind),
            };
            let plain = name.strip_suffix("[x]");
            steps.push(Step { name: plain.unwrap_or(name), choice: plain.is_some(), filter });
            rest = behind.strip_prefix('.').unwrap_or(behind);
        }
        (!steps.is_empty()).then_some(Path(steps))
    }

    /// `child=SYSTEM|CODE`, `=SET`, `url=TEXT`; a text may begin with an alias and a slash.
    fn filter(&self, text: &'static str) -> Option<Filter> {
        let (of, wanted) = text.split_once('=')?;
        if let Some(set) = self.sets.get(wanted) {
            return Some(Filter { of, wanted: Wanted::Codes(set.clone()) });
        }
        if wanted.contains('|') {
            return Some(Filter { of, wanted: Wanted::Codes(vec![self.coded(wanted)?]) });
        }
        let aliased = wanted.split_once('/').and_then(|(alias, rest)| Some((self.aliases.get(alias)?, rest)));
        let text = aliased.map_or_else(|| wanted.to_owned(), |(alias, rest)| format!("{alias}/{rest}"));
        Some(Filter { of, wanted: Wanted::Text(text) })
    }
}
