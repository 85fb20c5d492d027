//! The trie alone, ours beside the plain one: the accounts that a block of transfers changes.

use super::{cpu_us, naive::NaiveTrie, scene::Scene};
use alloy_consensus::{TrieAccount, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use anyhow::{Result, ensure};
use bxp_trie::{EMPTY_ROOT, KnownTrie, Nibbles, NodeReadError, NodeReader, TrieUpdate};
use std::collections::HashMap;

/// CPU microseconds for an update of one account.
pub(super) struct Tries {
    pub(super) ours_cpu_us: f64,
    pub(super) naive_cpu_us: f64,
    /// Memory that ours takes for the nodes of all accounts.
    pub(super) known_bytes: usize,
}

/// Batches of updates that are measured, with other balances each.
const ROUNDS: u64 = 5;

/// The stored nodes, and what is in memory of them, as a node has it of its accounts.
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
    fn update(&mut self, leaves: Vec<(B256, Option<Vec<u8>>)>) -> Result<TrieUpdate> {
        Ok(bxp_trie::update_known(&self.nodes, &mut self.known, leaves)?)
    }

    fn store(&mut self, update: TrieUpdate) {
        for (path, change) in update.nodes {
            match change.after {
                Some(node) => self.nodes.0.insert(path, Bytes::copy_from_slice(&node)),
                None => self.nodes.0.remove(&path),
            };
        }
    }
}

pub(super) fn measure(scene: &Scene) -> Result<Tries> {
    let everyone: Vec<Address> = scene.genesis.accounts.keys().copied().collect();
    let leaves = |balance: u64, addresses: &[Address]| -> Vec<(B256, Option<Vec<u8>>)> {
        addresses.iter().map(|address| (keccak256(address), Some(leaf(balance)))).collect()
    };
    let whole = leaves(1, &everyone);
    let step = everyone.len() / (2 * scene.senders.len()) + 1;
    let changed: Vec<Address> = everyone.iter().step_by(step).copied().collect();
    let count = (changed.len() as u64 * ROUNDS) as f64;

    let (mut ours, mut ours_us, mut roots) = (Ours::default(), 0, Vec::new());
    let update = ours.update(whole.clone())?;
    ours.store(update);
    let known_bytes = ours.known.bytes();
    for round in 0..ROUNDS {
        let block = leaves(2 + round, &changed);
        let begun = cpu_us()?;
        let update = ours.update(block)?;
        ours_us += cpu_us()? - begun;
        roots.push(update.root);
        // What a node puts into its database; the plain trie has none.
        ours.store(update);
    }
    drop(ours);

    let (mut naive, mut naive_us, mut others) = (NaiveTrie::default(), 0, Vec::new());
    whole.into_iter().for_each(|(key, value)| naive.insert(key, value.unwrap_or_default()));
    naive.root();
    for round in 0..ROUNDS {
        let block = leaves(2 + round, &changed);
        let begun = cpu_us()?;
        block.into_iter().for_each(|(key, value)| naive.insert(key, value.unwrap_or_default()));
        others.push(naive.root());
        naive_us += cpu_us()? - begun;
    }
    ensure!(roots == others && !roots.contains(&EMPTY_ROOT), "the two tries give the same roots");
    let (ours_cpu_us, naive_cpu_us) = (ours_us as f64 / count, naive_us as f64 / count);
    Ok(Tries { ours_cpu_us, naive_cpu_us, known_bytes })
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
