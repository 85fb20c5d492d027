//! The processes of a network: started together, watched, stopped together.

use super::{Devnet, FundedAccount};
use crate::client::RpcClient;
use anyhow::{Context, Result, bail};
use bxp_node::NodeAddresses;
use nix::{sys::signal::Signal, unistd::Pid};
use serde::Serialize;
use std::{
    fmt,
    fs::OpenOptions,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};

/// How long the nodes have to open their folders and find each other.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long a node has to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A running network.
pub(crate) struct RunningDevnet {
    pub(crate) devnet: Devnet,
    nodes: Vec<RunningNode>,
}

struct RunningNode {
    addresses: NodeAddresses,
    log: PathBuf,
    child: Child,
}

/// The JSON line of `bxp devnet --json`.
#[derive(Serialize)]
pub(crate) struct Description<'a> {
    nodes: Vec<NodeDescription<'a>>,
    chain_id: u64,
    network_id: String,
    funded: &'a [FundedAccount],
}

#[derive(Serialize)]
struct NodeDescription<'a> {
    #[serde(flatten)]
    addresses: &'a NodeAddresses,
    config: PathBuf,
    log: &'a PathBuf,
    pid: Option<u32>,
}

impl RunningDevnet {
    /// Starts every node and waits until all are connected to each other.
    pub(crate) async fn start(devnet: Devnet) -> Result<Self> {
        let mut running = Self { nodes: Vec::new(), devnet };
        let outcome = running.start_all().await;
        if let Err(error) = outcome {
            running.stop().await?;
            return Err(error);
        }
        Ok(running)
    }

    async fn start_all(&mut self) -> Result<()> {
        let mut started = Vec::new();
        for name in &self.devnet.nodes {
            started.push(spawn(&self.devnet, name)?);
        }
        for (name, (mut child, log)) in self.devnet.nodes.iter().zip(started) {
            let addresses = ready_line(name, &mut child, &log).await;
            match addresses {
                Ok(addresses) => self.nodes.push(RunningNode { addresses, log, child }),
                Err(error) => {
                    let _ = child.kill().await;
                    return Err(error);
                }
            }
        }
        self.wait_for_peers().await
    }

    async fn wait_for_peers(&self) -> Result<()> {
        let (all_others, deadline) = (self.nodes.len() - 1, Instant::now() + READY_WITHIN);
        for node in &self.nodes {
            let client = RpcClient::new(&node.addresses.rpc);
            while client.peer_count().await? < all_others {
                if Instant::now() > deadline {
                    bail!("node {} did not find its peers; see {}", node.addresses.name, node.log.display());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Addresses of the nodes in validator order.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &NodeAddresses> {
        self.nodes.iter().map(|node| &node.addresses)
    }

    /// What `--json` prints.
    pub(crate) fn description(&self) -> Description<'_> {
        let nodes = self.nodes.iter().map(|node| NodeDescription {
            addresses: &node.addresses,
            config: self.devnet.config_file(&node.addresses.name),
            log: &node.log,
            pid: node.child.id(),
        });
        Description {
            nodes: nodes.collect(),
            chain_id: self.devnet.genesis.chain_id,
            network_id: self.devnet.genesis.network_id().to_string(),
            funded: &self.devnet.funded,
        }
    }

    /// Reports nodes that end by themselves; returns when none is left.
    pub(crate) async fn report_ended(&mut self) {
        let mut ended = vec![false; self.nodes.len()];
        while ended.contains(&false) {
            for (node, ended) in self.nodes.iter_mut().zip(&mut ended) {
                if let (false, Ok(Some(status))) = (*ended, node.child.try_wait()) {
                    *ended = true;
                    report(&self.devnet, &node.addresses.name, status, &node.log);
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        eprintln!("every node has ended");
    }

    /// Asks every node to stop, waits, and kills what does not.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for node in &self.nodes {
            if let Some(pid) = node.child.id().and_then(|pid| i32::try_from(pid).ok()) {
                // A node that has ended meanwhile needs no signal.
                let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
        for node in &mut self.nodes {
            if timeout(STOP_WITHIN, node.child.wait()).await.is_err() {
                eprintln!("node {} does not stop; killing it", node.addresses.name);
                node.child.kill().await.context("kill a node")?;
            }
        }
        Ok(())
    }
}

fn report(devnet: &Devnet, name: &str, status: ExitStatus, log: &std::path::Path) {
    eprintln!(
        "node {name} ended ({status}); its log is {}; start it again with: bxp node --config {}",
        log.display(),
        devnet.config_file(name).display()
    );
}

fn spawn(devnet: &Devnet, name: &str) -> Result<(Child, PathBuf)> {
    let config = devnet.config_file(name);
    let log = config.with_file_name("node.log");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("open log {}", log.display()))?;
    let child = Command::new(std::env::current_exe()?)
        .args(["node", "--json", "--stop-at-end-of-input", "--config"])
        .arg(&config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(file)
        // Ctrl-C in the terminal reaches this process alone, which then stops the nodes in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start node {name}"))?;
    Ok((child, log))
}

async fn ready_line(name: &str, child: &mut Child, log: &std::path::Path) -> Result<NodeAddresses> {
    let output = child.stdout.take().context("read the node's output")?;
    let mut lines = BufReader::new(output).lines();
    let line = timeout(READY_WITHIN, lines.next_line()).await.with_context(|| {
        format!("node {name} is not ready after {READY_WITHIN:?}; see {}", log.display())
    })??;
    let Some(line) = line else {
        let status = child.wait().await?;
        bail!("node {name} ended at its start ({status}): {}", last_line(log));
    };
    serde_json::from_str(&line).with_context(|| format!("understand what node {name} says"))
}

fn last_line(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().map_or_else(|| format!("see {}", log.display()), ToOwned::to_owned)
}

impl fmt::Display for RunningDevnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} validators, chain id {}", self.nodes.len(), self.devnet.genesis.chain_id)?;
        for NodeAddresses { name, jurisdiction, rpc, fhir, metrics, mllp, content } in self.addresses() {
            let feed = mllp.as_ref().map(|mllp| format!("  hl7 {mllp}")).unwrap_or_default();
            let swarm = content.as_ref().map(|swarm| format!("  swarm {swarm}")).unwrap_or_default();
            writeln!(
                f,
                "  {name:<12} {jurisdiction}  rpc {rpc}  fhir {fhir}{feed}{swarm}  metrics {metrics}/metrics"
            )?;
        }
        writeln!(f, "funded accounts (development keys, worth nothing elsewhere):")?;
        for account in &self.devnet.funded {
            writeln!(f, "  {}  key {}", account.address, account.private_key)?;
        }
        Ok(())
    }
}
