//! What a run of the model came to.

use super::{Costs, Place, Setup};
use bxp_consensus::Verification;
use bxp_types::Height;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// What is busy for more than this part of the time is what limits.
const BUSY: f64 = 0.85;

/// What keeps a network from doing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The processors.
    Cpu,
    /// The links.
    Bandwidth,
    /// The making of blocks, one after the other, or their writing: what one thread does alone of it, with the disk.
    Execution,
    /// The gas of a block, with as many heights open.
    Gas,
    /// None of them: message delays, and the serial work of drivers, with so many heights open and transactions under way.
    Latency,
}

impl Limit {
    /// Of the parts of the time for which processors, links and the making of blocks are busy, and of how full blocks are.
    fn of(cpu: f64, links: f64, execution: f64, full: f64) -> Self {
        if cpu >= links && cpu > BUSY {
            Self::Cpu
        } else if links > BUSY {
            Self::Bandwidth
        } else if execution > BUSY {
            Self::Execution
        } else if full > BUSY {
            Self::Gas
        } else {
            Self::Latency
        }
    }
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Duration,
    sent_bytes: u64,
    sent_messages: u64,
    busy: [Duration; 4],
}

/// What is counted while the model runs.
pub(super) struct Measure {
    validators: u64,
    first: u64,
    last: u64,
    sent_bytes: u64,
    sent_messages: u64,
    left_out: u64,
    without_gas: u64,
    /// How many validators are done with each height, and what it holds.
    done: BTreeMap<Height, (u64, u64)>,
    marks: BTreeMap<u64, Mark>,
    /// Answers by latency in microseconds.
    latencies: BTreeMap<u64, u64>,
}

impl Measure {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            validators: setup.validators as u64,
            first: setup.warm_up.max(1),
            last: setup.warm_up.max(1) + setup.superblocks.max(1),
            sent_bytes: 0,
            sent_messages: 0,
            left_out: 0,
            without_gas: 0,
            done: BTreeMap::new(),
            marks: BTreeMap::new(),
            latencies: BTreeMap::new(),
        }
    }

    pub(super) fn sent(&mut self, bytes: u64, times: u64) {
        self.sent_bytes += bytes * times;
        self.sent_messages += times;
    }

    pub(super) fn left_out(&mut self) {
        self.left_out += 1;
    }

    /// So many transactions of a proposal found no gas in their block.
    pub(super) fn without_gas(&mut self, count: u64) {
        self.without_gas += count;
    }

    pub(super) fn answered(&mut self, height: Height, latency: Duration, count: u64) {
        if (self.first + 1..=self.last).contains(&height.0) {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            *self.latencies.entry(micros).or_default() += count;
        }
    }

    /// A height counts as done when most validators are done with it.
    pub(super) fn executed(&mut self, height: Height, transactions: u64, at: Duration, busy: [Duration; 4]) {
        let done = self.done.entry(height).or_insert((0, transactions));
        done.0 += 1;
        if done.0 == self.validators / 2 + 1 {
            let (sent_bytes, sent_messages) = (self.sent_bytes, self.sent_messages);
            self.marks.insert(height.0, Mark { at, sent_bytes, sent_messages, busy });
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.done.get(&Height(self.last)).is_some_and(|done| done.0 == self.validators)
    }

    pub(super) fn decided(&self) -> u64 {
        self.marks.len() as u64
    }

    fn quantile_ms(&self, part: f64) -> f64 {
        let all: u64 = self.latencies.values().sum();
        let mut left = (all as f64 * part).ceil();
        for (micros, count) in &self.latencies {
            left -= *count as f64;
            if left <= 0.0 {
                return *micros as f64 / 1e3;
            }
        }
        0.0
    }
}

/// One run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Where the validators stand.
    pub place: Place,
    /// How many.
    pub validators: usize,
    /// `ordering`, or who verifies.
    pub verification: &'static str,
    /// Bytes of each transaction.
    pub tx_bytes: u64,
    /// Cores of each, or of all.
    pub cores: u16,
    /// Of each link, in each direction.
    pub gigabits: f64,
    /// Gas of a block; ordering knows none.
    pub gas_max: Option<u64>,
    /// Whether what is said waits for the disk.
    pub durable: bool,
    /// The seed.
    pub seed: u64,
    /// Superblocks measured.
    pub superblocks: u64,
    /// Virtual seconds that they took.
    pub seconds: f64,
    /// Transactions in them.
    pub committed: u64,
    /// Transactions a second.
    pub committed_per_second: f64,
    /// From a client's handing in to the answer, with the transactions under way that saturate.
    pub latency_ms_p50: f64,
    /// See [`Self::latency_ms_p50`].
    pub latency_ms_p99: f64,
    /// Transactions of one superblock.
    pub transactions_per_superblock: f64,
    /// Proposals that came too late for their superblock and came again, in the whole run.
    pub proposals_left_out: u64,
    /// Transactions that found no gas in the block of their superblock and came again, in the whole run.
    pub transactions_without_gas: u64,
    /// What a validator hands to its network, before encryption.
    pub bytes_per_validator_per_superblock: f64,
    /// Every body once to every other validator.
    pub bytes_per_validator_per_superblock_limit: f64,
    /// Messages of one validator, each peer's counted.
    pub messages_per_validator_per_superblock: f64,
    /// What a transaction costs all processors.
    pub cpu_us_per_tx: f64,
    /// The part of the time for which processors, outgoing and incoming links are busy.
    pub cpu_busy: f64,
    /// See [`Self::cpu_busy`].
    pub up_busy: f64,
    /// See [`Self::cpu_busy`].
    pub down_busy: f64,
    /// The part of the time for which a validator makes or writes blocks, with what it waits for cores and disk meanwhile.
    pub execution_busy: f64,
    /// What limits.
    pub limit: Limit,
    /// What the links allow at the best.
    pub bandwidth_bound_per_second: f64,
    /// Events of the run, and its virtual time.
    pub events: u64,
    /// See [`Self::events`].
    pub simulated_s: f64,
    /// What work costs.
    pub costs: Costs,
}

impl Report {
    pub(super) fn new(setup: &Setup, measure: &Measure, events: u64, now: Duration) -> Self {
        let nothing = Mark { at: Duration::ZERO, sent_bytes: 0, sent_messages: 0, busy: [Duration::ZERO; 4] };
        let mark = |height| measure.marks.get(&height).copied().unwrap_or(nothing);
        let (from, to) = (mark(measure.first), mark(measure.last));
        let seconds = (to.at - from.at).as_secs_f64();
        let counted = measure.done.range(Height(measure.first + 1)..=Height(measure.last));
        let committed: u64 = counted.map(|(_, (_, transactions))| transactions).sum();
        let superblocks = measure.last - measure.first;
        let n = setup.validators as f64;
        let each = |sent: u64| sent as f64 / n / superblocks as f64;
        let of_superblock = committed as f64 / superblocks as f64;
        let cpu_s = to.busy[0].saturating_sub(from.busy[0]).as_secs_f64();
        let machines = if setup.place == Place::Local { 1.0 } else { n };
        let cores = machines * f64::from(setup.cores);
        let busy = |which: usize, width: f64| {
            let work = to.busy[which].saturating_sub(from.busy[which]).as_secs_f64();
            (work / width / seconds).min(1.0)
        };
        let (cpu_busy, up_busy, down_busy) = (busy(0, cores), busy(1, n), busy(2, n));
        let execution_busy = busy(3, n);
        let full = setup.block_transactions_max() as f64;
        Self {
            place: setup.place,
            validators: setup.validators,
            verification: match setup.signed {
                None => "ordering",
                Some(Verification::All) => "all",
                Some(Verification::Sharded) => "sharded",
            },
            tx_bytes: setup.tx_bytes,
            cores: setup.cores,
            gigabits: setup.gigabits,
            gas_max: setup.signed.map(|_| setup.gas_max),
            durable: setup.durable,
            seed: setup.seed,
            superblocks,
            seconds,
            committed,
            committed_per_second: committed as f64 / seconds,
            latency_ms_p50: measure.quantile_ms(0.5),
            latency_ms_p99: measure.quantile_ms(0.99),
            transactions_per_superblock: of_superblock,
            proposals_left_out: measure.left_out,
            transactions_without_gas: measure.without_gas,
            bytes_per_validator_per_superblock: each(to.sent_bytes - from.sent_bytes),
            bytes_per_validator_per_superblock_limit: of_superblock / n
                * setup.body_bytes(1) as f64
                * (n - 1.0),
            messages_per_validator_per_superblock: each(to.sent_messages - from.sent_messages),
            cpu_us_per_tx: cpu_s * 1e6 / committed.max(1) as f64,
            cpu_busy,
            up_busy,
            down_busy,
            execution_busy,
            limit: Limit::of(cpu_busy, up_busy.max(down_busy), execution_busy, of_superblock / full),
            bandwidth_bound_per_second: setup.bandwidth_bound_per_second(),
            events,
            simulated_s: now.as_secs_f64(),
            costs: setup.costs,
        }
    }
}
