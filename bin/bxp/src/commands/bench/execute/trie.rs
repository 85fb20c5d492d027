//! The trie alone, ours beside the plain one: the accounts that a block of transfers changes.

use super::{cpu_us, naive::NaiveTrie, scene::Scene};
use alloy_consensus::{TrieAccount, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use anyhow::{Result, ensure};
use bxp_trie::{EMPTY_ROOT, KnownTrie, Nibbles, NodeReadError, NodeReader};
use std::collections::HashMap;

/// CPU microseconds for an update of one account.
pub(super) struct Tries {
    pub(super) ours_cpu_us: f64,
    pub(super) naive_cpu_us: f64,
}

/// What is known of the trie from one update to the next: as much as a node keeps of its accounts.
const KNOWN_BYTES_MAX: usize = 96 << 20;

#[derive(Default)]
struct Ours {
    nodes: Nodes,
    known: KnownTrie,
}

#[derive(Default)]
struct Nodes(HashMap<Nibbles, Bytes>);

impl NodeReader for Nodes {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        Ok(self.0.get(path).cloned())
    }
}

impl Ours {
    fn update(&mut self, leaves: Vec<(B256, Option<Vec<u8>>)>) -> Result<B256> {
        let (update, known) = bxp_trie::update_known(&self.nodes, &self.known, leaves)?;
        self.known = known.trimmed(KNOWN_BYTES_MAX);
        for (path, change) in update.nodes {
            match change.after {
                Some(node) => self.nodes.0.insert(path, node),
                None => self.nodes.0.remove(&path),
            };
        }
        Ok(update.root)
    }
}

pub(super) fn measure(scene: &Scene) -> Result<Tries> {
    let everyone: Vec<Address> = scene.genesis.accounts.keys().copied().collect();
    let leaves = |balance: u64, addresses: &[Address]| -> Vec<(B256, Option<Vec<u8>>)> {
        addresses.iter().map(|address| (keccak256(address), Some(leaf(balance)))).collect()
    };
    let whole = leaves(1, &everyone);
    let changed: Vec<Address> =
        everyone.iter().step_by(everyone.len() / (2 * scene.senders.len()) + 1).copied().collect();
    let block = leaves(2, &changed);

    let mut ours = Ours::default();
    ours.update(whole.clone())?;
    let begun = cpu_us()?;
    let root = ours.update(block.clone())?;
    let ours_cpu_us = (cpu_us()? - begun) as f64 / changed.len() as f64;
    drop(ours);

    let mut naive = NaiveTrie::default();
    whole.into_iter().for_each(|(key, value)| naive.insert(key, value.unwrap_or_default()));
    naive.root();
    let begun = cpu_us()?;
    block.into_iter().for_each(|(key, value)| naive.insert(key, value.unwrap_or_default()));
    let other = naive.root();
    let naive_cpu_us = (cpu_us()? - begun) as f64 / changed.len() as f64;
    ensure!(root == other && root != EMPTY_ROOT, "the two tries give one root: {root} and {other}");
    Ok(Tries { ours_cpu_us, naive_cpu_us })
}

fn leaf(balance: u64) -> Vec<u8> {
    let account = TrieAccount {
        nonce: 1,
        balance: U256::from(balance) << 64,
        storage_root: EMPTY_ROOT,
        code_hash: KECCAK_EMPTY,
    };
    alloy_rlp::encode(account)
}
