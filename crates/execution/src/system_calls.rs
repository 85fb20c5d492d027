//! What the chain itself calls before the first transaction of a block.

use crate::{ExecutionError, evm::Evm};
use alloy_consensus::Header;
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};

/// Tells the history contract the parent's hash (EIP-2935) and the beacon roots contract the parent beacon root
/// (EIP-4788), each only where genesis has put the contract.
pub(crate) fn before_transactions(evm: &mut Evm<'_>, header: &Header) -> Result<(), ExecutionError> {
    let beacon_root = header.parent_beacon_block_root.unwrap_or_default();
    for (contract, word) in
        [(HISTORY_STORAGE_ADDRESS, header.parent_hash), (BEACON_ROOTS_ADDRESS, beacon_root)]
    {
        if evm.overlay().has_code(contract)? {
            evm.system_call(contract, word.into())?;
        }
    }
    Ok(())
}
