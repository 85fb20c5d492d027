//! The files' format.

use crate::ExecutionError;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// One test: a state, a transaction in variants, and what comes of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StateTest {
    pub(crate) env: Environment,
    pub(crate) pre: BTreeMap<Address, Account>,
    pub(crate) transaction: Transaction,
    pub(crate) post: BTreeMap<String, Vec<Case>>,
    #[serde(default)]
    pub(crate) config: Config,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Config {
    #[serde(alias = "chainid")]
    pub(crate) chain_id: Option<U256>,
    pub(crate) blob_schedule: BTreeMap<String, BlobSchedule>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlobSchedule {
    target: U256,
    max: U256,
    base_fee_update_fraction: U256,
}

impl BlobSchedule {
    /// `usual` with this schedule's three numbers.
    pub(crate) fn params(&self, usual: BlobParams) -> BlobParams {
        let max: u64 = self.max.saturating_to();
        BlobParams {
            target_blob_count: self.target.saturating_to(),
            max_blob_count: max,
            max_blobs_per_tx: usual.max_blobs_per_tx.min(max),
            update_fraction: self.base_fee_update_fraction.saturating_to(),
            ..usual
        }
    }
}

/// The block.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Environment {
    pub(crate) current_coinbase: Address,
    #[serde(default)]
    pub(crate) current_difficulty: U256,
    pub(crate) current_gas_limit: U256,
    pub(crate) current_number: U256,
    pub(crate) current_timestamp: U256,
    pub(crate) current_base_fee: Option<U256>,
    pub(crate) current_random: Option<U256>,
    pub(crate) current_excess_blob_gas: Option<U256>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Account {
    pub(crate) balance: U256,
    pub(crate) nonce: U256,
    pub(crate) code: Bytes,
    pub(crate) storage: BTreeMap<U256, U256>,
}

/// The transaction; a case picks one of the data, of the gas limits and of the values. A number that does not fit its
/// type makes the transaction one that cannot be encoded, and so cannot enter.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transaction {
    pub(crate) data: Vec<Bytes>,
    pub(crate) gas_limit: Vec<Number>,
    pub(crate) value: Vec<Number>,
    pub(crate) nonce: Number,
    #[serde(default, deserialize_with = "address_or_nothing")]
    pub(crate) to: Option<Address>,
    pub(crate) sender: Option<Address>,
    pub(crate) secret_key: Option<B256>,
    pub(crate) gas_price: Option<Number>,
    pub(crate) max_fee_per_gas: Option<Number>,
    pub(crate) max_priority_fee_per_gas: Option<Number>,
    #[serde(default)]
    pub(crate) access_lists: Vec<Option<Vec<AccessListItem>>>,
    pub(crate) blob_versioned_hashes: Option<Vec<B256>>,
    pub(crate) max_fee_per_blob_gas: Option<Number>,
    pub(crate) authorization_list: Option<Vec<Authorization>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessListItem {
    pub(crate) address: Address,
    pub(crate) storage_keys: Vec<B256>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Authorization {
    pub(crate) chain_id: Number,
    pub(crate) address: Address,
    pub(crate) nonce: Number,
    #[serde(alias = "yParity")]
    pub(crate) v: Number,
    pub(crate) r: Number,
    pub(crate) s: Number,
}

/// What one variant gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    pub(crate) hash: B256,
    pub(crate) logs: B256,
    pub(crate) indexes: Indexes,
    pub(crate) expect_exception: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Indexes {
    pub(crate) data: usize,
    pub(crate) gas: usize,
    pub(crate) value: usize,
}

/// A number of up to 256 bits; none for one that has more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) Option<U256>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let text = text.strip_prefix("0x:bigint ").unwrap_or(&text);
        let digits = text.strip_prefix("0x");
        let parsed = match digits {
            Some("") => Some(U256::ZERO),
            Some(digits) => U256::from_str_radix(digits, 16).ok(),
            None => U256::from_str_radix(text, 10).ok(),
        };
        Ok(Self(parsed))
    }
}

fn address_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() || text == "0x" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Reads a file of tests, by their names.
pub(crate) fn read(json: &[u8]) -> Result<BTreeMap<String, StateTest>, ExecutionError> {
    serde_json::from_slice(json).map_err(|error| ExecutionError::StateTest { reason: error.to_string() })
}
