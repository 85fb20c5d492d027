//! The identity side of a split: what was taken away or changed, with its place.
//!
//! The encoding is JSON: `{"v":1,"rules":"<hex>","of":"<hex>","patch":[...]}`. `rules` is the digest of the rule table,
//! `of` the first sixteen bytes of the SHA-256 of the de-identified side's text, so that the sides of two records
//! are never joined. The items of a patch are told in `split::walk`.

use crate::{JoinError, json, rules_digest};
use sha2::{Digest as _, Sha256};
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Value};
use std::{fmt, sync::LazyLock};

const VERSION: u64 = 1;
const RULES: &[u8] = br#"{"v":1,"rules":""#;
const OF: &[u8] = br#"","of":""#;
const PATCH: &[u8] = br#"","patch":"#;
const MATCH_BYTES: usize = 16;
/// Where the digits of `of` begin.
const OF_AT: usize = RULES.len() + 64 + OF.len();
/// What stands before the patch.
const HEAD_LEN: usize = OF_AT + 2 * MATCH_BYTES + PATCH.len();

/// A removed value of [`json::DEPTH_MAX`] levels, in a patch as deep as the rules go.
const PATCH_DEPTH_MAX: usize = 2 * json::DEPTH_MAX;

/// How an encoding under this program's own rules begins.
static OWN_HEAD: LazyLock<Vec<u8>> = LazyLock::new(|| head(rules_digest()));

/// What stands before the patch, with zeros for what it belongs to.
fn head(rules: [u8; 32]) -> Vec<u8> {
    let rules = rules.map(hex_digits);
    [RULES, rules.as_flattened(), OF, &[b'0'; 2 * MATCH_BYTES], PATCH].concat()
}

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
    /// Begins an encoding, to which a patch, a JSON array of about `patch_len` bytes, is appended for [`Self::finish`].
    pub(crate) fn begin(patch_len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(patch_len.saturating_add(HEAD_LEN + 1));
        bytes.extend_from_slice(&OWN_HEAD);
        bytes
    }

    /// Ends what [`Self::begin`] began; `deidentified` is the other side's text.
    pub(crate) fn finish(mut bytes: Vec<u8>, deidentified: &[u8]) -> Self {
        bytes.push(b'}');
        let digits = match_bytes(deidentified).map(hex_digits);
        let place = bytes.iter_mut().skip(OF_AT);
        place.zip(digits.as_flattened()).for_each(|(place, digit)| *place = *digit);
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

const fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]]
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

    fn of(rules: [u8; 32], patch: &[u8]) -> Remainder {
        let bytes = [head(rules).as_slice(), patch].concat();
        Remainder::finish(bytes, b"{}")
    }

    #[test]
    fn the_encoding_is_stable() {
        let remainder = of([0xab; 32], br#"[1,"id","x"]"#);
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
        let good = of([1; 32], b"[]").into_bytes();
        let text = String::from_utf8(good).unwrap();
        for (from, to) in
            [("\"v\":1", "\"v\":2"), ("\"of\":\"4", "\"of\":\"z"), ("[]", "{}"), ("{", "["), ("}", "")]
        {
            let damaged = text.replacen(from, to, 1);
            assert_eq!(Remainder::from_bytes(damaged.as_bytes()), Err(JoinError::Remainder), "{damaged}");
        }
    }
}
