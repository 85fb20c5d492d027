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
#[cfg(test)]
mod tests;

use crate::{ChainError, bulk, codec};
use bxp_storage::{Batch, Store, Table};
use bxp_types::{Address, Height, LogQuery, StoredBlock};
use parking_lot::{RwLock, RwLockUpgradableReadGuard};
use places::{Places, entries};
use std::{collections::BTreeMap, sync::Arc};

/// What an error is of.
const WHAT: &str = "block index";
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
        let stored = table.get(INDEXED_KEY)?.map(|bytes| codec::decode_height(WHAT, &bytes)).transpose()?;
        let gathered = Gathered { indexed: stored, stored, ..Gathered::default() };
        Ok(Self { store: store.clone(), table, gathered: Arc::new(RwLock::new(gathered)) })
    }

    /// The newest block that is indexed, all below it being so too.
    #[must_use]
    pub fn indexed(&self) -> Option<Height> {
        self.gathered.read().indexed
    }

    /// Adds a block with its receipts as [`crate::blocks::Blocks::put`] gives them; its parent has been added before.
    ///
    /// # Errors
    /// [`ChainError::Decode`] for other bytes; then nothing was added.
    pub fn put(&self, block: &StoredBlock, receipts: &[u8]) -> Result<(), ChainError> {
        let height = block.height();
        let entries = entries(block, receipts)?;
        let mut gathered = self.gathered.write();
        gathered.entries.extend(entries.into_iter().map(|(word, places)| (key(word, height), places)));
        gathered.indexed = Some(height);
        Ok(())
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
        // Whoever asks reads it meanwhile; nothing is added, and nothing taken back.
        let gathered = self.gathered.upgradable_read();
        let moving = gathered.entries.iter().filter(|(key, _)| height_in(key) <= indexed);
        let rows = moving.map(|(key, places)| (key.as_slice(), places.as_slice()));
        bulk::add_rows(&self.store, &self.table, (INDEXED_KEY, indexed), rows)?;
        let mut gathered = RwLockUpgradableReadGuard::upgrade(gathered);
        gathered.stored = Some(indexed);
        gathered.entries.retain(|key, _| height_in(key) > indexed);
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
    codec::decode_height(WHAT, row?.0.get(8..).unwrap_or_default())
}

fn height_in(key: &[u8; 16]) -> Height {
    let (_, height) = key.split_at(8);
    Height(u64::from_be_bytes(height.try_into().unwrap_or_default()))
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
