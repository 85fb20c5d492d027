//! A hash that is written with `0x`, as geth insists.

use alloy_primitives::B256;
use serde::{Deserialize, Deserializer, de::Error};

/// A hash from a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrefixedHash(pub(crate) B256);

impl<'de> Deserialize<'de> for PrefixedHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        if !text.starts_with("0x") {
            return Err(D::Error::custom("hex string without 0x prefix"));
        }
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
