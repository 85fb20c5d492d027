//! What alloy-trie says of the same pairs, and pairs that are hard on a trie.

use alloy_primitives::{B256, Bytes};
use alloy_trie::{HashBuilder, proof::ProofRetainer};
use bxp_trie::{Nibbles, TrieUpdate, update};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Stored nodes.
pub(crate) type Nodes = BTreeMap<Nibbles, Bytes>;

/// What the trie holds.
pub(crate) type Pairs = BTreeMap<B256, Vec<u8>>;

/// Updates that are applied together.
pub(crate) type Batch = Vec<(B256, Option<Vec<u8>>)>;

/// The root by alloy-trie.
pub(crate) fn oracle_root(pairs: &Pairs) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in pairs {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// The proof of `key` by alloy-trie.
pub(crate) fn oracle_proof(pairs: &Pairs, key: B256) -> Vec<Bytes> {
    let key = Nibbles::unpack(key);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![key]));
    for (key, value) in pairs {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root();
    builder.take_proof_nodes().into_nodes_sorted().into_iter().map(|(_, node)| node).collect()
}

/// Carries out what an update says, and checks that it says nothing needless.
pub(crate) fn store(nodes: &mut Nodes, update: TrieUpdate) {
    for (path, change) in update.nodes {
        assert_ne!(change.before, change.after, "an equal node is written at {path:?}");
        let before = match change.after {
            Some(node) => nodes.insert(path, node),
            None => nodes.remove(&path),
        };
        assert_eq!(before, change.before, "the change knows what was stored at {path:?}");
    }
}

/// The trie of these pairs, built at once.
pub(crate) fn built(pairs: &Pairs) -> (B256, Nodes) {
    let mut nodes = Nodes::new();
    let batch = pairs.iter().map(|(key, value)| (*key, Some(value.clone()))).collect();
    let update = update(&nodes, batch).unwrap();
    let root = update.root;
    store(&mut nodes, update);
    (root, nodes)
}

/// A key that shares long prefixes with others: nearly all nibbles are equal, and those that differ are chosen from
/// few places, most of them at the ends, where nodes are small enough to be part of their parents.
pub(crate) fn crowded_key() -> impl Strategy<Value = B256> {
    let place = prop_oneof![Just(0usize), Just(1), Just(31), 57usize..64, 62usize..64];
    prop::collection::vec((place, 0u8..4), 0..4).prop_map(|digits| {
        let mut nibbles = [0xau8; 64];
        for (place, digit) in digits {
            nibbles[place] = digit;
        }
        B256::from_slice(&Nibbles::from_nibbles(nibbles).pack())
    })
}

/// A key, crowded or anywhere.
pub(crate) fn any_key() -> impl Strategy<Value = B256> {
    prop_oneof![3 => crowded_key(), 1 => any::<[u8; 32]>().prop_map(B256::from)]
}

/// A value, often short.
pub(crate) fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..3),
        prop::collection::vec(any::<u8>(), 1..6),
        prop::collection::vec(any::<u8>(), 28..40),
        Just(vec![1; 110]),
    ]
}

/// A batch that sets and deletes keys, some of them several times.
pub(crate) fn batch(most: usize) -> impl Strategy<Value = Batch> {
    prop::collection::vec((any_key(), prop::option::weighted(0.6, value())), 0..most)
}

/// The pairs after `batch`.
pub(crate) fn apply(pairs: &mut Pairs, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => pairs.insert(*key, value.clone()),
            None => pairs.remove(key),
        };
    }
}
