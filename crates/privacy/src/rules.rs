//! The rule table: what may leave, compiled once from the text files in `rules/`.

mod lookup;
mod names;
mod parse;
mod systems;
mod tree;

pub(crate) use names::{Name, Names};
pub(crate) use systems::CodeCheck;
pub(crate) use tree::{NodeId, Rule, SetId};

use crate::IdentifierKind;
use lookup::{Lookup, names_alone};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, collections::BTreeSet, sync::LazyLock};
use tree::Finished;

/// The name of the rule table. It changes with any change of what may leave.
pub const RULES_VERSION: &str = "safe-harbor-r4/2";

const FILES: [&str; 4] = [
    include_str!("../rules/safe-harbor-r4.txt"),
    include_str!("../rules/value-sets.txt"),
    include_str!("../rules/geography.txt"),
    include_str!("../rules/code-systems.txt"),
];

/// Members of data types that the code itself lets leave (`split::datatype`).
const DATA_TYPE_MEMBERS: [&str; 13] = [
    "system",
    "code",
    "value",
    "unit",
    "comparator",
    "reference",
    "type",
    "country",
    "state",
    "postalCode",
    "extension",
    "url",
    "valueInteger",
];

static DIGEST: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut hasher = Sha256::new_with_prefix(RULES_VERSION);
    for file in FILES {
        // The length keeps two tables apart whose files differ only in where one ends.
        hasher.update((file.len() as u64).to_be_bytes());
        hasher.update(file);
    }
    hasher.finalize().into()
});

static TABLE: LazyLock<Result<Rules, RulesError>> = LazyLock::new(|| Rules::read(FILES));

/// SHA-256 over [`RULES_VERSION`] and the text of the rule files: which rules decided what left.
#[must_use]
pub fn rules_digest() -> [u8; 32] {
    *DIGEST
}

/// The compiled table. A table that cannot be read lets nothing leave: callers get the error.
pub(crate) fn rules() -> Result<&'static Rules, &'static RulesError> {
    TABLE.as_ref()
}

/// What is wrong with the rule files.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("read rule table: {what} in {line:?}")]
pub(crate) struct RulesError {
    what: &'static str,
    line: String,
}

impl RulesError {
    fn new(what: &'static str, line: &str) -> Self {
        Self { what, line: line.chars().take(80).collect() }
    }
}

/// How an unlisted element is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemovedAs {
    Kind(IdentifierKind),
    /// By the contact point's system.
    Telecom,
    /// By the identifier's type and system.
    Identifier,
}

/// The table in the form that a split walks.
#[derive(Debug)]
pub(crate) struct Rules {
    nodes: Vec<Finished>,
    sets: Vec<Lookup<()>>,
    systems: Lookup<CodeCheck>,
    pub(crate) names: Names,
    /// The lines of each resource type of FHIR R4.
    resources: Lookup<NodeId>,
    /// What [`Rules::is_vocabulary`] knows beside the systems.
    vocabulary: BTreeSet<String>,
    pub(crate) known: KnownSets,
}

/// Sets that the code itself asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownSets {
    pub(crate) comparator: SetId,
    pub(crate) country: SetId,
    pub(crate) united_states: SetId,
    pub(crate) state: SetId,
    pub(crate) zip3_restricted: SetId,
    pub(crate) age_loinc: SetId,
}

impl Rules {
    fn read([elements, value_sets, geography, code_systems]: [&str; 4]) -> Result<Self, RulesError> {
        let mut names = BTreeMap::new();
        let mut sets = Vec::new();
        parse::sets(value_sets, &mut names, &mut sets)?;
        parse::sets(geography, &mut names, &mut sets)?;
        let set = |name: &str| names.get(name).copied().ok_or(RulesError::new("no such set", name));
        let resource_types = set("resource-type")?;
        let types = sets.get(resource_types.0).ok_or(RulesError::new("no such set", "resource-type"))?;
        let (tree, removed) = parse::elements(elements, &names, types)?;
        let other = tree.root("Other").ok_or(RulesError::new("no such type", "Other"))?;
        let known = KnownSets {
            comparator: set("comparator")?,
            country: set("country")?,
            united_states: set("united-states")?,
            state: set("state")?,
            zip3_restricted: set("zip3-restricted")?,
            age_loinc: set("age-loinc")?,
        };
        let systems = parse::systems(code_systems)?;
        let listed = systems.values().filter_map(CodeCheck::codes).flat_map(Lookup::names).map(str::to_owned);
        let members = DATA_TYPE_MEMBERS.map(str::to_owned);
        let names = Names::new(tree.names(), &removed);
        let vocabulary =
            sets.iter().flatten().cloned().chain(listed).chain(tree.names()).chain(members).collect();
        let lines = |name: &String| (name.as_str().into(), tree.root(name).unwrap_or(other));
        Ok(Self {
            resources: Lookup::new(types.iter().map(lines)),
            systems: Lookup::new(systems.into_iter().map(|(name, check)| (name.into_boxed_str(), check))),
            nodes: tree.finish(&names),
            names,
            vocabulary,
            known,
            sets: sets.into_iter().map(|codes| Lookup::new(names_alone(codes))).collect(),
        })
    }

    /// The lines of a resource type; of `Other` for one without lines; `None` if FHIR R4 has no such type.
    pub(crate) fn resource(&self, resource_type: &str) -> Option<NodeId> {
        self.resources.get(resource_type.as_bytes()).map(|(_, node)| *node)
    }

    pub(crate) fn is_resource_type(&self, name: &str) -> bool {
        self.resources.contains(name.as_bytes())
    }

    /// The rule for the member `name`, and its place among the members.
    #[inline]
    pub(crate) fn member(&self, node: NodeId, name: Name) -> Option<(usize, Rule)> {
        self.nodes.get(node.0)?.member(name)
    }

    pub(crate) fn url(&self, node: NodeId) -> Option<&str> {
        self.nodes.get(node.0)?.url.as_deref()
    }

    pub(crate) fn contains(&self, set: SetId, code: &str) -> bool {
        self.sets.get(set.0).is_some_and(|codes| codes.contains(code.as_bytes()))
    }

    /// Whether `text` is a word of a closed vocabulary: a code of a value set or of a listed code system, a known system
    /// or extension, a resource type, or the name of a listed element.
    pub(crate) fn is_vocabulary(&self, text: &str) -> bool {
        self.systems.contains(text.as_bytes()) || self.vocabulary.contains(text)
    }

    /// Whether `code` is a code of the known code system `system`.
    pub(crate) fn knows_code(&self, system: &str, code: &str) -> bool {
        self.systems.get(system.as_bytes()).is_some_and(|(_, check)| check.accepts(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_and_covers_the_resources_that_hospitals_send() {
        let rules = rules().unwrap();
        for name in ["Patient", "Observation", "Claim", "Coverage", "ServiceRequest"] {
            assert_ne!(rules.resource(name), rules.resource("Basic"), "{name}");
        }
        let lines = rules.resource("Basic").unwrap();
        assert!(rules.member(lines, Name::CODE).is_none(), "a type of FHIR R4 without lines");
        assert_eq!(rules.resource("JaneDoe"), None, "no type of FHIR R4");
        assert_eq!(rules.resource("Timing"), None, "a data type is no resource type");
    }

    #[test]
    fn units_and_codes_are_known_by_their_system_only() {
        let rules = rules().unwrap();
        assert!(rules.knows_code("http://unitsofmeasure.org", "mm[Hg]"));
        assert!(!rules.knows_code("http://unitsofmeasure.org", "{Jane Doe}"));
        assert!(!rules.knows_code("http://hospital.example/codes", "49436004"));
    }

    #[test]
    fn the_version_stands_in_the_digest() {
        assert_ne!(rules_digest(), [0; 32]);
        assert_eq!(rules_digest(), *DIGEST);
    }
}
