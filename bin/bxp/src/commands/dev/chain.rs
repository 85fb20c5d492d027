//! `bxp dev chain`: a chain to test contracts on, as Hardhat and Foundry users are used to.

use crate::commands::stop_signal;
use alloy_primitives::{Address, B256};
use anyhow::{Context, Result};
use bxp_chain::View;
use bxp_dev_chain::{DevChain, DevConfig, MNEMONIC, TREASURY, accounts};
use bxp_execution::ChainSpec;
use bxp_rpc::{NodeInfo, NodeStatus, Policy, serve_with};
use bxp_types::Height;
use clap::Args;
use serde::Serialize;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Port of the JSON-RPC on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 8545)]
    port: u16,
    /// The EIP-155 chain id.
    #[arg(long, default_value_t = 31_337)]
    chain_id: u64,
    /// Make a block every so many seconds, instead of one at once after each transaction.
    #[arg(long, value_name = "SECONDS")]
    block_time: Option<f64>,
    /// Another page whose scripts may use the chain, by its origin, such as https://remix.ethereum.org; pages of this machine
    /// may. Any page that may use it may spend what the test accounts have.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Another name under which the chain is reached, as HOST, HOST:PORT or HOST:*.
    #[arg(long = "host", value_name = "HOST:PORT")]
    hosts: Vec<String>,
    /// Print one JSON line when ready.
    #[arg(long)]
    json: bool,
}

/// The line that programs read.
#[derive(Serialize)]
struct Ready {
    rpc: String,
    chain_id: u64,
    mnemonic: &'static str,
    accounts: Vec<ReadyAccount>,
}

#[derive(Serialize)]
struct ReadyAccount {
    address: Address,
    private_key: B256,
}

/// A developer's chain has no peers and is never behind.
struct Alone;

impl NodeStatus for Alone {
    fn peer_count(&self) -> usize {
        0
    }

    fn highest_block(&self) -> Height {
        Height(0)
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    Policy::check_hosts(&arguments.hosts).context("--host")?;
    Policy::check_origins(&arguments.origins).context("--origin")?;
    let owned = accounts(10);
    let asked = stop_signal()?;
    let institutions = owned.iter().map(|account| account.address);
    let interval =
        arguments.block_time.map(Duration::try_from_secs_f64).transpose().context("--block-time")?;
    let chain = DevChain::start(DevConfig {
        chain_id: arguments.chain_id,
        contracts: bxp_contracts::genesis_accounts(institutions, TREASURY),
        interval: interval.filter(|interval| !interval.is_zero()),
    })?;
    let info = NodeInfo {
        version: format!(
            "bxp-dev/v{}/{}-{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
        validator: None,
        status: Arc::new(Alone),
        spec: Arc::new(ChainSpec::bxp(arguments.chain_id)),
        developer: Some(Arc::new(chain.clone())),
    };
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), arguments.port);
    let policy = Policy::of(address).also(&arguments.hosts, &arguments.origins);
    let server = serve_with(address, Arc::new(View::new(chain)), info, policy).await?;
    let ready = Ready {
        rpc: format!("http://{}", server.local_addr()),
        chain_id: arguments.chain_id,
        mnemonic: MNEMONIC,
        accounts: owned
            .iter()
            .map(|account| ReadyAccount { address: account.address, private_key: account.private_key })
            .collect(),
    };
    print(&ready, arguments.json)?;
    asked.await;
    server.stop().await;
    Ok(())
}

fn print(ready: &Ready, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(ready)?);
        return Ok(());
    }
    println!("JSON-RPC  {}", ready.rpc);
    println!("chain id  {}", ready.chain_id);
    println!("mnemonic  {}", ready.mnemonic);
    println!("accounts, with 10000 BXM each, whose keys everyone knows:");
    for account in &ready.accounts {
        println!("  {}  {}", account.address, account.private_key);
    }
    println!("Everything is gone when it stops. Ctrl-C stops it.");
    Ok(())
}
