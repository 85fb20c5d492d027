//! Heights, windows and bodies as the caller sees them.

use std::time::Duration;

use bxp_consensus::wire::{Envelope, Message};
use bxp_consensus::{Bitmask, Config, Effect, Engine, Input, Timer, Values, Vote, Votes};
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;

use crate::network::NETWORK;

const BODY: &[u8] = b"a body";

fn engine() -> Engine {
    let mut config = Config::new(ValidatorIndex(0), 4, NETWORK);
    config.body_bytes_max = 64;
    Engine::new(config).unwrap()
}

fn received(from: u16, height: u64, message: Message) -> Input {
    Input::Received {
        from: ValidatorIndex(from),
        message: Envelope { height: Height(height), message }.encode(),
    }
}

fn vote(from: u16, height: u64, instance: u16, vote: Vote) -> Input {
    let mut votes = Votes::new(4);
    votes.insert(ValidatorIndex(instance), vote);
    received(from, height, Message::Votes(votes))
}

fn init(from: u16, height: u64) -> Input {
    received(from, height, Message::Init { body: Bytes::from_static(BODY) })
}

fn start(height: u64) -> Input {
    Input::Start { height: Height(height), proposal: Bytes::new() }
}

fn messages(effects: &[Effect]) -> Vec<(Option<ValidatorIndex>, Message)> {
    let decode = |message: &Bytes| Envelope::decode(message, 4, 64).unwrap().message;
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { to, message } => Some((Some(*to), decode(message))),
            Effect::Broadcast { message } => Some((None, decode(message))),
            _ => None,
        })
        .collect()
}

#[test]
fn a_body_is_echoed_only_once_it_is_found_valid() {
    for valid in [true, false] {
        let mut engine = engine();
        engine.handle(start(1));
        let asked = engine.handle(init(2, 1));
        let (height, proposer, digest) = (Height(1), ValidatorIndex(2), Digest::of(BODY));
        assert_eq!(asked, [Effect::Validate { height, proposer, digest, body: Bytes::from_static(BODY) }]);
        let echo = engine.handle(Input::Validated { height, proposer, digest, valid });
        assert_eq!(messages(&echo).len(), usize::from(valid));
        assert_eq!(
            echo.iter().filter(|effect| matches!(effect, Effect::Persist(_))).count(),
            2 * usize::from(valid)
        );
        assert!(
            engine.handle(Input::Validated { height, proposer, digest, valid: true }).is_empty(),
            "asked once"
        );
        assert!(engine.handle(init(2, 1)).is_empty(), "the first body counts");
    }
}

#[test]
fn votes_of_one_call_leave_in_one_frame() {
    let mut engine = engine();
    for proposer in 1..4 {
        for from in 1..4 {
            engine.handle(vote(from, 1, proposer, Vote::Echo(Digest([9; 32]))));
        }
    }
    let effects = engine.handle(start(1));
    let frames: Vec<_> =
        messages(&effects).into_iter().filter(|(_, message)| matches!(message, Message::Votes(_))).collect();
    assert_eq!(frames.len(), 1);
    let Message::Votes(votes) = &frames[0].1 else { unreachable!() };
    assert_eq!(votes.iter().count(), 4, "the own ECHO and three READY");
}

/// Goal: a body that is delivered by digest is pulled from those who echoed it, one after the other.
#[test]
fn a_missing_body_is_fetched_from_echoers_in_turn() {
    let mut engine = engine();
    engine.handle(start(1));
    let digest = Digest::of(BODY);
    for from in [2, 3] {
        engine.handle(vote(from, 1, 1, Vote::Echo(digest)));
    }
    engine.handle(vote(2, 1, 1, Vote::Ready(digest)));
    let effects = engine.handle(vote(3, 1, 1, Vote::Ready(digest))); // The own READY makes it three.
    let timer = Timer::Fetch { height: Height(1), proposer: ValidatorIndex(1) };
    assert!(effects.contains(&Effect::SetTimer { timer, after: Duration::from_millis(200) }));
    let fetch = Message::Fetch { proposer: ValidatorIndex(1), digest };
    let asked: Vec<_> = (0..3).flat_map(|_| messages(&engine.handle(Input::TimerFired(timer)))).collect();
    let to = |peer| (Some(ValidatorIndex(peer)), fetch.clone());
    assert_eq!(asked, [to(2), to(3), to(2)]);
    let body = |from, bytes: &'static [u8]| {
        received(from, 1, Message::Body { proposer: ValidatorIndex(1), body: Bytes::from_static(bytes) })
    };
    engine.handle(body(1, BODY));
    engine.handle(body(2, b"wrong"));
    engine.handle(body(2, BODY));
    assert_eq!(
        messages(&engine.handle(Input::TimerFired(timer))).len(),
        1,
        "not asked, wrong, answered already"
    );
    engine.handle(body(3, BODY));
    assert!(engine.handle(Input::TimerFired(timer)).is_empty(), "the body is there");
    let served = engine.handle(received(3, 1, fetch.clone()));
    assert_eq!(messages(&served).len(), 1);
    assert!(engine.handle(received(3, 1, fetch.clone())).is_empty(), "once a tick");
    engine.handle(Input::TimerFired(Timer::Tick { height: Height(1) }));
    assert_eq!(messages(&engine.handle(received(3, 1, fetch))).len(), 1);
}

#[test]
fn near_heights_are_wanted_and_far_ones_reported_when_a_correct_peer_is_there() {
    let mut engine = engine();
    engine.handle(Input::Settled(Height(10)));
    assert_eq!(engine.handle(init(1, 11)), [Effect::Wanted { height: Height(11) }]);
    assert!(engine.handle(init(2, 11)).is_empty(), "said once");
    assert!(engine.handle(init(1, 10)).is_empty(), "settled");
    assert_eq!(engine.handle(init(1, 14)), [Effect::Wanted { height: Height(14) }]);
    assert!(engine.handle(init(1, u64::MAX)).is_empty(), "one peer may lie");
    assert_eq!(engine.handle(init(2, 15)), [Effect::Behind { height: Height(15) }]);
    assert!(engine.handle(init(2, 15)).is_empty(), "said once");
    assert_eq!(engine.handle(init(3, 20)), [Effect::Behind { height: Height(20) }]);
    let effects = engine.handle(start(11));
    let validations = effects.iter().filter(|effect| matches!(effect, Effect::Validate { .. })).count();
    assert_eq!(validations, 2, "what came before the start is not lost");
}

#[test]
fn what_was_dropped_for_being_too_far_ahead_is_pulled_at_the_start() {
    let mut engine = engine();
    engine.handle(init(1, 7));
    engine.handle(Input::Settled(Height(6)));
    let pulls: Vec<_> = messages(&engine.handle(start(7)))
        .into_iter()
        .filter(|(_, message)| matches!(message, Message::Pull { .. }))
        .collect();
    assert_eq!(pulls.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [Some(ValidatorIndex(1))]);
}

#[test]
fn a_pull_is_answered_with_all_that_was_said_once_a_tick() {
    let mut engine = engine();
    engine.handle(start(1));
    let pull = |held| received(3, 1, Message::Pull { held });
    let answer = messages(&engine.handle(pull(Bitmask::new(4))));
    assert!(matches!(answer[..], [(_, Message::Init { .. }), (_, Message::Votes(_))]));
    assert!(engine.handle(pull(Bitmask::new(4))).is_empty());
    engine.handle(Input::TimerFired(Timer::Tick { height: Height(1) }));
    let mut held = Bitmask::new(4);
    held.insert(ValidatorIndex(0));
    assert!(
        matches!(messages(&engine.handle(pull(held)))[..], [(_, Message::Votes(_))]),
        "the body is there"
    );
}

#[test]
fn an_undecided_height_asks_again_and_notices_that_others_are_past_it() {
    let mut engine = engine();
    engine.handle(start(1));
    engine.handle(init(1, 2));
    engine.handle(init(2, 3));
    let effects = engine.handle(Input::TimerFired(Timer::Tick { height: Height(1) }));
    assert!(effects.contains(&Effect::Behind { height: Height(2) }));
    assert!(matches!(messages(&effects)[..], [(None, Message::Pull { .. })]));
}

/// Goal: a node that has decided still listens for who needs it, until all others are known to have decided.
#[test]
fn a_decided_height_asks_until_it_is_over() {
    let mut engine = engine();
    engine.handle(start(1));
    let empty = Digest::of(&[]);
    let mut decided = false;
    let vote_all = |engine: &mut Engine, vote: Vote| {
        let mut votes = Votes::new(4);
        for instance in 0..4 {
            votes.insert(ValidatorIndex(instance), vote);
        }
        let inputs = [1, 2].map(|from| received(from, 1, Message::Votes(votes.clone())));
        inputs.into_iter().flat_map(|input| engine.handle(input)).collect::<Vec<_>>()
    };
    for from in 1..4 {
        engine.handle(received(from, 1, Message::Init { body: Bytes::new() }));
    }
    for vote in [Vote::Ready(empty), Vote::Auxiliary { round: 1, values: Values::only(true) }] {
        decided |= vote_all(&mut engine, vote).iter().any(|effect| matches!(effect, Effect::Decided(_)));
    }
    assert!(decided);
    let tick = || Input::TimerFired(Timer::Tick { height: Height(1) });
    assert!(matches!(messages(&engine.handle(tick()))[..], [(None, Message::Pull { .. })]));
    vote_all(&mut engine, Vote::Decided(true));
    assert!(messages(&engine.handle(tick())).is_empty(), "two others and oneself: everybody will");
}

/// Goal: of what is decided to stay out, the caller gets what is known to be valid, also where that is found out later.
#[test]
fn valid_bodies_that_stay_out_are_given_out() {
    let mut engine = engine();
    engine.handle(start(1));
    for from in 1..4 {
        engine.handle(init(from, 1));
    }
    let digest = Digest::of(BODY);
    for (instance, value) in [(0, true), (1, true), (2, false), (3, false)] {
        for from in 1..4 {
            let own = if instance == 0 { Digest::of(&[]) } else { digest };
            if value {
                engine.handle(vote(from, 1, instance, Vote::Ready(own)));
            }
            engine.handle(vote(from, 1, instance, Vote::Decided(value)));
        }
    }
    assert_eq!(engine.left_out(Height(1)).count(), 0, "nobody knows whether they are valid");
    for (proposer, valid) in [(1, true), (2, false), (3, true)] {
        let proposer = ValidatorIndex(proposer);
        engine.handle(Input::Validated { height: Height(1), proposer, digest, valid });
    }
    let left_out: Vec<_> = engine.left_out(Height(1)).map(|(digest, body)| (digest, body.clone())).collect();
    assert_eq!(left_out, [(digest, Bytes::from_static(BODY))], "that of 3: 1 is in, 2 is invalid");
    assert_eq!(engine.left_out(Height(2)).count(), 0);
    engine.handle(Input::Settled(Height(1)));
    assert_eq!(engine.left_out(Height(1)).count(), 0, "forgotten");
}

#[test]
fn a_proposal_above_the_limit_is_refused() {
    let mut engine = engine();
    let proposal = Bytes::from(vec![0; 65]);
    let effects = engine.handle(Input::Start { height: Height(1), proposal });
    assert_eq!(effects, [Effect::ProposalTooLarge { height: Height(1) }]);
    assert!(!engine.handle(start(1)).is_empty(), "a smaller one may follow");
}

/// Goal: one peer that speaks of ever more heights, rounds and digests makes an engine keep a bounded number of them.
#[test]
fn a_flood_of_heights_opens_no_more_than_the_window() {
    let mut engine = engine();
    engine.handle(start(1));
    let mut wanted = 0;
    for height in 0..2_000 {
        for input in [init(1, height), vote(1, height, 2, Vote::Echo(Digest([7; 32])))] {
            let effects = engine.handle(input);
            wanted += effects.iter().filter(|effect| matches!(effect, Effect::Wanted { .. })).count();
        }
    }
    assert_eq!(wanted, 4, "heights_ahead");
}

#[test]
fn who_sends_what_is_no_message_is_named() {
    let mut engine = engine();
    let peer = ValidatorIndex(2);
    for message in [&b""[..], b"\x01", b"\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01", b"\x01\x09"] {
        let effects = engine.handle(Input::Received { from: peer, message: Bytes::from_static(message) });
        assert_eq!(effects, [Effect::Misbehaved { peer }]);
    }
    let outsider = ValidatorIndex(9);
    let message = Bytes::from_static(b"");
    assert!(engine.handle(Input::Received { from: outsider, message }).is_empty(), "no validator");
}
