//! The model of throughput and latency.

use bxp_sim::{Costs, Place, Report, Setup, Verification};
use std::time::Duration;

fn setup(place: Place, validators: usize) -> Setup {
    Setup {
        place,
        validators,
        tx_bytes: 400,
        cores: 8,
        gigabits: 10.0,
        signed: None,
        durable: false,
        proposal_bytes_max: 256 << 10,
        open_heights_max: 4,
        in_flight: 4_000,
        spread: Duration::from_millis(20),
        pause: Duration::from_millis(10),
        vote_gather: None,
        warm_up: 4,
        superblocks: 8,
        seed: 0,
        costs: Costs::default(),
    }
}

fn run(setup: &Setup) -> Report {
    bxp_sim::model(setup).expect("run the model")
}

#[test]
fn the_same_seed_is_the_same_report_and_another_seed_another() {
    let one = Setup { signed: Some(Verification::Sharded), ..setup(Place::Wan, 7) };
    assert_eq!(run(&one), run(&one));
    let other = run(&Setup { seed: 1, ..one.clone() });
    assert_ne!(other.seconds, run(&one).seconds);
}

/// Goal: nothing goes through a link faster than it is. Way: links that are narrow beside everything else.
#[test]
fn throughput_is_never_above_what_the_links_allow() {
    for validators in [1, 2, 4, 10] {
        for gigabits in [0.01, 0.1, 1.0] {
            let setup = Setup { gigabits, superblocks: 16, ..setup(Place::Lan, validators) };
            let report = run(&setup);
            let bound = report.bandwidth_bound_per_second;
            assert!(report.committed_per_second <= bound, "n = {validators}, {gigabits} Gb/s: {report:?}");
            let sent = report.bytes_per_validator_per_superblock;
            assert!(sent >= report.bytes_per_validator_per_superblock_limit, "{report:?}");
            // On slower links bodies are fetched again before they have come.
            if validators == 4 && (0.05..0.2).contains(&gigabits) {
                assert!(report.committed_per_second > bound / 2.0, "the links are used: {report:?}");
            }
        }
    }
}

/// Goal: the costs are charged. Way: cores that are few, and the least that signed transfers cost them.
#[test]
fn throughput_is_never_above_what_the_cores_allow() {
    for (verification, checks) in [(Verification::All, 4.0), (Verification::Sharded, 2.0)] {
        let setup = Setup { cores: 2, signed: Some(verification), superblocks: 16, ..setup(Place::Lan, 4) };
        let report = run(&setup);
        let least_us = checks * setup.costs.recovery_us + 4.0 * setup.costs.execution_us;
        assert!(report.committed_per_second <= 8.0 * 1e6 / least_us, "{report:?}");
        assert!(report.committed_per_second > 8.0 * 1e6 / least_us / 2.0, "the cores are used: {report:?}");
    }
}

/// Goal: distance shows. Way: the good case takes four message delays, from the Atlantic to the Pacific.
#[test]
fn latency_has_the_distance_in_it() {
    let (lan, wan) = (run(&setup(Place::Lan, 4)), run(&setup(Place::Wan, 4)));
    assert!(wan.latency_ms_p50 > lan.latency_ms_p50 + 100.0, "{} {}", lan.latency_ms_p50, wan.latency_ms_p50);
}
