//! A network of real processes in a folder of its own, and clients for it. Nothing outlives the test.

mod chain;
mod disk;
mod http;
mod load;
mod process;
mod wallet;

pub(crate) use chain::{assert_equal_chains, assert_included, head, heads_of};
pub(crate) use disk::Disk;
pub(crate) use http::{Answer, Client};
pub(crate) use load::{Load, Nonces};
pub(crate) use process::{NodeProcess, bxp};
pub(crate) use wallet::Wallet;

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::{Mutex, MutexGuard},
    time::timeout,
};

/// How long anything may take that a network does by itself. Far above what it takes on an idle machine.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// Nodes in validator order: Star and Dawn in the US, Rhein in Germany, a regulator in Canada.
pub(crate) const STAR: usize = 0;
pub(crate) const DAWN: usize = 1;
pub(crate) const RHEIN: usize = 2;
pub(crate) const REGULATOR: usize = 3;

/// Networks share the machine's processors, and what is measured in one would be disturbed by another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Waits for the turn of a test that runs a network.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().await
}

/// Four validators in three countries.
pub(crate) struct Net {
    pub(crate) nodes: Vec<NodeProcess>,
    pub(crate) wallets: Vec<Wallet>,
    pub(crate) chain_id: u64,
    pub(crate) network_id: String,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Net {
    /// Makes the network's folder by running `bxp devnet` until it is ready, and stops it with Ctrl-C.
    pub(crate) async fn make() -> Self {
        Self::make_of(&["--validators", "4"]).await
    }

    /// As [`Net::make`], as these arguments say.
    pub(crate) async fn make_of(arguments: &[&str]) -> Self {
        let turn = turn().await;
        let folder = tempfile::tempdir().unwrap();
        let line = run_devnet_once(&folder.path().join("net"), arguments).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let node = |one: &Value| NodeProcess::new(&text(&one["name"]), PathBuf::from(text(&one["config"])));
        Self {
            nodes: line["nodes"].as_array().unwrap().iter().map(node).collect(),
            wallets: line["funded"].as_array().unwrap().iter().map(Wallet::of_json).collect(),
            chain_id: line["chain_id"].as_u64().unwrap(),
            network_id: text(&line["network_id"]),
            folder,
            _turn: turn,
        }
    }

    /// Makes a network and starts every node as a process of its own.
    pub(crate) async fn start() -> Self {
        let mut net = Self::make().await;
        net.start_all().await;
        net
    }

    /// Starts every node that does not run, and waits until all see each other.
    pub(crate) async fn start_all(&mut self) {
        for node in &mut self.nodes {
            if !node.is_running() {
                node.spawn();
            }
        }
        for node in &mut self.nodes {
            node.ready().await;
        }
        self.connected().await;
    }

    /// Waits until every node has all others for peers.
    pub(crate) async fn connected(&self) {
        for node in &self.nodes {
            let others = format!("0x{:x}", self.nodes.len() - 1);
            until(&format!("{} has {others} peers", node.name), async || {
                node.client.rpc("net_peerCount", "[]").await.is_ok_and(|count| count == others.as_str())
            })
            .await;
        }
    }

    /// The network's folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("net")
    }
}

/// Runs `bxp devnet` until it is ready, sends it Ctrl-C, and gives the line that it printed.
async fn run_devnet_once(dir: &Path, arguments: &[&str]) -> Value {
    let mut devnet = bxp()
        .arg("devnet")
        .args(arguments)
        .args(["--json", "--dir"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(devnet.stdout.take().unwrap()).lines();
    let line = timeout(BOUND, lines.next_line()).await.expect("the network is ready in time").unwrap();
    let line = line.expect("the network says that it is ready");
    let pid = i32::try_from(devnet.id().unwrap()).unwrap();
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    let status = timeout(BOUND, devnet.wait()).await.expect("Ctrl-C stops the network").unwrap();
    assert!(status.success(), "the network ends well: {status}");
    serde_json::from_str(&line).unwrap()
}

/// Waits for a condition; panics when it does not come to hold within [`BOUND`].
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// The end of a log, for a failed assertion.
pub(crate) fn end_of_log(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
