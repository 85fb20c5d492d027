//! Whole networks on many seeds. A failing seed is printed; `bxp sim --seeds SEED --validators N --trace` replays it.

mod found;
mod model;

use bxp_sim::{Behaviour, Sabotage, Summary, Verification};
use std::collections::BTreeSet;

/// Runs every seed where all verify, and says which of them failed.
fn check(seeds: std::ops::Range<u64>, validators: usize) {
    check_with(seeds, validators, Verification::All);
}

fn check_with(seeds: std::ops::Range<u64>, validators: usize, verification: Verification) -> Vec<Summary> {
    let runs: Vec<Summary> = seeds.map(|seed| bxp_sim::run(seed, validators, verification, false)).collect();
    let failed: Vec<String> = runs.iter().filter_map(describe).collect();
    assert!(failed.is_empty(), "{} of {} runs failed:\n{}", failed.len(), runs.len(), failed.join("\n"));
    runs
}

fn describe(run: &Summary) -> Option<String> {
    let failure = run.failure.as_ref()?;
    Some(format!(
        "seed {} with {} validators, {} sharding, Byzantine {:?}, at {:.3} s, host {:?}: {}",
        run.seed, run.validators, run.sharding, run.byzantine, failure.at_s, failure.host, failure.what
    ))
}

#[test]
fn four_validators_one_of_them_byzantine_first_half() {
    check(0..200, 4);
}

#[test]
fn four_validators_one_of_them_byzantine_second_half() {
    check(200..400, 4);
}

#[test]
fn seven_validators_two_of_them_byzantine() {
    check(1_000..1_060, 7);
}

#[test]
fn three_and_one_validators_without_a_byzantine_one() {
    check(2_000..2_015, 3);
    check(2_015..2_030, 1);
}

#[test]
fn ten_validators_three_of_them_byzantine() {
    check(3_000..3_010, 10);
}

/// Goal: with sharded verification nothing invalid is decided, whatever is reported, and nothing valid is kept out for ever.
/// Way: every decided proposal is checked again, what was acknowledged must become final while the false verifiers go on,
/// and the runs must have met every kind of them.
#[test]
fn sharded_verification_among_false_verifiers() {
    let mut runs = check_with(4_000..4_132, 4, Verification::Sharded);
    runs.extend(check_with(5_000..5_022, 7, Verification::Sharded));
    let met: BTreeSet<Behaviour> = runs.iter().flat_map(|run| run.byzantine.clone()).collect();
    assert!(Behaviour::VERIFIERS.iter().all(|verifier| met.contains(verifier)), "{met:?}");
    let decided = runs.iter().map(|run| run.proposals_decided).sum::<usize>();
    assert!(decided > 2_000, "{decided} decided proposals were checked again");
    assert!(runs.iter().any(|run| (1..run.validators).contains(&run.sharding)), "nodes of both kinds");
}

/// Goal: a seed is a test. Way: the same seeds again, down to the last step.
#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 8, 31, 33] {
        let [one, other] = [(); 2].map(|()| bxp_sim::run(seed, 4, Verification::All, false));
        assert_eq!((one.fingerprint, one.steps), (other.fingerprint, other.steps), "seed {seed}");
    }
}

/// Goal: the runs are worth something: they crash nodes, make blocks, acknowledge, and meet every behaviour.
#[test]
fn the_runs_reach_what_they_are_for() {
    let runs: Vec<Summary> = (0..40).map(|seed| bxp_sim::run(seed, 4, Verification::All, false)).collect();
    let met: BTreeSet<Behaviour> = runs.iter().flat_map(|run| run.byzantine.clone()).collect();
    assert_eq!(met.len(), Behaviour::ALL.len());
    let sum = |of: fn(&Summary) -> u64| runs.iter().map(of).sum::<u64>();
    let (crashes, heights) = (sum(|run| run.crashes), sum(|run| run.heights));
    let (transactions, acknowledged) = (sum(|run| run.transactions), sum(|run| run.acknowledged as u64));
    assert!(crashes > 40 && heights > 400, "{crashes} crashes, {heights} blocks");
    let books = sum(|run| run.books_checked);
    assert!(books * 2 > heights, "{books} of {heights} blocks were held against the book");
    assert!(
        transactions > 1_000 && acknowledged > 1_000,
        "{transactions} in blocks, {acknowledged} acknowledged"
    );
}

/// Goal: the checks are worth something. Way: break what the protocol rests on, one thing at a time, and look whether
/// a rule fails on some seed.
#[test]
fn what_breaks_the_ground_is_noticed() {
    for sabotage in Sabotage::ALL {
        let noticed = (0..60).find_map(|seed| bxp_sim::run_sabotaged(seed, 4, sabotage).failure);
        let failure = noticed.unwrap_or_else(|| panic!("{sabotage:?} was not noticed"));
        println!("{sabotage:?}: {}", failure.what);
    }
}
