//! Damaged stores and hostile proofs: an error, never a panic, never a wrong answer.

use crate::oracle::{Nodes, Pairs, any_key, apply, batch, built};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{
    TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode},
};
use bxp_trie::{Nibbles, NodeReadError, NodeReader, TrieError, prove, update, verify_proof};
use proptest::prelude::*;

/// The same bytes at every path.
struct Everywhere(Bytes);

impl NodeReader for Everywhere {
    fn node(&self, _: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        Ok(Some(self.0.clone()))
    }
}

/// A store that fails.
struct Broken;

impl NodeReader for Broken {
    fn node(&self, _: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        Err(NodeReadError::new("the disk is gone"))
    }
}

/// A reference to a child, well formed or not.
fn child() -> impl Strategy<Value = RlpNode> {
    prop_oneof![
        Just(RlpNode::word_rlp(&B256::repeat_byte(4))),
        prop::collection::vec(any::<u8>(), 1..33).prop_map(|raw| RlpNode::from_raw(&raw).unwrap()),
    ]
}

/// A key within a node.
fn key() -> impl Strategy<Value = Nibbles> {
    prop::collection::vec(0u8..16, 0..=64).prop_map(Nibbles::from_nibbles)
}

/// Bytes that are nearly, or not at all, a node.
fn near_node() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        (key(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(key, value)| {
            let mut rlp = Vec::new();
            LeafNodeRef::new(&key, &value).rlp(&mut rlp);
            rlp
        }),
        (key(), child()).prop_map(|(key, child)| {
            let mut rlp = Vec::new();
            ExtensionNodeRef::new(&key, &child).rlp(&mut rlp);
            rlp
        }),
        (any::<u16>(), child()).prop_map(|(mask, child)| {
            let mask = TrieMask::new(mask);
            let stack = vec![child; usize::from(mask.count_bits())];
            let mut rlp = Vec::new();
            BranchNodeRef::new(&stack, mask).rlp(&mut rlp);
            rlp
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn hostile_proofs_never_panic(
        mut proof in prop::collection::vec(near_node(), 1..4),
        key in any_key(),
        linked: bool,
    ) {
        // A linked proof gets past the hashes, so that what a node says is met.
        if linked && proof.len() > 1 {
            let below = RlpNode::from_rlp(&proof[1]);
            let mut rlp = Vec::new();
            BranchNodeRef::new(&vec![below; 16], TrieMask::new(u16::MAX)).rlp(&mut rlp);
            proof[0] = rlp;
        }
        let root = keccak256(&proof[0]);
        let proof: Vec<Bytes> = proof.into_iter().map(Bytes::from).collect();
        let _ = verify_proof(root, key, &proof);
        let _ = verify_proof(B256::ZERO, key, &proof);
    }

    #[test]
    fn hostile_stores_never_panic(node in near_node(), batch in batch(6)) {
        let reader = Everywhere(node.into());
        for (key, _) in &batch {
            let _ = prove(&reader, *key);
        }
        let _ = update(&reader, batch);
    }

    #[test]
    fn a_lost_node_is_missed(first in batch(30), lost in any::<prop::sample::Index>()) {
        let mut pairs = Pairs::new();
        apply(&mut pairs, &first);
        prop_assume!(!pairs.is_empty());
        let (_, mut nodes) = built(&pairs);
        let paths: Vec<Nibbles> = nodes.keys().filter(|path| !path.is_empty()).copied().collect();
        prop_assume!(!paths.is_empty());
        let path = paths[lost.index(paths.len())];
        nodes.remove(&path);
        let all = pairs.keys().map(|key| (*key, None)).collect();
        let refused = update(&nodes, all);
        assert!(matches!(refused, Err(TrieError::Missing { path: at }) if at == path));
        for key in pairs.keys().filter(|key| Nibbles::unpack(key).starts_with(&path)) {
            let refused = prove(&nodes, *key);
            assert!(matches!(refused, Err(TrieError::Missing { path: at }) if at == path));
        }
    }
}

#[test]
fn a_proof_is_not_made_of_a_wrong_node() {
    let pairs: Pairs = (0..64u8).map(|number| (keccak256([number]), vec![number; 40])).collect();
    let (_, mut nodes) = built(&pairs);
    let (key, _) = pairs.first_key_value().unwrap();
    let path = *nodes.keys().rfind(|path| Nibbles::unpack(key).starts_with(path)).unwrap();
    let mut rlp = Vec::new();
    let rest = Nibbles::unpack(key).slice(path.len()..);
    LeafNodeRef::new(&rest, &[9; 40]).rlp(&mut rlp);
    nodes.insert(path, rlp.into());
    assert!(matches!(prove(&nodes, *key), Err(TrieError::WrongHash { path: at, .. }) if at == path));
}

#[test]
fn a_failing_store_is_reported_with_its_reason() {
    let key = B256::repeat_byte(1);
    let refused = update(&Broken, vec![(key, None)]).unwrap_err();
    let mut reasons = Vec::new();
    let mut source: Option<&dyn std::error::Error> = Some(&refused);
    while let Some(error) = source {
        reasons.push(error.to_string());
        source = error.source();
    }
    assert_eq!(reasons.last().map(String::as_str), Some("the disk is gone"));
    assert!(matches!(prove(&Broken, key), Err(TrieError::Read { .. })));
    assert!(update(&Nodes::new(), vec![(key, None)]).unwrap().nodes.is_empty());
}
