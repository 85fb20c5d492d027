//! JSON Patch (RFC 6902) on a resource, with the order of elements and the digits of decimals kept.

use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The most operations of one patch.
const OPERATIONS_MAX: usize = 1_000;

/// Why a patch cannot be carried out. Numbers are those of its operations, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchError {
    /// It is no list of operations.
    Form,
    /// An operation is not one of RFC 6902, or lacks a part.
    Operation(usize),
    /// A path leads nowhere.
    Path(usize),
    /// A test does not hold.
    Test(usize),
}

/// JSON whose parts can be changed.
#[derive(Clone, Debug)]
enum Tree {
    /// Anything without parts, as it is written.
    Leaf(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    fn of(value: &Value) -> Self {
        if let Some(array) = value.as_array() {
            Self::Array(array.iter().map(Self::of).collect())
        } else if let Some(object) = value.as_object() {
            Self::Object(object.iter().map(|(name, child)| (name.to_owned(), Self::of(child))).collect())
        } else {
            Self::Leaf(sonic_rs::to_string(value).unwrap_or_else(|_| "null".to_owned()))
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Leaf(leaf) => text.push_str(leaf),
            Self::Array(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    item.write(text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (at, (name, child)) in members.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    text.push_str(&serde_json::Value::from(name.as_str()).to_string());
                    text.push(':');
                    child.write(text);
                }
                text.push('}');
            }
        }
    }

    /// Equal as JSON: the order of members and the way in which a number is written do not count.
    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(a), Self::Leaf(b)) => {
                a == b
                    || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a.total_cmp(&b).is_eq())
            }
            (Self::Array(a), Self::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (Self::Object(a), Self::Object(b)) => {
                let same = |(name, child): &(String, Self)| {
                    b.iter().any(|(other, value)| other == name && child.equals(value))
                };
                a.len() == b.len() && a.iter().all(same)
            }
            _ => false,
        }
    }

    fn get(&self, path: &[String]) -> Option<&Self> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == step)?.1.get(rest),
            Self::Array(items) => items.get(index(step)?)?.get(rest),
            Self::Leaf(_) => None,
        }
    }

    fn parent(&mut self, path: &[String]) -> Option<&mut Self> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        match self {
            Self::Object(members) => members.iter_mut().find(|(name, _)| name == step)?.1.parent(rest),
            Self::Array(items) => items.get_mut(index(step)?)?.parent(rest),
            Self::Leaf(_) => None,
        }
    }

    fn add(&mut self, path: &[String], value: Self) -> Option<()> {
        let Some((last, before)) = path.split_last() else {
            *self = value;
            return Some(());
        };
        match self.parent(before)? {
            Self::Object(members) => match members.iter_mut().find(|(name, _)| name == last) {
                Some((_, child)) => *child = value,
                None => members.push((last.clone(), value)),
            },
            Self::Array(items) if last == "-" => items.push(value),
            Self::Array(items) => {
                let at = index(last).filter(|at| *at <= items.len())?;
                items.insert(at, value);
            }
            Self::Leaf(_) => return None,
        }
        Some(())
    }

    fn remove(&mut self, path: &[String]) -> Option<Self> {
        let (last, before) = path.split_last()?;
        match self.parent(before)? {
            Self::Object(members) => {
                let at = members.iter().position(|(name, _)| name == last)?;
                Some(members.remove(at).1)
            }
            Self::Array(items) => {
                let at = index(last).filter(|at| *at < items.len())?;
                Some(items.remove(at))
            }
            Self::Leaf(_) => None,
        }
    }
}

/// An index of an array: digits without a nought before them.
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { step.parse().ok() } else { None }
}

/// A JSON Pointer (RFC 6901).
fn pointer(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let rest = text.strip_prefix('/')?;
    Some(rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

/// Carries `patch` out on a resource's text.
pub(crate) fn patched(resource: &Value, patch: &Value) -> Result<String, PatchError> {
    let operations = patch.as_array().filter(|list| list.len() <= OPERATIONS_MAX).ok_or(PatchError::Form)?;
    let mut tree = Tree::of(resource);
    for (number, operation) in operations.iter().enumerate() {
        operate(&mut tree, number, operation)?;
    }
    let mut text = String::new();
    tree.write(&mut text);
    Ok(text)
}

fn operate(tree: &mut Tree, number: usize, operation: &Value) -> Result<(), PatchError> {
    let wrong = PatchError::Operation(number);
    let nowhere = PatchError::Path(number);
    let text = |name: &str| operation.get(name).and_then(|value| value.as_str());
    let path = text("path").and_then(pointer).ok_or(wrong)?;
    let value = || operation.get("value").map(Tree::of).ok_or(wrong);
    let from = || text("from").and_then(pointer).ok_or(wrong);
    match text("op").ok_or(wrong)? {
        "add" => tree.add(&path, value()?).ok_or(nowhere),
        "remove" => tree.remove(&path).map(drop).ok_or(nowhere),
        "replace" => {
            let value = value()?;
            tree.get(&path).ok_or(nowhere)?;
            if path.is_empty() {
                *tree = value;
                return Ok(());
            }
            *tree.parent(&path).ok_or(nowhere)? = value;
            Ok(())
        }
        "copy" => {
            let copied = tree.get(&from()?).cloned().ok_or(nowhere)?;
            tree.add(&path, copied).ok_or(nowhere)
        }
        "move" => {
            let from = from()?;
            if path.len() > from.len() && path.starts_with(&from) {
                return Err(nowhere);
            }
            let moved = tree.remove(&from).ok_or(nowhere)?;
            tree.add(&path, moved).ok_or(nowhere)
        }
        "test" => {
            let value = value()?;
            let found = tree.get(&path).ok_or(PatchError::Test(number))?;
            if found.equals(&value) { Ok(()) } else { Err(PatchError::Test(number)) }
        }
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resource: &str, patch: &str) -> Result<String, PatchError> {
        patched(&sonic_rs::from_str(resource).unwrap(), &sonic_rs::from_str(patch).unwrap())
    }

    #[test]
    fn operations_are_those_of_rfc_6902() {
        for (before, patch, after) in [
            (r#"{"a":1.50}"#, r#"[{"op":"add","path":"/b","value":2.0}]"#, r#"{"a":1.50,"b":2.0}"#),
            (r#"{"a":[1,3]}"#, r#"[{"op":"add","path":"/a/1","value":2}]"#, r#"{"a":[1,2,3]}"#),
            (r#"{"a":[1]}"#, r#"[{"op":"add","path":"/a/-","value":2}]"#, r#"{"a":[1,2]}"#),
            (r#"{"a":1,"b":2}"#, r#"[{"op":"remove","path":"/a"}]"#, r#"{"b":2}"#),
            (
                r#"{"a":[1,2]}"#,
                r#"[{"op":"replace","path":"/a/0","value":{"x":"y"}}]"#,
                r#"{"a":[{"x":"y"},2]}"#,
            ),
            (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":"/c"}]"#, r#"{"a":{},"c":1}"#),
            (
                r#"{"a/b":1,"m~n":2}"#,
                r#"[{"op":"copy","from":"/a~1b","path":"/m~0n"}]"#,
                r#"{"a/b":1,"m~n":1}"#,
            ),
            (
                r#"{"a":1.0,"b":{"x":1,"y":2}}"#,
                r#"[{"op":"test","path":"/a","value":1},{"op":"test","path":"/b","value":{"y":2,"x":1}}]"#,
                r#"{"a":1.0,"b":{"x":1,"y":2}}"#,
            ),
        ] {
            assert_eq!(check(before, patch).as_deref(), Ok(after), "{patch}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_named_by_its_number() {
        let table = [
            ("{}", PatchError::Form),
            (r#"[{"op":"nonsense","path":"/a"}]"#, PatchError::Operation(0)),
            (r#"[{"op":"add","path":"a","value":1}]"#, PatchError::Operation(0)),
            (r#"[{"op":"test","path":"/a","value":1},{"op":"remove","path":"/x"}]"#, PatchError::Path(1)),
            (r#"[{"op":"add","path":"/l/01","value":1}]"#, PatchError::Path(0)),
            (r#"[{"op":"add","path":"/l/9","value":1}]"#, PatchError::Path(0)),
            (r#"[{"op":"test","path":"/a","value":2}]"#, PatchError::Test(0)),
            (r#"[{"op":"move","from":"/l","path":"/l/0"}]"#, PatchError::Path(0)),
        ];
        for (patch, error) in table {
            assert_eq!(check(r#"{"a":1,"l":[]}"#, patch), Err(error), "{patch}");
        }
    }
}
