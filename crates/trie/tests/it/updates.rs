//! Updates: the root is alloy-trie's, and the stored nodes depend on the pairs alone.

use crate::oracle::{Batch, Nodes, Pairs, apply, batch, built, crowded_key, oracle_root, store, value};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use bxp_trie::{
    EMPTY_ROOT, KnownTrie, Nibbles, NodeReadError, NodeReader, TrieError, root, update, update_known,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Mutex;

/// Applies the batches one by one and compares after each with the oracle and with a trie built at once.
fn check(batches: Vec<Batch>) {
    let mut nodes = Nodes::new();
    let mut pairs = Pairs::new();
    for batch in batches {
        apply(&mut pairs, &batch);
        let update = update(&nodes, batch).unwrap();
        let new_root = update.root;
        store(&mut nodes, update);
        assert_eq!(new_root, oracle_root(&pairs));
        assert_eq!(root(&nodes).unwrap(), new_root);
        assert_eq!(built(&pairs), (new_root, nodes.clone()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn interleaved_batches_agree_with_the_oracle(batches in prop::collection::vec(batch(12), 1..8)) {
        check(batches);
    }

    #[test]
    fn deleting_everything_leaves_nothing(first in batch(40)) {
        let mut pairs = Pairs::new();
        apply(&mut pairs, &first);
        let (_, mut nodes) = built(&pairs);
        let update = update(&nodes, pairs.keys().map(|key| (*key, None)).collect()).unwrap();
        prop_assert_eq!(update.root, EMPTY_ROOT);
        store(&mut nodes, update);
        prop_assert!(nodes.is_empty());
    }

    #[test]
    fn an_update_undone_leaves_no_trace(first in batch(30), second in batch(10)) {
        let mut pairs = Pairs::new();
        apply(&mut pairs, &first);
        let before = built(&pairs);
        let mut nodes = before.1.clone();
        let undo = second.iter().map(|(key, _)| (*key, pairs.get(key).cloned())).collect();
        let done = update(&nodes, second).unwrap();
        store(&mut nodes, done);
        let undone = update(&nodes, undo).unwrap();
        prop_assert_eq!(undone.root, before.0);
        store(&mut nodes, undone);
        prop_assert_eq!(nodes, before.1);
    }

    #[test]
    fn what_changes_nothing_writes_nothing(first in batch(30), absent in batch(10)) {
        let mut pairs = Pairs::new();
        apply(&mut pairs, &first);
        let (root, nodes) = built(&pairs);
        let same = pairs.iter().map(|(key, value)| (*key, Some(value.clone())));
        let absent = absent.into_iter().filter(|(key, _)| !pairs.contains_key(key)).map(|(key, _)| (key, None));
        let update = update(&nodes, same.chain(absent).collect()).unwrap();
        prop_assert_eq!(update.root, root);
        prop_assert!(update.nodes.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// What is known, trimmed or not, changes nothing about what an update gives.
    #[test]
    fn what_is_known_gives_what_is_read(
        batches in prop::collection::vec((batch(20), prop::option::weighted(0.3, 0usize..20_000)), 1..10),
    ) {
        let mut nodes = Nodes::new();
        let mut pairs = Pairs::new();
        let mut known = KnownTrie::default();
        for (batch, bytes_max) in batches {
            apply(&mut pairs, &batch);
            let read = update(&nodes, batch.clone()).unwrap();
            let done = update_known(&nodes, &mut known, batch).unwrap();
            prop_assert_eq!(&done, &read);
            prop_assert_eq!(done.root, oracle_root(&pairs));
            prop_assert_eq!(known.root(), Some(done.root));
            store(&mut nodes, done);
            if let Some(bytes_max) = bytes_max {
                known.trim(bytes_max);
                prop_assert!(known.bytes() <= bytes_max);
            }
        }
    }

    /// An update that was made and never stored is taken back without its nodes having been anywhere but in memory.
    #[test]
    fn an_update_taken_back_leaves_what_was_before(
        first in batch(30),
        second in batch(12),
        third in batch(12),
        fourth in batch(12),
        bytes_max in 2_000usize..40_000,
    ) {
        let (mut nodes, mut pairs, mut known) = (Nodes::new(), Pairs::new(), KnownTrie::default());
        for batch in [first, second] {
            apply(&mut pairs, &batch);
            let done = update_known(&nodes, &mut known, batch).unwrap();
            store(&mut nodes, done);
            known.trim(bytes_max);
        }
        // Where nothing is known of the trie, nothing is known of what was before it.
        let root = known.root();
        let lost = update_known(&nodes, &mut known, third).unwrap();
        prop_assert_eq!(known.root_before(), root);
        if root.is_some() {
            known.take_back(&nodes).unwrap();
            prop_assert_eq!((known.root(), known.root_before()), (root, None));
            apply(&mut pairs, &fourth);
            let expected = update(&nodes, fourth.clone()).unwrap();
            let done = update_known(&nodes, &mut known, fourth).unwrap();
            prop_assert_eq!(&done, &expected);
            prop_assert_eq!(done.root, oracle_root(&pairs));
            store(&mut nodes, done);
            prop_assert_eq!(built(&pairs).1, nodes);
        } else {
            prop_assert_ne!(lost.root, B256::ZERO);
        }
    }

    /// Keys that come and go within one batch, among neighbours with long shared prefixes: the branches above them end
    /// and begin again.
    #[test]
    fn a_key_deleted_and_set_again_in_one_batch(
        first in prop::collection::vec((crowded_key(), value()), 1..20),
        again in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(value())), 1..20),
    ) {
        let first: Batch = first.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let second = again.iter().flat_map(|(index, value)| {
            let key = index.get(&first).0;
            [(key, None), (key, value.clone()), (key, None), (key, value.clone())]
        });
        let second: Batch = second.collect();
        let (mut nodes, mut pairs, mut known) = (Nodes::new(), Pairs::new(), KnownTrie::default());
        let made = update_known(&nodes, &mut known, first.clone()).unwrap();
        store(&mut nodes, made);
        apply(&mut pairs, &first);
        apply(&mut pairs, &second);
        let done = update_known(&nodes, &mut known, second).unwrap();
        prop_assert_eq!(done.root, oracle_root(&pairs));
        store(&mut nodes, done);
        prop_assert_eq!(built(&pairs).1, nodes);
    }
}

/// Batches above the size from which threads are used, over keys that fill the trie, one child of the root, or none.
#[test]
fn large_batches_agree_with_the_oracle() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut nodes, mut pairs, mut memory) = (Nodes::new(), Pairs::new(), KnownTrie::default());
    for round in 0..6u8 {
        let known: Vec<B256> = pairs.keys().copied().collect();
        let mut batch = Batch::new();
        for _ in 0..1500 {
            let mut key = B256::from(random.random::<[u8; 32]>());
            if round == 0 {
                key.0[0] = 0x7a;
            }
            batch.push((key, Some(random.random::<[u8; 40]>()[..random.random_range(1..40)].to_vec())));
        }
        batch.extend(known.iter().filter(|_| random.random_bool(0.4)).map(|key| (*key, None)));
        apply(&mut pairs, &batch);
        let read = update(&nodes, batch.clone()).unwrap();
        let update = update_known(&nodes, &mut memory, batch).unwrap();
        assert_eq!(update, read, "round {round}");
        assert_eq!(update.root, oracle_root(&pairs), "round {round}");
        store(&mut nodes, update);
        assert_eq!(built(&pairs).1, nodes, "round {round}");
    }
    // All but those below one child of the root go, so that the root merges with a child changed in parallel.
    let batch: Batch =
        pairs.keys().map(|key| (*key, if key.0[0] >> 4 == 7 { Some(vec![9; 33]) } else { None })).collect();
    apply(&mut pairs, &batch);
    let last = update_known(&nodes, &mut memory, batch.clone()).unwrap();
    assert_eq!(last, update(&nodes, batch).unwrap());
    assert_eq!(last.root, oracle_root(&pairs));
    store(&mut nodes, last);
    assert_eq!(built(&pairs).1, nodes);
}

/// A batch that is so large that parts two nibbles deep are settled one by one: some end, some begin, some become a leaf that
/// moves up, and the update is taken back.
#[test]
fn a_very_large_batch_agrees_with_the_oracle_and_is_taken_back() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut nodes, mut pairs, mut known) = (Nodes::new(), Pairs::new(), KnownTrie::default());
    let mut key = || B256::from(random.random::<[u8; 32]>());
    let first: Batch = (0..10_000).map(|number| (key(), Some(vec![1; 1 + number % 60]))).collect();
    let set = (0..4_000).map(|number| (key(), Some(vec![2; 1 + number % 60])));
    let second: Batch = first
        .iter()
        .enumerate()
        .map(|(at, (key, value))| match (key.0[0] >> 4, at % 3) {
            // Below these nothing stays, or a single leaf.
            (0x3 | 0xb, _) => (*key, None),
            (_, 0) => (*key, None),
            (_, 1) => (*key, value.clone()),
            _ => (*key, Some(vec![3; 50])),
        })
        .chain(set.filter(|(key, _)| !matches!(key.0[0] >> 4, 0x3 | 0xb)))
        .chain([(B256::repeat_byte(0xb5), Some(vec![4; 50]))])
        .collect();
    apply(&mut pairs, &first);
    let done = update_known(&nodes, &mut known, first).unwrap();
    assert_eq!(done.root, oracle_root(&pairs));
    store(&mut nodes, done);
    let before = known.root();
    let lost = update_known(&nodes, &mut known, second.clone()).unwrap();
    assert_eq!(lost, update(&nodes, second.clone()).unwrap());
    known.take_back(&nodes).unwrap();
    assert_eq!(known.root(), before);
    apply(&mut pairs, &second);
    let done = update_known(&nodes, &mut known, second).unwrap();
    assert_eq!(done, lost);
    assert_eq!(done.root, oracle_root(&pairs));
    store(&mut nodes, done);
    assert_eq!(built(&pairs).1, nodes);
}

#[test]
fn of_several_updates_of_a_key_the_last_counts() {
    let key = B256::repeat_byte(1);
    let twice = update(&Nodes::new(), vec![(key, Some(vec![1])), (key, None), (key, Some(vec![2]))]).unwrap();
    assert_eq!(twice, update(&Nodes::new(), vec![(key, Some(vec![2]))]).unwrap());
    assert_eq!(update(&Nodes::new(), vec![(key, Some(vec![1])), (key, None)]).unwrap().root, EMPTY_ROOT);
}

#[test]
fn an_empty_value_is_refused() {
    let key = B256::repeat_byte(1);
    let refused = update(&Nodes::new(), vec![(key, Some(Vec::new()))]);
    assert!(matches!(refused, Err(TrieError::EmptyValue { key: at }) if at == key));
}

/// Notes the paths that are read.
struct Watched {
    nodes: Nodes,
    read: Mutex<Vec<Nibbles>>,
}

impl NodeReader for Watched {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        self.read.lock().unwrap().push(*path);
        self.nodes.node(path)
    }
}

/// An update of one key among 5000 reads the nodes on its way, each once, and a deletion at most one sibling more.
#[test]
fn only_changed_paths_are_read() {
    let pairs: Pairs = (0..5000u32).map(|number| (keccak256(number.to_be_bytes()), vec![7; 40])).collect();
    let watched = Watched { nodes: built(&pairs).1, read: Mutex::default() };
    for (key, value) in pairs.keys().step_by(97).flat_map(|key| [(key, Some(vec![8; 40])), (key, None)]) {
        let deletes = usize::from(value.is_none());
        update(&watched, vec![(*key, value)]).unwrap();
        let read = std::mem::take(&mut *watched.read.lock().unwrap());
        let way = Nibbles::unpack(key);
        let aside = read.iter().filter(|path| !way.starts_with(path)).count();
        assert!(aside <= deletes, "{aside} nodes beside the way to {key} are read");
        assert!(read.len() <= 8, "{} nodes are read", read.len());
        assert!((1..read.len()).all(|at| !read[..at].contains(&read[at])), "a node is read twice");
    }
}

/// What an update went through once is not read again.
#[test]
fn what_is_known_is_not_read() {
    let pairs: Pairs = (0..500u32).map(|number| (keccak256(number.to_be_bytes()), vec![7; 40])).collect();
    let watched = Watched { nodes: built(&pairs).1, read: Mutex::default() };
    let key = *pairs.keys().nth(250).unwrap();
    let mut known = KnownTrie::default();
    update_known(&watched, &mut known, vec![(key, Some(vec![8; 40]))]).unwrap();
    assert!(!std::mem::take(&mut *watched.read.lock().unwrap()).is_empty());
    update_known(&watched, &mut known, vec![(key, Some(vec![9; 40]))]).unwrap();
    assert_eq!(watched.read.lock().unwrap().len(), 0);
}

/// Sequential storage slots are what contracts' arrays and counters look like before hashing.
#[test]
fn storage_slots_come_and_go() {
    let slot = |number: u64| keccak256(U256::from(number).to_be_bytes::<32>());
    let value = |number: u64| alloy_rlp::encode(U256::from(number));
    let mut batches: Vec<Batch> = Vec::new();
    for start in (0..200u64).step_by(20) {
        batches.push((start..start + 20).map(|number| (slot(number), Some(value(number + 1)))).collect());
    }
    for start in (0..200u64).step_by(20) {
        batches.push((start..start + 20).map(|number| (slot(number), None)).collect());
    }
    check(batches);
}
