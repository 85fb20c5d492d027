//! Networks under every fault the protocol must bear. A failing run prints its seed; the same seed runs it again.

use std::collections::BTreeSet;

use bxp_consensus::{RoundStep, Timer};

use crate::network::adversary::{ROLES, Role};
use crate::network::{Plan, Simulator, seeds};

#[test]
fn lost_connections_are_made_good() {
    for seed in seeds(1_000_000, 300) {
        Simulator::new(seed, Plan { cuts: 30, ..Plan::new(4, 4).rough(8) }).run();
    }
}

#[test]
fn crashes_at_any_effect_are_made_good_from_the_log_alone() {
    for seed in seeds(2_000_000, 500) {
        let validators = [1, 4, 4, 4, 7][usize::try_from(seed % 5).unwrap()];
        Simulator::new(seed, Plan { crashes: 14, cuts: 8, ..Plan::new(validators, 4).rough(10) }).run();
    }
}

#[test]
fn blackouts_are_made_good_from_the_logs_alone() {
    for seed in seeds(9_000_000, 300) {
        let validators = [4, 4, 7, 1][usize::try_from(seed % 4).unwrap()];
        Simulator::new(seed, Plan { blackouts: 5, ..Plan::new(validators, 5).rough(8) }).run();
    }
}

#[test]
fn messages_that_vanish_without_a_trace_are_pulled() {
    for seed in seeds(10_000_000, 150) {
        let byzantine = if seed % 3 == 0 { vec![Role::Selective] } else { Vec::new() };
        Simulator::new(seed, Plan { byzantine, loss_percent: 20, ..Plan::new(4, 3).rough(15) }).run();
    }
}

/// A node that had decided did not hear that others needed it in a later round, and never asked.
#[test]
fn a_decided_node_asks_whether_it_is_needed() {
    let plan = Plan { byzantine: vec![Role::Selective], loss_percent: 20, ..Plan::new(4, 3).rough(15) };
    Simulator::new(10_000_845, plan).run();
}

#[test]
fn one_byzantine_of_four_changes_nothing() {
    for seed in seeds(3_000_000, 600) {
        let role = ROLES[usize::try_from(seed).unwrap() % ROLES.len()];
        Simulator::new(seed, Plan { byzantine: vec![role], ..Plan::new(4, 3).rough(5) }).run();
    }
}

#[test]
fn half_of_what_is_said_to_each_splits_nobody() {
    for seed in seeds(8_000_000, 300) {
        // In every second run the network itself is calm, so that only the selection splits it.
        let calm = Plan { delay_us: (500, 30_000, 30_000), ..Plan::new(4, 4) };
        let plan = if seed % 2 == 0 { calm } else { Plan::new(4, 4).rough(5) };
        Simulator::new(seed, Plan { byzantine: vec![Role::Selective], ..plan }).run();
    }
}

#[test]
fn byzantine_validators_crashes_and_lost_connections_at_once() {
    for seed in seeds(4_000_000, 500) {
        let at = usize::try_from(seed).unwrap();
        let byzantine = vec![ROLES[at % ROLES.len()]];
        Simulator::new(seed, Plan { byzantine, crashes: 6, cuts: 12, ..Plan::new(4, 3).rough(8) }).run();
    }
}

/// Goal: the runs above are worth something: they reach the lines that a calm network never needs.
#[test]
fn the_faults_reach_the_rare_lines() {
    let (mut deepest_round, mut rejected) = (0, 0);
    let mut waits = BTreeSet::new();
    for seed in seeds(7_000_000, 300) {
        let role = ROLES[usize::try_from(seed).unwrap() % ROLES.len()];
        let plan = Plan { byzantine: vec![role], cuts: 12, ..Plan::new(4, 3).rough(8) };
        let mut network = Simulator::new(seed, plan);
        network.run();
        deepest_round = network.audit.deepest_round.max(deepest_round);
        rejected += network.agreed.values().filter(|superblock| superblock.proposals.len() < 4).count();
        waits.extend(network.timers.iter().map(|timer| match timer {
            Timer::Grace { .. } => "grace",
            Timer::Fetch { .. } => "fetch",
            Timer::Tick { .. } => "tick",
            Timer::Verify { .. } => "verify",
            Timer::Gather => "gather",
            Timer::Round { step: RoundStep::Coordinator, .. } => "coordinator",
            Timer::Round { step: RoundStep::Union, .. } => "union",
            Timer::Round { step: RoundStep::CatchUp, .. } => "catch up",
        }));
    }
    println!("deepest round {deepest_round}, {rejected} superblocks without all proposals, waits {waits:?}");
    assert!(deepest_round >= 4 && rejected > 50);
    assert!(["grace", "fetch", "tick", "coordinator", "union"].iter().all(|wait| waits.contains(wait)));
}

#[test]
fn larger_networks_bear_t_byzantine_of_different_kinds() {
    for seed in seeds(5_000_000, 80) {
        let at = usize::try_from(seed).unwrap();
        let role = |k: usize| ROLES[(at / 2 + k * 5) % ROLES.len()];
        let (validators, byzantine) = if at.is_multiple_of(2) {
            (7, vec![role(0), role(1)])
        } else {
            (10, vec![role(0), role(1), role(2)])
        };
        Simulator::new(seed, Plan { byzantine, crashes: 3, cuts: 12, ..Plan::new(validators, 2).rough(4) })
            .run();
    }
}

#[test]
fn who_is_left_behind_by_settled_heights_is_told_to_sync() {
    for seed in seeds(6_000_000, 200) {
        let byzantine = if seed % 3 == 0 { vec![Role::Chaos] } else { Vec::new() };
        let settle_early = byzantine.is_empty();
        let plan = Plan { byzantine, settle_early, crashes: 5, cuts: 25, ..Plan::new(4, 12).rough(6) };
        Simulator::new(seed, plan).run();
    }
}
