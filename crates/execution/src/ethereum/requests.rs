//! What the execution layer asks of the consensus layer after Prague (EIP-7685): deposits, exits, consolidations.

use crate::{ExecutionError, evm::OverlayEvm};
use alloy_eips::{
    eip6110::DEPOSIT_REQUEST_TYPE,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_TYPE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_TYPE},
};
use alloy_primitives::{Address, B256, Bytes, Log, b256};
use bxp_types::StoredReceipt;
use revm::context_interface::result::ExecutionResult;
use sha2::{Digest, Sha256};

/// keccak256 of `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// The fields of a deposit event, each as where its content lies in the log's data and how long it is: public key,
/// withdrawal credentials, amount, signature, index (EIP-6110).
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(192, 48), (288, 32), (352, 8), (416, 96), (544, 8)];
const DEPOSIT_DATA_BYTES: usize = 576;

/// The block's requests hash: SHA-256 over the SHA-256 of each kind's requests, kinds without any left out.
///
/// The inner error says what makes the block invalid.
pub(crate) fn requests_hash(
    evm: &mut OverlayEvm<'_>,
    receipts: &[StoredReceipt],
    deposit_contract: Option<Address>,
) -> Result<Result<B256, &'static str>, ExecutionError> {
    let mut kinds = Vec::with_capacity(3);
    match deposits(receipts, deposit_contract) {
        Ok(deposits) => kinds.push((DEPOSIT_REQUEST_TYPE, deposits)),
        Err(reason) => return Ok(Err(reason)),
    }
    for (kind, contract) in [
        (WITHDRAWAL_REQUEST_TYPE, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        (CONSOLIDATION_REQUEST_TYPE, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
    ] {
        if !evm.overlay().has_code(contract)? {
            return Ok(Err("the contract of requests is not there"));
        }
        let ExecutionResult::Success { output, .. } = evm.system_call(contract, Bytes::new())? else {
            return Ok(Err("the contract of requests fails"));
        };
        kinds.push((kind, output.into_data().to_vec()));
    }
    let mut all = Sha256::new();
    for (kind, requests) in kinds.iter().filter(|(_, requests)| !requests.is_empty()) {
        let mut one = Sha256::new();
        one.update([*kind]);
        one.update(requests);
        all.update(one.finalize());
    }
    Ok(Ok(B256::from(<[u8; 32]>::from(all.finalize()))))
}

fn deposits(receipts: &[StoredReceipt], contract: Option<Address>) -> Result<Vec<u8>, &'static str> {
    let mut deposits = Vec::new();
    let logs = receipts.iter().flat_map(|receipt| receipt.receipt.logs());
    for log in logs.filter(|log| Some(log.address) == contract) {
        if log.topics().first() == Some(&DEPOSIT_EVENT) {
            deposits.extend(deposit(log)?);
        }
    }
    Ok(deposits)
}

/// One deposit: the event's fields one after the other, where the layout is that of the one contract there is.
fn deposit(log: &Log) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "a deposit event has another layout";
    let data = &log.data.data;
    if data.len() != DEPOSIT_DATA_BYTES {
        return Err(WRONG);
    }
    let word = |at: usize| data.get(at..at + 32).and_then(alloy_primitives::U256::try_from_be_slice);
    let mut deposit = Vec::with_capacity(192);
    for (index, (at, length)) in DEPOSIT_FIELDS.into_iter().enumerate() {
        // The head has the place of each field, which begins with its length.
        let placed = word(32 * index) == Some(alloy_primitives::U256::from(at - 32));
        if !placed || word(at - 32) != Some(alloy_primitives::U256::from(length)) {
            return Err(WRONG);
        }
        deposit.extend_from_slice(data.get(at..at + length).ok_or(WRONG)?);
    }
    Ok(deposit)
}
