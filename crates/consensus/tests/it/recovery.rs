//! Coming back from the log.

use bxp_consensus::wire::{Envelope, Message};
use bxp_consensus::{Config, ConsensusError, Effect, Engine, Input, Vote};
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;

use crate::network::NETWORK;

fn engine(me: u16, validators: usize) -> Engine {
    Engine::new(Config::new(ValidatorIndex(me), validators, NETWORK)).unwrap()
}

fn records(effects: &[Effect]) -> Vec<Bytes> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Persist(record) = effect { Some(record.clone()) } else { None })
        .collect()
}

fn sent(effects: &[Effect]) -> Vec<Message> {
    let decode = |message: &Bytes| Envelope::decode(message, 4, 1_000).unwrap().message;
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { message, .. } | Effect::Broadcast { message } => Some(decode(message)),
            _ => None,
        })
        .collect()
}

fn start(engine: &mut Engine, height: u64, body: &'static [u8]) -> Vec<Effect> {
    engine.handle(Input::Start { height: Height(height), proposal: Bytes::from_static(body) })
}

/// Goal: a proposal that was logged is the one that is proposed for ever, whatever the caller says after a restart.
#[test]
fn a_restarted_node_proposes_what_it_proposed() {
    let log = records(&start(&mut engine(0, 4), 1, b"first"));
    let mut again = engine(0, 4);
    again.recover(log).unwrap();
    assert!(sent(&start(&mut again, 1, b"second")).is_empty(), "nothing new is said");
    let repeated = sent(&again.handle(Input::PeerConnected(ValidatorIndex(1))));
    assert_eq!(repeated[0], Message::Init { body: Bytes::from_static(b"first") });
    let Message::Votes(votes) = &repeated[1] else { panic!("votes come with it") };
    let echo = (ValidatorIndex(0), Vote::Echo(Digest::of(b"first")));
    assert_eq!(votes.iter().collect::<Vec<_>>(), [echo]);
}

/// Goal: every prefix of a log is a state to come back to, and a whole one decides again without any peer.
#[test]
fn a_decided_height_is_decided_again_after_recovery_from_every_prefix_of_its_log() {
    let log = records(&start(&mut engine(0, 1), 1, b"body"));
    assert!(log.len() >= 2);
    for kept in 0..=log.len() {
        let mut again = engine(0, 1);
        again.recover(log[..kept].to_vec()).unwrap();
        let effects = start(&mut again, 1, b"body");
        let decided = effects.iter().filter(|effect| matches!(effect, Effect::Decided(_))).count();
        assert_eq!(decided, 1, "{kept} records kept");
    }
}

#[test]
fn settled_heights_of_an_old_log_are_forgotten() {
    let log = records(&start(&mut engine(0, 1), 1, b"body"));
    let mut again = engine(0, 1);
    again.recover(log).unwrap();
    let effects = again.handle(Input::Settled(Height(1)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Decided(_))), "it is final elsewhere");
    assert!(again.records().is_empty());
    assert!(start(&mut again, 1, b"other").is_empty(), "a settled height stays settled");
}

#[test]
fn the_records_of_an_engine_bring_it_back() {
    let mut before = engine(0, 4);
    start(&mut before, 1, b"one");
    start(&mut before, 2, b"two");
    let mut after = engine(0, 4);
    after.recover(before.records()).unwrap();
    assert_eq!(after.records(), before.records());
    let peer = || Input::PeerConnected(ValidatorIndex(3));
    after.handle(Input::Settled(Height(0)));
    assert_eq!(after.handle(peer()), before.handle(peer()));
}

#[test]
fn a_log_of_somebody_else_is_refused() {
    let log = records(&start(&mut engine(0, 4), 1, b"body"));
    let mut other = engine(1, 4);
    let owner = ValidatorIndex(0);
    assert_eq!(other.recover(log.clone()), Err(ConsensusError::ForeignValidator { record: 0, owner }));
    let network = bxp_types::NetworkId([8; 32]);
    let mut other = Engine::new(Config::new(ValidatorIndex(0), 4, network)).unwrap();
    assert_eq!(other.recover(log.clone()), Err(ConsensusError::ForeignNetwork { record: 0 }));
    let torn = log[1].slice(..log[1].len() - 1);
    let error = engine(0, 4).recover([log[0].clone(), torn]).unwrap_err();
    assert!(matches!(error, ConsensusError::Record { record: 1, .. }), "{error}");
}
