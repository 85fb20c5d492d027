//! What a header must say before any of its transactions runs.

use super::{EthereumBlock, difficulty::difficulty};
use crate::{ChainSpec, Rules, VerifyError, verify::Comparison};
use alloy_consensus::{
    Header, Transaction,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH},
    proofs::calculate_withdrawals_root,
};
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE, calc_next_block_base_fee},
    eip4844::DATA_GAS_PER_BLOB,
};
use alloy_primitives::{B64, U256};
use revm::primitives::hardfork::SpecId;
use std::fmt::Debug;

const EXTRA_DATA_BYTES_MAX: usize = 32;
const GAS_LIMIT_DIVISOR: u64 = 1024;
const GAS_LIMIT_MIN: u64 = 5000;
const OMMERS_MAX: usize = 2;
const OMMER_GENERATIONS_MAX: u64 = 6;

/// Checks the header of `block` against its parent and its body. `merged` says whether the chain's terminal total
/// difficulty was reached with the parent.
pub(crate) fn check(
    spec: &ChainSpec,
    rules: &Rules,
    parent: &Header,
    block: &EthereumBlock,
    merged: bool,
) -> Result<(), VerifyError> {
    let header = &block.header;
    let equal = Comparison(header.number);
    equal.check("number", parent.number.saturating_add(1), header.number)?;
    equal.check("parentHash", parent.hash_slow(), header.parent_hash)?;
    let after = format!("above {}", parent.timestamp);
    equal.require("timestamp", header.timestamp > parent.timestamp, after, header.timestamp)?;
    let length = header.extra_data.len();
    equal.require("extraData", length <= EXTRA_DATA_BYTES_MAX, "at most 32 bytes", length)?;
    equal.require("gasUsed", header.gas_used <= header.gas_limit, "at most the limit", header.gas_used)?;
    check_gas(spec, rules, parent, header, &equal)?;
    if merged {
        equal.check("difficulty", U256::ZERO, header.difficulty)?;
        equal.check("nonce", B64::ZERO, header.nonce)?;
        equal.check("sha3Uncles", EMPTY_OMMER_ROOT_HASH, header.ommers_hash)?;
    } else {
        let difficulty = difficulty(spec, rules, parent, header.number, header.timestamp);
        equal.check("difficulty", difficulty, header.difficulty)?;
    }
    check_ommers(header, &block.ommers, &equal)?;
    let withdrawals_root = block
        .withdrawals
        .as_deref()
        .map(|all| if all.is_empty() { EMPTY_ROOT_HASH } else { calculate_withdrawals_root(all) });
    check_option(&equal, "withdrawalsRoot", withdrawals_root, header.withdrawals_root)?;
    let shanghai = rules.has(SpecId::SHANGHAI);
    equal.check("withdrawalsRoot", shanghai, header.withdrawals_root.is_some())?;
    check_blobs(rules, parent, block, &equal)?;
    equal.check("requestsHash", rules.has(SpecId::PRAGUE), header.requests_hash.is_some())
}

/// Gas limit and base fee. The limit counts double for the first block with a base fee (EIP-1559).
fn check_gas(
    spec: &ChainSpec,
    rules: &Rules,
    parent: &Header,
    header: &Header,
    equal: &Comparison,
) -> Result<(), VerifyError> {
    let first = rules.has(SpecId::LONDON) && !spec.rules(parent).has(SpecId::LONDON);
    let before = if first { parent.gas_limit.saturating_mul(2) } else { parent.gas_limit };
    let near = before.abs_diff(header.gas_limit) < before / GAS_LIMIT_DIVISOR;
    let expected = format!("within 1/{GAS_LIMIT_DIVISOR} of {before}");
    equal.require("gasLimit", near && header.gas_limit >= GAS_LIMIT_MIN, expected, header.gas_limit)?;
    let base_fee = match (rules.has(SpecId::LONDON), parent.base_fee_per_gas) {
        (false, _) => None,
        (true, Some(base_fee)) if !first => {
            let params = BaseFeeParams::ethereum();
            Some(calc_next_block_base_fee(parent.gas_used, parent.gas_limit, base_fee, params))
        }
        (true, _) => Some(INITIAL_BASE_FEE),
    };
    check_option(equal, "baseFeePerGas", base_fee, header.base_fee_per_gas)
}

/// Form and age of the ommers. Whether they are those that the header names, and whose children they are, is for
/// [`Ancestry`](super::Ancestry), which has the ancestors.
fn check_ommers(header: &Header, ommers: &[Header], equal: &Comparison) -> Result<(), VerifyError> {
    equal.require("uncles", ommers.len() <= OMMERS_MAX, "at most 2", ommers.len())?;
    for ommer in ommers {
        let age = header.number.saturating_sub(ommer.number);
        let young = (1..=OMMER_GENERATIONS_MAX).contains(&age);
        equal.require("uncles", young, "1 to 6 generations old", age)?;
    }
    if let [one, other] = ommers {
        equal.require("uncles", one != other, "two different ones", "one twice")?;
    }
    Ok(())
}

/// Blob gas and its price, and the beacon root that came with it (EIP-4844, EIP-4788, EIP-7918).
fn check_blobs(
    rules: &Rules,
    parent: &Header,
    block: &EthereumBlock,
    equal: &Comparison,
) -> Result<(), VerifyError> {
    let header = &block.header;
    let cancun = rules.has(SpecId::CANCUN);
    equal.check("parentBeaconBlockRoot", cancun, header.parent_beacon_block_root.is_some())?;
    if !cancun {
        check_option(equal, "blobGasUsed", None::<u64>, header.blob_gas_used)?;
        return check_option(equal, "excessBlobGas", None::<u64>, header.excess_blob_gas);
    }
    let blobs = |transaction: &bxp_types::RecoveredTransaction| {
        transaction.blob_versioned_hashes().map_or(0, <[_]>::len) as u64
    };
    let used = DATA_GAS_PER_BLOB.saturating_mul(block.transactions.iter().map(blobs).sum());
    check_option(equal, "blobGasUsed", Some(used), header.blob_gas_used)?;
    let max = rules.blobs.max_blob_gas_per_block();
    equal.require("blobGasUsed", used <= max, format!("at most {max}"), used)?;
    let excess = rules.blobs.next_block_excess_blob_gas_osaka(
        parent.excess_blob_gas.unwrap_or_default(),
        parent.blob_gas_used.unwrap_or_default(),
        parent.base_fee_per_gas.unwrap_or_default(),
    );
    check_option(equal, "excessBlobGas", Some(excess), header.excess_blob_gas)
}

fn check_option<T: Debug + PartialEq>(
    equal: &Comparison,
    field: &'static str,
    expected: Option<T>,
    found: Option<T>,
) -> Result<(), VerifyError> {
    let holds = expected == found;
    let say = |value: Option<T>| value.map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"));
    equal.require(field, holds, say(expected), say(found))
}
