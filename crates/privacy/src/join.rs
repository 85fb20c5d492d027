//! Both sides of a split put together again.

use crate::{
    Remainder,
    json::{DEPTH_MAX, write_string, write_value},
    patch::{Item, item},
};
use sonic_rs::{JsonContainerTrait as _, Value};

/// Why two sides cannot be joined. Never tells a value.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum JoinError {
    /// The identity side is damaged or of a version that this program does not know.
    #[error("read remainder: it is damaged or of an unknown version")]
    Remainder,
    /// The two sides do not belong together.
    #[error("join sides: they do not belong to the same split")]
    Mismatch,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("join sides: they are nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Gives the original resource back: equal tree, key order and number literals.
///
/// # Errors
/// The remainder is damaged, or does not belong to this de-identified side.
pub fn join(remainder: &Remainder, deidentified: &Value) -> Result<Value, JoinError> {
    let parts = remainder.parts()?;
    if !parts.belongs_to(deidentified)? {
        return Err(JoinError::Mismatch);
    }
    let mut out = Vec::with_capacity(remainder.as_bytes().len());
    patched(&mut out, parts.patch(), deidentified, DEPTH_MAX)?;
    sonic_rs::from_slice(&out).map_err(|_| JoinError::Remainder)
}

fn patched(out: &mut Vec<u8>, patch: &[Value], value: &Value, depth: usize) -> Result<(), JoinError> {
    let depth = depth.checked_sub(1).ok_or(JoinError::TooDeep)?;
    match (value.as_object(), value.as_array()) {
        (Some(object), _) => patched_object(out, patch, object.iter(), depth),
        (_, Some(array)) => patched_array(out, patch, array.iter(), depth),
        _ => Err(JoinError::Mismatch),
    }
}

fn patched_object<'a>(
    out: &mut Vec<u8>,
    patch: &[Value],
    mut members: impl Iterator<Item = (&'a str, &'a Value)>,
    depth: usize,
) -> Result<(), JoinError> {
    out.push(b'{');
    let mut items = patch.iter();
    while let Some(next) = items.next() {
        match item(next)? {
            Item::Take(count) => {
                for _ in 0..count {
                    let (key, value) = members.next().ok_or(JoinError::Mismatch)?;
                    write_key(out, key);
                    write(out, value)?;
                }
            }
            Item::Key(key) => {
                write_key(out, key);
                write(out, items.next().ok_or(JoinError::Remainder)?)?;
            }
            Item::Original(original) => {
                let (key, _) = members.next().ok_or(JoinError::Mismatch)?;
                write_key(out, key);
                write(out, original)?;
            }
            Item::Patch(patch) => {
                let (key, value) = members.next().ok_or(JoinError::Mismatch)?;
                write_key(out, key);
                patched(out, patch, value, depth)?;
            }
            Item::Added(_) => return Err(JoinError::Remainder),
        }
    }
    out.push(b'}');
    if members.next().is_some() { Err(JoinError::Mismatch) } else { Ok(()) }
}

fn patched_array<'a>(
    out: &mut Vec<u8>,
    patch: &[Value],
    mut elements: impl Iterator<Item = &'a Value>,
    depth: usize,
) -> Result<(), JoinError> {
    out.push(b'[');
    for next in patch {
        match item(next)? {
            Item::Take(count) => {
                for _ in 0..count {
                    separate(out, b'[');
                    write(out, elements.next().ok_or(JoinError::Mismatch)?)?;
                }
            }
            Item::Original(original) => {
                elements.next().ok_or(JoinError::Mismatch)?;
                separate(out, b'[');
                write(out, original)?;
            }
            Item::Added(added) => {
                separate(out, b'[');
                write(out, added)?;
            }
            Item::Patch(patch) => {
                separate(out, b'[');
                patched(out, patch, elements.next().ok_or(JoinError::Mismatch)?, depth)?;
            }
            Item::Key(_) => return Err(JoinError::Remainder),
        }
    }
    out.push(b']');
    if elements.next().is_some() { Err(JoinError::Mismatch) } else { Ok(()) }
}

fn write_key(out: &mut Vec<u8>, key: &str) {
    separate(out, b'{');
    write_string(out, key);
    out.push(b':');
}

fn write(out: &mut Vec<u8>, value: &Value) -> Result<(), JoinError> {
    write_value(out, value).map_err(|_| JoinError::TooDeep)
}

/// A comma, unless a bracket was just opened.
fn separate(out: &mut Vec<u8>, bracket: u8) {
    if out.last() != Some(&bracket) {
        out.push(b',');
    }
}
