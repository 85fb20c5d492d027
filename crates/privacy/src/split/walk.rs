//! The walk over a resource: writes what leaves to one side, and to the other a patch that undoes it.
//!
//! A patch of an object is an array of items in the order of the original's members: a number n takes n members as
//! they are; a string and the item after it are the key and value of a removed member; `{"=":value}` takes a member
//! with its original value; an array is the patch of a member's value. In an array's patch a removed element is
//! `{"+":value}`.

use super::{SplitContext, SplitError, classify, datatype, scalar};
use crate::{
    Removed,
    json::write_string,
    rules::{Name, NodeId, Rule, Rules},
    tape::{Array, Element, Object, Shape, Unreadable},
};
use std::{borrow::Cow, collections::BTreeMap};

/// The text of both sides.
pub(super) struct Sides {
    pub(super) deidentified: Vec<u8>,
    /// Behind what the caller put there.
    pub(super) patch: Vec<u8>,
    pub(super) removed: Removed,
}

/// What became of an element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It left as it was; nothing stands in the patch.
    Kept,
    /// It left changed; the patch has an item for it.
    Changed,
    /// It stays behind, and is still to be counted.
    Removed,
    /// Nothing is left of it, and its parts have been counted.
    Emptied,
}

/// A member that may leave: its place among its object's members, and its rule.
pub(super) type Listed = Option<(usize, Rule)>;

pub(super) struct Walk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) context: &'a SplitContext<'a>,
    pub(super) out: Vec<u8>,
    pub(super) patch: Vec<u8>,
    pub(super) removed: Removed,
    /// The type of the resource that is being walked, for its id.
    pub(super) resource_type: &'a str,
    /// The places of the contained resources, by id.
    pub(super) contained: BTreeMap<Cow<'a, str>, usize>,
    /// The place of the contained resource that is being walked.
    pub(super) within: Option<usize>,
    /// The resource tells an age: a number above 89 stays behind.
    pub(super) tells_age: bool,
}

impl From<Unreadable> for SplitError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Damaged => Self::NotAResource,
            Unreadable::TooDeep => Self::TooDeep,
        }
    }
}

/// Takes a resource apart. The patch is written behind `patch`.
pub(super) fn resource<'a>(
    rules: &'a Rules,
    context: &'a SplitContext<'a>,
    resource: Element<'a>,
    patch: Vec<u8>,
) -> Result<Sides, SplitError> {
    let object = resource.object().ok_or(SplitError::NotAResource)?;
    let resource_type = object.get_str(Name::RESOURCE_TYPE).ok_or(SplitError::NotAResource)?;
    let node = rules.resource(&resource_type).ok_or(SplitError::UnknownResourceType)?;
    let mut walk = Walk {
        rules,
        context,
        out: Vec::with_capacity(resource.raw().len().saturating_add(128)),
        patch,
        removed: Removed::default(),
        resource_type: &resource_type,
        contained: contained_places(object),
        within: None,
        tells_age: datatype::tells_age(rules, &resource_type, object),
    };
    walk.object(object, |name| rules.member(node, name))?;
    Ok(Sides { deidentified: walk.out, patch: walk.patch, removed: walk.removed })
}

fn contained_places(resource: Object<'_>) -> BTreeMap<Cow<'_, str>, usize> {
    let contained = resource.get(Name::CONTAINED).and_then(|contained| contained.array());
    let mut places = BTreeMap::new();
    for (place, value) in contained.into_iter().flatten().enumerate() {
        if let Some(id) = value.object().and_then(|object| object.get_str(Name::ID)) {
            places.entry(id).or_insert(place);
        }
    }
    places
}

impl<'a> Walk<'a> {
    /// Walks an object. `list` says which members may leave.
    pub(super) fn object(
        &mut self,
        object: Object<'a>,
        mut list: impl FnMut(Name) -> Listed,
    ) -> Result<Outcome, SplitError> {
        let mut seen = 0_u128;
        let mut changed = false;
        let mut kept = 0;
        self.begin(b'{');
        for (key, value) in object {
            let listed = list(key.name());
            let (out_mark, patch_mark) = (self.out.len(), self.patch.len());
            let outcome = match listed {
                None => Outcome::Removed,
                Some((index, rule)) => {
                    let bit = 1_u128.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
                    if seen & bit != 0 {
                        return Err(SplitError::DuplicateKey);
                    }
                    seen |= bit;
                    self.separate_out(b'{');
                    self.keep(key);
                    self.out.push(b':');
                    self.flush(kept);
                    self.element(value, rule)?
                }
            };
            match outcome {
                Outcome::Kept => {
                    self.patch.truncate(patch_mark);
                    kept += 1;
                }
                Outcome::Changed => (changed, kept) = (true, 0),
                Outcome::Removed | Outcome::Emptied => {
                    self.out.truncate(out_mark);
                    self.patch.truncate(patch_mark);
                    if outcome == Outcome::Removed {
                        classify::count(self.rules, &mut self.removed, key.name(), value);
                    }
                    self.flush(kept);
                    self.separate_patch();
                    self.patch.extend_from_slice(key.raw());
                    self.patch.push(b',');
                    self.patch.extend_from_slice(value.raw());
                    (changed, kept) = (true, 0);
                }
            }
        }
        Ok(self.end(b'{', kept, changed))
    }

    /// Walks an array whose elements follow one rule.
    fn array(&mut self, array: Array<'a>, rule: Rule) -> Result<Outcome, SplitError> {
        let mut changed = false;
        let mut kept = 0;
        self.begin(b'[');
        for (index, value) in array.enumerate() {
            let (out_mark, patch_mark) = (self.out.len(), self.patch.len());
            self.separate_out(b'[');
            self.flush(kept);
            let outcome = match (value.shape(), rule) {
                // Arrays of arrays are no FHIR.
                (Shape::Array(_), _) => Outcome::Removed,
                (Shape::Object(object), Rule::Contained) => self.contained_resource(object, index)?,
                (_, Rule::Contained) => Outcome::Removed,
                (_, rule) => self.element(value, rule)?,
            };
            match outcome {
                Outcome::Kept => {
                    self.patch.truncate(patch_mark);
                    kept += 1;
                }
                Outcome::Changed => (changed, kept) = (true, 0),
                Outcome::Removed | Outcome::Emptied => {
                    self.out.truncate(out_mark);
                    self.patch.truncate(patch_mark);
                    if outcome == Outcome::Removed {
                        classify::count(self.rules, &mut self.removed, Name::UNKNOWN, value);
                    }
                    self.flush(kept);
                    self.separate_patch();
                    self.patch.extend_from_slice(b"{\"+\":");
                    self.patch.extend_from_slice(value.raw());
                    self.patch.push(b'}');
                    (changed, kept) = (true, 0);
                }
            }
        }
        Ok(self.end(b'[', kept, changed))
    }

    fn element(&mut self, value: Element<'a>, rule: Rule) -> Result<Outcome, SplitError> {
        match value.shape() {
            Shape::Plain(text) => self.text(text, value, rule),
            Shape::Escaped => match value.string() {
                Some(text) => self.text(&text, value, rule),
                None => Ok(Outcome::Removed),
            },
            Shape::Array(array) => self.array(array, rule),
            Shape::Object(object) => self.composite(object, rule),
            Shape::Number(literal) if matches!(rule, Rule::Decimal | Rule::Integer) => {
                self.number(literal, value, rule)
            }
            Shape::Boolean(truth) if rule == Rule::Boolean => {
                self.out.extend_from_slice(if truth { b"true" } else { b"false" });
                Ok(Outcome::Kept)
            }
            Shape::Number(_) | Shape::Boolean(_) | Shape::Null => Ok(Outcome::Removed),
        }
    }

    fn composite(&mut self, object: Object<'a>, rule: Rule) -> Result<Outcome, SplitError> {
        match rule {
            Rule::Node(node) => self.node(object, node),
            Rule::Extensions(list) => self.extension(object, list),
            Rule::Coding => self.coding(object),
            Rule::Quantity => self.quantity(object),
            Rule::Reference => self.reference(object),
            Rule::Address => self.address(object),
            _ => Ok(Outcome::Removed),
        }
    }

    fn node(&mut self, object: Object<'a>, node: NodeId) -> Result<Outcome, SplitError> {
        let rules = self.rules;
        self.object(object, |name| rules.member(node, name))
    }

    fn extension(&mut self, object: Object<'a>, list: NodeId) -> Result<Outcome, SplitError> {
        let url = object.get_str(Name::URL).unwrap_or_default();
        match self.rules.member(list, self.rules.names.get(url.as_bytes())) {
            Some((_, Rule::Node(node))) => self.node(object, node),
            _ => Ok(Outcome::Removed),
        }
    }

    /// A resource within a resource: by the lines of its own type, under its place as id.
    fn contained_resource(&mut self, object: Object<'a>, index: usize) -> Result<Outcome, SplitError> {
        let resource_type = object.get_str(Name::RESOURCE_TYPE).unwrap_or_default();
        let (Some(node), None) = (self.rules.resource(&resource_type), self.within) else {
            return Ok(Outcome::Removed);
        };
        let tells_age = self.tells_age;
        // What an Observation's code says of its numbers holds within it; what a type has is its own.
        let inherited = tells_age && !datatype::is_of_ages(self.resource_type);
        self.tells_age = inherited || datatype::tells_age(self.rules, &resource_type, object);
        self.within = Some(index);
        let outcome = self.node(object, node);
        self.within = None;
        self.tells_age = tells_age;
        outcome
    }

    fn text(&mut self, text: &str, value: Element<'_>, rule: Rule) -> Result<Outcome, SplitError> {
        let kept = match rule {
            Rule::Code(set) => self.rules.contains(set, text),
            Rule::ResourceType => self.rules.is_resource_type(text),
            Rule::Url(node) => self.rules.url(node) == Some(text),
            Rule::Checked => true,
            Rule::Year => return self.year(text, value),
            Rule::Zip => return self.zip(text, value),
            Rule::Id => return self.id(text, value),
            Rule::ReferenceTarget => return self.reference_target(text, value),
            _ => false,
        };
        if kept {
            self.keep(value);
        }
        Ok(if kept { Outcome::Kept } else { Outcome::Removed })
    }

    /// Lets a string leave as it is. What has escapes is written anew, so that one string has one form here.
    #[inline]
    fn keep(&mut self, string: Element<'_>) {
        if string.is_plain() {
            self.out.extend_from_slice(string.raw());
        } else {
            write_string(&mut self.out, &string.string().unwrap_or_default());
        }
    }

    fn year(&mut self, text: &str, value: Element<'_>) -> Result<Outcome, SplitError> {
        match scalar::year(text, self.context.now_year) {
            Some(year) => self.replace(year, text, value, crate::IdentifierKind::Date),
            None => Ok(Outcome::Removed),
        }
    }

    /// Lets `new` leave for `text`, and keeps the original in the patch if they differ.
    pub(super) fn replace(
        &mut self,
        new: &str,
        text: &str,
        value: Element<'_>,
        kind: crate::IdentifierKind,
    ) -> Result<Outcome, SplitError> {
        write_string(&mut self.out, new);
        if new == text {
            return Ok(Outcome::Kept);
        }
        self.removed.add(kind, 1);
        self.original(value);
        Ok(Outcome::Changed)
    }

    /// Writes a changed element's original to the patch.
    pub(super) fn original(&mut self, value: Element<'_>) {
        self.separate_patch();
        self.patch.extend_from_slice(b"{\"=\":");
        self.patch.extend_from_slice(value.raw());
        self.patch.push(b'}');
    }

    #[inline]
    fn begin(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.separate_patch();
        self.patch.push(b'[');
    }

    /// Closes what [`Self::begin`] opened. What the caller does not need of both sides, it cuts off.
    #[inline]
    fn end(&mut self, bracket: u8, kept: usize, changed: bool) -> Outcome {
        if self.out.last() == Some(&bracket) {
            return Outcome::Emptied;
        }
        self.out.push(if bracket == b'{' { b'}' } else { b']' });
        self.flush(kept);
        self.patch.push(b']');
        if changed { Outcome::Changed } else { Outcome::Kept }
    }

    #[inline]
    fn separate_out(&mut self, bracket: u8) {
        if self.out.last() != Some(&bracket) {
            self.out.push(b',');
        }
    }

    /// A comma, unless the item is the first of its list, or the patch itself, which stands behind a colon.
    #[inline]
    fn separate_patch(&mut self) {
        if !matches!(self.patch.last(), None | Some(b'[' | b':')) {
            self.patch.push(b',');
        }
    }

    /// Writes how many members or elements were taken as they are.
    #[inline]
    fn flush(&mut self, kept: usize) {
        if kept > 0 {
            self.separate_patch();
            match u8::try_from(kept) {
                // Most runs are short, and need no text of their own.
                Ok(digit @ 1..=9) => self.patch.push(b'0' + digit),
                _ => self.patch.extend_from_slice(kept.to_string().as_bytes()),
            }
        }
    }
}
