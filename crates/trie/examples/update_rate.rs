//! What updates of accounts in a large trie cost: `cargo run --release -p bxp-trie --example update_rate -- ACCOUNTS
//! UPDATES ROUNDS`. Real time of the process, on one thread or many.

use alloy_primitives::{B256, Bytes, keccak256};
use bxp_trie::{KnownTrie, Nibbles, NodeReadError, NodeReader};
use std::{collections::HashMap, time::Instant};

struct Nodes(HashMap<Nibbles, Bytes>);

impl NodeReader for Nodes {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        Ok(self.0.get(path).cloned())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|argument| argument.parse()).collect::<Result<_, _>>()?;
    let [accounts, updates, rounds] = arguments[..] else {
        return Err("say how many accounts, updates a round, and rounds".into());
    };
    let leaf = |index: usize, value: u8| (keccak256(index.to_be_bytes()), Some(vec![value; 80]));
    let (nodes, mut known) = (Nodes(HashMap::new()), KnownTrie::default());
    bxp_trie::update_known(&nodes, &mut known, (0..accounts).map(|index| leaf(index, 1)).collect())?;
    let mut seconds = 0.0;
    let mut root = B256::ZERO;
    for round in 0..rounds {
        let batch: Vec<_> =
            (0..updates).map(|n| leaf((n * 7919 + round) % accounts, 2 + round as u8)).collect();
        let begun = Instant::now();
        root = bxp_trie::update_known(&nodes, &mut known, batch)?.root;
        seconds += begun.elapsed().as_secs_f64();
    }
    println!("{:.2} us an update, {root}", seconds * 1e6 / (updates * rounds) as f64);
    Ok(())
}
