//! The state of past blocks: for each entry that a block changed, what it was before.
//!
//! | table | key | value |
//! |---|---|---|
//! | `state.history` | kind (1 byte), key, height (8 bytes BE) | `00` where there was no entry, else `01` and its value |
//! | `state.history_keys` | height (8 bytes BE) | of each entry above: length of kind and key (2 bytes BE), kind, key |
//!
//! An archive keeps it so, because one seek finds an entry however old it is. Where only so many blocks are kept, what each
//! has overwritten is in the packs of [`crate::packs`]: far fewer rows to write and to remove, and at most that many to
//! look through. Both are read, so that an archive may become an ordinary node's folder and back.
//!
//! Kinds are those of [`Kind`], keys those of the tables themselves. The newest state lies in the tables as ever, so
//! that executing reads no history. The state after block h has, for an entry, what the first change above h found
//! there, or the newest value where there is none: one seek. Trie nodes are kept like accounts, so that old states
//! have proofs. The second table is what pruning reads.

use crate::{ExecutionError, StateChanges, before::Overwritten, packs::Packs};
use alloy_primitives::bytes::Bytes;
use bxp_storage::{Batch, Snapshot, StorageError, Store, Table};
use bxp_types::Height;
use std::collections::HashSet;

/// Blocks whose history is removed in one commit at most: when the depth is lowered, no block waits for the whole past.
const PRUNED_BLOCKS_MAX: u64 = 8;

const OLDEST_KEY: &[u8] = b"oldest";
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// How far back the state can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// The newest block's state and that of this many blocks below it, one at least.
    Blocks(u64),
    /// Every block's state: an archive.
    All,
}

impl Default for Retention {
    /// As far as the BLOCKHASH instruction looks.
    fn default() -> Self {
        Self::Blocks(256)
    }
}

/// The tables that keep history, by a byte in its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Account = 1,
    Slot = 2,
    AccountNode = 3,
    StorageNode = 4,
}

/// Handles of the history's tables.
pub(crate) struct History {
    entries: Table,
    keys: Table,
    oldest: Table,
    packs: Packs,
}

impl History {
    pub(crate) fn open(store: &Store) -> Result<Self, StorageError> {
        Ok(Self {
            entries: store.table("state.history")?,
            keys: store.table("state.history_keys")?,
            oldest: store.table("state.head")?,
            packs: Packs::open(store)?,
        })
    }

    /// The tables by name: entries and keys by height, in rows and in packs.
    pub(crate) const fn named(&self) -> [(&'static str, &Table); 4] {
        let [packs, pack_keys] = self.packs.named();
        [("state.history", &self.entries), ("state.history_keys", &self.keys), packs, pack_keys]
    }

    /// Whether any of it is in packs, as it is where only so many blocks are kept.
    pub(crate) fn is_packed(&self, snapshot: &Snapshot) -> Result<bool, StorageError> {
        self.packs.is_empty(snapshot).map(|empty| !empty)
    }

    /// The value that the entry had after block `height`: outer none where no later block has changed it, inner none
    /// where there was no entry.
    pub(crate) fn value_at(
        &self,
        snapshot: &Snapshot,
        kind: Kind,
        key: &[u8],
        height: Height,
    ) -> Result<Option<Option<Bytes>>, ExecutionError> {
        let named = named(kind, key);
        let (from, to) = (entry_key(&named, height.next()), entry_key(&named, Height(u64::MAX)));
        let entry = snapshot.range(&self.entries, from..=to).next().transpose()?;
        let last = match &entry {
            Some((key, _)) => entry_height(key)?,
            None => Height(u64::MAX),
        };
        // What one block has in both forms, an edit has added by key: the pack knows what was before the block.
        if let Some((_, before)) = self.packs.first_change(snapshot, kind, key, height.next(), last)? {
            return Ok(Some(before));
        }
        let Some((_, value)) = entry else { return Ok(None) };
        match value.split_first() {
            Some((&ABSENT, [])) => Ok(Some(None)),
            Some((&PRESENT, value)) => Ok(Some(Some(Bytes::copy_from_slice(value)))),
            _ => Err(ExecutionError::Malformed { table: "state.history" }),
        }
    }

    /// The keys of this kind that begin with `prefix` and have changed in any retained block.
    pub(crate) fn changed_keys(
        &self,
        snapshot: &Snapshot,
        kind: Kind,
        prefix: &[u8],
    ) -> Result<Vec<Bytes>, ExecutionError> {
        let keys = snapshot.iter_prefix(&self.entries, named(kind, prefix)).map(|entry| {
            let (key, _) = entry?;
            let end = key.len().checked_sub(size_of::<u64>());
            let end = end.ok_or(ExecutionError::Malformed { table: "state.history" })?;
            Ok(key.slice(1..end))
        });
        let mut keys: Vec<Bytes> = keys.collect::<Result<_, ExecutionError>>()?;
        keys.extend(self.packs.changed_keys(snapshot, kind, prefix)?);
        Ok(keys)
    }

    /// The lowest block whose state can be read. In a folder from before there was history, that is the newest.
    pub(crate) fn oldest(&self, snapshot: &Snapshot, newest: Height) -> Result<Height, ExecutionError> {
        let Some(bytes) = snapshot.get(&self.oldest, OLDEST_KEY)? else { return Ok(newest) };
        let bytes = bytes.as_ref().try_into();
        let bytes = bytes.map_err(|_| ExecutionError::Malformed { table: "state.head" })?;
        Ok(Height(u64::from_be_bytes(bytes)))
    }

    /// Begins the history at `height`.
    pub(crate) fn begin(&self, batch: &mut Batch, height: Height) {
        batch.put(&self.oldest, OLDEST_KEY, height.0.to_be_bytes());
    }

    /// The rows of what `changes` of the block at `height` overwrite.
    pub(crate) fn rows(
        &self,
        store: &Store,
        height: Height,
        changes: &StateChanges,
        retention: Retention,
    ) -> Result<Batch, ExecutionError> {
        match retention {
            Retention::All => {
                let mut rows = store.batch();
                self.add(&mut rows, height, changes, &[])?;
                Ok(rows)
            }
            Retention::Blocks(_) => Ok(self.packs.rows(store, height, changes)),
        }
    }

    /// Says that there is a block at `height`, and removes what `retention` no longer asks for.
    pub(crate) fn advance(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        height: Height,
        retention: Retention,
    ) -> Result<(), ExecutionError> {
        let parent = Height(height.0.saturating_sub(1));
        let oldest = self.oldest(snapshot, parent)?;
        let wanted = match retention {
            Retention::All => oldest,
            Retention::Blocks(depth) => Height(height.0.saturating_sub(depth.max(1))),
        };
        let oldest = self.prune(batch, snapshot, oldest, wanted)?;
        self.begin(batch, oldest);
        Ok(())
    }

    /// Adds what an edit after the block at `height` overwrites, as if the block had done so, except where it has.
    pub(crate) fn amend(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        height: Height,
        changes: &StateChanges,
    ) -> Result<(), ExecutionError> {
        let known = snapshot.get(&self.keys, height.0.to_be_bytes())?.unwrap_or_default();
        self.add(batch, height, changes, &known)
    }

    /// Removes the history of the block at `height`.
    pub(crate) fn forget(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        height: Height,
    ) -> Result<(), ExecutionError> {
        self.packs.forget(batch, snapshot, height)?;
        let Some(keys) = snapshot.get(&self.keys, height.0.to_be_bytes())? else { return Ok(()) };
        for named in listed(&keys)? {
            batch.remove(&self.entries, entry_key(named, height));
        }
        batch.remove(&self.keys, height.0.to_be_bytes());
        Ok(())
    }

    /// Adds the entries and their keys; of those in `known`, the block's keys so far, none again.
    fn add(
        &self,
        batch: &mut Batch,
        height: Height,
        changes: &StateChanges,
        known: &[u8],
    ) -> Result<(), ExecutionError> {
        let mut keys = known.to_vec();
        let there: HashSet<&[u8]> = listed(known)?.into_iter().collect();
        each_before(changes, |kind, key, before| {
            let named = named(kind, key);
            if there.contains(named.as_slice()) {
                return;
            }
            let value = match before {
                Some(value) => [&[PRESENT], value].concat(),
                None => vec![ABSENT],
            };
            batch.put(&self.entries, entry_key(&named, height), value);
            // The longest key is that of a storage node: 66 bytes.
            keys.extend_from_slice(&u16::try_from(named.len()).unwrap_or(u16::MAX).to_be_bytes());
            keys.extend_from_slice(&named);
        });
        batch.put(&self.keys, height.0.to_be_bytes(), keys);
        Ok(())
    }

    /// Removes the history of blocks above `oldest` up to `wanted`, some at a time; returns how far it came.
    fn prune(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        oldest: Height,
        wanted: Height,
    ) -> Result<Height, ExecutionError> {
        let end = wanted.0.min(oldest.0.saturating_add(PRUNED_BLOCKS_MAX));
        for height in (oldest.0.saturating_add(1)..=end).map(Height) {
            self.forget(batch, snapshot, height)?;
        }
        Ok(Height(end.max(oldest.0)))
    }
}

/// Gives each entry that `changes` overwrite to `visit`, with what it was.
fn each_before(changes: &StateChanges, mut visit: impl FnMut(Kind, &[u8], Option<&[u8]>)) {
    fn each<T: Overwritten>(entries: &[T], visit: &mut impl FnMut(Kind, &[u8], Option<&[u8]>)) {
        for entry in entries {
            visit(T::KIND, &entry.key(), entry.before().as_deref());
        }
    }
    each(&changes.accounts, &mut visit);
    each(&changes.slots, &mut visit);
    each(&changes.account_nodes, &mut visit);
    each(&changes.storage_nodes, &mut visit);
}

/// The height at the end of a key of `state.history`.
fn entry_height(key: &[u8]) -> Result<Height, ExecutionError> {
    let height = key.last_chunk::<8>().ok_or(ExecutionError::Malformed { table: "state.history" })?;
    Ok(Height(u64::from_be_bytes(*height)))
}

/// The kinds and keys in a block's list.
fn listed(list: &[u8]) -> Result<Vec<&[u8]>, ExecutionError> {
    let mut names = Vec::new();
    let mut rest = list;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let split = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)));
        let (named, tail) = split.ok_or(ExecutionError::Malformed { table: "state.history_keys" })?;
        names.push(named);
        rest = tail;
    }
    Ok(names)
}

fn named(kind: Kind, key: &[u8]) -> Vec<u8> {
    [&[kind as u8], key].concat()
}

fn entry_key(named: &[u8], height: Height) -> Vec<u8> {
    [named, &height.0.to_be_bytes()].concat()
}
