//! Which blocks an address or a topic occurs in: what answers questions about logs and accounts over the whole chain.
//!
//! | table | key | value |
//! |---|---|---|
//! | `block-index` | word (8 bytes BE), height (8 bytes BE) | empty |
//! | `block-index` | `00` | the height up to which blocks are indexed (8 bytes BE) |
//!
//! A word is a hash of what occurs and as what ([`word`]). Two things may share a word: the index says which blocks
//! *may* hold what is asked, and whoever asks looks into their receipts. It is written behind the chain's back, so that
//! no block waits for it, and goes on where it stopped.

use crate::ChainError;
use bxp_storage::{Batch, Store, Table};
use bxp_types::{Address, B256, Height, LogQuery, StoredBlock, StoredReceipt};
use std::collections::BTreeSet;

/// Where the height of the newest indexed block stands. No word's key is that short.
const INDEXED_KEY: &[u8] = &[0];

/// As what something occurs in a block; topics have the kinds from `Topic` on, by position.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Party = 1,
    Emitter = 2,
    Topic = 3,
}

/// The index.
#[derive(Clone, Debug)]
pub struct BlockIndex(Table);

impl BlockIndex {
    /// Opens the table.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn open(store: &Store) -> Result<Self, ChainError> {
        Ok(Self(store.table("block-index")?))
    }

    /// The newest block that is indexed, all below it being so too.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn indexed(&self) -> Result<Option<Height>, ChainError> {
        self.0.get(INDEXED_KEY)?.map(|bytes| height(&bytes)).transpose()
    }

    /// Adds a block to `batch`; its parent has been added before.
    pub fn put(&self, batch: &mut Batch, block: &StoredBlock, receipts: &[StoredReceipt]) {
        for word in words(block, receipts) {
            batch.put(&self.0, key(word, block.height()), []);
        }
        batch.put(&self.0, INDEXED_KEY, block.height().0.to_be_bytes());
    }

    /// Forgets that blocks above `height` are indexed; they are to be added again.
    pub fn go_back(&self, batch: &mut Batch, height: Height) {
        batch.put(&self.0, INDEXED_KEY, height.0.to_be_bytes());
    }

    /// The blocks from `from` to `to` that may hold a log that fits `query`, at most `max`, and the height up to which
    /// that is known.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn logs(
        &self,
        query: &LogQuery,
        from: Height,
        to: Height,
        max: usize,
    ) -> Result<(Vec<Height>, Option<Height>), ChainError> {
        let Some(indexed) = self.indexed()?.filter(|_| !query.is_any()) else {
            return Ok((Vec::new(), None));
        };
        if indexed < from {
            return Ok((Vec::new(), None));
        }
        let end = to.min(indexed);
        let emitters = query.addresses.iter().map(|one| word(Kind::Emitter as u8, one.as_slice()));
        let mut positions = vec![emitters.collect::<Vec<_>>()];
        for (position, topics) in (Kind::Topic as u8..).zip(&query.topics) {
            positions.push(topics.iter().map(|topic| word(position, topic.as_slice())).collect());
        }
        positions.retain(|words| !words.is_empty());
        let mut found = Vec::new();
        let mut next = from;
        // The block that holds a word of every position, and is not below any of them.
        while next <= end {
            let Some(candidate) = self.all_at_or_above(&positions, next, end)? else { break };
            found.push(candidate);
            if found.len() >= max {
                return Ok((found, Some(candidate)));
            }
            next = candidate.next();
        }
        Ok((found, Some(end)))
    }

    /// The lowest block at or above `from` in which each position has one of its words.
    fn all_at_or_above(
        &self,
        positions: &[Vec<u64>],
        from: Height,
        end: Height,
    ) -> Result<Option<Height>, ChainError> {
        let mut candidate = from;
        'again: loop {
            for words in positions {
                match self.any_at_or_above(words, candidate, end)? {
                    None => return Ok(None),
                    Some(height) if height > candidate => {
                        candidate = height;
                        continue 'again;
                    }
                    Some(_) => {}
                }
            }
            return Ok(Some(candidate));
        }
    }

    /// The lowest block at or above `from` with one of the words.
    fn any_at_or_above(
        &self,
        words: &[u64],
        from: Height,
        end: Height,
    ) -> Result<Option<Height>, ChainError> {
        let mut lowest = None;
        for word in words {
            let until = lowest.unwrap_or(end);
            let Some(entry) = self.0.range(key(*word, from)..=key(*word, until)).next() else { continue };
            let height = height(entry?.0.get(8..).unwrap_or_default())?;
            lowest = Some(lowest.map_or(height, |lowest: Height| lowest.min(height)));
        }
        Ok(lowest)
    }

    /// The blocks from `from` to `to` in which a transaction may have been sent by, to or for making `account`, at most
    /// `max`.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn account(
        &self,
        account: Address,
        from: Height,
        to: Height,
        newest_first: bool,
        max: usize,
    ) -> Result<Vec<Height>, ChainError> {
        if from > to {
            return Ok(Vec::new());
        }
        let word = word(Kind::Party as u8, account.as_slice());
        let entries = self.0.range(key(word, from)..=key(word, to));
        let read =
            |entry: bxp_storage::Result<bxp_storage::Entry>| height(entry?.0.get(8..).unwrap_or_default());
        if newest_first {
            entries.rev().take(max).map(read).collect()
        } else {
            entries.take(max).map(read).collect()
        }
    }
}

fn key(word: u64, height: Height) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&word.to_be_bytes());
    key[8..].copy_from_slice(&height.0.to_be_bytes());
    key
}

fn height(bytes: &[u8]) -> Result<Height, ChainError> {
    let bytes = bytes.try_into().map_err(|_| ChainError::decode("block index", "a height is not 8 bytes"))?;
    Ok(Height(u64::from_be_bytes(bytes)))
}

/// What occurs in a block.
fn words(block: &StoredBlock, receipts: &[StoredReceipt]) -> BTreeSet<u64> {
    let mut words = BTreeSet::new();
    for (transaction, receipt) in block.transactions.iter().zip(receipts) {
        let parties = [Some(transaction.signer()), recipient(transaction), receipt.contract_address];
        words.extend(parties.iter().flatten().map(|party| word(Kind::Party as u8, party.as_slice())));
        for log in receipt.receipt.logs() {
            words.insert(word(Kind::Emitter as u8, log.address.as_slice()));
            let topics = (Kind::Topic as u8..).zip(log.data.topics());
            words.extend(topics.map(|(position, topic): (u8, &B256)| word(position, topic.as_slice())));
        }
    }
    words
}

fn recipient(transaction: &bxp_types::RecoveredTransaction) -> Option<Address> {
    alloy_consensus::Transaction::to(transaction.inner())
}

/// 8 bytes for something that occurs as `kind`: FxHash over its words. It need not resist collisions, which cost whoever
/// asks a look into one block more and never an answer.
fn word(kind: u8, value: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x517c_c1b7_2722_0a95;
    let mix = |hash: u64, part: u64| (hash.rotate_left(5) ^ part).wrapping_mul(MULTIPLIER);
    value.chunks(8).fold(mix(0, u64::from(kind)), |hash, chunk| {
        let mut part = [0; 8];
        part[..chunk.len()].copy_from_slice(chunk);
        mix(hash, u64::from_be_bytes(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Header, Receipt, ReceiptEnvelope, ReceiptWithBloom};
    use alloy_primitives::{Log, LogData};
    use bxp_storage::Durability;
    use bxp_types::NetworkId;

    fn address(seed: u8) -> Address {
        Address::repeat_byte(seed)
    }

    /// A block whose one transaction logs once for each pair of emitter and topic.
    fn block(height: u64, logs: &[(u8, u8)]) -> (StoredBlock, Vec<StoredReceipt>) {
        let logs = logs.iter().map(|(emitter, topic)| Log {
            address: address(*emitter),
            data: LogData::new_unchecked(vec![B256::repeat_byte(*topic)], Default::default()),
        });
        let receipt = Receipt { status: true.into(), cumulative_gas_used: 1, logs: logs.collect() };
        let receipt = StoredReceipt {
            receipt: ReceiptEnvelope::Eip1559(ReceiptWithBloom::from(receipt)),
            gas_used: 1,
            contract_address: None,
            effective_gas_price: 1,
        };
        let header = Header { number: height, ..Header::default() };
        let transactions = vec![crate::proposal::tests::transfer(1, height, 1)];
        let block = StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 0 };
        (block, vec![receipt])
    }

    fn index(blocks: &[&[(u8, u8)]]) -> (tempfile::TempDir, BlockIndex) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), NetworkId([1; 32])).unwrap();
        let index = BlockIndex::open(&store).unwrap();
        let mut batch = store.batch();
        for (height, logs) in (0_u64..).zip(blocks) {
            let (block, receipts) = block(height, logs);
            index.put(&mut batch, &block, &receipts);
        }
        batch.commit(Durability::Buffered).unwrap();
        (folder, index)
    }

    fn find(
        index: &BlockIndex,
        emitters: &[u8],
        topics: &[u8],
        range: (u64, u64),
        max: usize,
    ) -> (Vec<u64>, Option<u64>) {
        let mut query =
            LogQuery { addresses: emitters.iter().copied().map(address).collect(), ..LogQuery::default() };
        query.topics[0] = topics.iter().copied().map(B256::repeat_byte).collect();
        let (found, known) = index.logs(&query, Height(range.0), Height(range.1), max).unwrap();
        (found.into_iter().map(|height| height.0).collect(), known.map(|height| height.0))
    }

    #[test]
    fn blocks_are_found_by_emitter_and_topic() {
        let (_folder, index) = index(&[&[], &[(1, 7)], &[(2, 7)], &[(1, 8), (2, 9)], &[(1, 7)]]);
        assert_eq!(find(&index, &[1], &[], (0, 9), 99), (vec![1, 3, 4], Some(4)));
        assert_eq!(find(&index, &[1], &[7], (0, 9), 99), (vec![1, 4], Some(4)));
        assert_eq!(find(&index, &[], &[7, 9], (2, 3), 99), (vec![2, 3], Some(3)));
        assert_eq!(find(&index, &[1], &[], (0, 9), 2), (vec![1, 3], Some(3)));
        assert_eq!(find(&index, &[5], &[], (0, 9), 99), (vec![], Some(4)));
        assert_eq!(find(&index, &[], &[], (0, 9), 99), (vec![], None), "no index for what asks for all");
        assert_eq!(find(&index, &[1], &[], (7, 9), 99), (vec![], None), "not indexed yet");
    }

    #[test]
    fn an_accounts_blocks_come_in_either_order() {
        let (_folder, index) = index(&[&[], &[], &[]]);
        let sender = crate::proposal::tests::transfer(1, 0, 1).signer();
        let blocks =
            |newest_first, max| index.account(sender, Height(0), Height(9), newest_first, max).unwrap();
        assert_eq!(blocks(true, 2), [Height(2), Height(1)]);
        assert_eq!(blocks(false, 2), [Height(0), Height(1)]);
        assert_eq!(index.account(address(0x55), Height(0), Height(9), true, 9).unwrap(), []);
    }

    #[test]
    fn words_are_pinned() {
        assert_eq!(word(1, &[]), 0x517c_c1b7_2722_0a95);
        assert_ne!(word(1, address(1).as_slice()), word(2, address(1).as_slice()));
        assert_eq!(key(1, Height(2)), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    }
}
