//! Faults that the simulator of whole networks notices. The model's are in `binary/tests/model/mutants.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{Mutant, with};
use network::adversary::Role;
use network::{Plan, Simulator};

#[path = "../../tests/it/network/mod.rs"]
#[expect(dead_code, reason = "the tests of tests/it look at more of a run")]
mod network;

/// Seeds after which a fault counts as unnoticed.
const SEEDS_MAX: u64 = 400;

/// Goal: the plan passes with the code as it is, and some seed fails with the fault, with these words.
fn caught_by_simulator(mutant: Mutant, plan: &Plan, words: &str) {
    let fails = |mutant, seed| {
        let run = || Simulator::new(seed, plan.clone()).run();
        catch_unwind(AssertUnwindSafe(|| with(mutant, run))).err()
    };
    let caught = (0..SEEDS_MAX).find_map(|seed| Some((seed, fails(Some(mutant), seed)?)));
    let Some((seed, failure)) = caught else { panic!("{mutant:?} passes {SEEDS_MAX} seeds") };
    let message = failure.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(message.contains(words), "{mutant:?}, seed {seed}: {message}");
    assert!(fails(None, seed).is_none(), "seed {seed} fails without a fault");
    println!("{mutant:?}: seed {seed}");
}

fn with_one(role: Role) -> Plan {
    Plan { byzantine: vec![role], ..Plan::new(4, 3).rough(5) }
}

#[test]
fn an_unchecked_body_is_noticed() {
    caught_by_simulator(Mutant::EchoUnchecked, &with_one(Role::Invalid), "an invalid body is decided");
    caught_by_simulator(Mutant::BodyUnchecked, &with_one(Role::Forger), "digest");
}

#[test]
fn faults_of_the_broadcast_are_noticed() {
    caught_by_simulator(Mutant::EchoQuorumTooLow, &with_one(Role::Twins), "no progress");
    caught_by_simulator(Mutant::NoReadyAmplification, &with_one(Role::Selective), "no progress");
    caught_by_simulator(Mutant::DeliveredTooEarly, &with_one(Role::Invalid), "an invalid body is decided");
    caught_by_simulator(Mutant::NoFetch, &with_one(Role::Miser), "no progress");
}

#[test]
fn too_few_proposals_are_noticed() {
    let slow = Plan { delay_us: (500, 5_000_000, 5_000_000), ..Plan::new(4, 3) };
    caught_by_simulator(Mutant::ZeroTooEarly, &slow, "too few proposals");
}

#[test]
fn who_is_left_alone_is_noticed() {
    caught_by_simulator(Mutant::NoHelpAfterDeciding, &with_one(Role::Selective), "no progress");
    let cut = Plan { cuts: 30, ..Plan::new(4, 3).rough(8) };
    caught_by_simulator(Mutant::NothingRepeated, &cut, "no progress");
}

#[test]
fn what_the_log_does_not_hold_is_noticed() {
    let crashes = Plan { crashes: 14, ..Plan::new(4, 4).rough(10) };
    caught_by_simulator(Mutant::SaidBeforeLogged, &crashes, "not on disk");
    let gathering = Plan { gather: Duration::from_millis(30), ..Plan::new(4, 3).rough(5) };
    caught_by_simulator(Mutant::DecidedBeforeLogged, &gathering, "on what was not on disk");
    caught_by_simulator(Mutant::VotesForgotten, &crashes, "contradicts itself");
}

#[test]
fn faults_of_sharded_verification_are_noticed() {
    let sharded = |role| Plan { verification: network::Checks::Sharded, ..with_one(role) };
    caught_by_simulator(
        Mutant::ReportsBelievedTooEarly,
        &sharded(Role::FalseValid),
        "an invalid body is decided",
    );
    caught_by_simulator(Mutant::NoSecondVerifiers, &sharded(Role::Silent), "no progress");
}
