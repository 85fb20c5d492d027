//! Networks without faults: what is decided, how fast, and that nothing waits for a timer.

use std::time::Duration;

use bxp_consensus::Timer;
use bxp_types::Height;

use crate::network::adversary::Role;
use crate::network::{Plan, Simulator, seeds};

/// Every message takes 10 ms.
const DELAY: Duration = Duration::from_millis(10);

#[test]
fn all_proposals_are_decided_after_four_message_delays_without_a_round_timer() {
    for validators in [2, 3, 4, 5, 7, 10] {
        let mut network = Simulator::new(1, Plan::new(validators, 1));
        network.run();
        assert_eq!(network.agreed[&Height(1)].proposals.len(), validators, "n = {validators}");
        let slowest = network.decided_at.values().max().unwrap();
        // Without faults to bear (n < 4) the first READY delivers already.
        let delays = if validators < 4 { 3 } else { 4 };
        assert_eq!(*slowest, DELAY * delays, "n = {validators}: INIT, ECHO, READY, AUX");
        assert!(!network.timers.iter().any(|timer| matches!(timer, Timer::Round { .. })), "n = {validators}");
    }
}

#[test]
fn one_validator_alone_decides_at_once() {
    let mut network = Simulator::new(1, Plan::new(1, 5));
    network.run();
    assert_eq!(network.agreed.len(), 5);
    assert!(network.decided_at.values().all(|at| *at == Duration::ZERO));
}

#[test]
fn silent_validators_cost_the_grace_and_two_rounds_but_no_round_timer() {
    for (validators, silent) in [(4, 1), (7, 2), (10, 3)] {
        let mut plan = Plan::new(validators, 2);
        plan.byzantine = vec![Role::Silent; silent];
        let mut network = Simulator::new(1, plan);
        network.run();
        let superblock = &network.agreed[&Height(1)];
        assert_eq!(superblock.proposals.len(), validators - silent);
        assert!(!network.timers.iter().any(|timer| matches!(timer, Timer::Round { .. })));
        let grace = Duration::from_millis(110);
        assert!(*network.decided_at.values().next().unwrap() <= DELAY * 4 + grace + DELAY * 4);
    }
}

#[test]
fn random_delays_lose_no_more_than_t_proposals() {
    for seed in seeds(0, 200) {
        let validators = [1, 2, 3, 4, 4, 5, 7, 10][usize::try_from(seed % 8).unwrap()];
        Simulator::new(seed, Plan { delay_us: (500, 80_000, 80_000), ..Plan::new(validators, 3) }).run();
    }
}
