//! Which block a request means.
//!
//! Every block is final when it exists, so `latest`, `safe` and `finalized` are the newest block. What is ordered
//! but not executed has no header yet, so `pending` is the newest block too.

use crate::fault::Fault;
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

/// Whether `id` (EIP-1898; absent means `latest`) is the newest block, whose state is the only one kept.
pub(crate) fn require_newest(ledger: &dyn Ledger, id: Option<BlockId>) -> Result<(), Fault> {
    let asked = match id.unwrap_or_default() {
        BlockId::Number(BlockNumberOrTag::Number(number)) => Height(number),
        BlockId::Number(BlockNumberOrTag::Earliest) => Height(0),
        BlockId::Number(_) => return Ok(()),
        BlockId::Hash(hash) => ledger.height_of(hash.block_hash)?.ok_or(Fault::UnknownBlock)?,
    };
    let newest = ledger.head().height();
    if asked > newest {
        return Err(Fault::UnknownBlock);
    }
    if asked < newest { Err(Fault::StateNotKept { asked, newest }) } else { Ok(()) }
}
