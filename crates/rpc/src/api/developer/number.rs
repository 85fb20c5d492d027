//! Numbers as the various tools write them: JSON numbers, hexadecimal or decimal strings.

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, de::Error};

/// A number in any of the usual writings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number(pub(super) U256);

impl Number {
    /// The number, as far as 64 bits go.
    pub(super) fn to_u64(self) -> u64 {
        self.0.saturating_to()
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(U256::from(number))),
            Written::Text(text) => text.parse().map(Self).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writing_is_read() {
        for text in ["255", "\"255\"", "\"0xff\""] {
            assert_eq!(serde_json::from_str::<Number>(text).unwrap().to_u64(), 255, "{text}");
        }
        assert!(serde_json::from_str::<Number>("\"0xzz\"").is_err());
    }
}
