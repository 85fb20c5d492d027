//! The strings that an identity side holds, each with its path.

use crate::{
    JoinError, Remainder,
    json::DEPTH_MAX,
    patch::{Item, item},
};
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Object, Value};

/// A string or number that stayed behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Without indices: `Patient.name.family`.
    pub(super) path: String,
    pub(super) text: String,
}

/// Everything that the split took away or changed, leaf by leaf, and whole names beside their parts.
pub(super) fn strings(identity: &Remainder, deidentified: &Value) -> Result<Vec<Held>, JoinError> {
    let parts = identity.parts()?;
    if !parts.belongs_to(deidentified)? {
        return Err(JoinError::Mismatch);
    }
    let root = deidentified.get("resourceType").and_then(|name| name.as_str()).unwrap_or("Resource");
    let mut walk = Walk { path: vec![root.to_owned()], held: Vec::new() };
    walk.patch(parts.patch(), deidentified, DEPTH_MAX)?;
    Ok(walk.held)
}

struct Walk {
    path: Vec<String>,
    held: Vec<Held>,
}

impl Walk {
    fn patch(&mut self, patch: &[Value], value: &Value, depth: usize) -> Result<(), JoinError> {
        let depth = depth.checked_sub(1).ok_or(JoinError::TooDeep)?;
        match (value.as_object(), value.as_array()) {
            (Some(object), _) => self.object(patch, object, depth),
            (_, Some(array)) => self.array(patch, array.iter(), depth),
            _ => Err(JoinError::Mismatch),
        }
    }

    fn object(&mut self, patch: &[Value], object: &Object, depth: usize) -> Result<(), JoinError> {
        let mut members = object.iter();
        let mut items = patch.iter();
        while let Some(next) = items.next() {
            match item(next)? {
                Item::Take(count) => {
                    for _ in 0..count {
                        members.next().ok_or(JoinError::Mismatch)?;
                    }
                }
                Item::Key(key) => {
                    // An unknown key may be an identifier itself.
                    self.leaf(key);
                    self.under(key, items.next().ok_or(JoinError::Remainder)?, depth)?;
                }
                Item::Original(original) => {
                    let (key, _) = members.next().ok_or(JoinError::Mismatch)?;
                    self.under(key, original, depth)?;
                }
                Item::Patch(patch) => {
                    let (key, value) = members.next().ok_or(JoinError::Mismatch)?;
                    self.path.push(key.to_owned());
                    self.patch(patch, value, depth)?;
                    self.path.pop();
                }
                Item::Added(_) => return Err(JoinError::Remainder),
            }
        }
        Ok(())
    }

    fn array<'v>(
        &mut self,
        patch: &[Value],
        mut elements: impl Iterator<Item = &'v Value>,
        depth: usize,
    ) -> Result<(), JoinError> {
        for next in patch {
            match item(next)? {
                Item::Take(count) => {
                    for _ in 0..count {
                        elements.next().ok_or(JoinError::Mismatch)?;
                    }
                }
                Item::Original(original) => {
                    elements.next().ok_or(JoinError::Mismatch)?;
                    self.whole(original, depth)?;
                }
                Item::Added(added) => self.whole(added, depth)?,
                Item::Patch(patch) => {
                    self.patch(patch, elements.next().ok_or(JoinError::Mismatch)?, depth)?;
                }
                Item::Key(_) => return Err(JoinError::Remainder),
            }
        }
        Ok(())
    }

    fn under(&mut self, key: &str, value: &Value, depth: usize) -> Result<(), JoinError> {
        self.path.push(key.to_owned());
        let outcome = self.whole(value, depth);
        self.path.pop();
        outcome
    }

    /// A value of which nothing left.
    fn whole(&mut self, value: &Value, depth: usize) -> Result<(), JoinError> {
        let depth = depth.checked_sub(1).ok_or(JoinError::TooDeep)?;
        if let Some(text) = value.as_str() {
            self.leaf(text);
        } else if let Some(object) = value.as_object() {
            self.name(object);
            for (key, member) in object {
                self.under(key, member, depth)?;
            }
        } else if let Some(array) = value.as_array() {
            for element in array.iter() {
                self.whole(element, depth)?;
            }
        } else if let Some(number) = value.as_raw_number() {
            self.leaf(number.as_str());
        }
        Ok(())
    }

    /// A HumanName's parts together, as they are usually written.
    fn name(&mut self, object: &Object) {
        let member = |name: &str| object.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let family = member("family").and_then(|family| family.as_str());
        let given = member("given").and_then(|given| given.as_array());
        let given: Vec<&str> = given.into_iter().flatten().filter_map(|name| name.as_str()).collect();
        if let (Some(family), [first, ..]) = (family, given.as_slice()) {
            self.leaf(&format!("{first} {family}"));
            if given.len() > 1 {
                self.leaf(&format!("{} {family}", given.join(" ")));
            }
        }
    }

    fn leaf(&mut self, text: &str) {
        self.held.push(Held { path: self.path.join("."), text: text.to_owned() });
    }
}
