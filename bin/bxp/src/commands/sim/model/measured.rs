//! Costs as `bxp bench consensus` and `bxp bench transfers` have measured them, on the machine with whose runs the model is to
//! be compared.

use anyhow::{Context, Result, ensure};
use bxp_sim::Costs;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A report holds little more than a kilobyte.
const BYTES_MAX: u64 = 1 << 20;
/// A field of `bxp bench transfers` that `bxp bench consensus` does not have.
const OF_SIGNED: &str = "recovery_cpu_us";

/// The fields of the report of `bxp bench consensus` that are costs.
#[derive(Deserialize)]
struct Consensus {
    transport_cpu_s_per_gb: f64,
    sha256_cpu_s_per_gb: f64,
    log_cpu_s_per_gb: f64,
    disk_gb_per_s: f64,
    flush_ms: f64,
    frame_cpu_us: f64,
    frame_engine_cpu_us: f64,
    vote_cpu_us: f64,
    intake_cpu_us_per_tx: f64,
    client_cpu_us_per_tx: f64,
}

/// The fields of the report of `bxp bench transfers` that are costs, or that costs follow from.
#[derive(Deserialize)]
struct Transfers {
    validators: u16,
    recovery_cpu_us: f64,
    execution_cpu_us: f64,
    recoveries_per_tx: f64,
    node_cpu_us_per_tx: f64,
    client_cpu_us_per_tx: f64,
}

/// The usual costs, with those that each of the files has in the place of its own.
pub(super) fn costs(paths: &[PathBuf], signed: bool) -> Result<Costs> {
    let texts: Vec<String> = paths.iter().map(|path| read(path)).collect::<Result<_>>()?;
    let mut costs = Costs::default();
    for (path, text) in paths.iter().zip(&texts) {
        let context = || format!("take costs from {}", path.display());
        costs = with(costs, text, signed).with_context(context)?;
    }
    Ok(costs)
}

fn read(path: &Path) -> Result<String> {
    let name = path.display();
    let bytes = std::fs::metadata(path).with_context(|| format!("read costs {name}"))?.len();
    ensure!(bytes <= BYTES_MAX, "{name} has {bytes} bytes: no report of a benchmark in JSON");
    std::fs::read_to_string(path).with_context(|| format!("read costs {name}"))
}

fn with(costs: Costs, text: &str, signed: bool) -> Result<Costs> {
    let report: Value = serde_json::from_str(text).context("understand the report of a benchmark")?;
    let costs = if report.get(OF_SIGNED).is_none() {
        let what = "understand the report of `bxp bench consensus --json`";
        let measured: Consensus = serde_json::from_value(report).context(what)?;
        of_consensus(costs, &measured)
    } else {
        ensure!(signed, "it is of signed transactions, which --ordering has none of; leave it out");
        let what = "understand the report of `bxp bench transfers --json`";
        let measured: Transfers = serde_json::from_value(report).context(what)?;
        of_transfers(costs, &measured)
    };
    let positive = |value: f64| value.is_finite() && value >= 0.0;
    ensure!(
        costs.all().into_iter().all(positive) && costs.disk_gb_per_s > 0.0,
        "a cost is negative or no number"
    );
    Ok(costs)
}

/// Recovering and executing are not measured there.
fn of_consensus(costs: Costs, measured: &Consensus) -> Costs {
    Costs {
        transport_s_per_gb: measured.transport_cpu_s_per_gb,
        sha256_s_per_gb: measured.sha256_cpu_s_per_gb,
        log_s_per_gb: measured.log_cpu_s_per_gb,
        disk_gb_per_s: measured.disk_gb_per_s,
        sync_ms: measured.flush_ms,
        frame_send_us: measured.frame_cpu_us / 2.0,
        frame_receive_us: measured.frame_cpu_us / 2.0,
        frame_driver_us: measured.frame_engine_cpu_us,
        vote_us: measured.vote_cpu_us,
        intake_us: measured.intake_cpu_us_per_tx,
        client_us: measured.client_cpu_us_per_tx,
        ..costs
    }
}

/// Execution is measured as a whole there: its serial parts are taken to be the shares of it that they usually are. What the nodes
/// did beside recovering and executing is put down to taking a transfer in, through JSON-RPC and into the pool on disk:
/// bodies, frames, and starting are in it too, so that it is too much rather than too little.
fn of_transfers(costs: Costs, measured: &Transfers) -> Costs {
    let usual = Costs::default();
    let hashing = usual.hashing_serial_us + usual.hashing_shared_us;
    let share =
        measured.execution_cpu_us / (usual.running_us + hashing + usual.writing_us + usual.settling_us);
    let known = measured.recoveries_per_tx * measured.recovery_cpu_us
        + f64::from(measured.validators) * measured.execution_cpu_us;
    Costs {
        recovery_us: measured.recovery_cpu_us,
        running_us: usual.running_us * share,
        hashing_serial_us: usual.hashing_serial_us * share,
        hashing_shared_us: usual.hashing_shared_us * share,
        writing_us: usual.writing_us * share,
        settling_us: usual.settling_us * share,
        written_bytes: usual.written_bytes * share,
        settled_bytes: usual.settled_bytes * share,
        intake_us: (measured.node_cpu_us_per_tx - known).max(usual.intake_us),
        client_us: measured.client_cpu_us_per_tx,
        ..costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSENSUS: &str = r#"{"transport_cpu_s_per_gb":2.0,"sha256_cpu_s_per_gb":0.5,"log_cpu_s_per_gb":0.4,
        "disk_gb_per_s":0.3,"flush_ms":1.5,"frame_cpu_us":10.0,"frame_engine_cpu_us":2.0,"vote_cpu_us":0.1,
        "intake_cpu_us_per_tx":0.8,"client_cpu_us_per_tx":0.2,"committed":7}"#;
    const TRANSFERS: &str = r#"{"validators":4,"sharded":true,"committed":7,"latency_ms_p50":null,"recovery_cpu_us":50.0,
        "execution_cpu_us":6.0,"recoveries_per_tx":2.5,"node_cpu_us_per_tx":200.0,"client_cpu_us_per_tx":9.0}"#;

    #[test]
    fn a_report_gives_the_costs_and_anything_else_an_error() {
        let parse = |text: &str| with(Costs::default(), text, false);
        let costs = parse(CONSENSUS).unwrap();
        assert_eq!((costs.frame_send_us, costs.frame_receive_us, costs.sync_ms), (5.0, 5.0, 1.5));
        assert_eq!(costs.recovery_us, Costs::default().recovery_us);
        assert!(parse("{}").is_err(), "no costs");
        assert!(parse(&CONSENSUS.replace("0.3", "0.0")).is_err(), "a disk that takes nothing");
        assert!(parse(&CONSENSUS.replace("0.8", "-0.8")).is_err());
    }

    #[test]
    fn a_signed_run_gives_what_signing_costs_on_top_of_the_costs_of_consensus() {
        let costs = with(with(Costs::default(), CONSENSUS, true).unwrap(), TRANSFERS, true).unwrap();
        assert_eq!((costs.sync_ms, costs.recovery_us, costs.client_us), (1.5, 50.0, 9.0));
        let hashed = costs.hashing_serial_us + costs.hashing_shared_us;
        let executed = costs.running_us + hashed + costs.writing_us + costs.settling_us;
        assert!((executed - 6.0).abs() < 1e-9 && hashed > 3.0, "{costs:?}");
        assert!((costs.intake_us - 51.0).abs() < 1e-9, "200 - 2.5 x 50 - 4 x 6: {costs:?}");
        let busy = with(Costs::default(), &TRANSFERS.replace("200.0", "100.0"), true).unwrap();
        assert_eq!(busy.intake_us, Costs::default().intake_us, "never less than without JSON-RPC");
    }

    #[test]
    fn signed_costs_are_refused_where_nothing_is_signed_and_where_some_are_missing() {
        let refused = with(Costs::default(), TRANSFERS, false).unwrap_err().to_string();
        assert!(refused.contains("--ordering"), "{refused}");
        assert!(with(Costs::default(), r#"{"recovery_cpu_us":50.0}"#, true).is_err());
    }
}
