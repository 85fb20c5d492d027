//! The identity side of a split: what was taken away or changed, with its place.
//!
//! The encoding is JSON: `{"v":1,"rules":"<hex>","of":"<hex>","patch":[...]}`. `rules` is the digest of the rule table,
//! `of` the first sixteen bytes of the SHA-256 of the de-identified side's text, so that the sides of two records
//! are never joined. The items of a patch are told in `split::walk`.

use crate::{JoinError, json};
use sha2::{Digest as _, Sha256};
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Value};
use std::fmt;

const VERSION: u64 = 1;
/// How a remainder of this version begins.
const HEAD: &[u8] = br#"{"v":1,"rules":""#;
const MATCH_BYTES: usize = 16;

/// A removed value of [`json::DEPTH_MAX`] levels, in a patch as deep as the rules go.
const PATCH_DEPTH_MAX: usize = 2 * json::DEPTH_MAX;

/// What [`crate::join`] needs beside the de-identified side to give the resource back.
#[derive(Clone, PartialEq, Eq)]
pub struct Remainder {
    bytes: Vec<u8>,
}

/// A remainder read back.
pub(crate) struct Parts {
    root: Value,
    of: [u8; MATCH_BYTES],
}

impl Remainder {
    /// `deidentified` is the other side's text, `patch` a JSON array.
    pub(crate) fn new(rules: [u8; 32], deidentified: &[u8], patch: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(patch.len().saturating_add(160));
        bytes.extend_from_slice(HEAD);
        write_hex(&mut bytes, &rules);
        bytes.extend_from_slice(b"\",\"of\":\"");
        write_hex(&mut bytes, &match_bytes(deidentified));
        bytes.extend_from_slice(b"\",\"patch\":");
        bytes.extend_from_slice(patch);
        bytes.push(b'}');
        Self { bytes }
    }

    /// The encoding, to be sealed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoding, to be sealed.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Reads an encoding back.
    ///
    /// # Errors
    /// The bytes are no remainder of a version that this program knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JoinError> {
        let remainder = Self { bytes: bytes.to_vec() };
        remainder.parts()?;
        Ok(remainder)
    }

    /// SHA-256 of the rule table that decided the split.
    ///
    /// # Errors
    /// The remainder is damaged.
    pub fn rules(&self) -> Result<[u8; 32], JoinError> {
        hex_member(&self.parts()?.root, "rules")
    }

    pub(crate) fn parts(&self) -> Result<Parts, JoinError> {
        let root = json::read(&self.bytes, PATCH_DEPTH_MAX).ok_or(JoinError::Remainder)?;
        let version = root.get("v").and_then(version);
        let of = hex_member(&root, "of")?;
        let patch_is_list = root.get("patch").is_some_and(sonic_rs::JsonValueTrait::is_array);
        if version == Some(VERSION) && patch_is_list {
            Ok(Parts { root, of })
        } else {
            Err(JoinError::Remainder)
        }
    }
}

fn version(value: &Value) -> Option<u64> {
    value.as_raw_number()?.as_str().parse().ok()
}

fn hex_member<const N: usize>(root: &Value, name: &str) -> Result<[u8; N], JoinError> {
    let mut bytes = [0; N];
    let text = root.get(name).and_then(|text| text.as_str()).ok_or(JoinError::Remainder)?;
    hex::decode_to_slice(text, &mut bytes).map_err(|_| JoinError::Remainder)?;
    Ok(bytes)
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(
        bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
    );
}

fn match_bytes(deidentified: &[u8]) -> [u8; MATCH_BYTES] {
    let digest: [u8; 32] = Sha256::digest(deidentified).into();
    std::array::from_fn(|index| digest[index])
}

impl Parts {
    pub(crate) fn patch(&self) -> &[Value] {
        self.root.get("patch").and_then(|patch| patch.as_array()).map_or(&[], |patch| patch.as_slice())
    }

    /// Whether this is the remainder of the split that gave `deidentified`.
    pub(crate) fn belongs_to(&self, deidentified: &Value) -> Result<bool, JoinError> {
        let mut text = Vec::new();
        json::write_value(&mut text, deidentified).map_err(|_| JoinError::TooDeep)?;
        Ok(match_bytes(&text) == self.of)
    }
}

impl fmt::Debug for Remainder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remainder(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_stable() {
        let remainder = Remainder::new([0xab; 32], b"{}", br#"[1,"id","x"]"#);
        let expected = format!(
            r#"{{"v":1,"rules":"{}","of":"44136fa355b3678a1146ad16f7e8649e","patch":[1,"id","x"]}}"#,
            "ab".repeat(32)
        );
        assert_eq!(String::from_utf8_lossy(remainder.as_bytes()), expected);
        let read = Remainder::from_bytes(remainder.as_bytes()).unwrap();
        assert_eq!(read, remainder);
        assert_eq!(read.rules(), Ok([0xab; 32]));
        assert_eq!(format!("{read:?}"), "Remainder(redacted)");
    }

    #[test]
    fn damage_is_told() {
        let good = Remainder::new([1; 32], b"{}", b"[]").into_bytes();
        let text = String::from_utf8(good).unwrap();
        for (from, to) in
            [("\"v\":1", "\"v\":2"), ("\"of\":\"4", "\"of\":\"z"), ("[]", "{}"), ("{", "["), ("}", "")]
        {
            let damaged = text.replacen(from, to, 1);
            assert_eq!(Remainder::from_bytes(damaged.as_bytes()), Err(JoinError::Remainder), "{damaged}");
        }
    }
}
