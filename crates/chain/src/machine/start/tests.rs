//! One validator cannot fill an idle chain with empty blocks.

use super::*;
use crate::{Attester, ChainConfig, Input, Shared, mempool::PoolLimits};
use bxp_consensus::{
    Vote, Votes,
    wire::{Envelope, Message},
};
use bxp_execution::Retention;
use bxp_network::Channel;
use bxp_storage::{MemoryDisk, Store};
use bxp_types::{
    Address, Attestation, B256, Genesis, Jurisdiction, NetworkId, ValidatorEntry, ValidatorIndex,
};
use ed25519_zebra::{SigningKey, VerificationKey};
use std::{collections::BTreeMap, path::Path};

struct NoKey;

impl Attester for NoKey {
    fn attest(
        &self,
        validator: ValidatorIndex,
        _: NetworkId,
        height: Height,
        block_hash: B256,
    ) -> Attestation {
        Attestation { height, block_hash, validator, signature: [0; 64] }
    }
}

fn genesis() -> Genesis {
    let entry = |seed: u8| ValidatorEntry {
        name: format!("v{seed}"),
        jurisdiction: Jurisdiction::US,
        public_key: B256::from(<[u8; 32]>::from(VerificationKey::from(&SigningKey::from([seed + 1; 32])))),
        sealing_key: B256::repeat_byte(seed),
        account: Address::repeat_byte(seed + 1),
        p2p_address: format!("127.0.0.1:{}", 1_000 + u16::from(seed)),
    };
    Genesis {
        chain_id: 2018,
        time_ms: 0,
        gas_limit: 30_000_000,
        base_fee_wei: 1_000_000_000,
        treasury: Address::repeat_byte(0xfe),
        validators: (0..4).map(entry).collect(),
        accounts: BTreeMap::new(),
        identity_copies: BTreeMap::new(),
    }
}

fn machine() -> Machine {
    let (genesis, disk) = (genesis(), MemoryDisk::new(1));
    let store = Store::open_in(&disk, Path::new("/node"), genesis.network_id()).unwrap();
    let config = ChainConfig {
        me: ValidatorIndex(0),
        journal: "/node/consensus.log".into(),
        block_interval: Duration::ZERO,
        pool: PoolLimits::default(),
        retention: Retention::default(),
        verification: Verification::All,
        vote_gather: None,
        segments: None,
    };
    let shared = Arc::new(Shared::open(genesis, config, store).unwrap());
    Machine::open(shared, Box::new(NoKey), Vec::new(), at(0)).unwrap()
}

fn at(ms: u64) -> Moment {
    Moment { elapsed: Duration::from_millis(ms), wall_ms: 1_000_000 + ms }
}

/// Takes turns until the machine waits for something.
fn turns(machine: &mut Machine, now: Moment) {
    for _ in 0..3 {
        machine.turn(now).unwrap();
    }
}

/// A validator works on height 1.
fn hears(machine: &mut Machine, from: u16) {
    let mut votes = Votes::new(4);
    votes.insert(ValidatorIndex(from), Vote::Echo(Digest::of(b"a body")));
    let bytes = Envelope { height: Height(1), message: Message::Votes(votes) }.encode();
    let input = Input::Message { from: ValidatorIndex(from), channel: Channel::Consensus, bytes };
    machine.handle(input, at(5)).unwrap();
}

#[test]
fn a_height_that_one_validator_asks_for_begins_at_once_while_there_is_no_reason_for_doubt() {
    let mut machine = machine();
    turns(&mut machine, at(5));
    assert_eq!(machine.started, Height(0), "nothing to do");
    hears(&mut machine, 3);
    turns(&mut machine, at(5));
    assert_eq!(machine.started, Height(1));
}

#[test]
fn after_empty_blocks_it_waits_and_two_validators_end_the_wait() {
    let mut machine = machine();
    for (block, waits_ms) in [(1, 10), (2, 20), (3, 40), (20, 1_280)] {
        machine.hurried_blocks = block;
        assert_eq!(machine.hurry_over(Height(1)), Duration::from_millis(waits_ms), "after {block} blocks");
    }
    hears(&mut machine, 3);
    turns(&mut machine, at(5));
    assert_eq!(machine.started, Height(0), "one of four may lie");
    assert!(machine.wake_at(at(5)) <= Duration::from_millis(1_280));
    hears(&mut machine, 2);
    turns(&mut machine, at(6));
    assert_eq!(machine.started, Height(1), "two of four have a correct one among them");
}

#[test]
fn empty_blocks_that_are_due_are_nobodys_fault() {
    let mut machine = machine();
    machine.count_empty(true, at(300));
    machine.head_at = Duration::from_millis(300);
    assert_eq!(machine.hurried_blocks, 1, "a second has not passed since the last one");
    machine.count_empty(true, at(2_300));
    assert_eq!((machine.hurried_blocks, machine.empty_blocks), (0, 2), "this one was due");
    machine.count_empty(true, at(2_301));
    machine.count_empty(false, at(2_302));
    assert_eq!((machine.hurried_blocks, machine.empty_blocks), (0, 0));
}
