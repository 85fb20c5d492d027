//! History in packs: what a block has overwritten, gathered into few rows.
//!
//! | table | key | value |
//! |---|---|---|
//! | `state.history_packs` | kind (1 byte), bucket (1 byte), height (8 bytes BE) | the entries of that bucket which the block changed |
//! | `state.history_pack_keys` | height (8 bytes BE) | kind and bucket of each pack of the block |
//!
//! An entry in a pack is: length of its key (2 bytes BE), key, 0 (4 bytes BE) where there was no entry, else the length
//! of its value and one (4 bytes BE), value. The bucket is a byte of the key that differs between keys, so that whoever
//! looks for one key meets a 256th of what each block changed.

use crate::{
    ExecutionError, StateChanges,
    before::Overwritten,
    history::Kind,
    ready::{joined, rows_of},
};
use alloy_primitives::{Address, B256, bytes::Bytes};
use bxp_storage::{Batch, Snapshot, StorageError, Store, Table};
use bxp_types::Height;
use rayon::prelude::*;

const PACKS_TABLE: &str = "state.history_packs";
const KEYS_TABLE: &str = "state.history_pack_keys";
const BUCKETS: usize = 256;

/// Entries of which one task finds the buckets, and packs that one task fills, so that a task is worth handing out.
const ENTRIES_A_TASK: usize = 4096;
const PACKS_A_TASK: usize = 16;

/// Memory that a pack begins with for each of its entries: most are nodes of a trie, and most of those are branches.
const BYTES_AN_ENTRY: usize = 320;

/// What an entry was before a block; none where there was none.
pub(crate) type Before = Option<Bytes>;

/// Handles of the tables.
pub(crate) struct Packs {
    rows: Table,
    keys: Table,
}

impl Packs {
    pub(crate) fn open(store: &Store) -> Result<Self, StorageError> {
        Ok(Self { rows: store.table_of_large_values(PACKS_TABLE)?, keys: store.table(KEYS_TABLE)? })
    }

    /// The tables by name.
    pub(crate) const fn named(&self) -> [(&'static str, &Table); 2] {
        [(PACKS_TABLE, &self.rows), (KEYS_TABLE, &self.keys)]
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self, snapshot: &Snapshot) -> Result<bool, StorageError> {
        Ok(snapshot.iter_prefix(&self.rows, []).next().transpose()?.is_none())
    }

    /// The packs of the block at `height`, made on all cores.
    pub(crate) fn rows(&self, store: &Store, height: Height, changes: &StateChanges) -> Batch {
        let StateChanges { accounts, slots, account_nodes, storage_nodes, .. } = changes;
        let kinds = [
            self.of(store, height, accounts),
            self.of(store, height, slots),
            self.of(store, height, account_nodes),
            self.of(store, height, storage_nodes),
        ];
        let named: Vec<u8> = kinds.iter().flat_map(|(_, named)| named).copied().collect();
        let mut rows = joined(store, kinds.into_iter().map(|(rows, _)| rows));
        if !named.is_empty() {
            rows.put(&self.keys, height.0.to_be_bytes(), named);
        }
        rows
    }

    /// The packs of one kind, and their names.
    fn of<T: Overwritten>(&self, store: &Store, height: Height, entries: &[T]) -> (Batch, Vec<u8>) {
        let packs = filled(entries);
        let packs = (0..=u8::MAX).zip(&packs).filter(|(_, pack)| !pack.is_empty());
        let packs: Vec<([u8; 2], &Vec<u8>)> =
            packs.map(|(bucket, pack)| ([T::KIND as u8, bucket], pack)).collect();
        let rows = rows_of(store, &packs, PACKS_A_TASK, |batch, (name, pack)| {
            batch.put(&self.rows, pack_key(*name, height), pack);
        });
        (rows, packs.iter().flat_map(|(name, _)| *name).collect())
    }

    /// Removes the packs of the block at `height`.
    pub(crate) fn forget(
        &self,
        batch: &mut Batch,
        snapshot: &Snapshot,
        height: Height,
    ) -> Result<(), ExecutionError> {
        let Some(named) = snapshot.get(&self.keys, height.0.to_be_bytes())? else { return Ok(()) };
        for name in named.as_chunks::<2>().0 {
            batch.remove(&self.rows, pack_key(*name, height));
        }
        batch.remove(&self.keys, height.0.to_be_bytes());
        Ok(())
    }

    /// The first change of the entry at `key` in a block from `first` to `last`, if its history is in packs: the block
    /// and what was there before.
    pub(crate) fn first_change(
        &self,
        snapshot: &Snapshot,
        kind: Kind,
        key: &[u8],
        first: Height,
        last: Height,
    ) -> Result<Option<(Height, Before)>, ExecutionError> {
        let name = [kind as u8, bucket(kind, key)];
        for row in snapshot.range(&self.rows, pack_key(name, first)..=pack_key(name, last)) {
            let (row_key, pack) = row?;
            let height = row_key.last_chunk::<8>().ok_or(MALFORMED)?;
            let height = Height(u64::from_be_bytes(*height));
            let mut rest = pack.as_ref();
            while let Some((found, before)) = entry(&mut rest)? {
                if found == key {
                    return Ok(Some((height, before.map(Bytes::copy_from_slice))));
                }
            }
        }
        Ok(None)
    }

    /// The keys of this kind that begin with `prefix` and stand in any pack. Every pack of the kind is read.
    pub(crate) fn changed_keys(
        &self,
        snapshot: &Snapshot,
        kind: Kind,
        prefix: &[u8],
    ) -> Result<Vec<Bytes>, ExecutionError> {
        let mut keys = Vec::new();
        for row in snapshot.iter_prefix(&self.rows, [kind as u8]) {
            let (_, pack) = row?;
            let mut rest = pack.as_ref();
            while let Some((key, _)) = entry(&mut rest)? {
                if key.starts_with(prefix) {
                    keys.push(Bytes::copy_from_slice(key));
                }
            }
        }
        Ok(keys)
    }
}

/// The packs of one kind by their buckets, filled on all cores; in each, entries keep their order.
fn filled<T: Overwritten>(entries: &[T]) -> Vec<Vec<u8>> {
    let with_bucket = |entry: &T| bucket(T::KIND, &entry.key());
    let buckets: Vec<u8> = entries.par_iter().with_min_len(ENTRIES_A_TASK).map(with_bucket).collect();
    let mut places: Vec<Vec<usize>> = vec![Vec::new(); BUCKETS];
    for (place, bucket) in buckets.into_iter().enumerate() {
        places[usize::from(bucket)].push(place);
    }
    let pack = |places: &Vec<usize>| {
        let mut pack = Vec::with_capacity(places.len() * BYTES_AN_ENTRY);
        for entry in places.iter().filter_map(|place| entries.get(*place)) {
            add(&mut pack, &entry.key(), entry.before().as_deref());
        }
        pack
    };
    places.par_iter().with_min_len(PACKS_A_TASK).map(pack).collect()
}

/// Adds what the entry at `key` was to a pack.
fn add(pack: &mut Vec<u8>, key: &[u8], before: Option<&[u8]>) {
    // The longest key is that of a storage node: 65 bytes. A node or an account has less than 600.
    pack.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    pack.extend_from_slice(key);
    let length = before.map_or(0, |value| u32::try_from(value.len() + 1).unwrap_or(u32::MAX));
    pack.extend_from_slice(&length.to_be_bytes());
    pack.extend_from_slice(before.unwrap_or_default());
}

const MALFORMED: ExecutionError = ExecutionError::Malformed { table: PACKS_TABLE };

/// A key, and the value that it had; none where there was no entry.
type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// Takes the next entry off a pack; none at its end.
fn entry<'a>(rest: &mut &'a [u8]) -> Result<Option<Entry<'a>>, ExecutionError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (length, tail) = rest.split_first_chunk::<2>().ok_or(MALFORMED)?;
    let (key, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(MALFORMED)?;
    let (length, tail) = tail.split_first_chunk::<4>().ok_or(MALFORMED)?;
    let Some(length) = u32::from_be_bytes(*length).checked_sub(1) else {
        *rest = tail;
        return Ok(Some((key, None)));
    };
    let (value, tail) =
        tail.split_at_checked(usize::try_from(length).unwrap_or(usize::MAX)).ok_or(MALFORMED)?;
    *rest = tail;
    Ok(Some((key, Some(value))))
}

/// The bucket of a key: of what is made by hashing, a byte of the hash. Of an account's slots and storage nodes, the byte
/// comes from both, because one contract may change most of what a block changes.
fn bucket(kind: Kind, key: &[u8]) -> u8 {
    let at = |place: usize| key.get(place).copied().unwrap_or_default();
    match kind {
        Kind::Account => at(Address::len_bytes() - 1),
        Kind::Slot => at(Address::len_bytes() - 1) ^ at(Address::len_bytes() + B256::len_bytes() - 1),
        // The length of the path comes before its nibbles.
        Kind::AccountNode => at(1),
        Kind::StorageNode => at(0) ^ at(B256::len_bytes() + 1),
    }
}

fn pack_key(name: [u8; 2], height: Height) -> Vec<u8> {
    [name.as_slice(), &height.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Bytes, U256, hex};
    use bxp_trie::{Change, Nibbles};

    #[test]
    fn packs_are_pinned() {
        let change =
            |before: Option<&'static [u8]>| Change { before: before.map(Bytes::from_static), after: None };
        let packs = filled(&[
            (Nibbles::from_nibbles([0xa, 0xb, 0xc]), change(Some(&[0xaa, 0xbb]))),
            (Nibbles::from_nibbles([0xa, 0xb]), change(None)),
        ]);
        let filled: Vec<_> = packs.iter().enumerate().filter(|(_, pack)| !pack.is_empty()).collect();
        assert_eq!(filled.len(), 1);
        assert_eq!(filled[0].0, 0xab);
        assert_eq!(hex::encode(filled[0].1), "000303abc000000003aabb000202ab00000000");
        let mut rest = filled[0].1.as_slice();
        assert_eq!(
            entry(&mut rest).unwrap(),
            Some(([3, 0xab, 0xc0].as_slice(), Some([0xaa, 0xbb].as_slice())))
        );
        assert_eq!(entry(&mut rest).unwrap(), Some(([2, 0xab].as_slice(), None)));
        assert_eq!(entry(&mut rest).unwrap(), None);
    }

    #[test]
    fn packs_of_many_tasks_are_those_of_one() {
        let slot = |number: u32| {
            let change = Change { before: Some(U256::from(number)), after: None };
            (
                (Address::repeat_byte((number >> 8) as u8), U256::from(number.wrapping_mul(0x9e37_79b9))),
                change,
            )
        };
        let slots: Vec<((Address, U256), Change<U256>)> =
            (0..3 * ENTRIES_A_TASK as u32 + 5).map(slot).collect();
        let mut alone = vec![Vec::new(); BUCKETS];
        for entry in &slots {
            let key = entry.key();
            add(&mut alone[usize::from(bucket(Kind::Slot, &key))], &key, entry.before().as_deref());
        }
        assert!(alone.iter().all(|pack| !pack.is_empty()));
        assert_eq!(filled(&slots), alone);
    }

    #[test]
    fn a_pack_that_ends_early_is_malformed() {
        let whole = [0, 1, 7, 0, 0, 0, 3, 1, 2];
        for end in 1..whole.len() {
            assert!(entry(&mut &whole[..end]).is_err(), "{end} bytes");
        }
        assert!(entry(&mut whole.as_slice()).is_ok());
    }
}
