//! Keeps the indexes of blocks and transactions up to the head, behind the chain's back.

use crate::{ChainError, block_index::BlockIndex, blocks::Blocks};
use bxp_types::Height;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Blocks that are indexed at most before it is looked whether the node stops.
const BLOCKS_PER_STEP: u64 = 256;

/// What the index is made of.
#[derive(Clone)]
pub(crate) struct Indexer {
    pub(crate) blocks: Blocks,
    pub(crate) index: BlockIndex,
}

impl Indexer {
    /// Indexes every block that becomes the head, until `stop` is dropped. A failure ends the indexing, not the chain:
    /// queries then look through the blocks that are not indexed, and the next start goes on.
    pub(crate) async fn run(self, mut heads: watch::Receiver<Height>, mut stop: oneshot::Receiver<()>) {
        loop {
            let head = *heads.borrow_and_update();
            let indexer = self.clone();
            let indexed = tokio::task::spawn_blocking(move || indexer.advance(head)).await;
            let behind = match indexed {
                Ok(Ok(height)) => height < head,
                Ok(Err(error)) => {
                    tracing::error!(%error, "index blocks; queries for logs get slower until the node is restarted");
                    return;
                }
                Err(_) => return,
            };
            tokio::select! {
                biased;
                _ = &mut stop => return,
                changed = heads.changed(), if !behind => if changed.is_err() { return },
                () = std::future::ready(()), if behind => {}
            }
        }
    }

    /// Indexes blocks up to `head`, so many of them at once; gives how far it came.
    fn advance(&self, head: Height) -> Result<Height, ChainError> {
        let next = self.index.indexed().map_or(Height(0), Height::next);
        let last = Height(next.0.saturating_add(BLOCKS_PER_STEP - 1)).min(head);
        for height in (next.0..=last.0).map(Height) {
            let missing = |what| ChainError::decode(what, "missing below the head");
            let block = match self.blocks.fresh(height) {
                Some((block, _)) => block,
                None => Arc::new(self.blocks.block(height)?.ok_or_else(|| missing("block"))?),
            };
            let receipts = self.blocks.encoded_receipts(height)?.ok_or_else(|| missing("receipts"))?;
            self.index.put(&block, &receipts)?;
        }
        self.index.settle()?;
        self.blocks.settle_locations(head)?;
        Ok(last.max(Height(next.0.saturating_sub(1))))
    }
}
