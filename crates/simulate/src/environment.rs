//! What the EVM is told of a block, by the rules that `execution` names for it.

use alloy_consensus::Header;
use alloy_eips::eip7840::BlobParams;
use bxp_execution::{ChainSpec, Rules, environment};
use revm::{
    context::{BlockEnv, CfgEnv},
    primitives::hardfork::SpecId,
};

pub(crate) use bxp_execution::environment::transaction;

pub(crate) fn chain(spec: &ChainSpec, rules: &Rules) -> CfgEnv {
    environment::chain(spec, rules)
}

pub(crate) fn block(header: &Header, rules: &Rules) -> BlockEnv {
    environment::block(header, rules)
}

/// Wei that the beneficiary of a block mints: only miners did (EIP-649, EIP-1234).
pub(crate) fn block_reward_wei(rules: &Rules) -> u128 {
    const ETHER: u128 = 1_000_000_000_000_000_000;
    if rules.has(SpecId::MERGE) {
        0
    } else if rules.has(SpecId::PETERSBURG) {
        2 * ETHER
    } else if rules.has(SpecId::BYZANTIUM) {
        3 * ETHER
    } else {
        5 * ETHER
    }
}

/// Blob gas above the target so far, after the block with this header (EIP-4844, EIP-7918).
pub(crate) fn next_excess_blob_gas(blobs: &BlobParams, header: &Header) -> u64 {
    header.excess_blob_gas.map_or(0, |excess| {
        blobs.next_block_excess_blob_gas_osaka(
            excess,
            header.blob_gas_used.unwrap_or_default(),
            header.base_fee_per_gas.unwrap_or_default(),
        )
    })
}

/// The price of blob gas, in wei, in a block after the one with this header.
#[must_use]
pub fn next_blob_base_fee(spec: &ChainSpec, header: &Header) -> u128 {
    let blobs = spec.rules(header).blobs;
    blobs.calc_blob_fee(next_excess_blob_gas(&blobs, header))
}
