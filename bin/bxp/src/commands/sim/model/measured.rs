//! Costs as `bxp bench consensus` has measured them, on the machine with whose run the model is to be compared.

use anyhow::{Context, Result, ensure};
use bxp_sim::Costs;
use serde::Deserialize;
use std::path::Path;

/// A report holds little more than a kilobyte.
const BYTES_MAX: u64 = 1 << 20;

/// The fields of the benchmark's report that are costs.
#[derive(Deserialize)]
struct Measured {
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

/// The costs in that file; recovering and executing, which it does not measure, as usual.
pub(super) fn costs(path: &Path) -> Result<Costs> {
    let name = path.display();
    let bytes = std::fs::metadata(path).with_context(|| format!("read costs {name}"))?.len();
    ensure!(bytes <= BYTES_MAX, "{name} has {bytes} bytes: no report of `bxp bench consensus --json`");
    let text = std::fs::read_to_string(path).with_context(|| format!("read costs {name}"))?;
    parse(&text).with_context(|| format!("understand {name} as a report of `bxp bench consensus --json`"))
}

fn parse(text: &str) -> Result<Costs> {
    let measured: Measured = serde_json::from_str(text)?;
    let costs = Costs {
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
        ..Costs::default()
    };
    let positive = |value: f64| value.is_finite() && value >= 0.0;
    ensure!(
        costs.all().into_iter().all(positive) && costs.disk_gb_per_s > 0.0,
        "a cost is negative or no number"
    );
    Ok(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"transport_cpu_s_per_gb":2.0,"sha256_cpu_s_per_gb":0.5,"log_cpu_s_per_gb":0.4,
        "disk_gb_per_s":0.3,"flush_ms":1.5,"frame_cpu_us":10.0,"frame_engine_cpu_us":2.0,"vote_cpu_us":0.1,
        "intake_cpu_us_per_tx":0.8,"client_cpu_us_per_tx":0.2,"committed":7}"#;

    #[test]
    fn a_report_gives_the_costs_and_anything_else_an_error() {
        let costs = parse(REPORT).unwrap();
        assert_eq!((costs.frame_send_us, costs.frame_receive_us, costs.sync_ms), (5.0, 5.0, 1.5));
        assert_eq!(costs.recovery_us, Costs::default().recovery_us);
        assert!(parse("{}").is_err(), "no costs");
        assert!(parse(&REPORT.replace("0.3", "0.0")).is_err(), "a disk that takes nothing");
        assert!(parse(&REPORT.replace("0.8", "-0.8")).is_err());
    }
}
