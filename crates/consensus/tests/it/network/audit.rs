//! Watches what correct nodes do: nothing is said that is not on disk, nobody contradicts himself in any of his
//! lives, and superblocks hold only what they may.

use std::collections::{BTreeMap, BTreeSet};

use bxp_consensus::wire::{Envelope, Message};
use bxp_consensus::{Effect, Superblock, Vote, Votes};
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;

/// Bytes of a log record before its message: network (8) and validator (2).
const RECORD_PREFIX: usize = 10;

pub(crate) struct Audit {
    validators: u16,
    /// What correct nodes were told to propose.
    proposals: BTreeMap<(usize, Height), BTreeSet<Digest>>,
    persisted: BTreeSet<(usize, Height, ValidatorIndex, Vote)>,
    persisted_bodies: BTreeSet<(usize, Height, Digest)>,
    books: BTreeMap<(usize, Height), Votes>,
    /// Which correct nodes checked each proposal.
    pub(crate) checks: BTreeMap<(Height, ValidatorIndex, Digest), BTreeSet<usize>>,
    /// What was handed out as decided: everything that it rests on is on disk by then.
    handed_out: BTreeSet<(usize, Height)>,
    /// How often correct nodes said something to everybody.
    pub(crate) broadcasts: usize,
    /// The highest round in which a correct node said AUX.
    pub(crate) deepest_round: u32,
}

impl Audit {
    pub(crate) fn new(validators: usize) -> Self {
        Self {
            validators: u16::try_from(validators).unwrap(),
            proposals: BTreeMap::new(),
            persisted: BTreeSet::new(),
            persisted_bodies: BTreeSet::new(),
            books: BTreeMap::new(),
            checks: BTreeMap::new(),
            handed_out: BTreeSet::new(),
            broadcasts: 0,
            deepest_round: 0,
        }
    }

    pub(crate) fn proposed(&mut self, node: usize, height: Height, body: &Bytes) {
        self.proposals.entry((node, height)).or_default().insert(Digest::of(body));
    }

    pub(crate) fn checked(&mut self, node: usize, height: Height, proposer: ValidatorIndex, digest: Digest) {
        self.checks.entry((height, proposer, digest)).or_default().insert(node);
    }

    /// Sharded verification: no proposal is checked by more nodes than these.
    pub(crate) fn few_checks(&self, most: usize, state: &str) {
        for ((height, proposer, _), nodes) in &self.checks {
            assert!(
                nodes.len() <= most,
                "{state}: {nodes:?} checked the proposal of {proposer} at {height}, more than {most}"
            );
        }
    }

    pub(crate) fn effect(&mut self, node: usize, effect: &Effect, seed: u64) {
        match effect {
            Effect::Persist(record) => self.persist(node, &record.slice(RECORD_PREFIX..), seed),
            Effect::Send { message, .. } => self.said(node, message, seed),
            Effect::Broadcast { message } => {
                self.said(node, message, seed);
                self.broadcasts += 1;
            }
            Effect::Decided(superblock) => {
                self.handed_out.insert((node, superblock.height));
            }
            _ => {}
        }
    }

    fn persist(&mut self, node: usize, message: &Bytes, seed: u64) {
        let Envelope { height, message } = Envelope::decode(message, self.validators, usize::MAX).unwrap();
        match message {
            Message::Votes(votes) => {
                let empty = || Votes::new(self.validators);
                let book = self.books.entry((node, height)).or_insert_with(empty);
                for (instance, vote) in votes.iter() {
                    if let Vote::Auxiliary { round, .. } = vote {
                        self.deepest_round = self.deepest_round.max(round);
                    }
                    if self.persisted.insert((node, height, instance, vote)) {
                        let late =
                            matches!(vote, Vote::Decided(_)) && self.handed_out.contains(&(node, height));
                        assert!(!late, "seed {seed}: node {node} decided {height} on what was not on disk");
                        let consistent = book.insert(instance, vote);
                        assert!(
                            consistent,
                            "seed {seed}: node {node} contradicts itself at {height}: {vote:?}"
                        );
                    }
                }
            }
            Message::Init { body } | Message::Body { body, .. } => {
                self.persisted_bodies.insert((node, height, Digest::of(&body)));
            }
            other => panic!("seed {seed}: a log has no use for {other:?}"),
        }
    }

    fn said(&self, node: usize, message: &Bytes, seed: u64) {
        let Envelope { height, message } = Envelope::decode(message, self.validators, usize::MAX).unwrap();
        match message {
            Message::Init { body } => {
                let known = self.persisted_bodies.contains(&(node, height, Digest::of(&body)));
                assert!(known, "seed {seed}: node {node} proposes at {height} what is not on disk");
            }
            Message::Votes(votes) => {
                for (instance, vote) in votes.iter() {
                    let known = self.persisted.contains(&(node, height, instance, vote));
                    assert!(known, "seed {seed}: node {node} says at {height} what is not on disk: {vote:?}");
                    if let Vote::Echo(digest) = vote {
                        assert!(
                            self.persisted_bodies.contains(&(node, height, digest)),
                            "seed {seed}: echo without body"
                        );
                    }
                }
            }
            _ => {}
        }
    }

    /// Validity of what was decided.
    pub(crate) fn superblock(&self, superblock: &Superblock, least: usize, state: &str) {
        assert!(superblock.proposals.len() >= least, "{state}: too few proposals");
        let proposers: Vec<_> = superblock.proposals.iter().map(|proposal| proposal.proposer).collect();
        assert_eq!(superblock.bitmask.iter().collect::<Vec<_>>(), proposers, "{state}: bitmask");
        for proposal in &superblock.proposals {
            assert_eq!(Digest::of(&proposal.body), proposal.digest, "{state}: digest");
            assert!(!proposal.body.starts_with(b"bad"), "{state}: an invalid body is decided");
            let key = (usize::from(proposal.proposer.0), superblock.height);
            if let Some(told) = self.proposals.get(&key) {
                assert!(told.contains(&proposal.digest), "{state}: nobody proposed this");
            }
        }
    }
}
