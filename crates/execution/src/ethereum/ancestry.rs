//! Whose children the ommers of a block are (yellow paper, section 11.1).

use super::EthereumBlock;
use crate::{VerifyError, verify::Comparison};
use alloy_consensus::{Header, proofs::calculate_ommers_root};
use alloy_primitives::B256;
use std::collections::VecDeque;

/// Generations above a block among which its ommers' parents are: an ommer is at most 6 generations old.
const GENERATIONS_MAX: usize = 7;

/// The newest blocks of a chain that is imported, with the ommers that they include.
#[derive(Clone, Debug)]
pub struct Ancestry(VecDeque<Ancestor>);

#[derive(Clone, Debug)]
struct Ancestor {
    number: u64,
    hash: B256,
    /// Hashes of the ommers that it includes.
    ommers: Vec<B256>,
}

impl Ancestry {
    /// Of a chain that has its first block alone, which includes no ommers.
    #[must_use]
    pub fn of(genesis: &Header) -> Self {
        Self([Ancestor { number: genesis.number, hash: genesis.hash_slow(), ommers: Vec::new() }].into())
    }

    /// Goes on with `block`, which is in a folder already, once its ommers are checked; [`State::import`] goes on by
    /// itself with the block that it runs.
    ///
    /// # Errors
    /// [`VerifyError::Mismatch`] with the first ommer that the block may not include.
    ///
    /// [`State::import`]: crate::State::import
    pub fn follow(&mut self, block: &EthereumBlock) -> Result<(), VerifyError> {
        self.check(block)?;
        self.add(block);
        Ok(())
    }

    /// Goes on with `block`, which [`Ancestry::check`] has let pass. After a block that does not follow the newest one,
    /// no earlier one is known, so that none of their children is taken for an ommer.
    pub(crate) fn add(&mut self, block: &EthereumBlock) {
        if !self.is_followed_by(&block.header) {
            self.0.clear();
        }
        while self.0.len() >= GENERATIONS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Ancestor {
            number: block.header.number,
            hash: block.header.hash_slow(),
            ommers: block.ommers.iter().map(Header::hash_slow).collect(),
        });
    }

    /// Whether the ommers of `block` are those that its header names, each a child of an ancestor that is not the
    /// parent, no ancestor itself, and not included before.
    ///
    /// # Errors
    /// As [`Ancestry::follow`].
    pub(crate) fn check(&self, block: &EthereumBlock) -> Result<(), VerifyError> {
        let header = &block.header;
        let equal = Comparison(header.number);
        equal.check("sha3Uncles", calculate_ommers_root(&block.ommers), header.ommers_hash)?;
        let follows = self.is_followed_by(header);
        for ommer in &block.ommers {
            let hash = ommer.hash_slow();
            let mut grandparents = self.0.iter().rev().skip(1);
            let is_child = follows
                && grandparents.any(|ancestor| {
                    ancestor.hash == ommer.parent_hash && ancestor.number.saturating_add(1) == ommer.number
                });
            let found = format!("{hash} of block {}", ommer.number);
            equal.require("uncles", is_child, "children of ancestors 2 to 7 generations back", &found)?;
            let is_ancestor = self.0.iter().any(|ancestor| ancestor.hash == hash);
            equal.require("uncles", !is_ancestor, "none that is an ancestor", &found)?;
            let is_included = self.0.iter().any(|ancestor| ancestor.ommers.contains(&hash));
            equal.require("uncles", !is_included, "none that was included before", &found)?;
        }
        Ok(())
    }

    fn is_followed_by(&self, header: &Header) -> bool {
        self.0.back().is_some_and(|newest| newest.hash == header.parent_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EthereumGenesis, Retention, State, next_base_fee};
    use alloy_primitives::{Address, U256};
    use bxp_storage::Store;
    use bxp_types::NetworkId;

    /// A block with these ommers on the one that `parent` heads.
    fn child(parent: &Header, ommers: Vec<Header>) -> EthereumBlock {
        let header = Header {
            number: parent.number + 1,
            parent_hash: parent.hash_slow(),
            ommers_hash: calculate_ommers_root(&ommers),
            ..Header::default()
        };
        EthereumBlock { header, transactions: Vec::new(), ommers, withdrawals: None }
    }

    /// A block beside the chain: a child of `parent` that its time makes another one.
    fn beside(parent: &Header, timestamp: u64) -> Header {
        Header { timestamp, ..child(parent, Vec::new()).header }
    }

    /// Headers 0 to `newest` of a chain, and what is known after them.
    fn chain(newest: u64) -> (Vec<Header>, Ancestry) {
        let mut headers = vec![Header::default()];
        let mut ancestry = Ancestry::of(&headers[0]);
        for _ in 0..newest {
            let block = child(&headers[headers.len() - 1], Vec::new());
            ancestry.follow(&block).unwrap();
            headers.push(block.header);
        }
        (headers, ancestry)
    }

    fn refusal(ancestry: &Ancestry, block: &EthereumBlock) -> String {
        ancestry.clone().follow(block).unwrap_err().to_string()
    }

    #[test]
    fn ommers_are_children_of_ancestors_two_to_seven_generations_back() {
        let (headers, ancestry) = chain(9);
        for parent in 0..10 {
            let ommer = beside(&headers[parent], 1);
            let block = child(&headers[9], vec![ommer.clone()]);
            // The block is number 10: its parent is one generation back.
            let generations = 10 - parent;
            if (2..=7).contains(&generations) {
                ancestry.clone().follow(&block).unwrap();
                continue;
            }
            let refused = refusal(&ancestry, &block);
            let named = format!("verify block 10: uncles is {} of block {}", ommer.hash_slow(), parent + 1);
            assert!(refused.starts_with(&named), "{refused}");
            assert!(refused.contains("2 to 7 generations back"), "{refused}");
        }
    }

    #[test]
    fn a_strangers_child_or_one_of_another_number_is_no_ommer() {
        let (headers, ancestry) = chain(9);
        let stranger = beside(&headers[6], 1);
        let misnumbered = Header { number: 7, ..beside(&headers[7], 1) };
        for ommer in [beside(&stranger, 2), misnumbered] {
            let block = child(&headers[9], vec![ommer.clone()]);
            assert!(refusal(&ancestry, &block).contains(&ommer.hash_slow().to_string()), "{ommer:?}");
        }
    }

    #[test]
    fn an_ancestor_is_no_ommer() {
        let (headers, ancestry) = chain(9);
        let block = child(&headers[9], vec![headers[8].clone()]);
        assert!(refusal(&ancestry, &block).contains("none that is an ancestor"));
    }

    #[test]
    fn an_ommer_is_included_once() {
        let (headers, mut ancestry) = chain(9);
        let (ommer, other) = (beside(&headers[8], 1), beside(&headers[8], 2));
        let mut newest = child(&headers[9], vec![ommer.clone()]);
        ancestry.follow(&newest).unwrap();
        // For as long as it is young enough.
        for _ in 11..=15 {
            let again = child(&newest.header, vec![other.clone(), ommer.clone()]);
            assert!(refusal(&ancestry, &again).contains("none that was included before"));
            newest = child(&newest.header, Vec::new());
            ancestry.follow(&newest).unwrap();
        }
    }

    #[test]
    fn ommers_are_those_that_the_header_names() {
        let (headers, ancestry) = chain(3);
        let block = EthereumBlock { ommers: Vec::new(), ..child(&headers[3], vec![beside(&headers[2], 1)]) };
        assert!(refusal(&ancestry, &block).contains("sha3Uncles"));
    }

    #[test]
    fn behind_a_gap_no_ancestors_are_known() {
        let (headers, mut whole) = chain(9);
        let (_, mut short) = chain(4);
        let newest = child(&headers[9], Vec::new());
        let next = child(&newest.header, vec![beside(&headers[8], 1)]);
        whole.follow(&newest).unwrap();
        whole.follow(&next).unwrap();
        assert!(refusal(&short, &child(&headers[9], vec![beside(&headers[3], 1)])).contains("2 to 7"));
        short.follow(&newest).unwrap();
        assert!(refusal(&short, &next).contains("2 to 7 generations back"));
    }

    /// Goal: the importer goes on by itself with a block that is what its header says, and with no other.
    #[test]
    fn an_imported_block_is_the_newest_ancestor() {
        let config = r#""config": {"chainId": 1, "londonBlock": 0, "terminalTotalDifficulty": 0}"#;
        let rest =
            format!(r#""gasLimit": "0x1c9c380", "alloc": {{"{}": {{"balance": "0x1"}}}}"#, Address::ZERO);
        let genesis = EthereumGenesis::from_json(format!("{{{config}, {rest}}}").as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), NetworkId([1; 32])).unwrap();
        let state = State::open_ethereum(&store, &genesis, Retention::All).unwrap();
        let first = &state.genesis_block().header;
        let mut ancestry = Ancestry::of(first);
        let mut block = child(first, Vec::new());
        block.header.timestamp = 12;
        block.header.gas_limit = first.gas_limit;
        block.header.base_fee_per_gas = Some(next_base_fee(first));
        block.header.state_root = first.state_root;
        let mut wrong = block.clone();
        wrong.header.gas_used = 1;
        let refused = state.import(first, U256::ZERO, &mut ancestry, &wrong).unwrap_err();
        assert!(refused.to_string().contains("gasUsed"), "{refused}");
        assert!(ancestry.is_followed_by(&block.header));
        state.import(first, U256::ZERO, &mut ancestry, &block).unwrap();
        assert!(ancestry.is_followed_by(&child(&block.header, Vec::new()).header));
    }
}
