//! Votes that wait for others: fewer frames, no delay without faults, and nothing else changes.

use std::time::Duration;

use bxp_types::Height;

use crate::network::adversary::ROLES;
use crate::network::{Checks, Plan, Simulator, seeds};

/// Every message takes 10 ms.
const DELAY: Duration = Duration::from_millis(10);
/// As for 316 validators.
const GATHER: Duration = Duration::from_millis(30);

/// Goal: a step that is complete waits for nothing, and goes in one frame. Way: messages that all take equally long, so that
/// the inputs of one step come at one time, but one by one.
#[test]
fn without_faults_votes_wait_for_their_step_and_no_longer() {
    for (verification, delays) in [(Checks::All, 4), (Checks::Sharded, 5)] {
        let plan = |gather| Plan { gather, verification, ..Plan::new(20, 1) };
        let (mut eager, mut gathering) =
            (Simulator::new(1, plan(Duration::ZERO)), Simulator::new(1, plan(GATHER)));
        eager.run();
        gathering.run();
        assert_eq!(gathering.agreed[&Height(1)].proposals.len(), 20, "{verification:?}");
        let slowest = gathering.decided_at.values().max().unwrap();
        assert!(*slowest <= DELAY * delays, "{verification:?}: {slowest:?}");
        let (few, many) = (gathering.audit.broadcasts, eager.audit.broadcasts);
        // INIT, ECHO (of those checked before, where it is sharded), READY, AUX, DECIDED; and what a wait's end cut in two.
        assert!(few <= 20 * 8, "{verification:?}: {few} frames");
        assert!(many > 20 * 20, "{verification:?}: {many} frames, one a vote");
    }
}

#[test]
fn votes_that_wait_are_lost_in_no_crash_and_believed_of_no_liar() {
    for seed in seeds(15_000_000, 460) {
        let at = usize::try_from(seed).unwrap();
        let byzantine = vec![ROLES[at % ROLES.len()]];
        let gather = Duration::from_millis([1, 30, 200][at % 3]);
        let verification = [Checks::All, Checks::Sharded][at % 2];
        let plan = Plan { byzantine, crashes: 6, cuts: 8, gather, verification, ..Plan::new(4, 3) };
        Simulator::new(seed, plan.rough(6)).run();
    }
}

#[test]
fn votes_that_wait_are_made_good_after_blackouts() {
    for seed in seeds(16_000_000, 200) {
        let validators = [4, 7, 1][usize::try_from(seed % 3).unwrap()];
        let gather = Duration::from_millis(20);
        Simulator::new(
            seed,
            Plan { blackouts: 4, loss_percent: 5, gather, ..Plan::new(validators, 4).rough(7) },
        )
        .run();
    }
}
