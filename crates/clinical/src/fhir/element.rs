//! Reading elements of a resource without caring whether they are there.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The text of a primitive element.
#[must_use]
pub fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(|child| child.as_str())
}

/// A child element.
#[must_use]
pub fn child<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object().and_then(|object| object.get(&name))
}

/// The items of a repeating element; a lone object counts as one item.
pub fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let found = child(value, name);
    let list = found.and_then(|child| child.as_array()).map_or(&[][..], |array| array.as_slice());
    let lone = found.filter(JsonValueTrait::is_object);
    list.iter().chain(lone)
}

/// The type of a resource, if it says one.
#[must_use]
pub fn resource_type(resource: &Value) -> Option<&str> {
    text(resource, "resourceType")
}

/// The codings of a CodeableConcept.
pub fn codings(concept: &Value) -> impl Iterator<Item = (&str, &str)> {
    items(concept, "coding").filter_map(|coding| Some((text(coding, "system")?, text(coding, "code")?)))
}
