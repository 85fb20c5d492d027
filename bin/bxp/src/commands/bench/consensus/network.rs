//! The nodes of the measurement: their keys and their processes.

use super::{
    node::{NodeConfig, Stats},
    orderer::Pace,
};
use crate::devnet::free_ports;
use anyhow::{Context, Result, bail};
use bxp_network::NetworkConfig;
use bxp_types::{Address, B256, Genesis, Jurisdiction, Secret, ValidatorEntry, ValidatorIndex};
use ed25519_zebra::{SigningKey, VerificationKey};
use std::{collections::BTreeMap, net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// How long nodes have to find each other, to answer and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A genesis document made for one run, with the keys of all its validators.
pub(super) struct Keys {
    pub(super) genesis: Genesis,
    seeds: Vec<[u8; 32]>,
}

impl Keys {
    pub(super) fn fresh(validators: u16) -> Result<Self> {
        let seeds: Vec<[u8; 32]> = (0..validators).map(|_| rand::random()).collect();
        let ports = free_ports(seeds.len())?;
        let entry = |(index, (seed, port)): (u16, (&[u8; 32], SocketAddr))| ValidatorEntry {
            name: format!("node-{index}"),
            jurisdiction: Jurisdiction::US,
            public_key: B256::from(<[u8; 32]>::from(VerificationKey::from(&SigningKey::from(*seed)))),
            sealing_key: B256::left_padding_from(&index.to_be_bytes()),
            account: Address::left_padding_from(&index.to_be_bytes()),
            p2p_address: port.to_string(),
        };
        let genesis = Genesis {
            chain_id: 1,
            time_ms: 0,
            gas_limit: 1,
            base_fee_wei: 1,
            treasury: Address::ZERO,
            validators: (0..).zip(seeds.iter().zip(ports)).map(entry).collect(),
            accounts: BTreeMap::new(),
            identity_copies: BTreeMap::new(),
        };
        Ok(Self { genesis, seeds })
    }

    /// What the network of validator `index` is started with.
    pub(super) fn config(&self, index: u16) -> Result<NetworkConfig> {
        let entry = &self.genesis.validators[usize::from(index)];
        Ok(NetworkConfig {
            genesis: Arc::new(self.genesis.clone()),
            me: ValidatorIndex(index),
            signing_key: Secret::new(self.seeds[usize::from(index)]),
            listen: entry.p2p_address.parse().context("read an own address")?,
        })
    }
}

/// How the nodes are to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) durable: bool,
    pub(super) proposal_bytes_max: usize,
    pub(super) pace: Pace,
    pub(super) threads: usize,
}

/// A running node.
pub(super) struct Node {
    pub(super) client_address: SocketAddr,
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// Starts all nodes and waits until they are connected.
pub(super) async fn start(keys: &Keys, folder: &Path, logs: &Path, manner: Manner) -> Result<Vec<Node>> {
    let clients = free_ports(keys.seeds.len())?;
    let mut nodes = Vec::new();
    for ((me, seed), client_address) in (0..).zip(&keys.seeds).zip(clients) {
        let config = NodeConfig {
            genesis: keys.genesis.clone(),
            me,
            signing_key: B256::from(*seed),
            client_address,
            log: logs.join(format!("node-{me}.log")),
            durable: manner.durable,
            proposal_bytes_max: manner.proposal_bytes_max,
            pace: manner.pace,
            threads: manner.threads,
        };
        let path = folder.join(format!("node-{me}.json"));
        std::fs::write(&path, serde_json::to_vec(&config)?).context("write a node's configuration")?;
        nodes.push(Node::spawn(&path, client_address)?);
    }
    for node in &mut nodes {
        node.answer().await.context("wait until the nodes are connected")?;
    }
    Ok(nodes)
}

impl Node {
    fn spawn(config: &Path, client_address: SocketAddr) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut child = Command::new(program)
            .args(["bench", "consensus-node"])
            .arg(config)
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start a node")?;
        let questions = child.stdin.take().context("reach a node")?;
        let answers = BufReader::new(child.stdout.take().context("reach a node")?).lines();
        Ok(Self { client_address, child, questions, answers })
    }

    /// The node's counters now.
    pub(super) async fn stats(&mut self) -> Result<Stats> {
        self.questions.write_all(b"stats\n").await.context("ask a node")?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Stats> {
        let line = timeout(PATIENCE, self.answers.next_line()).await.context("wait for a node")??;
        let line = line.context("a node has ended; its error stands above")?;
        serde_json::from_str(&line).context("understand a node's answer")
    }

    /// Ends the node and waits for it.
    pub(super) async fn stop(mut self) -> Result<()> {
        drop(self.questions);
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(std::process::ExitStatus::success) => Ok(()),
            Ok(status) => bail!("a node ended with {status:?}; its error stands above"),
            Err(_) => bail!("a node does not end"),
        }
    }
}
