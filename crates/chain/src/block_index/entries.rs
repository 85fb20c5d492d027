//! The index as it must be, for who verifies it: every entry is a function of the blocks.

use super::{BlockIndex, INDEXED_KEY, key, places, read};
use crate::ChainError;
use bxp_types::{Height, StoredBlock};

impl BlockIndex {
    /// The newest block whose entries are in the table, as are those of all below it.
    pub(crate) fn stored(&self) -> Option<Height> {
        self.gathered.read().stored
    }

    /// How many entries a block with these encoded receipts must have, and how many of them the table lacks or has with
    /// other places.
    pub(crate) fn entries_of(&self, block: &StoredBlock, receipts: &[u8]) -> Result<(u64, u64), ChainError> {
        let (mut entries, mut missing) = (0, 0);
        for (word, wanted) in places::entries(block, receipts)? {
            entries += 1;
            let found = self.table.get(key(word, block.height()))?;
            // One from before there were places has none.
            let is_right = found.is_some_and(|found| found.is_empty() || found == wanted);
            missing += u64::from(!is_right);
        }
        Ok((entries, missing))
    }

    /// How many entries the table has of blocks up to `height`; every entry is read.
    pub(crate) fn count_up_to(&self, height: Height) -> Result<u64, ChainError> {
        let mut count = 0;
        for entry in self.table.iter() {
            if entry.as_ref().is_ok_and(|(key, _)| key.as_ref() == INDEXED_KEY) {
                continue;
            }
            count += u64::from(read(entry)? <= height);
        }
        Ok(count)
    }
}
