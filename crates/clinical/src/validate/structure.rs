//! The walk through a resource along R4's definitions (JSON rules: R4 section 2.6.2).

use super::{Code, Issue, primitive, reference_shape};
use crate::fhir::{
    definitions::{Definitions, Kind, Property, Structure},
    element::{child, items, text},
};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Object, Value};
use std::{collections::HashSet, fmt::Write};

/// The most issues that are listed of one resource.
const ISSUES_MAX: usize = 50;

/// Properties up to which repeated names are looked for pair by pair.
const PAIRWISE_MAX: usize = 24;

/// Checks a resource of the given type.
pub(super) fn check_resource(
    definitions: &Definitions,
    structure: &Structure,
    resource: &Value,
) -> Vec<Issue> {
    let mut walk = Walk {
        definitions,
        path: vec![Step::Name(structure.name)],
        issues: Vec::new(),
        present: Vec::new(),
        contained: false,
    };
    walk.structure(structure, resource);
    walk.issues
}

#[derive(Clone, Copy)]
enum Step {
    Name(&'static str),
    Index(usize),
}

struct Walk<'a> {
    definitions: &'a Definitions,
    path: Vec<Step>,
    issues: Vec<Issue>,
    /// The properties that are there, by the elements of each structure on the way to where the walk is.
    present: Vec<Option<&'static str>>,
    contained: bool,
}

impl Walk<'_> {
    fn report(&mut self, code: Code, what: &str) {
        if self.issues.len() > ISSUES_MAX {
            return;
        }
        let mut expression = String::new();
        for step in &self.path {
            let separator = if expression.is_empty() { "" } else { "." };
            let _ = match step {
                Step::Name(name) => write!(expression, "{separator}{name}"),
                Step::Index(index) => write!(expression, "[{index}]"),
            };
        }
        if self.issues.len() == ISSUES_MAX {
            self.issues.push(Issue::error(Code::TooLong, &expression, "more is wrong than is listed"));
        } else {
            self.issues.push(Issue::error(code, &expression, what));
        }
    }

    fn within(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    fn structure(&mut self, structure: &Structure, value: &Value) {
        let Some(object) = value.as_object() else {
            return self.report(Code::Structure, "must be a JSON object");
        };
        if object.is_empty() {
            return self.report(Code::Structure, "must not be empty; leave the element out");
        }
        if has_repeated_names(object) {
            self.report(Code::Structure, "a property stands there twice");
        }
        let base = self.present.len();
        self.present.resize(base + structure.elements.len(), None);
        let mut says_type = false;
        for (place, (name, child)) in object.iter().enumerate() {
            if name == "resourceType" {
                says_type = true;
                if structure.is_resource {
                    continue;
                }
            }
            let sibling_of = name.strip_prefix('_');
            let known = structure.properties.get_key_value(sibling_of.unwrap_or(name));
            let usable = known
                .filter(|(_, property)| sibling_of.is_none() || matches!(property.kind, Kind::Primitive(..)));
            let Some((&name, property)) = usable else {
                let what = format!("property {} of {} is not defined by R4", place + 1, object.len());
                self.report(Code::Structure, &what);
                continue;
            };
            let other = self.present[base + property.element].replace(name);
            self.within(Step::Name(name), |walk| {
                if other.is_some_and(|other| other != name) {
                    walk.report(Code::Structure, "a choice has only one type");
                }
                if sibling_of.is_some() {
                    walk.siblings(property, child);
                } else {
                    walk.property(property, child, Some((value, name)));
                }
            });
        }
        for &element in &structure.required {
            if self.present[base + element].is_none() {
                self.report(Code::Required, &format!("{} is required", structure.elements[element]));
            }
        }
        self.present.truncate(base);
        self.rules(structure.name, value, says_type);
    }

    /// `owner` is the object in which the property stands, with the property's name.
    fn property(&mut self, property: &Property, value: &Value, owner: Option<(&Value, &str)>) {
        if !property.repeats {
            if value.is_array() {
                return self.report(Code::Structure, "must not be an array");
            }
            return self.item(property, value, None);
        }
        let Some(array) = value.as_array() else {
            return self.report(Code::Structure, "must be an array");
        };
        if array.is_empty() {
            return self.report(Code::Structure, "must not be an empty array; leave the element out");
        }
        let owner = owner.filter(|_| matches!(property.kind, Kind::Primitive(..)));
        let siblings = owner.and_then(|(owner, name)| beside(owner, name)?.as_array());
        for (index, item) in array.iter().enumerate() {
            let beside = siblings.and_then(|siblings| siblings.get(index)).filter(JsonValueTrait::is_object);
            self.within(Step::Index(index), |walk| walk.item(property, item, beside));
        }
    }

    fn item(&mut self, property: &Property, value: &Value, beside: Option<&Value>) {
        if value.is_null() {
            if beside.is_none() || !matches!(property.kind, Kind::Primitive(..)) {
                self.report(Code::Structure, "must not be null; leave the element out");
            }
            return;
        }
        match property.kind {
            Kind::Primitive(kind, codes) => {
                if let Err((code, what)) = primitive::check(kind, codes, value) {
                    self.report(code, what);
                }
            }
            Kind::Structure(id) => {
                let definitions = self.definitions;
                self.structure(definitions.structure(id), value);
            }
            Kind::Resource => self.inner_resource(value),
        }
    }

    /// `_name`: ids and extensions of a primitive.
    fn siblings(&mut self, property: &Property, value: &Value) {
        let element = |walk: &mut Self, item: &Value| {
            let only = |(name, _): (&str, &Value)| matches!(name, "id" | "extension");
            let usable = item.as_object().is_some_and(|object| !object.is_empty() && object.iter().all(only));
            if !usable {
                walk.report(Code::Structure, "beside a primitive only id and extension may stand");
            }
            let definitions = walk.definitions;
            let extension = definitions.resource("Basic").map(|id| definitions.structure(id));
            let extension = extension.and_then(|basic| basic.properties.get("extension"));
            if let (Some(property), Some(list)) = (extension, child(item, "extension")) {
                walk.within(Step::Name("extension"), |walk| walk.property(property, list, None));
            }
        };
        match (property.repeats, value.as_array()) {
            (true, Some(array)) => {
                for (index, item) in array.iter().enumerate().filter(|(_, item)| !item.is_null()) {
                    self.within(Step::Index(index), |walk| element(walk, item));
                }
            }
            (true, None) => {
                self.report(Code::Structure, "must be an array, as the element that it stands beside");
            }
            (false, _) => element(self, value),
        }
    }

    /// A contained resource, or one in a Bundle or Parameters.
    fn inner_resource(&mut self, value: &Value) {
        let definitions = self.definitions;
        let name = text(value, "resourceType");
        let Some(id) = name.and_then(|name| definitions.resource(name)) else {
            return self.report(Code::NotSupported, "resourceType is missing or not one of R4");
        };
        let is_contained = matches!(self.path.iter().rev().nth(1), Some(Step::Name("contained")));
        if is_contained && self.contained {
            return self.report(Code::Invariant, "a contained resource must not contain resources (dom-2)");
        }
        if is_contained && text(value, "id").is_none() {
            self.report(Code::Required, "a contained resource needs an id");
        }
        let before = self.contained;
        self.contained = before || is_contained;
        self.structure(definitions.structure(id), value);
        self.contained = before;
    }

    /// Rules between elements that hold for every use of a data type.
    fn rules(&mut self, name: &str, value: &Value, says_type: bool) {
        match name {
            "Extension" => {
                let has_value = value.as_object().is_some_and(|object| {
                    object.iter().any(|(name, _)| name.starts_with("value") || name.starts_with("_value"))
                });
                let nested = child(value, "extension").is_some();
                if has_value == nested {
                    self.report(Code::Invariant, "an extension has either a value or extensions (ext-1)");
                }
            }
            "Reference" => {
                let says = ["reference", "identifier", "display", "extension", "_reference", "_display"];
                if !says.iter().any(|name| child(value, name).is_some()) {
                    self.report(Code::Invariant, "a reference needs a reference, an identifier or a display");
                }
                if text(value, "reference").is_some_and(|text| reference_shape(text).is_none()) {
                    let what = "must be Type/id, Type?search, a URL, urn:uuid, urn:oid or #id";
                    self.within(Step::Name("reference"), |walk| walk.report(Code::Value, what));
                }
            }
            _ if says_type => self.resource_rules(value),
            _ => {}
        }
    }

    fn resource_rules(&mut self, value: &Value) {
        if text(value, "id").is_some_and(|id| !primitive::is_id(id)) {
            self.within(Step::Name("id"), |walk| walk.report(Code::Value, primitive::ID));
        }
        let mut ids = HashSet::new();
        let contained = items(value, "contained").filter_map(|resource| text(resource, "id"));
        if contained.filter(|id| !ids.insert(*id)).count() > 0 {
            self.report(Code::Invariant, "two contained resources have the same id");
        }
    }
}

/// What stands beside primitive `name`: its ids and extensions.
fn beside<'a>(owner: &'a Value, name: &str) -> Option<&'a Value> {
    let mut members = owner.as_object()?.iter();
    members.find(|(other, _)| other.strip_prefix('_') == Some(name)).map(|(_, value)| value)
}

fn has_repeated_names(object: &Object) -> bool {
    if object.len() > PAIRWISE_MAX {
        let mut known = HashSet::with_capacity(object.len());
        return !object.iter().all(|(name, _)| known.insert(name));
    }
    let mut known = [""; PAIRWISE_MAX];
    for (at, (name, _)) in object.iter().enumerate() {
        if known[..at].contains(&name) {
            return true;
        }
        known[at] = name;
    }
    false
}
