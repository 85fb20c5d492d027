//! Resources made from R4's definitions: each structure with each of its properties, right and then wrong in one way.

use super::wrong;
use bxp_clinical::fhir::definitions::{Definitions, Kind, Primitive, Property, Structure, StructureId};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A resource with a name that says what was done to it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) json: String,
}

pub(super) type Object = Map<String, Value>;

/// What every structure has: tried in one resource type and one backbone element.
const EVERYWHERE: [&str; 8] =
    ["id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"];
/// The resource type that they are tried in.
const WHOLE: &str = "Patient";

/// The resource type in whose extensions data types are tried.
const TYPES: &str = "Basic";
/// Of the properties of other resource types one in so many is tried, by its path: all would take HAPI three times as long.
const OF_PROPERTIES: u64 = 4;

/// A structure, with the way to it through a resource.
struct Place {
    resource: &'static str,
    way: Vec<&'static str>,
    structure: StructureId,
}

/// All that is made, the same at each run.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for place in places() {
        let structure = structure(place.structure);
        let about = place.way.iter().fold(place.resource.to_owned(), |path, step| format!("{path}.{step}"));
        cases.push(place.case("made", &about, &|_| ()));
        let properties: BTreeMap<_, _> = structure.properties.iter().collect();
        for (&name, property) in properties {
            if EVERYWHERE.contains(&name) && place.resource != WHOLE {
                continue;
            }
            let about = format!("{about}.{name}");
            let is_type = place.resource == TYPES && !place.way.is_empty();
            if place.resource != WHOLE && !is_type && !wrong::digest(&about).is_multiple_of(OF_PROPERTIES) {
                continue;
            }
            let right = right(structure.name, name, property);
            cases.push(place.case("made", &about, &|object| {
                put(object, structure, name, property, right.clone());
            }));
            for (kind, value) in wrong::values(&about, name, property, &right) {
                cases.push(place.case(&format!("broken/{kind}"), &about, &|object| {
                    put_whole(object, structure, name, property, value.clone());
                }));
            }
        }
        for (kind, about, edit) in wrong::edits(&about, structure) {
            cases.push(place.case(&format!("broken/{kind}"), &about, &*edit));
        }
    }
    cases.extend(wrong::by_hand());
    cases
}

impl Place {
    fn case(&self, kind: &str, about: &str, edit: &dyn Fn(&mut Object)) -> Case {
        let id = Definitions::r4().resource(self.resource).unwrap();
        let json = Value::Object(built(id, &self.way, edit)).to_string();
        Case { name: format!("{kind}/{about}"), json }
    }
}

/// The least object of a structure; along `way` what it leads to, which is edited.
fn built(id: StructureId, way: &[&'static str], edit: &dyn Fn(&mut Object)) -> Object {
    let structure = structure(id);
    let mut object = least(structure);
    match way.split_first() {
        None => edit(&mut object),
        Some((&name, rest)) => {
            let property = &structure.properties[name];
            let Kind::Structure(inner) = property.kind else {
                unreachable!("a way leads through structures")
            };
            put(&mut object, structure, name, property, Value::Object(built(inner, rest, edit)));
        }
    }
    object
}

/// Puts one value of a property, in an array if the property repeats.
pub(super) fn put(object: &mut Object, structure: &Structure, name: &str, property: &Property, value: Value) {
    let value = if property.repeats { json!([value]) } else { value };
    put_whole(object, structure, name, property, value);
}

/// Puts a property as it is, instead of another type of the same choice.
fn put_whole(object: &mut Object, structure: &Structure, name: &str, property: &Property, value: Value) {
    object.retain(|other, _| {
        structure.properties.get(other.as_str()).is_none_or(|one| one.element != property.element)
    });
    object.insert(name.to_owned(), value);
}

fn structure(id: StructureId) -> &'static Structure {
    Definitions::r4().structure(id)
}

/// Each resource type with its backbone elements, and each data type in an extension.
fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for resource in Definitions::r4().resource_names() {
        let mut place =
            Place { resource, way: Vec::new(), structure: Definitions::r4().resource(resource).unwrap() };
        within(&mut place, &mut BTreeSet::new(), &mut places);
    }
    let basic = structure(Definitions::r4().resource(TYPES).unwrap());
    let Kind::Structure(extension) = basic.properties["extension"].kind else { unreachable!() };
    let values: BTreeMap<_, _> = structure(extension).properties.iter().collect();
    for (name, property) in values {
        if let (Kind::Structure(kind), true) = (&property.kind, name.starts_with("value")) {
            let mut place = Place { resource: TYPES, way: vec!["extension", name], structure: *kind };
            within(&mut place, &mut BTreeSet::new(), &mut places);
        }
    }
    places
}

/// The structure of a place and those that are defined inside of it.
fn within(place: &mut Place, seen: &mut BTreeSet<&'static str>, places: &mut Vec<Place>) {
    let here = structure(place.structure);
    if !seen.insert(here.name) {
        return;
    }
    places.push(Place { way: place.way.clone(), ..*place });
    let owner = here.name.split('.').next().unwrap();
    let properties: BTreeMap<_, _> = here.properties.iter().collect();
    for (name, property) in properties {
        let Kind::Structure(id) = property.kind else { continue };
        if structure(id).name.strip_prefix(owner).is_some_and(|rest| rest.starts_with('.')) {
            let before = std::mem::replace(&mut place.structure, id);
            place.way.push(name);
            within(place, seen, places);
            place.way.pop();
            place.structure = before;
        }
    }
}

/// What must be there, or something where nothing must.
fn least(structure: &Structure) -> Object {
    let mut object = Object::new();
    if structure.is_resource {
        object.insert("resourceType".to_owned(), json!(structure.name));
        object.insert("id".to_owned(), json!("a1"));
    }
    for &element in &structure.required {
        let of = structure.properties.iter().filter(|(_, property)| property.element == element);
        let (name, property) = of.min_by_key(|(name, _)| **name).unwrap();
        put(&mut object, structure, name, property, right(structure.name, name, property));
    }
    if object.is_empty()
        && let Value::Object(filled) = filling(structure)
    {
        object = filled;
    }
    if structure.name == "Extension" {
        object.insert("valueString".to_owned(), json!("x"));
    }
    object
}

/// Something right for a structure of which nothing must be there.
fn filling(structure: &Structure) -> Value {
    match structure.name {
        "Reference" => json!({"display": "x"}),
        "ContactPoint" => json!({"system": "phone", "value": "x"}),
        "Range" => json!({"low": {"value": 1}}),
        "Ratio" => json!({"numerator": {"value": 1}, "denominator": {"value": 1}}),
        "Attachment" => json!({"url": "http://a.example/x"}),
        "CodeableConcept" | "HumanName" | "Address" => json!({"text": "x"}),
        "Meta" => json!({"versionId": "1"}),
        _ => {
            let texts = |(_, property): &(&&str, &Property)| matches!(property.kind, Kind::Primitive(kind, None) if kind != Primitive::Boolean);
            let own = || structure.properties.iter().filter(|(name, _)| !EVERYWHERE.contains(name));
            let first = own().filter(texts).min_by_key(|(name, _)| **name);
            let (name, property) = first.or_else(|| own().min_by_key(|(name, _)| **name)).unwrap();
            let value = right(structure.name, name, property);
            json!({*name: if property.repeats { json!([value]) } else { value }})
        }
    }
}

/// A right value.
pub(super) fn right(owner: &str, name: &str, property: &Property) -> Value {
    match &property.kind {
        Kind::Primitive(_, Some(codes)) => json!(codes.split(',').next()),
        Kind::Primitive(kind, None) => primitive(owner, name, *kind),
        Kind::Structure(id) => Value::Object(least(structure(*id))),
        Kind::Resource => json!({"resourceType": "Basic", "id": "inner", "code": {"text": "x"}}),
    }
}

fn primitive(owner: &str, name: &str, kind: Primitive) -> Value {
    match kind {
        Primitive::Boolean => json!(true),
        Primitive::Decimal => json!(1.5),
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => json!(1),
        Primitive::Base64Binary => json!("AAAA"),
        Primitive::Date | Primitive::DateTime => json!("2020-01-01"),
        Primitive::Instant => json!("2020-01-01T10:00:00Z"),
        Primitive::Time => json!("10:00:00"),
        Primitive::Id => json!("a1"),
        Primitive::Oid => json!("urn:oid:1.2.3"),
        Primitive::Uuid => json!("urn:uuid:057aa36e-b892-9964-75b9-ffb46b097e34"),
        Primitive::Canonical | Primitive::Uri | Primitive::Url => json!("http://a.example/x"),
        Primitive::Xhtml => json!("<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"),
        // Code sets that are too large for the table.
        Primitive::Code => match (owner, name) {
            (_, "language") => json!("en"),
            (_, "currency") => json!("USD"),
            (_, "contentType" | "mimeType" | "format" | "patchFormat") => json!("text/plain"),
            _ => json!("x"),
        },
        Primitive::Markdown | Primitive::String => json!("x"),
    }
}
