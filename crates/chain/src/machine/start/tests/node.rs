//! One of four validators whose peers, clock and execution are the test's: they do what it says, and only then.

use crate::{
    Attester, ChainConfig, Effect, Input, Job, Machine, Moment, Shared, Verification, codec,
    machine::start::LAG_MAX,
    mempool::PoolLimits,
    proposal::{
        Proposal, ProposalRules,
        tests::{CHAIN_ID, transfer},
    },
};
use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718 as _;
use bxp_consensus::{
    Vote, Votes,
    wire::{Envelope, Message},
};
use bxp_execution::Retention;
use bxp_network::Channel;
use bxp_storage::{MemoryDisk, Store};
use bxp_types::{
    Address, Amount, Attestation, B256, Certificate, Digest, Genesis, GenesisAccount, Height, Jurisdiction,
    NetworkId, RecoveredTransaction, StoredBlock, SubmitError, ValidatorEntry, ValidatorIndex,
};
use bytes::Bytes;
use ed25519_zebra::{SigningKey, VerificationKey};
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

const VALIDATORS: u16 = 4;
/// All validators but the node itself, which is the first.
const OTHERS: [u16; 3] = [1, 2, 3];
/// Seeds of the senders that have money.
const SENDERS: [u8; 2] = [1, 2];
/// Turns after which nothing more follows: one begins at most one height.
const TURNS: u64 = LAG_MAX + 2;

/// The node and what it wants done.
pub(in crate::machine) struct Node {
    pub(in crate::machine) machine: Machine,
    /// Blocks and imports that the machine wants made or written.
    pub(in crate::machine) jobs: VecDeque<Job>,
    /// Own proposals and their bodies.
    proposed: BTreeMap<Height, (Bytes, Proposal)>,
}

struct Key(SigningKey);

impl Attester for Key {
    fn attest(&self, me: ValidatorIndex, network: NetworkId, height: Height, hash: B256) -> Attestation {
        Attestation::sign(&self.0, me, network, height, hash)
    }
}

fn key(validator: u16) -> SigningKey {
    SigningKey::from([u8::try_from(validator).unwrap() + 1; 32])
}

pub(in crate::machine) fn genesis() -> Genesis {
    let entry = |index: u16| ValidatorEntry {
        name: format!("v{index}"),
        jurisdiction: Jurisdiction::US,
        public_key: B256::from(<[u8; 32]>::from(VerificationKey::from(&key(index)))),
        sealing_key: B256::left_padding_from(&index.to_be_bytes()),
        account: Address::left_padding_from(&(index + 1).to_be_bytes()),
        p2p_address: format!("127.0.0.1:{}", 1_000 + index),
    };
    let money = |seed: u8| {
        let account = GenesisAccount { balance: Amount::from_bxm(1_000), ..GenesisAccount::default() };
        (transfer(seed, 0, 1).signer(), account)
    };
    Genesis {
        chain_id: CHAIN_ID,
        time_ms: 0,
        gas_limit: 30_000_000,
        base_fee_wei: 1_000_000_000,
        treasury: Address::repeat_byte(0xfe),
        validators: (0..VALIDATORS).map(entry).collect(),
        accounts: SENDERS.into_iter().map(money).collect(),
        identity_copies: BTreeMap::new(),
    }
}

pub(in crate::machine) fn at(ms: u64) -> Moment {
    Moment { elapsed: Duration::from_millis(ms), wall_ms: 1_000_000 + ms }
}

pub(in crate::machine) fn after(now: Moment, wait: Duration) -> Moment {
    Moment { elapsed: now.elapsed + wait, ..now }
}

impl Node {
    pub(in crate::machine) fn open() -> Self {
        Self::open_with(genesis(), PoolLimits::default(), Verification::All)
    }

    pub(in crate::machine) fn open_with(
        genesis: Genesis,
        pool: PoolLimits,
        verification: Verification,
    ) -> Self {
        let disk = MemoryDisk::new(1);
        let store = Store::open_in(&disk, Path::new("/node"), genesis.network_id()).unwrap();
        let config = ChainConfig {
            me: ValidatorIndex(0),
            journal: "/node/consensus.log".into(),
            block_interval: Duration::ZERO,
            pool,
            retention: Retention::default(),
            verification,
            vote_gather: None,
            segments: None,
            run_ahead: true,
        };
        let shared = Arc::new(Shared::open(genesis, config, store).unwrap());
        let machine = Machine::open(shared, Box::new(Key(key(0))), Vec::new(), at(0)).unwrap();
        Self { machine, jobs: VecDeque::new(), proposed: BTreeMap::new() }
    }

    /// A client submits a transaction.
    pub(in crate::machine) fn admit(&self, transaction: &RecoveredTransaction) -> Result<(), SubmitError> {
        self.machine.shared.admit(&transaction.encoded_2718()).map(|_| ())
    }

    /// Takes turns until nothing more follows, and gives what the node says and asks for. Proposals are checked at once;
    /// blocks and imports wait for [`Self::work`].
    pub(in crate::machine) fn turns(&mut self, now: Moment) -> Vec<Effect> {
        let mut wanted = Vec::new();
        for _ in 0..TURNS {
            for effect in self.machine.turn(now).unwrap() {
                match effect {
                    Effect::Run(check @ Job::Check { .. }) => {
                        let checked = check.run(&self.machine.shared);
                        self.machine.handle(checked, now).unwrap();
                    }
                    Effect::Run(job) => self.jobs.push_back(job),
                    Effect::Broadcast { channel: Channel::Bodies, bytes } => self.note_proposal(&bytes),
                    other => wanted.push(other),
                }
            }
        }
        wanted
    }

    fn note_proposal(&mut self, bytes: &Bytes) {
        let rules = ProposalRules::of(&self.machine.shared.genesis);
        let Envelope { height, message } = Envelope::decode(bytes, VALIDATORS, rules.bytes_max).unwrap();
        if let Message::Init { body } = message {
            let proposal = Proposal::check(&body, rules).unwrap();
            self.proposed.insert(height, (body, proposal));
        }
    }

    /// The nonces of what the node proposes at `height`, in order.
    pub(in crate::machine) fn nonces(&self, height: u64) -> Vec<u64> {
        let (_, proposal) = &self.proposed[&Height(height)];
        proposal.transactions.iter().map(|transaction| transaction.nonce()).collect()
    }

    /// The size of what the node proposes at `height`.
    pub(in crate::machine) fn body_bytes(&self, height: u64) -> usize {
        self.proposed[&Height(height)].0.len()
    }

    /// Another validator works on `height`.
    pub(in crate::machine) fn hears(&mut self, from: u16, height: Height, now: Moment) {
        let mut votes = Votes::new(VALIDATORS);
        votes.insert(ValidatorIndex(from), Vote::Echo(Digest::of(b"a body")));
        self.receive(from, height, Message::Votes(votes), now);
    }

    /// The others propose nothing at `height`, and all four proposals are decided to enter.
    pub(in crate::machine) fn decide(&mut self, height: Height, now: Moment) {
        let mut digests = vec![Digest::of(&self.proposed[&height].0)];
        for from in OTHERS {
            let proposal = Proposal { time_ms: now.wall_ms + u64::from(from), transactions: Vec::new() };
            let body = Bytes::from(proposal.encode());
            digests.push(Digest::of(&body));
            self.receive(from, height, Message::Init { body }, now);
        }
        let mut votes = Votes::new(VALIDATORS);
        for (proposer, digest) in (0..).map(ValidatorIndex).zip(digests) {
            votes.insert(proposer, Vote::Ready(digest));
            votes.insert(proposer, Vote::Decided(true));
        }
        for from in OTHERS {
            self.receive(from, height, Message::Votes(votes.clone()), now);
        }
        self.turns(now);
    }

    fn receive(&mut self, from: u16, height: Height, message: Message, now: Moment) {
        let bytes = Envelope { height, message }.encode();
        let input = Input::Message { from: ValidatorIndex(from), channel: Channel::Consensus, bytes };
        self.machine.handle(input, now).unwrap();
    }

    /// The oldest block or import that the machine wants is made and written.
    pub(in crate::machine) fn work(&mut self, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            let is_step = matches!(self.jobs.front(), Some(Job::Run { .. } | Job::Seal { .. }));
            effects.extend(self.do_job(0, now));
            if !is_step {
                return effects;
            }
        }
    }

    /// The job at this place is done.
    pub(in crate::machine) fn do_job(&mut self, place: usize, now: Moment) -> Vec<Effect> {
        let done = self.jobs.remove(place).unwrap().run(&self.machine.shared);
        self.machine.handle(done, now).unwrap();
        self.turns(now)
    }

    /// One block from a transaction to its execution, when no height is open.
    pub(in crate::machine) fn block(&mut self, nonce: u64, now: Moment) -> Vec<Effect> {
        self.admit(&transfer(1, nonce, 1)).unwrap();
        self.turns(now);
        self.decide(self.machine.started, now);
        self.work(now)
    }

    /// The others attest the node's block at `height`, so that it has its certificate.
    pub(in crate::machine) fn attest_by_others(&mut self, height: Height, now: Moment) {
        let block = self.machine.shared.blocks.block(height).unwrap().unwrap();
        for from in OTHERS {
            let bytes = codec::encode_attestation(&self.word_of(from, &block)).into();
            let input = Input::Message { from: ValidatorIndex(from), channel: Channel::Attestation, bytes };
            self.machine.handle(input, now).unwrap();
        }
        self.turns(now);
    }

    /// The others' certificate of a block.
    pub(in crate::machine) fn certificate(&self, block: &StoredBlock) -> Certificate {
        let signature = |from| (ValidatorIndex(from), self.word_of(from, block).signature);
        Certificate {
            height: block.height(),
            block_hash: block.hash,
            signatures: OTHERS.into_iter().map(signature).collect(),
        }
    }

    fn word_of(&self, from: u16, block: &StoredBlock) -> Attestation {
        let network = self.machine.shared.network_id;
        Attestation::sign(&key(from), ValidatorIndex(from), network, block.height(), block.hash)
    }
}
