//! `eth_estimateGas`: the least gas limit with which a transaction succeeds, found by running it.
//!
//! Gas used is not enough: refunds come back only at the end, and a call gets at most 63/64 of its caller's gas
//! (EIP-150). So the limit is searched for, as geth does it.

use super::calls::{call_request, is_out_of_gas, returned};
use crate::fault::Fault;
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_primitives::U256;
use alloy_rpc_types_eth::TransactionRequest;
use bxp_types::{CallOutcome, CallRequest, Ledger, LedgerError};

/// The gas of a transaction that only moves value.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value lends its callee (EIP-150).
const CALL_STIPEND: u64 = 2_300;
/// Intrinsic gas of an address in an access list (EIP-2930).
const ACCESS_LIST_ADDRESS_GAS: u64 = 2_400;
/// Intrinsic gas of a storage key in an access list (EIP-2930).
const ACCESS_LIST_KEY_GAS: u64 = 1_900;
/// Intrinsic gas of an authorization (EIP-7702).
const AUTHORIZATION_GAS: u64 = 25_000;
/// The search ends when its bounds are within 15 of 1000 of each other.
const TOLERANCE_PER_MILLE: u64 = 15;
/// Halving a 64-bit range takes at most this many steps.
const STEPS_MAX: u32 = 64;

/// Estimates the gas limit of `request`.
pub(super) fn gas(ledger: &dyn Ledger, request: TransactionRequest) -> Result<u64, Fault> {
    let lists = list_gas(&request);
    let mut call = call_request(ledger, request)?;
    let ceiling = ceiling(ledger, &call)?;
    call.gas = Some(ceiling);
    let used = match ledger.call(&call)? {
        CallOutcome::Halt { reason, .. } if is_out_of_gas(&reason) => {
            return Err(Fault::GasAllowance(ceiling));
        }
        outcome => returned(outcome)?.1,
    };
    let found = search(ledger, &mut call, used, ceiling)?;
    // The call runs without the lists, which only make it cheaper; their own cost is known.
    Ok(found.saturating_add(lists))
}

/// The intrinsic gas of the request's access list and authorizations.
fn list_gas(request: &TransactionRequest) -> u64 {
    let count = |entries: usize| u64::try_from(entries).unwrap_or(u64::MAX);
    let accesses = request.access_list.iter().flat_map(|list| &list.0).fold(0_u64, |gas, item| {
        let keys = count(item.storage_keys.len()).saturating_mul(ACCESS_LIST_KEY_GAS);
        gas.saturating_add(ACCESS_LIST_ADDRESS_GAS).saturating_add(keys)
    });
    let authorizations = count(request.authorization_list.as_ref().map_or(0, Vec::len));
    accesses.saturating_add(authorizations.saturating_mul(AUTHORIZATION_GAS))
}

/// The most gas the transaction can have: what it asks for, what a transaction may have (EIP-7825), what a block has,
/// what its sender can pay.
fn ceiling(ledger: &dyn Ledger, call: &CallRequest) -> Result<u64, Fault> {
    let most = ledger.head().header.gas_limit.min(MAX_TX_GAS_LIMIT_OSAKA);
    let asked = call.gas.filter(|gas| *gas >= TRANSFER_GAS).map_or(most, |gas| gas.min(most));
    let Some(price) = call.gas_price.filter(|price| *price > 0) else { return Ok(asked) };
    let balance = ledger.account(call.from.unwrap_or_default())?.balance;
    let left = balance.checked_sub(call.value).ok_or(Fault::InsufficientFunds)?;
    let payable = left.checked_div(U256::from(price)).unwrap_or(U256::MAX);
    Ok(asked.min(payable.saturating_to()))
}

/// The least limit between `used` and `ceiling` that is enough, up to the tolerance.
fn search(ledger: &dyn Ledger, call: &mut CallRequest, used: u64, ceiling: u64) -> Result<u64, Fault> {
    // Most transactions get by with just what they used.
    if enough(ledger, call, used)? {
        return Ok(used);
    }
    let (mut low, mut high) = (used, ceiling);
    let likely = used.saturating_add(CALL_STIPEND).saturating_mul(64) / 63;
    if likely < high {
        if enough(ledger, call, likely)? { high = likely } else { low = likely }
    }
    for _ in 0..STEPS_MAX {
        let width = high.saturating_sub(low);
        if width <= 1 || width.saturating_mul(1000) < high.saturating_mul(TOLERANCE_PER_MILLE) {
            break;
        }
        // Most limits are near the low end, so the middle is kept from running far ahead of it.
        let middle = (low + width / 2).min(low.saturating_mul(2));
        if enough(ledger, call, middle)? { high = middle } else { low = middle }
    }
    Ok(high)
}

/// Whether the call succeeds with `gas`.
fn enough(ledger: &dyn Ledger, call: &mut CallRequest, gas: u64) -> Result<bool, Fault> {
    call.gas = Some(gas);
    match ledger.call(call) {
        Ok(outcome) => Ok(matches!(outcome, CallOutcome::Success { .. })),
        // With more gas it was allowed to start, so gas is what is missing.
        Err(LedgerError::InvalidCall(_)) => Ok(false),
        Err(failed @ LedgerError::Storage(_)) => Err(failed.into()),
    }
}
