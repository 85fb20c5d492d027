//! Canonical DAG-CBOR: one value, one encoding.

use crate::MarketError;
use serde::{Serialize, de::DeserializeOwned};

/// Encodes `value`. Map keys come out in DAG-CBOR's order whatever the order of the fields.
pub(crate) fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, MarketError> {
    serde_ipld_dagcbor::to_vec(value).map_err(|_| MarketError::Malformed(what))
}

/// Decodes `bytes`, refusing everything that [`encode`] would not have written.
pub(crate) fn decode<T: Serialize + DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, MarketError> {
    let value: T = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| MarketError::Malformed(what))?;
    if encode(what, &value)? == bytes { Ok(value) } else { Err(MarketError::Malformed(what)) }
}
