//! Another Ethereum node beside ours.

use crate::client::RpcClient;
use alloy_primitives::{B256, U64};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::{
    env,
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// How long it may take to get ready.
const READY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How anvil is started: the gas of a block as on a devnet, and blocks of as many transactions as come. With its own
/// bound of 1,000 it spins for good once more than that wait: its miner takes the same thousand again and again before
/// any of them is taken out of the pool.
const ANVIL: [&str; 5] = ["--silent", "--gas-limit", "600000000", "--max-transactions", "1000000"];

/// A node that runs.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) url: String,
    child: Option<Child>,
}

impl Peer {
    /// The node at a URL, or the program that was named, or anvil where it is on the PATH.
    pub(super) async fn find(named: Option<&str>) -> Result<Option<Self>> {
        match named {
            Some(url) if url.starts_with("http") => {
                let mut peer = Self { name: format!("peer at {url}"), url: url.to_owned(), child: None };
                peer.ready().await?;
                Ok(Some(peer))
            }
            Some(program) => Self::start(program).await.map(Some),
            None if on_path("anvil") => Self::start("anvil").await.map(Some),
            None => Ok(None),
        }
    }

    async fn start(program: &str) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new(program)
            .args(["--port", &port.to_string()])
            .args(ANVIL)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {program}"))?;
        let mut peer =
            Self { name: "anvil".to_owned(), url: format!("http://127.0.0.1:{port}"), child: Some(child) };
        peer.ready().await?;
        Ok(peer)
    }

    async fn ready(&mut self) -> Result<()> {
        let client = RpcClient::new(&self.url);
        let end = Instant::now() + READY;
        while Instant::now() < end {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
                bail!("the peer ended with {}; an anvil of 1.0 or newer takes {}", status?, ANVIL.join(" "));
            }
            if client.call::<U64>("eth_chainId", json!([])).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("{} does not answer within {} s", self.url, READY.as_secs())
    }

    /// The key of the usual first test account.
    pub(super) fn key(&self) -> Result<B256> {
        let account = bxp_dev_chain::accounts(1).into_iter().next();
        Ok(account.context("the test mnemonic has accounts")?.private_key)
    }

    pub(super) async fn stop(&mut self) {
        if let Some(child) = &mut self.child
            && let Err(error) = child.kill().await
        {
            tracing::warn!(%error, "stop the peer");
        }
    }
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
