//! A block before and after execution.

use crate::{DropReason, StateChanges};
use alloy_primitives::{Address, B256};
use bxp_types::{Height, RecoveredTransaction, StoredBlock, StoredReceipt};
use std::sync::Arc;

/// What consensus has decided about a block.
#[derive(Clone, Debug)]
pub struct BlockInput {
    /// The block's number: the parent's plus one.
    pub height: Height,
    /// The block's time in milliseconds since the epoch; its whole seconds go into the header.
    pub time_ms: u64,
    /// The header's `mixHash`, read by contracts as PREVRANDAO (EIP-4399).
    pub mix_hash: B256,
    /// The header's `parentBeaconBlockRoot` (EIP-4788).
    pub parent_beacon_root: B256,
    /// Who collects the fees.
    pub beneficiary: Address,
    /// The most gas that the block's transactions use together.
    pub gas_limit: u64,
    /// Wei for a unit of gas; [`next_base_fee`](crate::next_base_fee) of the parent.
    pub base_fee: u64,
    /// The ordered transactions, each with the sender that its signature gives.
    pub transactions: Vec<RecoveredTransaction>,
}

/// A block with everything that executing it has given. Nothing of it is stored before
/// [`State::commit`](crate::State::commit).
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutedBlock {
    /// The block with its header.
    pub block: StoredBlock,
    /// The receipts of the block's transactions, in order.
    pub receipts: Vec<StoredReceipt>,
    /// The transactions that could not enter, in their order in the input.
    pub dropped: Vec<(B256, DropReason)>,
    /// What the block does to the state.
    pub changes: Arc<StateChanges>,
}
