//! What the chain itself calls before the first transaction of a block.

use crate::{ExecutionError, Rules, evm::OverlayEvm};
use alloy_consensus::Header;
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use revm::primitives::hardfork::SpecId;

/// Tells the beacon roots contract the parent beacon root (EIP-4788, from Cancun on) and the history contract the
/// parent's hash (EIP-2935, from Prague on), each only where the contract is.
pub(crate) fn before_transactions(
    evm: &mut OverlayEvm<'_>,
    header: &Header,
    rules: &Rules,
) -> Result<(), ExecutionError> {
    let beacon_root = header.parent_beacon_block_root.unwrap_or_default();
    for (since, contract, word) in [
        (SpecId::CANCUN, BEACON_ROOTS_ADDRESS, beacon_root),
        (SpecId::PRAGUE, HISTORY_STORAGE_ADDRESS, header.parent_hash),
    ] {
        if rules.has(since) && evm.overlay().has_code(contract)? {
            evm.system_call(contract, word.into())?;
        }
    }
    Ok(())
}
