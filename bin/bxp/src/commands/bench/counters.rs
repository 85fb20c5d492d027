//! What the nodes of a network count, as they tell it at `/metrics`.

use crate::devnet::RunningDevnet;
use anyhow::{Context, Result};

/// Senders that a node recovered.
pub(super) const RECOVERIES: &str = "bxp_chain_recoveries_total";
/// Proposals that entered a superblock, as a node saw it.
pub(super) const PROPOSALS_DECIDED: &str = "bxp_chain_proposals_decided_total";

/// Each of the counters, of all nodes together. A node is asked once.
pub(super) async fn read<const N: usize>(network: &RunningDevnet, names: [&str; N]) -> Result<[u64; N]> {
    let mut sums = [0; N];
    for node in network.addresses() {
        let url = format!("{}/metrics", node.metrics);
        let metrics = reqwest::get(&url).await.with_context(|| format!("read {url}"))?.text().await?;
        for (sum, name) in sums.iter_mut().zip(names) {
            *sum += value(&metrics, name).with_context(|| format!("read {name} in {url}"))?;
        }
    }
    Ok(sums)
}

/// A counter's value in Prometheus' text; 0 where it has not counted yet.
fn value(metrics: &str, name: &str) -> Result<u64> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(Ok(0), |value| Ok(value.parse()?))
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let metrics = "# TYPE checks_total counter\nchecks_total_all 3\nchecks_total 12\n";
        assert_eq!(value(metrics, "checks_total").unwrap(), 12);
        assert_eq!(value(metrics, "checks").unwrap(), 0);
        assert!(value("checks_total many", "checks_total").is_err());
    }
}
