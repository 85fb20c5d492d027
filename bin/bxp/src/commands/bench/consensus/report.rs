//! What the run measured, beside what the machine allows.

use super::{Arguments, limits::Costs, load::Outcome, node::Stats};
use crate::commands::bench::quantile_ms;
use anyhow::Result;
use serde::Serialize;
use std::time::Duration;

/// The measured part of a run.
pub(super) struct Window {
    /// From the common start of the clients.
    pub(super) begin: Duration,
    pub(super) end: Duration,
    /// Every node's counters at both ends.
    pub(super) before: Vec<Stats>,
    pub(super) after: Vec<Stats>,
    pub(super) client_cpu_us: u64,
}

#[derive(Serialize)]
pub(super) struct Report {
    validators: u16,
    tx_bytes: u32,
    rate: u64,
    durable: bool,
    cores: usize,
    seconds: f64,
    committed: usize,
    committed_per_second: f64,
    latency_ms_p50: Option<f64>,
    latency_ms_p99: Option<f64>,
    /// Sent before the end and never decided.
    lost: usize,
    node_cpu_us_per_tx: f64,
    client_cpu_us_per_tx: f64,
    superblocks: u64,
    transactions_per_superblock: f64,
    proposals_left_out: u64,
    messages_per_validator_per_superblock: f64,
    /// Consensus messages that a validator hands to the network, before encryption.
    bytes_per_validator_per_superblock: f64,
    /// Every body once to every other node.
    bytes_per_validator_per_superblock_limit: f64,
    ratio_to_bytes_limit: f64,
    log_bytes_per_validator_per_second: f64,
    log_syncs_per_validator_per_second: f64,
    memory_max_bytes: u64,
    #[serde(flatten)]
    costs: Costs,
    /// Transport, hashing and logging of every body, as measured in this run, and nothing else.
    limit_cpu_us_per_tx: f64,
    ratio_to_cpu_limit: f64,
    /// All cores at that limit, and the disk where it is waited for.
    limit_per_second: f64,
}

impl Report {
    pub(super) fn new(arguments: &Arguments, costs: Costs, window: &Window, outcomes: &[Outcome]) -> Self {
        let seconds = (window.end - window.begin).as_secs_f64();
        let (latencies_ms, lost) = latencies(window, outcomes);
        let committed = latencies_ms.len();
        let sum = |value: fn(&Stats) -> u64| {
            let total = |stats: &[Stats]| stats.iter().map(value).sum::<u64>();
            (total(&window.after) - total(&window.before)) as f64
        };
        let nodes = f64::from(arguments.validators);
        let superblocks = sum(|stats| stats.counters.superblocks) / nodes;
        let of_each = |value: f64| value / nodes / superblocks.max(1.0);
        let body_bytes = of_each(sum(|stats| stats.counters.body_bytes));
        let sent = of_each(sum(|stats| stats.counters.sent_bytes));
        let sent_limit = body_bytes * (nodes - 1.0) / nodes;
        let node_cpu = sum(|stats| stats.cpu_us) / committed.max(1) as f64;
        let bytes = f64::from(arguments.tx_bytes);
        let limit_cpu = bytes / 1e3
            * ((nodes - 1.0) * costs.transport_cpu_s_per_gb
                + nodes * (costs.sha256_cpu_s_per_gb + costs.log_cpu_s_per_gb));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let disk = costs.disk_gb_per_s * 1e9 / (bytes * nodes);
        let processor = cores as f64 * 1e6 / limit_cpu;
        Self {
            validators: arguments.validators,
            tx_bytes: arguments.tx_bytes,
            rate: arguments.rate,
            durable: !arguments.not_durable,
            cores,
            seconds,
            committed,
            committed_per_second: committed as f64 / seconds,
            latency_ms_p50: quantile_ms(&latencies_ms, 0.5),
            latency_ms_p99: quantile_ms(&latencies_ms, 0.99),
            lost,
            node_cpu_us_per_tx: node_cpu,
            client_cpu_us_per_tx: window.client_cpu_us as f64 / committed.max(1) as f64,
            superblocks: superblocks as u64,
            transactions_per_superblock: of_each(sum(|stats| stats.counters.transactions)),
            proposals_left_out: sum(|stats| stats.counters.proposals_left_out) as u64,
            messages_per_validator_per_superblock: of_each(sum(|stats| stats.counters.sent_messages)),
            bytes_per_validator_per_superblock: sent,
            bytes_per_validator_per_superblock_limit: sent_limit,
            ratio_to_bytes_limit: sent / sent_limit.max(1.0),
            log_bytes_per_validator_per_second: sum(|stats| stats.log_bytes) / nodes / seconds,
            log_syncs_per_validator_per_second: sum(|stats| stats.log_syncs) / nodes / seconds,
            memory_max_bytes: window.after.iter().map(|stats| stats.memory_max_bytes).max().unwrap_or(0),
            costs,
            limit_cpu_us_per_tx: limit_cpu,
            ratio_to_cpu_limit: limit_cpu / node_cpu.max(f64::MIN_POSITIVE),
            limit_per_second: if arguments.not_durable { processor } else { processor.min(disk) },
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        // The field names are the documentation's; one a line is enough for people.
        if let serde_json::Value::Object(fields) = serde_json::to_value(self)? {
            for (name, value) in fields {
                println!("{name:<44}{value}");
            }
        }
        Ok(())
    }
}

/// Latencies, sorted, of what was decided within the window; and how many that were sent in it never were.
fn latencies(window: &Window, outcomes: &[Outcome]) -> (Vec<f64>, usize) {
    let within = |time_us: u64| (window.begin..window.end).contains(&Duration::from_micros(time_us));
    let (mut latencies_ms, mut lost) = (Vec::new(), 0);
    for outcome in outcomes {
        for (sent, decided) in outcome.sent_us.iter().zip(&outcome.decided_us) {
            match decided {
                Some(decided) if within(*decided) => {
                    latencies_ms.push(decided.saturating_sub(*sent) as f64 / 1e3);
                }
                None if within(*sent) => lost += 1,
                _ => {}
            }
        }
    }
    latencies_ms.sort_unstable_by(f64::total_cmp);
    (latencies_ms, lost)
}
