//! The model of throughput and latency.

use bxp_sim::{Costs, Limit, Pace, Place, Report, Setup, Verification};

fn setup(place: Place, validators: usize) -> Setup {
    Setup {
        place,
        validators,
        tx_bytes: 400,
        cores: 8,
        gigabits: 10.0,
        signed: None,
        gas_max: 600_000_000,
        durable: false,
        proposal_bytes_max: 256 << 10,
        pace: Pace::ORDERING,
        in_flight: 4_000,
        vote_gather: None,
        warm_up: 4,
        superblocks: 8,
        seed: 0,
        costs: Costs::default(),
    }
}

/// Signed transfers at the chain's pace.
fn signed(verification: Verification, setup: Setup) -> Setup {
    Setup { signed: Some(verification), pace: Pace::CHAIN, ..setup }
}

/// The usual costs, but for what one thread does alone of a block.
fn nothing_serial() -> Costs {
    Costs { running_us: 0.0, hashing_serial_us: 0.0, writing_us: 0.0, settling_us: 0.0, ..Costs::default() }
}

fn run(setup: &Setup) -> Report {
    bxp_sim::model(setup).expect("run the model")
}

#[test]
fn the_same_seed_is_the_same_report_and_another_seed_another() {
    let one = signed(Verification::Sharded, setup(Place::Wan, 7));
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

/// Goal: the costs are charged. Way: cores that are few, and the least that signed transfers cost them; nothing is serial, so
/// that it is cores that are short.
#[test]
fn throughput_is_never_above_what_the_cores_allow() {
    for (verification, checks) in [(Verification::All, 4.0), (Verification::Sharded, 2.0)] {
        let costs = nothing_serial();
        let setup = Setup { cores: 2, superblocks: 16, costs, ..signed(verification, setup(Place::Lan, 4)) };
        let report = run(&setup);
        let least_us = checks * costs.recovery_us + 4.0 * costs.hashing_shared_us;
        assert!(report.committed_per_second <= 8.0 * 1e6 / least_us, "{report:?}");
        assert!(report.committed_per_second > 8.0 * 1e6 / least_us / 2.0, "the cores are used: {report:?}");
    }
}

/// Goal: what one thread does alone of a block is not spread over all cores; a block is run while the one below is hashed and
/// the one below that is written, so that the slowest step limits, and not their sum.
/// Way: far more cores than there is work for.
#[test]
fn throughput_is_never_above_what_one_thread_makes_of_blocks() {
    let full = Setup { proposal_bytes_max: 4 << 20, in_flight: 60_000, ..setup(Place::Lan, 4) };
    let setup = Setup { cores: 64, superblocks: 16, ..signed(Verification::All, full) };
    let report = run(&setup);
    let bound = 1e6 / setup.costs.writing_us;
    assert!(report.committed_per_second <= bound, "{report:?}");
    assert!(report.committed_per_second > bound / 2.0, "the thread is busy: {report:?}");
    assert_eq!(report.limit, Limit::Execution, "{report:?}");
    let costs = Costs { settling_us: 0.0, ..setup.costs };
    let unsettled = run(&Setup { costs, ..setup });
    assert!(unsettled.committed_per_second <= bound, "{unsettled:?}");
    assert!(unsettled.committed_per_second >= report.committed_per_second, "{unsettled:?}");
    let costs = Costs { writing_us: 0.0, ..costs };
    let unwritten = run(&Setup { costs, ..setup });
    assert!(
        unwritten.committed_per_second > report.committed_per_second,
        "it is what limited: {unwritten:?}"
    );
    assert!(unwritten.committed_per_second <= 1e6 / costs.hashing_serial_us, "{unwritten:?}");
    let costs = Costs { running_us: 40.0, hashing_serial_us: 40.0, ..costs };
    let in_step = run(&Setup { costs, ..setup });
    let both = 1e6 / (costs.running_us + costs.hashing_serial_us);
    assert!(in_step.committed_per_second > both, "running and hashing overlap: {in_step:?}");
}

/// Goal: no block holds more than there is gas for, and what found none is not lost. Way: blocks that are small beside the
/// proposals, which are full all the time.
#[test]
fn throughput_is_never_above_what_the_gas_of_blocks_allows() {
    for transfers in [1, 30, 500] {
        let gas_max = transfers * 21_000 + 20_999;
        let setup = Setup { gas_max, superblocks: 16, ..signed(Verification::Sharded, setup(Place::Lan, 4)) };
        let report = run(&setup);
        assert_eq!(report.committed, report.superblocks * transfers, "every block is full: {report:?}");
        assert!(report.transactions_without_gas > report.committed, "and they come again: {report:?}");
        assert_eq!((report.limit, report.gas_max), (Limit::Gas, Some(gas_max)), "{report:?}");
    }
    let ordering = run(&Setup { gas_max: 21_000, ..setup(Place::Lan, 4) });
    assert!(ordering.transactions_per_superblock > 1.0, "ordering knows no gas: {ordering:?}");
    assert_eq!(ordering.gas_max, None);
}

/// Goal: a height begins no sooner than the chain's does, however many transactions wait. Way: blocks that are made at once.
#[test]
fn signed_heights_keep_the_interval_of_blocks() {
    let costs = Costs { hashing_shared_us: 0.0, ..nothing_serial() };
    let setup = Setup { costs, superblocks: 16, ..signed(Verification::All, setup(Place::Lan, 4)) };
    let report = run(&setup);
    // Those at both ends may have taken longer or shorter to be decided than an interval.
    let least = (setup.superblocks as f64 - 4.0) * setup.pace.pause.as_secs_f64();
    assert!(report.seconds > least, "{report:?}");
    assert_eq!(report.limit, Limit::Latency, "{report:?}");
}

/// Goal: the chain waits for its disk. Way: a disk that is slow beside everything else.
#[test]
fn durable_blocks_wait_for_the_disk() {
    let slow = Costs { sync_ms: 40.0, ..Costs::default() };
    let setup = Setup { costs: slow, ..signed(Verification::All, setup(Place::Lan, 4)) };
    let (memory, disk) = (run(&setup), run(&Setup { durable: true, ..setup }));
    assert!(disk.latency_ms_p50 > memory.latency_ms_p50 + 100.0, "{disk:?}");
    // A disk that takes a block's bytes in slower than any thread makes them.
    let narrow = Costs { disk_gb_per_s: 0.1, ..Costs::default() };
    let disk = run(&Setup { costs: narrow, durable: true, ..setup });
    let bytes = narrow.written_bytes + narrow.settled_bytes;
    assert!(disk.committed_per_second <= 1.2 * 0.1e9 / bytes, "one block of many may wait: {disk:?}");
}

/// Goal: distance shows. Way: the good case takes four message delays, from the Atlantic to the Pacific.
#[test]
fn latency_has_the_distance_in_it() {
    let (lan, wan) = (run(&setup(Place::Lan, 4)), run(&setup(Place::Wan, 4)));
    assert!(wan.latency_ms_p50 > lan.latency_ms_p50 + 100.0, "{} {}", lan.latency_ms_p50, wan.latency_ms_p50);
}
