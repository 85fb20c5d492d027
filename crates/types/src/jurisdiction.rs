//! The country whose law a record lives under: the shard key of identifying data (white paper 3.2, row A12).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An ISO 3166-1 alpha-2 country code in upper case, `US`, `DE`, `CA`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jurisdiction([u8; 2]);

/// Why a country code could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a jurisdiction is a two-letter ISO 3166-1 country code such as US, DE or CA")]
pub struct ParseJurisdictionError;

impl Jurisdiction {
    /// The United States (HIPAA).
    pub const US: Self = Self(*b"US");
    /// Germany (GDPR, BDSG).
    pub const DE: Self = Self(*b"DE");
    /// Canada (PIPEDA).
    pub const CA: Self = Self(*b"CA");

    /// The country with these two upper-case letters; none for any other spelling, so that where countries are written
    /// in a fixed form, each has one.
    #[must_use]
    pub fn from_letters(letters: [u8; 2]) -> Option<Self> {
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// The two upper-case letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl FromStr for Jurisdiction {
    type Err = ParseJurisdictionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; 2] = text.trim().as_bytes().try_into().map_err(|_| ParseJurisdictionError)?;
        if bytes.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(bytes.map(|letter| letter.to_ascii_uppercase())))
        } else {
            Err(ParseJurisdictionError)
        }
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Jurisdiction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Jurisdiction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_letters_are_a_jurisdiction() {
        assert_eq!("us".parse(), Ok(Jurisdiction::US));
        for wrong in ["", "U", "USA", "U1", "ü"] {
            assert_eq!(wrong.parse::<Jurisdiction>(), Err(ParseJurisdictionError), "{wrong}");
        }
    }

    #[test]
    fn the_letters_of_a_country_have_one_spelling() {
        assert_eq!(Jurisdiction::from_letters(*b"DE"), Some(Jurisdiction::DE));
        for wrong in [b"de", b"De", b"D1", b"D ", b"\xc3\x84"] {
            assert_eq!(Jurisdiction::from_letters(*wrong), None, "{wrong:?}");
        }
    }
}
