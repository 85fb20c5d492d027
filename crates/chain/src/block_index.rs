//! Which blocks an address or a topic occurs in: what answers questions about logs and accounts over the whole chain.
//!
//! | table | key | value |
//! |---|---|---|
//! | `block-index` | word (8 bytes BE), height (8 bytes BE) | where in the block, for what is seldom in it ([`places`]) |
//! | `block-index` | `00` | the height up to which blocks are indexed (8 bytes BE) |
//!
//! A word is a hash of what occurs and as what ([`word`]). Two things may share a word: the index says which blocks
//! *may* hold what is asked, and whoever asks looks into their receipts. It is made behind the chain's back, so that no
//! block waits for it, and goes on where it stopped. The newest of it is gathered in memory and added to the table in
//! its order, much at once (ADR 74).

mod entries;
pub(crate) mod places;

use crate::ChainError;
use bxp_storage::{Batch, Durability, Store, Table};
use bxp_types::{Address, Height, LogQuery, StoredBlock, StoredReceipt};
use parking_lot::RwLock;
use places::{Places, entries};
use std::{collections::BTreeMap, sync::Arc};

/// Where the height of the newest indexed block stands. No word's key is that short.
const INDEXED_KEY: &[u8] = &[0];

/// As what something occurs in a block; topics have the kinds from `Topic` on, by position.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Party = 1,
    Emitter = 2,
    Topic = 3,
}

/// Keys gathered after which they go to the table: some 8 MB.
const GATHERED_MAX: usize = 131_072;
/// Blocks after which they do so too, so that a start reads no more than that many again.
const GATHERED_BLOCKS_MAX: u64 = 1_024;
/// Alternatives at one position up to which each one's entry is looked up.
const ALTERNATIVES_MAX: usize = 16;
/// Fewer than these are written as a batch; a file of their own would be too small.
const BULK_MIN: usize = 4_096;

/// The index. Clones share it.
#[derive(Clone, Debug)]
pub struct BlockIndex {
    store: Store,
    table: Table,
    gathered: Arc<RwLock<Gathered>>,
}

/// What is not in the table yet.
#[derive(Debug, Default)]
struct Gathered {
    /// Keys with their values.
    entries: BTreeMap<[u8; 16], Vec<u8>>,
    /// The newest block in it or, where there is none, in the table.
    indexed: Option<Height>,
    /// The newest block in the table.
    stored: Option<Height>,
}

impl BlockIndex {
    /// Opens the table.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn open(store: &Store) -> Result<Self, ChainError> {
        let table = store.table("block-index")?;
        let stored = table.get(INDEXED_KEY)?.map(|bytes| height(&bytes)).transpose()?;
        let gathered = Gathered { indexed: stored, stored, ..Gathered::default() };
        Ok(Self { store: store.clone(), table, gathered: Arc::new(RwLock::new(gathered)) })
    }

    /// The newest block that is indexed, all below it being so too.
    #[must_use]
    pub fn indexed(&self) -> Option<Height> {
        self.gathered.read().indexed
    }

    /// Adds a block; its parent has been added before.
    pub fn put(&self, block: &StoredBlock, receipts: &[StoredReceipt]) {
        let height = block.height();
        let entries = entries(block, receipts);
        let mut gathered = self.gathered.write();
        gathered.entries.extend(entries.into_iter().map(|(word, places)| (key(word, height), places)));
        gathered.indexed = Some(height);
    }

    /// Moves what is gathered to the table when there is enough of it.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn settle(&self) -> Result<(), ChainError> {
        let gathered = self.gathered.read();
        let Some(indexed) = gathered.indexed else { return Ok(()) };
        let blocks = indexed.0 - gathered.stored.map_or(0, |stored| stored.0);
        let is_due = gathered.entries.len() >= GATHERED_MAX || blocks >= GATHERED_BLOCKS_MAX;
        drop(gathered);
        if is_due { self.move_to_table(indexed) } else { Ok(()) }
    }

    pub(crate) fn move_to_table(&self, indexed: Height) -> Result<(), ChainError> {
        let gathered = self.gathered.read();
        let moving = gathered.entries.iter().filter(|(key, _)| height_in(key) <= indexed);
        let moving: BTreeMap<[u8; 16], Vec<u8>> =
            moving.map(|(key, places)| (*key, places.clone())).collect();
        drop(gathered);
        let marker = indexed.0.to_be_bytes();
        if moving.len() < BULK_MIN {
            let mut batch = self.store.batch();
            moving.iter().for_each(|(key, places)| batch.put(&self.table, key, places));
            batch.put(&self.table, INDEXED_KEY, marker);
            batch.commit(Durability::Buffered)?;
        } else {
            let marker = (INDEXED_KEY.to_vec(), marker.to_vec());
            let entries = moving.iter().map(|(key, places)| (key.to_vec(), places.clone()));
            self.table.ingest(std::iter::once(marker).chain(entries))?;
        }
        let mut gathered = self.gathered.write();
        gathered.stored = Some(indexed);
        gathered.entries.retain(|key, _| !moving.contains_key(key));
        Ok(())
    }

    /// Forgets that blocks above `height` are indexed; they are to be added again.
    pub fn go_back(&self, batch: &mut Batch, height: Height) {
        let mut gathered = self.gathered.write();
        gathered.entries.retain(|key, _| height_in(key) <= height);
        gathered.indexed = gathered.indexed.map(|indexed| indexed.min(height));
        if gathered.stored.is_some_and(|stored| stored > height) {
            gathered.stored = Some(height);
            batch.put(&self.table, INDEXED_KEY, height.0.to_be_bytes());
        }
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
        let Some(indexed) = self.indexed().filter(|_| !query.is_any()) else {
            return Ok((Vec::new(), None));
        };
        if indexed < from {
            return Ok((Vec::new(), None));
        }
        let end = to.min(indexed);
        let positions = positions(query);
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

    /// Where in the block at `height` all logs are that fit `query`; nothing where that is not known.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub(crate) fn places(&self, query: &LogQuery, height: Height) -> Result<Option<Places>, ChainError> {
        let gathered = self.gathered.read();
        if gathered.indexed.is_none_or(|indexed| indexed < height) {
            return Ok(None);
        }
        'positions: for words in positions(query).iter().filter(|words| words.len() <= ALTERNATIVES_MAX) {
            let mut places = Places::default();
            for word in words {
                let key = key(*word, height);
                let is_known = match gathered.entries.get(&key) {
                    Some(entry) => places.add(entry),
                    None => self.table.get(key)?.is_none_or(|entry| places.add(&entry)),
                };
                if !is_known {
                    continue 'positions;
                }
            }
            return Ok(Some(places.sorted()));
        }
        Ok(None)
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
        let gathered = self.gathered.read();
        let mut lowest: Option<Height> = None;
        for word in words {
            let keys = key(*word, from)..=key(*word, lowest.unwrap_or(end));
            let stored = self.table.range(keys.clone()).next().map(read).transpose()?;
            let found = gathered.entries.range(keys).next().map(|(key, _)| height_in(key));
            lowest = lowest.into_iter().chain(stored).chain(found).min();
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
        let keys = key(word, from)..=key(word, to);
        let gathered = self.gathered.read();
        let newest = gathered.entries.range(keys.clone()).map(|(key, _)| Ok(height_in(key)));
        // What is just moving there is in both.
        let is_old = |found: &Result<Height, ChainError>| {
            found.as_ref().map_or(true, |&height| Some(height) <= gathered.stored)
        };
        let stored = self.table.range(keys).map(read).filter(is_old);
        if newest_first {
            newest.rev().chain(stored.rev()).take(max).collect()
        } else {
            stored.chain(newest).take(max).collect()
        }
    }
}

/// The words of each position of which a query names one or more.
fn positions(query: &LogQuery) -> Vec<Vec<u64>> {
    let emitters = query.addresses().iter().map(|one| word(Kind::Emitter as u8, one.as_slice()));
    let mut positions = vec![emitters.collect::<Vec<_>>()];
    for (position, topics) in (Kind::Topic as u8..).zip(query.topics()) {
        positions.push(topics.iter().map(|topic| word(position, topic.as_slice())).collect());
    }
    positions.retain(|words| !words.is_empty());
    positions
}

fn key(word: u64, height: Height) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&word.to_be_bytes());
    key[8..].copy_from_slice(&height.0.to_be_bytes());
    key
}

/// The height in the key of a row.
fn read(row: bxp_storage::Result<bxp_storage::Entry>) -> Result<Height, ChainError> {
    height(row?.0.get(8..).unwrap_or_default())
}

fn height_in(key: &[u8; 16]) -> Height {
    let (_, height) = key.split_at(8);
    Height(u64::from_be_bytes(height.try_into().unwrap_or_default()))
}

fn height(bytes: &[u8]) -> Result<Height, ChainError> {
    let bytes = bytes.try_into().map_err(|_| ChainError::decode("block index", "a height is not 8 bytes"))?;
    Ok(Height(u64::from_be_bytes(bytes)))
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
    use bxp_types::{B256, NetworkId};

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
        for (height, logs) in (0_u64..).zip(blocks) {
            let (block, receipts) = block(height, logs);
            index.put(&block, &receipts);
        }
        (folder, index)
    }

    fn find(
        index: &BlockIndex,
        emitters: &[u8],
        topics: &[u8],
        range: (u64, u64),
        max: usize,
    ) -> (Vec<u64>, Option<u64>) {
        let topics = topics.iter().copied().map(B256::repeat_byte).collect();
        let query = LogQuery::new(emitters.iter().copied().map(address), [topics, vec![], vec![], vec![]]);
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

    /// Some of it in the table, the rest in memory; and what comes after going back.
    #[test]
    fn what_is_stored_and_what_is_gathered_are_one_index() {
        let (folder, index) = index(&[&[], &[(1, 7)], &[(2, 7)], &[(1, 8)]]);
        index.move_to_table(Height(2)).unwrap();
        assert_eq!(index.gathered.read().stored, Some(Height(2)));
        assert_eq!(find(&index, &[1], &[], (0, 9), 99), (vec![1, 3], Some(3)));
        assert_eq!(find(&index, &[1, 2], &[], (2, 9), 99), (vec![2, 3], Some(3)));
        let sender = crate::proposal::tests::transfer(1, 0, 1).signer();
        let all = |newest_first| index.account(sender, Height(0), Height(9), newest_first, 99).unwrap();
        assert_eq!(all(false), [0, 1, 2, 3].map(Height));
        assert_eq!(all(true), [3, 2, 1, 0].map(Height));
        // Many at once take the other way into the table.
        for word in 0..BULK_MIN as u64 {
            index.gathered.write().entries.insert(key(word, Height(3)), Vec::new());
        }
        index.move_to_table(Height(3)).unwrap();
        assert!(index.gathered.read().entries.is_empty());
        assert_eq!(all(true), [3, 2, 1, 0].map(Height));
        let mut batch = index.store.batch();
        index.go_back(&mut batch, Height(1));
        batch.commit(Durability::Buffered).unwrap();
        assert_eq!((index.indexed(), all(false)), (Some(Height(1)), [0, 1].map(Height).to_vec()));
        let (second, receipts) = block(2, &[(1, 9)]);
        index.put(&second, &receipts);
        assert_eq!(find(&index, &[1], &[9], (0, 9), 99), (vec![2], Some(2)));
        let again = BlockIndex::open(&index.store).unwrap();
        assert_eq!(again.indexed(), Some(Height(1)), "what was gathered is read from the blocks again");
        drop(folder);
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
