//! Logs that were found in encoded receipts, and the transactions and blocks to which they belong.

use crate::{
    ChainError,
    log_scan::{LogPlace, Sketch},
};
use alloy_primitives::Log;
use bxp_types::{B256, FoundLog, Height};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Transactions whose names are at hand at most: some 10 MB.
const NAMES_MAX: usize = 65_536;

/// The names of a transaction and of its block, which are in no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) block_hash: B256,
    pub(crate) timestamp: u64,
    pub(crate) transaction: B256,
}

/// Names of the transactions in which logs were found last. A transaction of batch payments is hashed for its name, and
/// its block read for it; but a few of them hold all that is asked for. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    names: HashMap<(Height, u32), Name>,
    /// Keys of the names, the oldest first.
    order: VecDeque<(Height, u32)>,
}

impl Names {
    /// The name of the block's transaction at `index`, if it is at hand.
    pub(crate) fn get(&self, height: Height, index: u32) -> Option<Name> {
        self.0.lock().names.get(&(height, index)).copied()
    }

    /// Keeps a name.
    fn keep(&self, height: Height, index: u32, name: Name) {
        let mut known = self.0.lock();
        if known.names.insert((height, index), name).is_none() {
            known.order.push_back((height, index));
        }
        while known.order.len() > NAMES_MAX {
            let Some(oldest) = known.order.pop_front() else { return };
            known.names.remove(&oldest);
        }
    }

    /// The block at this height is taken back.
    pub(crate) fn forget(&self, height: Height) {
        let mut known = self.0.lock();
        known.names.retain(|(of, _), _| *of != height);
        known.order.retain(|(of, _)| *of != height);
    }

    /// The name of the transaction at `index` of the block at `height`, which is `block`.
    pub(crate) fn read(
        &self,
        height: Height,
        index: u32,
        block: &mut Sketch<'_>,
    ) -> Result<Name, ChainError> {
        // One that stood there before may have been named while it was taken back.
        if let Some(name) = self.get(height, index).filter(|name| name.block_hash == block.hash) {
            return Ok(name);
        }
        let name = Name {
            block_hash: block.hash,
            timestamp: block.header.timestamp,
            transaction: block.transaction_hash(index)?,
        };
        self.keep(height, index, name);
        Ok(name)
    }
}

/// A log at its place, with its names.
pub(crate) fn named(name: Name, place: LogPlace, log: Log) -> FoundLog {
    FoundLog {
        block_hash: name.block_hash,
        timestamp: name.timestamp,
        transaction: name.transaction,
        transaction_index: place.transaction as usize,
        log_index: place.log as usize,
        log,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block_index::BlockIndex,
        blocks::Blocks,
        codec,
        log_scan::tests::{block, query, receipt},
    };
    use bxp_storage::{Durability, MemoryDisk, Store};
    use bxp_types::{NetworkId, StoredBlock, StoredReceipt};
    use proptest::{collection::vec, prelude::*};
    use std::path::Path;

    /// Puts a block on disk and into the index.
    fn put(
        store: &Store,
        blocks: &Blocks,
        index: &BlockIndex,
        block: &StoredBlock,
        receipts: &[StoredReceipt],
    ) {
        let mut batch = store.batch();
        let encoded = blocks.put(&mut batch, block, receipts, &[]);
        batch.commit(Durability::Buffered).unwrap();
        index.put(block, &encoded).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Goal: whatever the index knows of places, and whichever way receipts lie, an answer is what a whole reading
        /// gives. Way: blocks of which some are indexed on disk and some in memory, one that was taken back and made
        /// anew, and rows as they were before there were pages and places.
        #[test]
        fn logs_are_those_of_a_whole_reading(
            mut chain in vec(vec(receipt(), 0..4), 2..6),
            newest in vec(receipt(), 0..4),
            queries in vec(query(), 1..8),
            stored in 1..6_u64,
            earlier in any::<bool>(),
        ) {
            let store = Store::open_in(&MemoryDisk::new(1), Path::new("/node"), NetworkId([1; 32])).unwrap();
            let (blocks, index) = (Blocks::open(&store).unwrap(), BlockIndex::open(&store).unwrap());
            for (height, receipts) in (0..).zip(&chain) {
                put(&store, &blocks, &index, &block(height, receipts), receipts);
                if height == stored {
                    index.move_to_table(Height(height)).unwrap();
                }
            }
            // The newest block is another one, after what was found in it was named.
            let height = chain.len() as u64 - 1;
            for query in &queries {
                blocks.logs(Height(height), query, &index).unwrap();
            }
            let mut batch = store.batch();
            blocks.remove(&mut batch, &block(height, &chain[height as usize])).unwrap();
            index.go_back(&mut batch, Height(height - 1));
            batch.commit(Durability::Buffered).unwrap();
            chain[height as usize] = newest;
            put(&store, &blocks, &index, &block(height, &chain[height as usize]), &chain[height as usize]);
            if earlier {
                let mut batch = store.batch();
                batch.put(&store.table("receipts").unwrap(), [0; 8], codec::encode_receipts(&chain[0]));
                let table = store.table("block-index").unwrap();
                for entry in table.iter().map(Result::unwrap).filter(|(key, _)| key.len() == 16) {
                    batch.put(&table, entry.0, []);
                }
                batch.commit(Durability::Buffered).unwrap();
            }
            for (height, receipts) in (0..).zip(&chain) {
                for query in &queries {
                    let whole = FoundLog::find(&block(height, receipts), receipts, query);
                    let found = blocks.logs(Height(height), query, &index).unwrap();
                    prop_assert_eq!(found.as_ref(), Some(&whole));
                    prop_assert_eq!(blocks.logs_of_all(Height(height), query).unwrap(), Some(whole));
                }
            }
            prop_assert_eq!(blocks.logs(Height(chain.len() as u64), &queries[0], &index).unwrap(), None);
        }
    }

    #[test]
    fn names_are_bounded_and_forgotten() {
        let names = Names::default();
        let name = Name { block_hash: B256::ZERO, timestamp: 1, transaction: B256::ZERO };
        for index in 0..=NAMES_MAX as u32 {
            names.keep(Height(u64::from(index) / 2), index, name);
            names.keep(Height(u64::from(index) / 2), index, name);
        }
        let sizes = || {
            let known = names.0.lock();
            (known.names.len(), known.order.len())
        };
        assert_eq!(sizes(), (NAMES_MAX, NAMES_MAX));
        assert_eq!((names.get(Height(0), 0), names.get(Height(0), 1)), (None, Some(name)));
        names.forget(Height(1));
        assert_eq!((names.get(Height(1), 2), names.get(Height(1), 3)), (None, None));
        assert_eq!(sizes(), (NAMES_MAX - 2, NAMES_MAX - 2));
    }
}
