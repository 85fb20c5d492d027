//! Garbage collection: what nothing pins, publishes, vouches for or is just writing is removed.
//!
//! First all that is to stay is marked, then the rest goes in batches, each of them synced. A crash between two batches
//! leaves some garbage, and never a block's size without the block.

use super::{ContentStore, cid_of_key};
use crate::ContentError;
use bxp_storage::Durability;
use cid::Cid;
use serde::Serialize;
use std::collections::HashSet;

/// Blocks that go at once.
const BATCH_BLOCKS: usize = 1024;

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collected {
    /// Blocks that were removed.
    pub removed_blocks: u64,
    /// Their bytes, sealed.
    pub removed_bytes: u64,
    /// Blocks that stay.
    pub kept_blocks: u64,
}

impl ContentStore {
    /// Collects garbage. Writes wait for it, reads do not.
    ///
    /// # Errors
    /// [`ContentError::Gatekeeper`] and [`ContentError::Storage`]; what was removed until then stays removed.
    pub fn collect(&self) -> Result<Collected, ContentError> {
        let inner = &self.0;
        let _alone = inner.collecting.write();
        let kept = self.mark()?;
        let mut collected = Collected { kept_blocks: 0, ..Collected::default() };
        let mut garbage = Vec::with_capacity(BATCH_BLOCKS);
        for row in inner.sizes.iter() {
            let (key, _) = row?;
            if kept.contains(&cid_of_key(&key)?) {
                collected.kept_blocks += 1;
                continue;
            }
            garbage.push(key);
            if garbage.len() == BATCH_BLOCKS {
                self.remove(&garbage, &mut collected)?;
                garbage.clear();
            }
        }
        self.remove(&garbage, &mut collected)?;
        Ok(collected)
    }

    fn remove(&self, keys: &[bytes::Bytes], collected: &mut Collected) -> Result<(), ContentError> {
        let mut used = self.0.used.lock();
        let (mut batch, mut freed) = (self.0.store.batch(), 0);
        for key in keys {
            freed += self.stage_removal(&mut batch, key)?;
        }
        batch.commit(Durability::Synced)?;
        *used = used.saturating_sub(freed);
        crate::metric::used(*used);
        collected.removed_blocks += keys.len() as u64;
        collected.removed_bytes += freed;
        Ok(())
    }

    /// Everything that stays: what is pinned, published, anchored or held, and all that it links to.
    fn mark(&self) -> Result<HashSet<Cid>, ContentError> {
        let inner = &self.0;
        let mut kept = HashSet::new();
        let mut waiting = self.pins()?;
        waiting.extend(inner.holds.lock().all());
        for row in inner.published_in.iter() {
            // Members are listed one by one, so that nothing needs to be opened.
            kept.insert(cid_of_key(&row?.0)?);
        }
        for row in inner.sizes.iter() {
            let cid = cid_of_key(&row?.0)?;
            if inner.gatekeeper.is_anchored(&cid)? {
                waiting.push(cid);
            }
        }
        while let Some(cid) = waiting.pop() {
            let cid = self.name_of(&cid)?;
            // The links of a published block are members themselves; those of a pinned one that is published too are
            // looked at here.
            if kept.insert(cid)
                && let Some(block) = self.block(&cid)?
            {
                waiting.extend(block.links());
            }
        }
        Ok(kept)
    }
}
