//! Splits with pseudonyms that a counter gives.

use bxp_privacy::{Split, SplitContext, SplitError, join, split};
use sonic_rs::{JsonValueTrait as _, Value};
use std::{cell::RefCell, collections::BTreeMap};

pub(crate) const NOW_YEAR: i32 = 2026;

/// A mapping that knows every reference: `Patient/123` becomes `Patient/p0`, then `p1` and on.
#[derive(Default)]
pub(crate) struct Pseudonyms(RefCell<BTreeMap<String, usize>>);

impl Pseudonyms {
    fn of(&self, original: &str) -> Option<String> {
        let mut known = self.0.borrow_mut();
        let next = known.len();
        let number = *known.entry(original.to_owned()).or_insert(next);
        let place = original.split_once('/').map(|(place, _)| place);
        let typed = place.filter(|place| place.chars().all(|c| c.is_ascii_alphabetic()));
        let typed =
            typed.filter(|place| ["Patient", "Encounter", "Observation", "Practitioner"].contains(place));
        Some(match typed {
            Some(resource_type) => format!("{resource_type}/p{number}"),
            None => format!("urn:uuid:p{number}"),
        })
    }

    pub(crate) fn split(&self, resource: &Value) -> Result<Split, SplitError> {
        split(resource, &SplitContext { mapping: &|original| self.of(original), now_year: NOW_YEAR })
    }
}

pub(crate) fn parse(text: &str) -> Value {
    sonic_rs::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn text(value: &Value) -> String {
    sonic_rs::to_string(value).unwrap()
}

/// Splits, checks that both sides join to the same text, and gives the de-identified text.
pub(crate) fn split_and_join(resource: &Value) -> (String, Split) {
    let split = Pseudonyms::default().split(resource).unwrap();
    let whole = join(split.identity.expose(), &split.deidentified).unwrap();
    assert_eq!(text(&whole), text(resource));
    (text(&split.deidentified), split)
}

/// What leaves of a resource's text.
pub(crate) fn leaves(resource: &str) -> String {
    split_and_join(&parse(resource)).0
}

/// Every string of a value, keys left out.
pub(crate) fn strings(value: &Value, found: &mut Vec<String>) {
    use sonic_rs::JsonContainerTrait as _;
    if let Some(text) = value.as_str() {
        found.push(text.to_owned());
    }
    value.as_array().into_iter().flatten().for_each(|element| strings(element, found));
    value.as_object().into_iter().flatten().for_each(|(_, member)| strings(member, found));
}
