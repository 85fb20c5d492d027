//! Thresholds of one broadcast at n = 7, t = 2, seen by validator 0; validator 1 proposes.

use bxp_types::{Digest, Height, NetworkId, ValidatorIndex};
use bytes::Bytes;

use super::Broadcast;
use crate::config::{Config, Settings, Verification};
use crate::interface::{Effect, Timer};
use crate::turn::{Outbox, Turn, Voice};
use crate::votes::Vote;

const PROPOSER: ValidatorIndex = ValidatorIndex(1);
const BODY: &[u8] = b"a body";

struct Node {
    height: Height,
    settings: Settings,
    broadcast: Broadcast,
    voice: Voice,
    outbox: Outbox,
}

impl Node {
    fn new() -> Self {
        Self {
            height: Height(1),
            settings: Settings::new(Config::new(ValidatorIndex(0), 7, NetworkId([0; 32]))).unwrap(),
            broadcast: Broadcast::new(PROPOSER, 7),
            voice: Voice::new(7),
            outbox: Outbox::default(),
        }
    }

    /// A node with that rank among the verifiers (V1), holding the body.
    fn sharded(rank: usize) -> (Self, Vec<Effect>) {
        let mut node = Self::new();
        node.settings.config.verification = Verification::Sharded;
        let me = node.settings.me();
        let has_rank = |height: &u64| node.settings.verifier_rank(Height(*height), PROPOSER, me) == rank;
        node.height = Height((1..7).find(has_rank).unwrap());
        let effects = node.act(|broadcast| broadcast.offer(Bytes::from_static(BODY)));
        (node, effects)
    }

    fn verifier(&self, rank: usize) -> ValidatorIndex {
        let has_rank = |v: &ValidatorIndex| self.settings.verifier_rank(self.height, PROPOSER, *v) == rank;
        self.settings.all().find(has_rank).unwrap()
    }

    fn act(&mut self, act: impl FnOnce(&mut Broadcast)) -> Vec<Effect> {
        let Self { height, settings, broadcast, voice, outbox } = self;
        act(broadcast);
        broadcast.progress(&mut Turn { height: *height, settings, voice, outbox });
        outbox.take()
    }

    fn echo(&mut self, from: &[u16], digest: Digest) {
        for from in from {
            self.act(|broadcast| broadcast.count_echo(ValidatorIndex(*from), digest));
        }
    }

    fn ready(&mut self, from: &[u16], digest: Digest) {
        for from in from {
            self.act(|broadcast| broadcast.count_ready(ValidatorIndex(*from), digest));
        }
    }

    fn said(&self) -> Vec<Vote> {
        self.voice.said.iter().map(|(_, vote)| vote).collect()
    }
}

#[test]
fn ready_needs_more_than_half_of_n_plus_t_echoes_of_one_digest() {
    let (digest, other) = (Digest::of(BODY), Digest([9; 32]));
    let mut node = Node::new();
    node.echo(&[1, 2, 3, 4], digest);
    node.echo(&[4, 5, 6], other);
    assert!(node.said().is_empty(), "four and two");
    node.echo(&[0], digest);
    assert_eq!(node.said(), [Vote::Ready(digest)]);
}

#[test]
fn ready_is_amplified_at_t_plus_one_and_delivered_at_two_t_plus_one() {
    let digest = Digest::of(BODY);
    let mut node = Node::new();
    node.ready(&[5, 6, 6], digest);
    assert!(node.said().is_empty());
    node.ready(&[1], digest);
    assert_eq!(node.said(), [Vote::Ready(digest)]);
    assert_eq!(node.broadcast.delivered(), None, "with the own one four of five");
    node.ready(&[2], digest);
    assert_eq!(node.broadcast.delivered(), Some(digest));
    assert_eq!(node.broadcast.body(digest), None);
}

#[test]
fn only_the_first_body_is_asked_about_and_echoed_once_it_is_logged() {
    let mut node = Node::new();
    let asked = node.act(|broadcast| broadcast.offer(Bytes::from_static(BODY)));
    assert!(matches!(asked[..], [Effect::Validate { .. }]));
    assert!(node.act(|broadcast| broadcast.offer(Bytes::from_static(b"another"))).is_empty());
    assert!(node.act(|broadcast| broadcast.validated(Digest::of(b"another"), true)).is_empty());
    let logged = node.act(|broadcast| broadcast.validated(Digest::of(BODY), true));
    assert!(matches!(logged[..], [Effect::Persist(_)]), "the body; its ECHO leaves with the height's votes");
    assert_eq!(node.said(), [Vote::Echo(Digest::of(BODY))]);
}

#[test]
fn what_is_found_invalid_is_never_echoed_but_may_be_ready() {
    let mut node = Node::new();
    node.act(|broadcast| broadcast.offer(Bytes::from_static(BODY)));
    node.act(|broadcast| broadcast.validated(Digest::of(BODY), false));
    node.act(|broadcast| broadcast.validated(Digest::of(BODY), true));
    assert!(node.said().is_empty(), "the first answer counts");
    node.ready(&[1, 2, 3, 4], Digest::of(BODY));
    assert_eq!(node.said(), [Vote::Ready(Digest::of(BODY))]);
}

#[test]
fn only_first_verifiers_check_at_once() {
    for rank in 1..7 {
        let (_, effects) = Node::sharded(rank);
        let asks = effects.iter().any(|effect| matches!(effect, Effect::Validate { .. }));
        let waits = effects
            .iter()
            .any(|effect| matches!(effect, Effect::SetTimer { timer: Timer::Verify { .. }, .. }));
        assert_eq!((asks, waits), (rank <= 2, (3..=4).contains(&rank)), "rank {rank}");
    }
}

#[test]
fn t_plus_one_equal_reports_stand_for_a_check() {
    let digest = Digest::of(BODY);
    let (mut node, _) = Node::sharded(6);
    node.echo(&[2, 3], digest);
    node.echo(&[4], Digest([9; 32]));
    assert!(node.said().is_empty(), "two and another one");
    node.echo(&[5], digest);
    assert_eq!(node.said(), [Vote::Echo(digest)]);
}

#[test]
fn reports_about_another_body_vouch_for_nothing() {
    let (mut node, _) = Node::sharded(6);
    node.echo(&[1, 2, 3, 4], Digest([9; 32]));
    assert!(node.said().is_empty(), "ECHO only for the body held");
}

#[test]
fn reports_do_not_outweigh_an_own_check() {
    let (mut node, _) = Node::sharded(1);
    node.act(|broadcast| broadcast.validated(Digest::of(BODY), false));
    assert_eq!(node.said(), [Vote::Invalid(Digest::of(BODY))]);
    node.echo(&[1, 2, 3], Digest::of(BODY));
    assert!(!node.said().contains(&Vote::Echo(Digest::of(BODY))));
}

#[test]
fn second_verifiers_check_when_the_first_are_slow_or_disagree() {
    let asks = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Validate { .. }));
    let (mut node, _) = Node::sharded(3);
    assert!(asks(&node.act(Broadcast::time_out_first_verifiers)), "slow");
    let (mut node, _) = Node::sharded(4);
    let (first, second) = (node.verifier(2), node.verifier(3));
    let digest = Digest::of(BODY);
    assert!(!asks(&node.act(|broadcast| broadcast.count_invalid(second, digest))), "not a first verifier");
    assert!(!asks(&node.act(|broadcast| broadcast.count_invalid(first, Digest([9; 32])))), "of another body");
    let (mut node, _) = Node::sharded(4);
    assert!(asks(&node.act(|broadcast| broadcast.count_invalid(first, digest))), "found invalid");
    let (mut node, _) = Node::sharded(4);
    assert!(asks(&node.act(|broadcast| broadcast.count_echo(first, Digest([9; 32])))), "holds another one");
    let (mut node, _) = Node::sharded(5);
    assert!(!asks(&node.act(Broadcast::time_out_first_verifiers)), "the others never check");
    assert!(!asks(&node.act(|broadcast| broadcast.count_invalid(first, digest))));
}

#[test]
fn a_second_verifier_waits_again_while_it_checks_something_else() {
    let (asks, waits) = (
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Validate { .. })),
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::SetTimer { .. })),
    );
    let (mut node, _) = Node::sharded(3);
    node.outbox.check_begins();
    let effects = node.act(Broadcast::time_out_first_verifiers);
    assert!(!asks(&effects) && waits(&effects), "busy");
    node.outbox.check_ends();
    assert!(asks(&node.act(Broadcast::time_out_first_verifiers)), "idle");
    let (mut node, _) = Node::sharded(3);
    node.outbox.check_begins();
    for _ in 0..super::PUT_OFFS_MAX {
        assert!(!asks(&node.act(Broadcast::time_out_first_verifiers)));
    }
    assert!(asks(&node.act(Broadcast::time_out_first_verifiers)), "the check that it waits for never ends");
    let (mut node, _) = Node::sharded(3);
    node.outbox.check_begins();
    let first = node.verifier(2);
    let called = node.act(|broadcast| broadcast.count_invalid(first, Digest::of(BODY)));
    assert!(asks(&called), "busy, but called");
}

#[test]
fn a_wait_that_was_too_short_makes_the_next_one_longer() {
    let wait = |effects: &[Effect]| {
        let timer = effects.iter().find_map(|effect| match effect {
            Effect::SetTimer { timer: Timer::Verify { .. }, after } => Some(*after),
            _ => None,
        });
        timer.unwrap()
    };
    let (mut node, effects) = Node::sharded(3);
    let first = wait(&effects);
    let reports: Vec<u16> = (0..=2).map(|rank| node.verifier(rank).0).collect();
    node.act(Broadcast::time_out_first_verifiers);
    node.echo(&reports[..2], Digest::of(BODY));
    let again = |node: &mut Node| {
        node.broadcast = Broadcast::new(PROPOSER, 7);
        wait(&node.act(|broadcast| broadcast.offer(Bytes::from_static(BODY))))
    };
    let mut silent = Node { outbox: std::mem::take(&mut node.outbox), ..Node::sharded(3).0 };
    assert_eq!(again(&mut silent), first, "one of them is silent: nothing is learned");
    node.outbox = silent.outbox;
    node.echo(&reports[2..], Digest::of(BODY));
    assert_eq!(again(&mut node), 2 * first);
    node.echo(&reports, Digest::of(BODY));
    assert_eq!(again(&mut node), 2 * first, "one that was long enough does not make it shorter at once");
}
