//! The newest blocks with their receipts as they were executed, so that nobody decodes again what everybody asks for.

use bxp_types::{Height, StoredBlock, StoredReceipt};
use std::{collections::BTreeMap, sync::Arc};

/// Blocks kept at most.
const BLOCKS_MAX: usize = 64;
/// Transactions of all of them after which the oldest go: some 20 MB.
const TRANSACTIONS_MAX: usize = 32_768;

/// A block and its receipts.
pub(crate) type Executed = (Arc<StoredBlock>, Arc<Vec<StoredReceipt>>);

/// The newest blocks by height.
#[derive(Default)]
pub(crate) struct Fresh {
    by_height: BTreeMap<Height, Executed>,
    transactions: usize,
}

impl Fresh {
    pub(crate) fn get(&self, height: Height) -> Option<&Executed> {
        self.by_height.get(&height)
    }

    pub(crate) fn put(&mut self, block: Arc<StoredBlock>, receipts: Arc<Vec<StoredReceipt>>) {
        self.forget_from(block.height());
        self.transactions += block.transactions.len();
        self.by_height.insert(block.height(), (block, receipts));
        while self.by_height.len() > BLOCKS_MAX
            || (self.transactions > TRANSACTIONS_MAX && self.by_height.len() > 1)
        {
            let Some((_, (oldest, _))) = self.by_height.pop_first() else { return };
            self.transactions -= oldest.transactions.len();
        }
    }

    /// Blocks from this height on are taken back.
    pub(crate) fn forget_from(&mut self, height: Height) {
        for (block, _) in self.by_height.split_off(&height).into_values() {
            self.transactions -= block.transactions.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Header;

    fn block(number: u64, transactions: usize) -> Arc<StoredBlock> {
        let header = Header { number, ..Header::default() };
        let transactions = vec![crate::proposal::tests::transfer(1, 0, 1); transactions];
        Arc::new(StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 0 })
    }

    #[test]
    fn blocks_and_their_transactions_are_bounded() {
        let mut fresh = Fresh::default();
        for number in 0..BLOCKS_MAX as u64 + 5 {
            fresh.put(block(number, 1), Arc::default());
        }
        assert_eq!((fresh.by_height.len(), fresh.transactions), (BLOCKS_MAX, BLOCKS_MAX));
        assert!(fresh.get(Height(4)).is_none() && fresh.get(Height(5)).is_some());
        // One that is larger than the bound is alone.
        fresh.put(block(100, TRANSACTIONS_MAX + 1), Arc::default());
        assert_eq!(fresh.by_height.len(), 1);
        fresh.put(block(101, 1), Arc::default());
        assert_eq!((fresh.by_height.len(), fresh.transactions), (1, 1));
        // Another block in the place of one that was taken back.
        fresh.put(block(101, 2), Arc::default());
        assert_eq!((fresh.by_height.len(), fresh.transactions), (1, 2));
        fresh.forget_from(Height(0));
        assert_eq!((fresh.by_height.len(), fresh.transactions), (0, 0));
    }
}
