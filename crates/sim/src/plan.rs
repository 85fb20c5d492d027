//! What a run is to be like: everything that goes wrong in it, drawn from its seed before it begins.

use crate::byzantine::Behaviour;
use bxp_consensus::Verification;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{ops::Range, time::Duration};

/// A fault that happens at a time, to machines named by their places among the hosts.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The machine loses its power, and gets it back after a while.
    Crash { host: usize, down: Duration },
    /// The power fails at the writing operation after so many more.
    PowerFailsAtWrite { host: usize, writes: u64 },
    /// All machines crash at nearly the same time.
    Blackout { down: Duration },
    /// The connection between two hosts breaks.
    Cut { a: usize, b: usize, down: Duration },
    /// Nothing passes between the two sides; `breaks` says whether the connections notice.
    Partition { side: Vec<bool>, lasts: Duration, breaks: bool },
    /// Nothing passes from one host to another, while the other way works.
    OneWay { from: usize, to: usize, lasts: Duration },
    /// The wall clock jumps.
    ClockJump { host: usize, by_ms: i64 },
    /// The process is not scheduled for a while.
    Pause { host: usize, lasts: Duration },
}

/// A host's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// How much faster than time its clock runs, in parts of a million.
    pub(crate) drift_ppm: i64,
    /// How far its wall clock is off, in milliseconds.
    pub(crate) offset_ms: i64,
}

/// A whole run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) validators: usize,
    /// Who of them leaves most checks to others; in some runs with sharded verification a few do not.
    pub(crate) sharding: Vec<bool>,
    /// How long votes wait for others, as they do in networks larger than these.
    pub(crate) vote_gather: Duration,
    /// The last validators are Byzantine.
    pub(crate) byzantine: Vec<Behaviour>,
    /// How long things go wrong.
    pub(crate) trouble: Duration,
    /// Message delays in microseconds while things go wrong, and after.
    pub(crate) delay_us: Range<u64>,
    pub(crate) calm_delay_us: Range<u64>,
    /// Whether a channel keeps the order of its messages, as TCP does.
    pub(crate) ordered: bool,
    /// Of a thousand messages, how many come twice and how many vanish while things go wrong.
    pub(crate) duplicates_permille: u32,
    pub(crate) losses_permille: u32,
    /// How long a disk flush takes in microseconds while things go wrong.
    pub(crate) flush_us: Range<u64>,
    /// How long a piece of work takes in microseconds.
    pub(crate) work_us: Range<u64>,
    pub(crate) block_interval: Duration,
    /// Time between two submissions of clients.
    pub(crate) submit_every: Duration,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) faults: Vec<(Duration, Fault)>,
}

impl Plan {
    /// The plan of `seed` for that many validators.
    pub(crate) fn of(seed: u64, validators: usize, verification: Verification) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed ^ 0x5eed_0f91_a115_u64);
        let byzantine = byzantine(seed, validators, &behaviours(verification), rng);
        let hosts = validators + byzantine.iter().filter(|behaviour| **behaviour == Behaviour::Twins).count();
        let trouble = Duration::from_millis(rng.random_range(4_000..20_000));
        let slowest = *[20_000, 80_000, 400_000, 1_500_000].choose(rng).unwrap_or(&80_000);
        let flush = *[300, 2_000, 30_000, 500_000].choose(rng).unwrap_or(&300);
        Self {
            validators,
            sharding: sharding(seed, validators, verification),
            vote_gather: vote_gather(seed),
            trouble,
            delay_us: 200..slowest,
            calm_delay_us: 200..*[2_000, 20_000, 60_000].choose(rng).unwrap_or(&2_000),
            ordered: rng.random_ratio(2, 3),
            duplicates_permille: if rng.random_ratio(1, 3) { rng.random_range(1..60) } else { 0 },
            losses_permille: if rng.random_ratio(1, 5) { rng.random_range(1..80) } else { 0 },
            flush_us: 50..flush,
            work_us: 100..*[1_000, 20_000, 300_000].choose(rng).unwrap_or(&1_000),
            block_interval: Duration::from_millis(*[5, 100, 400].choose(rng).unwrap_or(&100)),
            submit_every: Duration::from_millis(rng.random_range(25..250)),
            clocks: (0..hosts).map(|_| clock(rng)).collect(),
            faults: faults(hosts, trouble, rng),
            byzantine,
        }
    }

    /// t: how many validators may be Byzantine.
    pub(crate) fn fault_bound(validators: usize) -> usize {
        validators.saturating_sub(1) / 3
    }
}

/// The behaviours that there can be.
fn behaviours(verification: Verification) -> Vec<Behaviour> {
    let verifiers: &[Behaviour] = match verification {
        Verification::All => &[],
        Verification::Sharded => &Behaviour::VERIFIERS,
    };
    [verifiers, &Behaviour::ALL].concat()
}

/// Who shards. A random stream of its own keeps the plans of runs without sharding as they are.
fn sharding(seed: u64, validators: usize, verification: Verification) -> Vec<bool> {
    if verification == Verification::All {
        return vec![false; validators];
    }
    let rng = &mut ChaCha8Rng::seed_from_u64(seed ^ 0x5ad_ed00_7e41_f1e5_u64);
    let mixed = rng.random_ratio(1, 3);
    (0..validators).map(|_| !mixed || rng.random()).collect()
}

/// In a third of the runs votes wait. A random stream of its own keeps the rest of the plans as they are.
fn vote_gather(seed: u64) -> Duration {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed ^ 0x6a7e_0e25_f0a7_e500_u64);
    if rng.random_ratio(2, 3) { Duration::ZERO } else { Duration::from_millis(rng.random_range(1..60)) }
}

/// Every behaviour comes up in turn, beside others where there is room; in some runs all are correct.
fn byzantine(seed: u64, validators: usize, all: &[Behaviour], rng: &mut ChaCha8Rng) -> Vec<Behaviour> {
    let bound = Plan::fault_bound(validators);
    let turns = all.len() as u64 + 6;
    let first = usize::try_from(seed % turns).ok().and_then(|turn| all.get(turn));
    let Some(&first) = first.filter(|_| bound > 0) else { return Vec::new() };
    let others = rng.random_range(0..bound);
    let any = |rng: &mut ChaCha8Rng| all.choose(rng).copied().unwrap_or(Behaviour::Silent);
    std::iter::once(first).chain((0..others).map(|_| any(rng))).collect()
}

fn clock(rng: &mut ChaCha8Rng) -> Clock {
    match rng.random_range(0..4) {
        0 => Clock::default(),
        1 => Clock { drift_ppm: rng.random_range(-200..200), offset_ms: rng.random_range(-500..500) },
        2 => Clock { drift_ppm: rng.random_range(-50_000..50_000), offset_ms: 0 },
        _ => Clock { drift_ppm: 0, offset_ms: rng.random_range(-86_400_000..86_400_000) },
    }
}

fn faults(hosts: usize, trouble: Duration, rng: &mut ChaCha8Rng) -> Vec<(Duration, Fault)> {
    let end = u64::try_from(trouble.as_millis()).unwrap_or(u64::MAX);
    // Each kind is absent from half of the runs, so that each also meets the others alone.
    let mut kinds: Vec<u32> = (0..8).filter(|_| rng.random()).collect();
    if kinds.is_empty() {
        kinds.push(rng.random_range(0..8));
    }
    let count = rng.random_range(0..28);
    let mut faults: Vec<(Duration, Fault)> = (0..count)
        .map(|_| {
            let kind = kinds.choose(rng).copied().unwrap_or(0);
            (Duration::from_millis(rng.random_range(0..end)), fault(kind, hosts, rng))
        })
        .collect();
    faults.sort_by_key(|(at, _)| *at);
    faults
}

fn fault(kind: u32, hosts: usize, rng: &mut ChaCha8Rng) -> Fault {
    let (host, other) = two(hosts, rng);
    let down = Duration::from_millis(*[10, 400, 3_000].choose(rng).unwrap_or(&10) + rng.random_range(0..400));
    match kind {
        0 => Fault::Crash { host, down },
        1 => Fault::PowerFailsAtWrite { host, writes: rng.random_range(0..60) },
        2 => Fault::Blackout { down },
        3 => Fault::Cut { a: host, b: other, down },
        4 => {
            let side = (0..hosts).map(|_| rng.random()).collect();
            Fault::Partition { side, lasts: down, breaks: rng.random() }
        }
        5 => Fault::OneWay { from: host, to: other, lasts: down * 2 },
        6 => Fault::ClockJump { host, by_ms: rng.random_range(-7_200_000..7_200_000) },
        _ => Fault::Pause { host, lasts: down },
    }
}

fn two(hosts: usize, rng: &mut ChaCha8Rng) -> (usize, usize) {
    let host = rng.random_range(0..hosts);
    let other = (host + rng.random_range(0..hosts.max(2) - 1) + 1) % hosts.max(1);
    (host, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Verification = Verification::All;

    #[test]
    fn one_seed_is_one_plan_and_many_seeds_meet_every_behaviour_and_fault() {
        assert_eq!(format!("{:?}", Plan::of(7, 4, ALL)), format!("{:?}", Plan::of(7, 4, ALL)));
        let plans: Vec<Plan> = (0..200).map(|seed| Plan::of(seed, 4, ALL)).collect();
        for behaviour in Behaviour::ALL {
            assert!(plans.iter().any(|plan| plan.byzantine.contains(&behaviour)), "{behaviour:?}");
        }
        for kind in ["Crash", "PowerFails", "Blackout", "Cut", "Partition", "OneWay", "ClockJump", "Pause"] {
            let has =
                |plan: &Plan| plan.faults.iter().any(|(_, fault)| format!("{fault:?}").starts_with(kind));
            assert!(plans.iter().any(has), "{kind}");
        }
        assert!(plans.iter().any(|plan| plan.byzantine.is_empty()));
        let gather = |plan: &&Plan| !plan.vote_gather.is_zero();
        assert!((40..100).contains(&plans.iter().filter(gather).count()));
        assert!((0..50).all(|seed| Plan::of(seed, 3, ALL).byzantine.is_empty()), "t = 0 tolerates nobody");
        assert!((0..200).all(|seed| Plan::of(seed, 10, ALL).byzantine.len() <= 3));
    }
    #[test]
    fn sharded_plans_meet_every_false_verifier_and_mix_kinds_of_nodes() {
        let plans: Vec<Plan> = (0..100).map(|seed| Plan::of(seed, 4, Verification::Sharded)).collect();
        for behaviour in Behaviour::ALL.iter().chain(&Behaviour::VERIFIERS) {
            assert!(plans.iter().any(|plan| plan.byzantine.contains(behaviour)), "{behaviour:?}");
        }
        let sharding = |plan: &Plan| plan.sharding.iter().filter(|shards| **shards).count();
        assert!(plans.iter().filter(|plan| sharding(plan) == 4).count() > 50);
        assert!(plans.iter().any(|plan| (1..4).contains(&sharding(plan))));
        assert!((0..50).all(|seed| sharding(&Plan::of(seed, 4, ALL)) == 0));
    }
}
