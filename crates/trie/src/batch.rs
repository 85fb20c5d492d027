//! A batch of updates in key order, and its parts.

use crate::TrieError;
use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// One key's new value; none deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) key: B256,
    pub(crate) value: Option<Vec<u8>>,
}

/// The updates in key order, one for a key.
pub(crate) fn sorted(mut updates: Vec<(B256, Option<Vec<u8>>)>) -> Result<Vec<Update>, TrieError> {
    // Nearly always the first eight bytes tell two keys apart, and are all that has to be moved.
    let beginning =
        |(at, (key, _)): (usize, &(B256, _))| (key.first_chunk().copied().map_or(0, u64::from_be_bytes), at);
    let mut order: Vec<(u64, usize)> = updates.iter().enumerate().map(beginning).collect();
    let key = |at: usize| updates.get(at).map(|update| update.0);
    // Of equal keys the last update comes last.
    order.sort_unstable_by(|(one, at), (other, behind)| {
        one.cmp(other).then_with(|| key(*at).cmp(&key(*behind))).then_with(|| at.cmp(behind))
    });
    let mut unique: Vec<Update> = Vec::with_capacity(updates.len());
    for (_, at) in order {
        let Some((key, value)) = updates.get_mut(at).map(|(key, value)| (*key, value.take())) else {
            continue;
        };
        if value.as_ref().is_some_and(Vec::is_empty) {
            return Err(TrieError::EmptyValue { key });
        }
        match unique.last_mut() {
            Some(last) if last.key == key => last.value = value,
            _ => unique.push(Update { key, value }),
        }
    }
    Ok(unique)
}

/// Values that were replaced, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    bytes: Vec<u8>,
    /// Each key, and where its value begins and ends. Where there is nothing, there was no value.
    keys: Vec<(B256, usize, usize)>,
}

impl Replaced {
    /// Notes the value of a key before it is changed.
    pub(crate) fn push(&mut self, key: B256, value: Option<&[u8]>) {
        let begins = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.keys.push((key, begins, self.bytes.len()));
    }

    /// The updates that lead back.
    pub(crate) fn updates(&self) -> impl Iterator<Item = Update> {
        self.keys.iter().map(|(key, begins, ends)| {
            let value = self.bytes.get(*begins..*ends).filter(|value| !value.is_empty());
            Update { key: *key, value: value.map(<[u8]>::to_vec) }
        })
    }
}

/// The nibble of `key` at `depth`, which is below 64.
pub(crate) fn nibble(key: &B256, depth: usize) -> u8 {
    let byte = key.0[depth / 2];
    if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

/// How many nibbles two keys share from the first on.
pub(crate) fn shared_by_keys(one: &B256, other: &B256) -> usize {
    let bytes = one.iter().zip(other.iter());
    match bytes.clone().position(|(one, other)| one != other) {
        None => 64,
        Some(at) if one.0[at] >> 4 == other.0[at] >> 4 => 2 * at + 1,
        Some(at) => 2 * at,
    }
}

/// How many nibbles of `path` all keys of the sorted `updates` share with it.
pub(crate) fn shared_with(path: &Nibbles, updates: &[Update]) -> usize {
    let shared = |update: Option<&Update>| {
        update.map_or(0, |update| Nibbles::unpack(update.key).common_prefix_length(path))
    };
    shared(updates.first()).min(shared(updates.last()))
}

/// How many of the first sorted updates have `nibble` or less at `depth`, to which they share all nibbles.
pub(crate) fn run(depth: usize, nibble_max: u8, updates: &[Update]) -> usize {
    updates.partition_point(|update| nibble(&update.key, depth) <= nibble_max)
}

/// Splits the sorted `updates` into those below `path` and all others; none of the others sets a key if the second part
/// says so.
pub(crate) fn below<'a>(path: &Nibbles, updates: &'a mut [Update]) -> (&'a mut [Update], bool) {
    let begins = updates.partition_point(|update| Nibbles::unpack(update.key) < *path);
    let length = updates
        .get(begins..)
        .unwrap_or_default()
        .partition_point(|update| Nibbles::unpack(update.key).starts_with(path));
    let others_set = updates
        .iter()
        .enumerate()
        .any(|(at, update)| update.value.is_some() && !(begins..begins + length).contains(&at));
    (updates.get_mut(begins..begins + length).unwrap_or_default(), others_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: &[u8]) -> B256 {
        let mut key = B256::ZERO;
        key.0[..first.len()].copy_from_slice(first);
        key
    }

    #[test]
    fn nibbles_and_shared_lengths_are_those_of_nibbles() {
        let (one, other) = (key(&[0xab, 0xcd]), key(&[0xab, 0xce]));
        assert_eq!([0, 1, 2, 3].map(|depth| nibble(&one, depth)), [0xa, 0xb, 0xc, 0xd]);
        for (one, other) in [(one, other), (one, one), (one, key(&[0xab, 0xdd])), (one, key(&[]))] {
            let expected = Nibbles::unpack(one).common_prefix_length(&Nibbles::unpack(other));
            assert_eq!(shared_by_keys(&one, &other), expected);
        }
    }

    #[test]
    fn updates_below_a_path_are_found_with_what_is_beside() {
        let set = |first: &[u8]| Update { key: key(first), value: Some(vec![1]) };
        let gone = |first: &[u8]| Update { key: key(first), value: None };
        let path = Nibbles::from_nibbles([0xa, 0xb]);
        let mut batch = vec![gone(&[0x01]), set(&[0xab, 1]), set(&[0xab, 2]), gone(&[0xff])];
        let (part, others_set) = below(&path, &mut batch);
        assert_eq!((part.len(), others_set), (2, false));
        batch[3] = set(&[0xff]);
        assert!(below(&path, &mut batch).1);
        assert_eq!(below(&Nibbles::from_nibbles([0xd]), &mut batch).0.len(), 0);
    }
}
