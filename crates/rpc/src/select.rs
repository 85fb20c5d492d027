//! Which block and which state a request means.
//!
//! Every block is final when it exists, so `latest`, `safe` and `finalized` are the newest block. `pending` is the block
//! that this node would propose next, executed; where that makes no sense (logs, traces of blocks, fee history, raw
//! blocks) it is the newest block.

use crate::{
    fault::Fault,
    pending::{BlockAndState, PendingBlocks},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use bxp_types::{Height, Ledger, StoredBlock};
use std::sync::Arc;

/// The height that a number or tag means. A number may be above the head.
pub(crate) fn height(ledger: &dyn Ledger, number: BlockNumberOrTag) -> Height {
    match number {
        BlockNumberOrTag::Number(number) => Height(number),
        BlockNumberOrTag::Earliest => Height(0),
        BlockNumberOrTag::Latest
        | BlockNumberOrTag::Finalized
        | BlockNumberOrTag::Safe
        | BlockNumberOrTag::Pending => ledger.head().height(),
    }
}

/// The block at `height`, if there is one yet.
pub(crate) fn block_at(ledger: &dyn Ledger, height: Height) -> Result<Option<Arc<StoredBlock>>, Fault> {
    let head = ledger.head();
    if height >= head.height() {
        return Ok((height == head.height()).then_some(head));
    }
    ledger.block(height)?.map(Some).ok_or(Fault::MissingBlock(height))
}

/// The block that `id` means, if there is one.
pub(crate) fn block(ledger: &dyn Ledger, id: BlockId) -> Result<Option<Arc<StoredBlock>>, Fault> {
    match id {
        BlockId::Number(number) => block_at(ledger, height(ledger, number)),
        BlockId::Hash(hash) => match ledger.height_of(hash.block_hash)? {
            Some(height) => block_at(ledger, height),
            None => Ok(None),
        },
    }
}

/// The block that `id` means (EIP-1898; absent means `latest`).
pub(crate) fn required(ledger: &dyn Ledger, id: Option<BlockId>) -> Result<Arc<StoredBlock>, Fault> {
    block(ledger, id.unwrap_or_default())?.ok_or(Fault::UnknownBlock)
}

/// Whether `id` is the tag `pending`.
pub(crate) fn is_pending(id: Option<BlockId>) -> bool {
    id == Some(BlockId::Number(BlockNumberOrTag::Pending))
}

/// The block that `id` means, be it pending, and the state after it.
pub(crate) fn state_or_pending<'a>(
    ledger: &'a dyn Ledger,
    pending: &PendingBlocks,
    id: Option<BlockId>,
) -> Result<BlockAndState<'a>, Fault> {
    if is_pending(id) { pending.state(ledger) } else { state(ledger, id) }
}

/// The block that `id` means and the state after it.
pub(crate) fn state(ledger: &dyn Ledger, id: Option<BlockId>) -> Result<BlockAndState<'_>, Fault> {
    let block = required(ledger, id)?;
    let state = ledger.state(block.height())?;
    Ok((block, state))
}
