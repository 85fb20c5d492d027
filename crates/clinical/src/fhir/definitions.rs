//! The elements of FHIR R4 (4.0.1), read once from `data/r4-elements.txt`, which is extracted from HL7's definitions.

use alloy_primitives::map::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../../data/r4-elements.txt");

static R4: LazyLock<Definitions> = LazyLock::new(|| Definitions::read(TABLE));

/// Every resource type, data type and backbone element of R4.
#[derive(Debug)]
pub struct Definitions {
    structures: Vec<Structure>,
    by_name: HashMap<&'static str, StructureId>,
}

/// Points at a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructureId(usize);

/// A resource type, data type or backbone element.
#[derive(Debug, Default)]
pub struct Structure {
    /// `Patient`, `HumanName`, `Patient.contact`.
    pub name: &'static str,
    /// Whether it is a resource type.
    pub is_resource: bool,
    /// Its elements by JSON property; a choice has one property for each type.
    pub properties: HashMap<&'static str, Property>,
    /// The elements that must be there: index into `elements`.
    pub required: Vec<usize>,
    /// The elements, in the order of the definition.
    pub elements: Vec<&'static str>,
}

/// A JSON property of a structure.
#[derive(Clone, Debug)]
pub struct Property {
    /// Index of its element: the properties of one choice share it.
    pub element: usize,
    /// Whether the element repeats, and so is an array.
    pub repeats: bool,
    /// What stands in it.
    pub kind: Kind,
}

/// What stands in a property.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A primitive, perhaps limited to codes of a required binding.
    Primitive(Primitive, Option<&'static str>),
    /// A data type or backbone element.
    Structure(StructureId),
    /// Any resource.
    Resource,
}

/// FHIR's primitive types (R4 section 2.24.0.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are FHIR's")]
pub enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

impl Primitive {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "base64Binary" => Self::Base64Binary,
            "boolean" => Self::Boolean,
            "canonical" => Self::Canonical,
            "code" => Self::Code,
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "decimal" => Self::Decimal,
            "id" => Self::Id,
            "instant" => Self::Instant,
            "integer" => Self::Integer,
            "markdown" => Self::Markdown,
            "oid" => Self::Oid,
            "positiveInt" => Self::PositiveInt,
            "string" => Self::String,
            "time" => Self::Time,
            "unsignedInt" => Self::UnsignedInt,
            "uri" => Self::Uri,
            "url" => Self::Url,
            "uuid" => Self::Uuid,
            "xhtml" => Self::Xhtml,
            _ => return None,
        })
    }
}

impl Definitions {
    /// The definitions of R4.
    #[must_use]
    pub fn r4() -> &'static Self {
        &R4
    }

    /// A structure.
    #[must_use]
    pub fn structure(&self, id: StructureId) -> &Structure {
        &self.structures[id.0]
    }

    /// A resource type.
    #[must_use]
    pub fn resource(&self, name: &str) -> Option<StructureId> {
        self.by_name.get(name).copied().filter(|&id| self.structure(id).is_resource)
    }

    /// The name of a resource type with a lifetime of its own: what may be shown of an unverified `resourceType`.
    #[must_use]
    pub fn resource_name(&self, name: &str) -> Option<&'static str> {
        self.resource(name).map(|id| self.structure(id).name)
    }

    /// The names of all resource types, in the order of the specification.
    pub fn resource_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.structures.iter().filter(|structure| structure.is_resource).map(|structure| structure.name)
    }

    fn read(table: &'static str) -> Self {
        let lines = || table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let heads = lines().filter_map(|line| line.strip_prefix("> "));
        let mut by_name = HashMap::default();
        let mut structures: Vec<Structure> = Vec::new();
        for head in heads {
            let (kind, name) = head.split_once(' ').unwrap_or(("", head));
            by_name.insert(name, StructureId(structures.len()));
            structures.push(Structure { name, is_resource: kind == "resource", ..Structure::default() });
        }
        let mut current = 0;
        for line in lines() {
            match line.strip_prefix("> ").and_then(|head| head.split_once(' ')) {
                Some((_, name)) => current = by_name.get(name).map_or(current, |id| id.0),
                None => structures[current].add(line, &by_name),
            }
        }
        Self { structures, by_name }
    }
}

impl Structure {
    /// Adds `name min max types [codes]`.
    fn add(&mut self, line: &'static str, by_name: &HashMap<&'static str, StructureId>) {
        let mut fields = line.split(' ');
        let (Some(name), Some(min), Some(max), Some(types)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return;
        };
        let codes = fields.next();
        let element = self.elements.len();
        self.elements.push(name);
        if min != "0" {
            self.required.push(element);
        }
        for one in types.split('|') {
            let property = match name.strip_suffix("[x]") {
                Some(stem) => choice_property(stem, one),
                None => name,
            };
            let kind = match (Primitive::named(one), by_name.get(one.trim_start_matches('@'))) {
                (Some(primitive), _) => Kind::Primitive(primitive, codes),
                (None, Some(&id)) if one != "Resource" => Kind::Structure(id),
                _ => Kind::Resource,
            };
            self.properties.insert(property, Property { element, repeats: max != "1", kind });
        }
    }
}

/// `value` and `dateTime` make `valueDateTime`. The table is read once, so the few names may live for ever.
fn choice_property(stem: &str, kind: &str) -> &'static str {
    let (first, rest) = kind.split_at(1);
    Box::leak(format!("{stem}{}{rest}", first.to_ascii_uppercase()).into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_all_of_r4() {
        let definitions = Definitions::r4();
        // 148 names less the abstract Resource and DomainResource.
        assert_eq!(definitions.structures.iter().filter(|structure| structure.is_resource).count(), 146);
        let patient = definitions.structure(definitions.resource("Patient").unwrap());
        assert!(matches!(
            patient.properties["deceasedDateTime"].kind,
            Kind::Primitive(Primitive::DateTime, None)
        ));
        assert_eq!(
            patient.properties["deceasedBoolean"].element,
            patient.properties["deceasedDateTime"].element
        );
        assert!(patient.properties["name"].repeats && !patient.properties["birthDate"].repeats);
        assert_eq!(definitions.resource("HumanName"), None);
        assert_eq!(definitions.resource("DomainResource"), None);
    }

    #[test]
    fn elements_of_later_versions_are_not_there() {
        let definitions = Definitions::r4();
        let elements = |name: &str| definitions.structure(definitions.by_name[name]).elements.as_slice();
        let meta = ["id", "extension", "versionId", "lastUpdated", "source", "profile", "security", "tag"];
        assert_eq!(elements("Meta"), meta);
        let binary = ["id", "meta", "implicitRules", "language", "contentType", "securityContext", "data"];
        assert_eq!(elements("Binary"), binary);
        let parts = |name: &str| {
            let inner = format!("{name}.");
            definitions.structures.iter().filter(|one| one.name.starts_with(&inner)).count()
        };
        let types = ["ResearchStudy", "EvidenceVariable", "DeviceDefinition", "ObservationDefinition"];
        let count = |name: &str| (elements(name).len(), parts(name));
        assert_eq!(types.map(count), [(32, 2), (35, 1), (30, 6), (21, 2)]);
    }

    #[test]
    fn every_type_in_the_table_resolves() {
        let resources: Vec<_> = Definitions::r4()
            .structures
            .iter()
            .flat_map(|structure| {
                structure.properties.iter().map(move |(name, property)| (structure.name, name, property))
            })
            .filter(|(_, name, property)| {
                matches!(property.kind, Kind::Resource)
                    && !["contained", "resource", "response", "outcome"].contains(name)
            })
            .collect();
        assert!(resources.is_empty(), "{resources:?}");
    }
}
