//! Where each transaction stands: the newest in memory, the others on disk.
//!
//! | table | key | value |
//! |---|---|---|
//! | `transaction-locations` | transaction hash | height (8 bytes BE), index (4 bytes BE) |
//! | `transaction-locations` | `00` | the height up to which transactions are in the table (8 bytes BE) |
//!
//! Hashes are random, so a row for each of them, written with its block, would be the dearest part of storing a plain
//! transfer. Instead many are sorted and added at once, behind the head; what is not in the table yet is read from the
//! blocks again when a node starts (ADR 74).

use crate::{ChainError, bulk, codec};
use alloy_consensus::transaction::TxHashRef as _;
use bxp_storage::{Batch, Durability, Store, Table};
use bxp_types::{B256, Height, StoredBlock, TransactionLocation};
use parking_lot::RwLock;
use std::{collections::HashMap, sync::Arc};

/// Where the height stands up to which the table is complete. No hash is that short.
const SETTLED_KEY: &[u8] = &[0];
/// Transactions in memory after which they go to the table: some 8 MB.
const RECENT_MAX: usize = 65_536;
/// Blocks after which they do so too, so that a start reads no more than that many.
const BLOCKS_MAX: u64 = 1_024;

/// The index of transactions. Clones share it.
#[derive(Clone)]
pub(crate) struct Locations {
    store: Store,
    table: Table,
    recent: Arc<RwLock<Recent>>,
}

struct Recent {
    by_hash: HashMap<B256, TransactionLocation>,
    /// All transactions up to this block are in the table.
    settled: Height,
}

impl Locations {
    /// Opens the table, which knows nothing of blocks above the height that it gives; they are to be noted.
    pub(crate) fn open(store: &Store, newest: Option<Height>) -> Result<(Self, Height), ChainError> {
        let table = store.table("transaction-locations")?;
        let settled = match table.get(SETTLED_KEY)? {
            Some(bytes) => codec::decode_height("transaction locations", &bytes)?,
            // A folder from before had a row with each block.
            None if table.first()?.is_some() => {
                let newest = newest.unwrap_or_default();
                let mut batch = store.batch();
                batch.put(&table, SETTLED_KEY, newest.0.to_be_bytes());
                batch.commit(Durability::Buffered)?;
                newest
            }
            None => Height(0),
        };
        let recent = Arc::new(RwLock::new(Recent { by_hash: HashMap::new(), settled }));
        Ok((Self { store: store.clone(), table, recent }, settled))
    }

    /// Remembers where the transactions of a block stand, which is on disk or about to be.
    pub(crate) fn note(&self, block: &StoredBlock) {
        let height = block.height();
        let mut recent = self.recent.write();
        for (index, transaction) in (0_u32..).zip(&block.transactions) {
            recent.by_hash.insert(*transaction.tx_hash(), TransactionLocation { height, index });
        }
    }

    /// Where a transaction stands.
    pub(crate) fn locate(&self, hash: B256) -> Result<Option<TransactionLocation>, ChainError> {
        if let Some(location) = self.recent.read().by_hash.get(&hash) {
            return Ok(Some(*location));
        }
        self.table.get(hash)?.map(|bytes| codec::decode_location(&bytes)).transpose()
    }

    /// Forgets the transactions of the newest block, which is taken back.
    pub(crate) fn forget(&self, batch: &mut Batch, block: &StoredBlock) {
        let mut recent = self.recent.write();
        for transaction in &block.transactions {
            recent.by_hash.remove(transaction.tx_hash());
            batch.remove(&self.table, transaction.tx_hash());
        }
        let below = Height(block.height().0.saturating_sub(1));
        if recent.settled > below {
            recent.settled = below;
            batch.put(&self.table, SETTLED_KEY, below.0.to_be_bytes());
        }
    }

    /// Moves what is in memory to the table when there is enough of it. `head` and all blocks below are on disk.
    pub(crate) fn settle(&self, head: Height) -> Result<(), ChainError> {
        let is_due = {
            let recent = self.recent.read();
            let blocks = head.0.saturating_sub(recent.settled.0);
            recent.by_hash.len() >= RECENT_MAX || blocks >= BLOCKS_MAX
        };
        if is_due { self.move_to_table(head) } else { Ok(()) }
    }

    /// Moves what is in memory to the table unless the table has all up to `height`. `head` and all blocks below are on
    /// disk.
    pub(crate) fn settle_up_to(&self, height: Height, head: Height) -> Result<(), ChainError> {
        let settled = self.recent.read().settled;
        if settled >= height { Ok(()) } else { self.move_to_table(head) }
    }

    fn move_to_table(&self, head: Height) -> Result<(), ChainError> {
        let recent = self.recent.read();
        let up_to_head = recent.by_hash.iter().filter(|(_, location)| location.height <= head);
        let mut rows: Vec<(B256, TransactionLocation)> =
            up_to_head.map(|(hash, location)| (*hash, *location)).collect();
        drop(recent);
        rows.sort_unstable_by_key(|(hash, _)| *hash);
        let encoded =
            rows.iter().map(|(hash, location)| (hash.as_slice(), codec::encode_location(*location)));
        bulk::add_rows(&self.store, &self.table, (SETTLED_KEY, head), encoded)?;
        let mut recent = self.recent.write();
        recent.settled = head;
        for (hash, location) in rows {
            // Elsewhere by now, if the chain was taken back meanwhile.
            if recent.by_hash.get(&hash) == Some(&location) {
                recent.by_hash.remove(&hash);
            }
        }
        Ok(())
    }

    /// How many transactions are indexed; every entry is read.
    pub(crate) fn count(&self) -> Result<u64, ChainError> {
        let recent = self.recent.read();
        let mut count = recent.by_hash.len() as u64;
        for entry in self.table.iter() {
            let (key, _) = entry?;
            let hash = B256::try_from(key.as_ref());
            count += u64::from(hash.is_ok_and(|hash| !recent.by_hash.contains_key(&hash)));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::BULK_MIN;
    use alloy_consensus::Header;
    use bxp_types::NetworkId;

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(folder.path(), NetworkId([1; 32])).unwrap()
    }

    fn block(number: u64) -> StoredBlock {
        let header = Header { number, ..Header::default() };
        let transactions = vec![crate::proposal::tests::transfer(1, number, 1)];
        StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 0 }
    }

    fn place(locations: &Locations, block: &StoredBlock) -> Option<u64> {
        let location = locations.locate(*block.transactions[0].tx_hash()).unwrap();
        location.map(|location| location.height.0)
    }

    /// In memory, then in the table by either way, then after opening again.
    #[test]
    fn transactions_are_found_wherever_they_are() {
        for others in [0, BULK_MIN as u64] {
            let folder = tempfile::tempdir().unwrap();
            let (locations, settled) = Locations::open(&store(&folder), None).unwrap();
            assert_eq!(settled, Height(0));
            let blocks = [1, 2, 3].map(block);
            blocks.iter().for_each(|block| locations.note(block));
            for number in 0..others {
                let hash = bxp_types::keccak256(number.to_be_bytes());
                let location = TransactionLocation { height: Height(1), index: 7 };
                locations.recent.write().by_hash.insert(hash, location);
            }
            assert_eq!(blocks.each_ref().map(|block| place(&locations, block)), [Some(1), Some(2), Some(3)]);
            locations.move_to_table(Height(2)).unwrap();
            assert_eq!(locations.recent.read().by_hash.len(), 1, "what is above the head stays in memory");
            assert_eq!(blocks.each_ref().map(|block| place(&locations, block)), [Some(1), Some(2), Some(3)]);
            assert_eq!(locations.count().unwrap(), 3 + others);
            drop(locations);

            let store = store(&folder);
            let (locations, settled) = Locations::open(&store, Some(Height(3))).unwrap();
            assert_eq!(settled, Height(2), "block 3 is to be noted again");
            assert_eq!(blocks.each_ref().map(|block| place(&locations, block)), [Some(1), Some(2), None]);
            // Block 2 is taken back.
            let mut batch = store.batch();
            locations.forget(&mut batch, &blocks[1]);
            batch.commit(Durability::Buffered).unwrap();
            assert_eq!(blocks.each_ref().map(|block| place(&locations, block)), [Some(1), None, None]);
            let (_, settled) = Locations::open(&store, Some(Height(1))).unwrap();
            assert_eq!(settled, Height(1));
        }
    }

    #[test]
    fn a_folder_from_before_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let location = TransactionLocation { height: Height(5), index: 1 };
        let mut batch = store.batch();
        batch.put(&store.table("transaction-locations").unwrap(), [9; 32], codec::encode_location(location));
        batch.commit(Durability::Buffered).unwrap();
        let (locations, settled) = Locations::open(&store, Some(Height(8))).unwrap();
        assert_eq!(settled, Height(8));
        assert_eq!(locations.locate(B256::repeat_byte(9)).unwrap(), Some(location));
    }
}
