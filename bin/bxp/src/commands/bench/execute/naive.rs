//! A plain Merkle-Patricia trie: nodes behind pointers, one insertion after the other, then every changed node hashed on
//! one core. What ours is measured against.

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{BufMut as _, Encodable as _, Header};
use bxp_trie::EMPTY_ROOT;

#[derive(Default)]
pub(super) struct NaiveTrie(Option<Box<Node>>);

enum Node {
    Leaf { rest: Vec<u8>, value: Vec<u8>, reference: Option<Vec<u8>> },
    Branch { prefix: Vec<u8>, children: [Option<Box<Node>>; 16], reference: Option<Vec<u8>> },
}

impl NaiveTrie {
    /// Sets the value of a hashed key.
    pub(super) fn insert(&mut self, key: B256, value: Vec<u8>) {
        let nibbles: Vec<u8> = key.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).collect();
        self.0 = Some(Box::new(match self.0.take() {
            None => leaf(&nibbles, value),
            Some(node) => node.insert(&nibbles, value),
        }));
    }

    /// The root hash.
    pub(super) fn root(&mut self) -> B256 {
        self.0.as_mut().map_or(EMPTY_ROOT, |node| keccak256(node.encode()))
    }
}

fn leaf(rest: &[u8], value: Vec<u8>) -> Node {
    Node::Leaf { rest: rest.to_vec(), value, reference: None }
}

fn branch(prefix: &[u8], one: (u8, Node), other: (u8, Node)) -> Node {
    let mut children = [const { None }; 16];
    for (nibble, node) in [one, other] {
        children[usize::from(nibble)] = Some(Box::new(node));
    }
    Node::Branch { prefix: prefix.to_vec(), children, reference: None }
}

impl Node {
    fn insert(self, key: &[u8], value: Vec<u8>) -> Self {
        match self {
            Self::Leaf { rest, .. } if rest == key => leaf(key, value),
            Self::Leaf { rest, value: old, .. } => {
                let at = shared(&rest, key);
                let old = (rest[at], leaf(&rest[at + 1..], old));
                branch(&key[..at], old, (key[at], leaf(&key[at + 1..], value)))
            }
            Self::Branch { prefix, mut children, .. } => {
                let at = shared(&prefix, key);
                if at < prefix.len() {
                    let rest = Self::Branch { prefix: prefix[at + 1..].to_vec(), children, reference: None };
                    return branch(&prefix[..at], (prefix[at], rest), (key[at], leaf(&key[at + 1..], value)));
                }
                let (slot, below) = (&mut children[usize::from(key[at])], &key[at + 1..]);
                *slot = Some(Box::new(match slot.take() {
                    None => leaf(below, value),
                    Some(child) => child.insert(below, value),
                }));
                Self::Branch { prefix, children, reference: None }
            }
        }
    }

    /// The node's RLP.
    fn encode(&mut self) -> Vec<u8> {
        match self {
            Self::Leaf { rest, value, .. } => {
                let mut payload = Vec::new();
                compact(rest, true).as_slice().encode(&mut payload);
                value.as_slice().encode(&mut payload);
                list(&payload)
            }
            Self::Branch { prefix, children, .. } => {
                let mut payload = Vec::with_capacity(533);
                for child in children {
                    match child {
                        None => payload.put_u8(alloy_rlp::EMPTY_STRING_CODE),
                        Some(child) => payload.extend(child.reference()),
                    }
                }
                payload.put_u8(alloy_rlp::EMPTY_STRING_CODE);
                let node = list(&payload);
                if prefix.is_empty() {
                    return node;
                }
                let mut payload = Vec::new();
                compact(prefix, false).as_slice().encode(&mut payload);
                payload.extend(referred(node));
                list(&payload)
            }
        }
    }

    /// What the parent says of this node, remembered until it changes.
    fn reference(&mut self) -> Vec<u8> {
        if let Self::Leaf { reference: Some(known), .. } | Self::Branch { reference: Some(known), .. } = self
        {
            return known.clone();
        }
        let new = referred(self.encode());
        let (Self::Leaf { reference, .. } | Self::Branch { reference, .. }) = self;
        *reference = Some(new.clone());
        new
    }
}

fn referred(node: Vec<u8>) -> Vec<u8> {
    if node.len() < 32 { node } else { alloy_rlp::encode(keccak256(node)) }
}

fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut rlp = Vec::with_capacity(payload.len() + 3);
    Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
    rlp.extend_from_slice(payload);
    rlp
}

/// Nibbles with their parity and kind (yellow paper, appendix C).
fn compact(nibbles: &[u8], leaf: bool) -> Vec<u8> {
    let odd = nibbles.len() % 2;
    let flag = if leaf { 2 } else { 0 } + if odd == 1 { 1 } else { 0 };
    let mut bytes = vec![flag << 4 | if odd == 1 { nibbles[0] } else { 0 }];
    bytes.extend(nibbles[odd..].chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_trie_gives_the_roots_of_ours() {
        let mut naive = NaiveTrie::default();
        assert_eq!(naive.root(), EMPTY_ROOT);
        let mut leaves = Vec::new();
        for index in 0_u32..300 {
            let (key, value) = (keccak256((index % 250).to_be_bytes()), vec![(index % 251) as u8; 40]);
            naive.insert(key, value.clone());
            leaves.push((key, Some(value)));
            let ours = bxp_trie::update(&std::collections::BTreeMap::new(), leaves.clone()).unwrap().root;
            assert_eq!(naive.root(), ours, "after {index}");
        }
    }
}
