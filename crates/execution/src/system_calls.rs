//! What the chain itself calls before the first transaction of a block.

use crate::{ExecutionError, Rules, evm::OverlayEvm};
use alloy_consensus::Header;
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{Address, B256};
use revm::primitives::hardfork::SpecId;

/// Tells the beacon roots contract the parent beacon root (EIP-4788, from Cancun on) and the history contract the
/// parent's hash (EIP-2935, from Prague on), each only where the contract is.
pub(crate) fn before_transactions(
    evm: &mut OverlayEvm<'_>,
    header: &Header,
    rules: &Rules,
) -> Result<(), ExecutionError> {
    beacon_root(evm, header, rules)?;
    parent_hash(evm, header, rules)
}

/// The first of them alone.
pub(crate) fn beacon_root(
    evm: &mut OverlayEvm<'_>,
    header: &Header,
    rules: &Rules,
) -> Result<(), ExecutionError> {
    let root = header.parent_beacon_block_root.unwrap_or_default();
    tell(evm, rules.has(SpecId::CANCUN), BEACON_ROOTS_ADDRESS, root)
}

/// The second of them alone: where the transactions have run before the parent's hash was known.
pub(crate) fn parent_hash(
    evm: &mut OverlayEvm<'_>,
    header: &Header,
    rules: &Rules,
) -> Result<(), ExecutionError> {
    tell(evm, rules.has(SpecId::PRAGUE), HISTORY_STORAGE_ADDRESS, header.parent_hash)
}

fn tell(evm: &mut OverlayEvm<'_>, is_due: bool, contract: Address, word: B256) -> Result<(), ExecutionError> {
    if is_due && evm.overlay().has_code(contract)? {
        evm.system_call(contract, word.into())?;
    }
    Ok(())
}
