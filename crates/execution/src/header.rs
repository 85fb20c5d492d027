//! The header: a plain Ethereum one.

use crate::BlockInput;
use alloy_consensus::{Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B256, Bytes};

/// The header of `input`, its time in milliseconds (8 bytes BE) in `extraData`, so that the block's hash covers it; as far as it is known before execution: without roots, bloom and gas used.
pub(crate) fn begin(parent_hash: B256, input: &BlockInput) -> Header {
    Header {
        parent_hash,
        beneficiary: input.beneficiary,
        number: input.height.0,
        gas_limit: input.gas_limit,
        timestamp: input.time_ms / 1000,
        extra_data: Bytes::copy_from_slice(&input.time_ms.to_be_bytes()),
        mix_hash: input.mix_hash,
        base_fee_per_gas: Some(input.base_fee),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(input.parent_beacon_root),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
