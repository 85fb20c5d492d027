//! Sharded verification: who checks, how long it takes, and that lying verifiers change nothing.

use std::time::Duration;

use bxp_consensus::Timer;
use bxp_types::Height;

use crate::network::adversary::{ROLES, Role, VERIFIER_ROLES};
use crate::network::{Checks, Plan, Simulator, seeds};

/// Every message takes 10 ms.
const DELAY: Duration = Duration::from_millis(10);

fn sharded(validators: usize, heights: u64) -> Plan {
    Plan { verification: Checks::Sharded, ..Plan::new(validators, heights) }
}

#[test]
fn without_faults_t_others_check_and_it_takes_one_delay_more() {
    for validators in [1, 4, 5, 7, 10] {
        let mut network = Simulator::new(1, sharded(validators, 3));
        network.run();
        let faults = (validators - 1) / 3;
        assert_eq!(network.agreed[&Height(1)].proposals.len(), validators, "n = {validators}");
        assert!(network.audit.checks.values().all(|nodes| nodes.len() == faults), "n = {validators}");
        assert_eq!(network.audit.checks.len(), if faults == 0 { 0 } else { 3 * validators });
        let first: Vec<_> = network.decided_at.iter().filter(|((_, height), _)| height.0 == 1).collect();
        assert!(first.iter().all(|(_, at)| **at <= DELAY * 5), "INIT, ECHO, ECHO, READY, AUX: {first:?}");
        assert!(!network.timers.iter().any(|timer| matches!(timer, Timer::Round { .. })), "n = {validators}");
    }
}

/// Goal: whatever one verifier of four says or does not say, what is invalid stays out, what is valid gets in, and
/// no more than the second verifiers check.
#[test]
fn a_lying_verifier_lets_nothing_in_and_keeps_nothing_out() {
    for seed in seeds(11_000_000, 400) {
        let role = VERIFIER_ROLES[usize::try_from(seed).unwrap() % VERIFIER_ROLES.len()];
        // Every second network is calm, so that only the liar keeps anything out.
        let calm = seed % 2 == 0;
        let plan = if calm {
            Plan { delay_us: (500, 9_000, 9_000), ..sharded(4, 4) }
        } else {
            sharded(4, 3).rough(5)
        };
        let mut network = Simulator::new(seed, Plan { byzantine: vec![role], ..plan });
        network.run();
        // Who equivocates makes some fetch his body and begin the next height late, which is no verifier's work.
        for superblock in network.agreed.values().filter(|_| calm && role != Role::Equivocator) {
            for correct in 0..3 {
                let in_it = superblock.bitmask.contains(bxp_types::ValidatorIndex(correct));
                assert!(in_it, "seed {seed}: {role:?} keeps {correct} out of {}", superblock.height);
            }
        }
    }
}

#[test]
fn t_lying_verifiers_together_change_nothing() {
    for seed in seeds(12_000_000, 60) {
        let at = usize::try_from(seed).unwrap();
        let role = |k: usize| VERIFIER_ROLES[(at / 2 + k * 3) % VERIFIER_ROLES.len()];
        let (validators, byzantine) = if at.is_multiple_of(2) {
            (7, vec![role(0), role(1)])
        } else {
            (10, vec![Role::FalseValid, Role::Invalid, role(2)])
        };
        Simulator::new(seed, Plan { byzantine, cuts: 6, ..sharded(validators, 2).rough(4) }).run();
    }
}

#[test]
fn sharding_bears_crashes_lost_messages_and_every_role() {
    for seed in seeds(13_000_000, 460) {
        let byzantine = vec![ROLES[usize::try_from(seed).unwrap() % ROLES.len()]];
        let plan = Plan { byzantine, crashes: 5, cuts: 10, loss_percent: 5, ..sharded(4, 3).rough(8) };
        Simulator::new(seed, plan).run();
    }
}

/// Who checks is each node's own business: a network may change over one node at a time.
#[test]
fn nodes_of_both_kinds_work_together() {
    for seed in seeds(14_000_000, 230) {
        let byzantine = vec![ROLES[usize::try_from(seed).unwrap() % ROLES.len()]];
        let plan = Plan { byzantine, crashes: 3, cuts: 6, verification: Checks::Mixed, ..Plan::new(4, 3) };
        Simulator::new(seed, plan.rough(5)).run();
    }
}
