//! A batch of updates in key order, and its parts.

use crate::TrieError;
use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// One key's new value; none deletes.
pub(crate) type Update<V> = (Nibbles, Option<V>);

/// The updates in key order, one for a key.
pub(crate) fn sorted(mut updates: Vec<(B256, Option<Vec<u8>>)>) -> Result<Vec<Update<Vec<u8>>>, TrieError> {
    // The sort is stable, so the last update of a key comes last among its equals.
    updates.sort_by_key(|update| update.0);
    let mut unique: Vec<Update<Vec<u8>>> = Vec::with_capacity(updates.len());
    for (key, value) in updates {
        if value.as_ref().is_some_and(Vec::is_empty) {
            return Err(TrieError::EmptyValue { key });
        }
        let path = Nibbles::unpack(key);
        match unique.last_mut() {
            Some(last) if last.0 == path => last.1 = value,
            _ => unique.push((path, value)),
        }
    }
    Ok(unique)
}

/// The pairs that `updates` set.
pub(crate) fn present<V: AsRef<[u8]>>(updates: &[Update<V>]) -> Vec<(Nibbles, &[u8])> {
    updates.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?.as_ref()))).collect()
}

/// How many nibbles of `path` all keys of the sorted `updates` share with it.
pub(crate) fn shared_length<V>(path: &Nibbles, updates: &[Update<V>]) -> usize {
    let shared = |update: Option<&Update<V>>| update.map_or(0, |update| update.0.common_prefix_length(path));
    shared(updates.first()).min(shared(updates.last()))
}

/// How many of the first sorted entries have `nibble` at `depth`.
pub(crate) fn run<T>(depth: usize, nibble: u8, entries: &[(Nibbles, T)]) -> usize {
    entries.partition_point(|entry| entry.0.get_unchecked(depth) <= nibble)
}

/// The part of the sorted `updates` for each nibble at `depth`.
pub(crate) fn partition<V>(depth: usize, updates: &[Update<V>]) -> [&[Update<V>]; 16] {
    let mut rest = updates;
    let mut nibble = 0;
    [(); 16].map(|()| {
        let (part, others) = rest.split_at(run(depth, nibble, rest));
        rest = others;
        nibble += 1;
        part
    })
}
