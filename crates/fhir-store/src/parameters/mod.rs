//! R4's search parameters, read once from `data/r4-search.txt`, which is compiled from HL7's definitions.

mod path;
mod tree;

pub use path::{Leaf, Path};
pub(crate) use tree::{Reading, Tree, Use};

use std::{collections::HashMap, sync::LazyLock};

const TABLE: &str = include_str!("../../data/r4-search.txt");

static R4: LazyLock<Parameters> = LazyLock::new(|| Parameters::read(TABLE));

/// A resource type of R4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub(crate) u16);

impl Kind {
    /// Its number, which stores and exports keep: the same for ever.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// Stands in the table for a type that was taken out of it, so that the numbers of the others stay.
const TAKEN_OUT: &str = "-";

/// A parameter of one resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId(pub(crate) u16);

/// The type of a search parameter (R4 section 3.1.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are FHIR's")]
pub enum Class {
    Token,
    String,
    Date,
    Number,
    Quantity,
    Reference,
    Uri,
    Composite,
    Special,
}

impl Class {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "token" => Self::Token,
            "string" => Self::String,
            "date" => Self::Date,
            "number" => Self::Number,
            "quantity" => Self::Quantity,
            "reference" => Self::Reference,
            "uri" => Self::Uri,
            "composite" => Self::Composite,
            "special" => Self::Special,
            _ => return None,
        })
    }

    /// FHIR's name of it (`SearchParamType`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::String => "string",
            Self::Date => "date",
            Self::Number => "number",
            Self::Quantity => "quantity",
            Self::Reference => "reference",
            Self::Uri => "uri",
            Self::Composite => "composite",
            Self::Special => "special",
        }
    }
}

/// A search parameter of one resource type.
#[derive(Debug)]
pub struct Parameter {
    /// Its number.
    pub id: ParameterId,
    /// Its name in a query.
    pub code: &'static str,
    /// Its type.
    pub class: Class,
    /// Where its values stand.
    pub paths: Vec<Path>,
    /// What a composite is made of.
    pub composite: Option<Composite>,
    /// The parameter whose index serves this one: it has the same paths and leaves the target's type open.
    pub alias: Option<ParameterId>,
    /// Its bit in a resource's set of parameters that have a value.
    pub(crate) bit: u8,
}

/// A composite parameter: its components are looked for under the same root.
#[derive(Debug)]
pub struct Composite {
    /// The elements under which all components must match.
    pub roots: Vec<Path>,
    /// The components, in the order of the query.
    pub components: Vec<Component>,
}

/// A component of a composite.
#[derive(Debug)]
pub struct Component {
    /// The parameter of the same type whose index narrows the search.
    pub code: &'static str,
    /// Its type.
    pub class: Class,
    /// Where its values stand, from the root.
    pub paths: Vec<Path>,
}

/// All resource types and their parameters.
#[derive(Debug)]
pub struct Parameters {
    names: Vec<&'static str>,
    kinds: HashMap<&'static str, Kind>,
    all: Vec<Parameter>,
    by_code: Vec<HashMap<&'static str, ParameterId>>,
    of_kind: Vec<Vec<ParameterId>>,
    trees: Vec<Tree>,
    compartment: Vec<Vec<ParameterId>>,
    summary: Vec<Vec<&'static str>>,
    mandatory: Vec<Vec<&'static str>>,
}

impl Parameters {
    /// Those of R4 and US Core.
    #[must_use]
    pub fn r4() -> &'static Self {
        &R4
    }

    /// The table in short: an index that was built from another one is built again.
    pub(crate) fn digest() -> i64 {
        // FNV-1a: told apart are builds of this program, not adversaries.
        let hash = TABLE.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        i64::from_ne_bytes(hash.to_ne_bytes())
    }

    /// A resource type by its name.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).copied()
    }

    /// The name of a resource type.
    #[must_use]
    pub fn name(&self, kind: Kind) -> &'static str {
        self.names.get(usize::from(kind.0)).copied().unwrap_or("Basic")
    }

    /// All resource types.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + use<> {
        let taken_out: Vec<_> = self.names.iter().map(|name| *name == TAKEN_OUT).collect();
        (0..).zip(taken_out).filter(|(_, taken_out)| !taken_out).map(|(number, _)| Kind(number))
    }

    /// A parameter by its number.
    #[must_use]
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.all[usize::from(id.0)]
    }

    /// A parameter of a type by its code.
    #[must_use]
    pub fn find(&self, kind: Kind, code: &str) -> Option<&Parameter> {
        self.by_code.get(usize::from(kind.0))?.get(code).map(|id| self.get(*id))
    }

    /// The parameters of a type.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Parameter> + '_ {
        self.of_kind.get(usize::from(kind.0)).into_iter().flatten().map(|id| self.get(*id))
    }

    /// The paths of all parameters of a type, but of composites.
    pub(crate) fn tree(&self, kind: Kind) -> Option<&Tree> {
        self.trees.get(usize::from(kind.0))
    }

    /// The parameters by which a resource of this type belongs to a patient (CompartmentDefinition/patient).
    #[must_use]
    pub fn compartment(&self, kind: Kind) -> &[ParameterId] {
        self.compartment.get(usize::from(kind.0)).map_or(&[], Vec::as_slice)
    }

    /// Whether element `name` of a resource is part of its summary (`_summary=true`).
    #[must_use]
    pub fn in_summary(&self, kind: Kind, name: &str) -> bool {
        is_among(&self.summary[usize::from(kind.0)], name)
    }

    /// Whether element `name` of a resource must be there, and so stays in every extract of it.
    #[must_use]
    pub fn is_mandatory(&self, kind: Kind, name: &str) -> bool {
        is_among(&self.mandatory[usize::from(kind.0)], name)
    }

    fn read(table: &'static str) -> Self {
        let heads = || table.lines().filter_map(|line| line.strip_prefix("> ")).filter(|name| *name != "*");
        let names: Vec<&'static str> = heads().collect();
        let numbered = (0_u16..).zip(&names).filter(|(_, name)| **name != TAKEN_OUT);
        let kinds = numbered.map(|(number, name)| (*name, Kind(number))).collect();
        let mut made = Self {
            by_code: vec![HashMap::new(); names.len()],
            of_kind: vec![Vec::new(); names.len()],
            trees: Vec::new(),
            compartment: vec![Vec::new(); names.len()],
            summary: vec![Vec::new(); names.len()],
            mandatory: vec![Vec::new(); names.len()],
            all: Vec::new(),
            names,
            kinds,
        };
        let (mut common, mut current): (Vec<&'static str>, _) = (Vec::new(), None);
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix("> ") {
                current = made.kind(name);
                if let Some(kind) = current {
                    common.iter().for_each(|line| made.add(kind, line));
                }
            } else if let Some(belongs) = line.strip_prefix("@ ") {
                made.add_compartment(belongs);
            } else if let Some((kind, names)) = line.strip_prefix("~ ").and_then(|rest| made.names_of(rest)) {
                made.summary[usize::from(kind.0)] = names;
            } else if let Some((kind, names)) = line.strip_prefix("! ").and_then(|rest| made.names_of(rest)) {
                made.mandatory[usize::from(kind.0)] = names;
            } else if let Some(kind) = current {
                made.add(kind, line);
            } else {
                common.push(line);
            }
        }
        // Only now is it known which parameters another one's index serves.
        let trees = made.of_kind.iter().map(|ids| Tree::of(ids.iter().map(|id| made.get(*id)))).collect();
        made.trees = trees;
        made
    }

    fn add(&mut self, kind: Kind, line: &'static str) {
        let mut fields = line.split(' ');
        let (Some(code), Some(class)) = (fields.next(), fields.next().and_then(Class::named)) else { return };
        let rest: Vec<&'static str> = fields.collect();
        let (paths, composite) = match class {
            Class::Composite => (Vec::new(), self.composite(&rest)),
            _ => (rest.iter().filter_map(|text| self.path(text)).collect::<Vec<_>>(), None),
        };
        let place = usize::from(kind.0);
        let id = ParameterId(u16::try_from(self.all.len()).unwrap_or(u16::MAX));
        let alias = self.alias(kind, class, &paths);
        let bit = u8::try_from(self.of_kind[place].len()).unwrap_or(u8::MAX);
        self.all.push(Parameter { id, code, class, paths, composite, alias, bit });
        self.by_code[place].insert(code, id);
        self.of_kind[place].push(id);
        if alias.is_none() {
            self.adopt(kind, id);
        }
    }

    /// The parameter of `kind` that indexes the same paths without regard to the target's type.
    fn alias(&self, kind: Kind, class: Class, paths: &[Path]) -> Option<ParameterId> {
        if class != Class::Reference {
            return None;
        }
        self.of(kind).find(|other| other.alias.is_none() && covers(&other.paths, paths)).map(|other| other.id)
    }

    /// Parameters that stand before `id` in the table and that its index can serve.
    fn adopt(&mut self, kind: Kind, id: ParameterId) {
        let wide = &self.all[usize::from(id.0)];
        if wide.class != Class::Reference {
            return;
        }
        let narrow: Vec<_> = self
            .of(kind)
            .filter(|other| other.id != id && other.alias.is_none() && covers(&wide.paths, &other.paths))
            .map(|other| other.id)
            .collect();
        for other in narrow {
            self.all[usize::from(other.0)].alias = Some(id);
        }
    }

    fn path(&self, text: &'static str) -> Option<Path> {
        Path::read(text, |name| self.kind(name))
    }

    fn composite(&self, fields: &[&'static str]) -> Option<Composite> {
        let (roots, components) = fields.split_first()?;
        let component = |field: &&'static str| {
            let mut parts = field.splitn(3, '=');
            let (code, class, paths) = (parts.next()?, Class::named(parts.next()?)?, parts.next()?);
            Some(Component {
                code,
                class,
                paths: paths.split(',').filter_map(|text| self.path(text)).collect(),
            })
        };
        Some(Composite {
            roots: roots.split(',').map(Path::root).collect(),
            components: components.iter().map(component).collect::<Option<_>>()?,
        })
    }

    fn names_of(&self, line: &'static str) -> Option<(Kind, Vec<&'static str>)> {
        let mut fields = line.split(' ');
        let kind = self.kind(fields.next()?)?;
        Some((kind, fields.collect()))
    }

    fn add_compartment(&mut self, line: &str) {
        let mut fields = line.split(' ');
        let Some(kind) = fields.next().and_then(|name| self.kind(name)) else { return };
        let found: Vec<_> = fields.filter_map(|code| self.find(kind, code)).map(|found| found.id).collect();
        self.compartment[usize::from(kind.0)] = found;
    }
}

/// A choice such as `value[x]` is meant by each of its names.
fn is_among(names: &[&str], name: &str) -> bool {
    names.iter().any(|one| match one.strip_suffix("[x]") {
        Some(stem) => name
            .strip_prefix(stem)
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase())),
        None => *one == name,
    })
}

/// Whether an index over `wide` has every value of `narrow`, so that only the targets' types differ.
fn covers(wide: &[Path], narrow: &[Path]) -> bool {
    wide.len() == narrow.len()
        && wide.iter().zip(narrow).all(|(wide, narrow)| wide.target.is_none() && wide.same_place(narrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_parameters_of_r4_and_us_core() {
        let parameters = Parameters::r4();
        assert_eq!(parameters.kinds().count(), 146);
        let observation = parameters.kind("Observation").unwrap();
        assert_eq!(parameters.find(observation, "combo-code").unwrap().paths.len(), 2);
        let patient = parameters.kind("Patient").unwrap();
        for code in ["race", "ethnicity", "gender-identity", "name", "_tag", "_profile", "identifier"] {
            assert!(parameters.find(patient, code).is_some(), "{code}");
        }
        let codes = parameters.kinds().flat_map(|kind| parameters.of(kind)).count();
        assert!(codes > 1_700, "{codes}");
    }

    #[test]
    fn the_numbers_of_types_are_pinned() {
        let parameters = Parameters::r4();
        let number = |name| parameters.kind(name).map(Kind::number);
        let pinned = [
            ("Account", 0),
            ("Encounter", 43),
            ("Patient", 102),
            ("Subscription", 129),
            ("Substance", 131),
            ("VisionPrescription", 146),
        ];
        for (name, place) in pinned {
            assert_eq!(number(name), Some(place), "{name}");
        }
        // R4B's, and the place that it left.
        assert_eq!((number("SubscriptionStatus"), number("-")), (None, None));
        assert!(parameters.kinds().all(|kind| kind.number() != 130));
    }

    #[test]
    fn what_later_versions_of_fhir_search_by_is_no_parameter() {
        let parameters = Parameters::r4();
        for (name, code) in [
            ("DetectedIssue", "status"),
            ("DeviceDefinition", "classification"),
            ("ServiceRequest", "order-detail"),
        ] {
            assert!(parameters.find(parameters.kind(name).unwrap(), code).is_none(), "{name} {code}");
        }
        let study = parameters.kind("ResearchStudy").unwrap();
        assert!(parameters.in_summary(study, "focus") && !parameters.in_summary(study, "studyDesign"));
    }

    #[test]
    fn a_task_is_in_the_compartment_of_its_patient() {
        let parameters = Parameters::r4();
        let codes = |name| {
            let found = parameters.compartment(parameters.kind(name).unwrap());
            found.iter().map(|id| parameters.get(*id).code).collect::<Vec<_>>()
        };
        assert_eq!((codes("Task"), codes("Encounter")), (vec!["patient", "focus"], vec!["patient"]));
    }

    #[test]
    fn every_line_is_read_and_every_set_of_parameters_fits_its_bits() {
        let parameters = Parameters::r4();
        for kind in parameters.kinds() {
            assert!(parameters.of(kind).count() <= 63, "{}", parameters.name(kind));
            for parameter in parameters.of(kind) {
                let places = parameter.paths.len() + parameter.composite.iter().count();
                assert!(places > 0, "{} {}", parameters.name(kind), parameter.code);
            }
        }
    }

    #[test]
    fn a_patient_is_found_through_the_index_of_the_subject() {
        let parameters = Parameters::r4();
        let observation = parameters.kind("Observation").unwrap();
        let subject = parameters.find(observation, "subject").unwrap();
        assert_eq!(parameters.find(observation, "patient").unwrap().alias, Some(subject.id));
        assert_eq!(subject.alias, None);
    }
}
