//! `bxp node move`, `suspend`, `admit` and `list`: where nodes stand by the chain's `NodeRegistry`.

use crate::{client::RpcClient, devnet::DevnetFile, wallet::Wallet};
use alloy_primitives::{B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use anyhow::{Context, Result, bail, ensure};
use bxp_contracts::{
    NODE_REGISTRY, NodeRegistry,
    nodes::{country_code, has_node_registry},
};
use bxp_market::ContractCall;
use bxp_node::NodeConfig;
use bxp_types::{Genesis, Jurisdiction, Secret};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Have a node stand in another country. It loses the old one's records, and has to prove that it deleted them.
    Move(Placed),
    /// Have a node stand in no country.
    Suspend(Change),
    /// Have a suspended node stand in a country.
    Admit(Placed),
    /// List where nodes stand, which countries they left, and the proofs of deletion that they owe or filed.
    List {
        /// The configuration file of the node to ask.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct Placed {
    #[command(flatten)]
    change: Change,
    /// The country, two letters as in ISO 3166-1.
    #[arg(long)]
    country: Jurisdiction,
}

#[derive(Args)]
pub(crate) struct Change {
    /// The node's name in genesis.
    node: String,
    /// The configuration file of the node that carries the transaction.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A file with the private key of a governing account, 64 hexadecimal digits; on a devnet, its governor's where none is
    /// given.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(crate) async fn run(action: Action) -> Result<()> {
    let answer = match action {
        Action::Move(Placed { change, country }) => {
            let country = country_code(country);
            change.send(|node| NodeRegistry::moveNodeCall { node, country }.abi_encode()).await?
        }
        Action::Suspend(change) => {
            change.send(|node| NodeRegistry::suspendNodeCall { node }.abi_encode()).await?
        }
        Action::Admit(Placed { change, country }) => {
            let country = country_code(country);
            change.send(|node| NodeRegistry::admitNodeCall { node, country }.abi_encode()).await?
        }
        Action::List { config } => list(&Registry::of(&config)?).await?,
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}

/// A network's registry, through one of its nodes.
struct Registry {
    genesis: Genesis,
    rpc: RpcClient,
    /// The folder of the genesis document.
    folder: PathBuf,
}

impl Registry {
    fn of(config: &Path) -> Result<Self> {
        let node = NodeConfig::read(config)?;
        let genesis = node.read_genesis()?;
        ensure!(
            has_node_registry(&genesis),
            "this network has no NodeRegistry: its genesis is older than the contract, and fixes where nodes stand"
        );
        let folder = node.genesis.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { genesis, rpc: RpcClient::new(&format!("http://{}", node.listen.rpc)), folder })
    }

    fn name(&self, index: u16) -> String {
        let entry = self.genesis.validators.get(usize::from(index));
        entry.map_or_else(|| index.to_string(), |entry| entry.name.clone())
    }
}

impl Change {
    /// Has the governor ask for the change that `call` encodes for the node's index.
    async fn send(&self, call: impl FnOnce(u16) -> Vec<u8>) -> Result<Value> {
        let registry = Registry::of(&self.config)?;
        let Some((index, _)) = registry.genesis.validator_named(&self.node) else {
            let known: Vec<&str> =
                registry.genesis.validators.iter().map(|entry| entry.name.as_str()).collect();
            bail!("there is no node {:?}; genesis names {}", self.node, known.join(", "));
        };
        let wallet = Wallet::new(B256::from(*self.governor(&registry.folder)?.expose()))?;
        let call = ContractCall { to: NODE_REGISTRY, value: U256::ZERO, data: call(index.0).into() };
        let receipt = registry.rpc.transact(&wallet, call).await?;
        let approved = receipt.logs.iter().find_map(|log| {
            NodeRegistry::Approved::decode_raw_log(log.topics.iter().copied(), &log.data).ok()
        });
        let approved = approved.context("the registry did not say how many governors have asked for this")?;
        Ok(json!({
            "node": self.node,
            "block": receipt.block_number.to::<u64>(),
            "transaction": receipt.transaction_hash,
            "approvals": approved.count.to::<u64>(),
            "approvalsNeeded": approved.needed.to::<u64>(),
            "made": approved.count >= approved.needed,
        }))
    }

    fn governor(&self, folder: &Path) -> Result<Secret<[u8; 32]>> {
        let Some(path) = &self.key else {
            let found = DevnetFile::read(folder)?.and_then(|file| file.governor);
            return found.map(|account| Secret::new(account.private_key.0)).context(
                "give --key, a file with the private key of a governing account: this network is no devnet with one",
            );
        };
        let text = fs::read_to_string(path).with_context(|| format!("read key {}", path.display()))?;
        let key = text.trim().parse::<B256>();
        key.map(|key| Secret::new(key.0))
            .with_context(|| format!("understand key {}: it has to be 64 hexadecimal digits", path.display()))
    }
}

async fn list(registry: &Registry) -> Result<Value> {
    let nodes = registry.rpc.read(NODE_REGISTRY, &NodeRegistry::nodesCall {}).await?;
    let departures = registry.rpc.read(NODE_REGISTRY, &NodeRegistry::departuresCall {}).await?;
    let needed = registry.rpc.read(NODE_REGISTRY, &NodeRegistry::approvalsNeededCall {}).await?;
    let left = |index: usize| -> Vec<Value> {
        let of_node = departures.iter().filter(|one| usize::from(one.node) == index && one.leftAt != 0);
        of_node.map(departure).collect()
    };
    let nodes = nodes.iter().enumerate().map(|(index, node)| {
        json!({
            "node": u16::try_from(index).map(|index| registry.name(index)).unwrap_or_default(),
            "country": letters(node.country.as_slice()),
            "suspended": !node.active,
            "changedAt": node.changedAt,
            "left": left(index),
        })
    });
    Ok(json!({ "approvalsNeeded": needed.to::<u64>(), "nodes": nodes.collect::<Vec<_>>() }))
}

fn departure(departure: &NodeRegistry::Departure) -> Value {
    let proven = departure.provenAt != 0;
    json!({
        "country": letters(departure.country.as_slice()),
        "leftAt": departure.leftAt,
        "owesProof": !proven,
        "provenAt": proven.then_some(departure.provenAt),
        "blocks": proven.then_some(departure.blocks),
        "proof": proven.then_some(departure.proof),
    })
}

fn letters(code: &[u8]) -> String {
    String::from_utf8_lossy(code).into_owned()
}
