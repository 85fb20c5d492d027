//! The trie alone, ours beside the plain one, round by round: the accounts that a block of transfers changes.
//!
//! Both run on one and the same thread, on which ours finds no other to hand work to.

use super::{
    naive::NaiveTrie,
    rounds::{Ratios, Rounds},
    scene::Scene,
};
use crate::commands::bench::thread_cpu_us;
use alloy_consensus::{TrieAccount, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use anyhow::{Context, Result, ensure};
use bxp_trie::{EMPTY_ROOT, KnownTrie, Nibbles, NodeReadError, NodeReader, TrieUpdate};
use serde::Serialize;
use std::collections::HashMap;

/// What an update of one account costs in the middle of all rounds, in CPU microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Tries {
    pub(super) rounds: usize,
    /// Accounts that a round changes, others in each.
    pub(super) updates: usize,
    /// Ours on one thread, with what is to be stored.
    pub(super) ours_cpu_us: f64,
    /// The plain one, which has nothing to store.
    pub(super) naive_cpu_us: f64,
    /// The plain one / ours, of each round, in order of size: the lowest, the one in the middle, the highest.
    pub(super) ratio_lowest: f64,
    pub(super) ratio: f64,
    pub(super) ratio_highest: f64,
    /// Memory that ours takes for the nodes of all accounts.
    #[serde(skip)]
    pub(super) known_bytes: usize,
}

type Leaves = Vec<(B256, Option<Vec<u8>>)>;

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
    fn update(&mut self, leaves: Leaves) -> Result<TrieUpdate> {
        Ok(bxp_trie::update_known(&self.nodes, &mut self.known, leaves)?)
    }

    /// What a node puts into its database; the plain trie has none.
    fn store(&mut self, update: TrieUpdate) {
        for (path, change) in update.nodes {
            match change.after {
                Some(node) => self.nodes.0.insert(path, Bytes::copy_from_slice(&node)),
                None => self.nodes.0.remove(&path),
            };
        }
    }
}

impl NaiveTrie {
    fn update(&mut self, leaves: Leaves) -> B256 {
        leaves.into_iter().for_each(|(key, value)| self.insert(key, value.unwrap_or_default()));
        self.root()
    }
}

/// Updates both tries with `rounds` batches of as many accounts as a block of transfers changes.
pub(super) fn measure(scene: &Scene, rounds: usize) -> Result<Tries> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().context("start a thread")?;
    pool.install(|| on_this_thread(scene, rounds))
}

fn on_this_thread(scene: &Scene, rounds: usize) -> Result<Tries> {
    let everyone: Vec<Address> = scene.genesis.accounts.keys().copied().collect();
    let leaves = |balance: u64, addresses: &mut dyn Iterator<Item = &Address>| -> Leaves {
        addresses.map(|address| (keccak256(address), Some(leaf(balance)))).collect()
    };
    let (mut ours, mut naive) = (Ours::default(), NaiveTrie::default());
    let update = ours.update(leaves(1, &mut everyone.iter()))?;
    ours.store(update);
    naive.update(leaves(1, &mut everyone.iter()));
    let known_bytes = ours.known.bytes();

    let updates = 2 * scene.senders.len();
    let step = everyone.len() / updates;
    let (mut ours_us, mut naive_us) = (Rounds::default(), Rounds::default());
    // The one before the first is not counted.
    for round in 0..=rounds {
        let changed = || everyone.iter().skip(round % step).step_by(step).take(updates);
        let block = || Some(leaves(2 + round as u64, &mut changed()));
        let (mut for_ours, mut for_naive, mut roots) = (block(), block(), Vec::new());
        // Who comes second finds caches as the other left them, so each is first in half of the rounds.
        let ours_first = round % 2 == 0;
        for is_ours in [ours_first, !ours_first] {
            let begun = thread_cpu_us()?;
            if let Some(block) = for_ours.take_if(|_| is_ours) {
                let update = ours.update(block)?;
                ours_us.push((thread_cpu_us()? - begun) as f64);
                roots.push(update.root);
                ours.store(update);
            } else if let Some(block) = for_naive.take() {
                roots.push(naive.update(block));
                naive_us.push((thread_cpu_us()? - begun) as f64);
            }
        }
        ensure!(
            matches!(roots[..], [one, other] if one == other && one != EMPTY_ROOT),
            "the two tries give the same roots"
        );
    }
    let of_update = |rounds: &Rounds| rounds.median() / updates as f64;
    let Ratios { lowest, middle, highest } = naive_us.over(&ours_us);
    Ok(Tries {
        rounds,
        updates,
        ours_cpu_us: of_update(&ours_us),
        naive_cpu_us: of_update(&naive_us),
        ratio_lowest: lowest,
        ratio: middle,
        ratio_highest: highest,
        known_bytes,
    })
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
