//! Roots that other implementations agree on, and the bytes of a stored trie.

use crate::oracle::Nodes;
use alloy_primitives::{B256, b256, hex, keccak256};
use bxp_trie::{Nibbles, update};

/// `trieanyorder_secureTrie.json` of ethereum/tests: the keys are hashed.
#[test]
fn the_common_secure_trie_tests() {
    check(
        &[("A", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")],
        b256!("e9e2935138352776cad724d31c9fa5266a5c593bb97726dd2a908fe6d53284df"),
    );
    check(
        &[("doe", "reindeer"), ("dog", "puppy"), ("dogglesworth", "cat")],
        b256!("d4cd937e4a4368d7931a9cf51686b7e10abb3dce38a39000fd7902a092b64585"),
    );
    check(
        &[("do", "verb"), ("horse", "stallion"), ("doge", "coin"), ("dog", "puppy")],
        b256!("29b235a58c3c25ab83010c327d5932bcf05324b7d6b1185e650798034783ca9d"),
    );
    check(
        &[("foo", "bar"), ("food", "bass")],
        b256!("1385f23a33021025d9e87cca5c66c00de06178807b96a9acc92b7d651ccde842"),
    );
}

fn check(pairs: &[(&str, &str)], root: B256) {
    let batch = pairs.iter().map(|(key, value)| (keccak256(key), Some(value.as_bytes().to_vec()))).collect();
    assert_eq!(update(&Nodes::new(), batch).unwrap().root, root);
}

/// The disk format: an extension at the root, a branch below it with one leaf inside it and one beside it.
#[test]
fn the_stored_nodes_are_pinned() {
    let mut one = [0x11; 32];
    let mut other = [0x11; 32];
    one[31] = 0x12;
    other[31] = 0x13;
    let batch = vec![(B256::from(one), Some(vec![0x05])), (B256::from(other), Some(vec![0xee; 40]))];
    let nodes = update(&Nodes::new(), batch).unwrap().nodes;
    let stored: Vec<(Vec<u8>, String)> =
        nodes.into_iter().map(|(path, change)| (path.to_vec(), hex::encode(change.after.unwrap()))).collect();
    let path = |nibbles: &[u8]| Nibbles::from_nibbles(nibbles).to_vec();
    let mut leaf = vec![1; 63];
    leaf.push(3);
    let expected = vec![
        (path(&[]), EXTENSION.to_owned()),
        (path(&[1; 63]), BRANCH.to_owned()),
        (path(&leaf), LEAF.to_owned()),
    ];
    assert_eq!(stored, expected);
}

const EXTENSION: &str = concat!(
    "f842a0",
    "1111111111111111111111111111111111111111111111111111111111111111",
    "a0",
    "f9a1c54a80d0e79b1af696b9de24b48f029154d775e906c27c0a0a91caa0e1b6",
);
const BRANCH: &str = concat!(
    "f38080c22005a0",
    "cfd779073d58f3620f88be71160ac1c8ba243b34dc32854e116a258a63a5924a",
    "80808080808080808080808080",
);
const LEAF: &str =
    concat!("ea20a8", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
