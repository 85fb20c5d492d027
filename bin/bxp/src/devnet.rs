//! A network of validators on this machine: its folder, its keys and ports, and its processes.
//!
//! `DIR/genesis.json`, `DIR/devnet.json` (funded development accounts and the governing
//! one), `DIR/swarm.key` (of the content swarm),
//! `DIR/nodes/NAME/node.toml` and beside it the node's data and log.

mod plan;
mod supervise;

pub(crate) use plan::Plan;
pub(crate) use supervise::RunningDevnet;

use alloy_primitives::{Address, B256};
use anyhow::{Context, Result, bail, ensure};
use bxp_contracts::{NODE_REGISTRY, nodes::node_registry_account};
use bxp_enclave::{Enclave, PublicIdentity};
use bxp_node::{Content, Listen, NodeConfig};
use bxp_types::{Amount, Genesis, GenesisAccount, ValidatorEntry};
use plan::PlannedNode;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Sockets of one node.
const PORTS: usize = 6;
/// What tells a devnet's folder from another.
const DEVNET_FILE: &str = "devnet.json";
/// The key of the devnet's swarm, in its folder.
const SWARM_KEY: &str = "swarm.key";
const CHAIN_ID: u64 = 2018;
const GAS_LIMIT: u64 = 600_000_000;
const BASE_FEE_WEI: u64 = 1_000_000_000;
/// Where fees go: nobody on a devnet holds the key.
const TREASURY: Address = Address::new(*b"BXP fee treasury...\0");

/// A development account whose key is no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FundedAccount {
    pub(crate) address: Address,
    pub(crate) private_key: B256,
}

/// What `devnet.json` says.
#[derive(Serialize, Deserialize)]
pub(crate) struct DevnetFile {
    nodes: Vec<String>,
    funded: Vec<FundedAccount>,
    /// The account that governs the network. Networks from before the registry of nodes have none.
    #[serde(default)]
    pub(crate) governor: Option<FundedAccount>,
}

impl DevnetFile {
    /// That of the network in `dir`; none where that is no devnet.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(DEVNET_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let file = serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
        Ok(Some(file))
    }
}

/// A network on disk.
pub(crate) struct Devnet {
    pub(crate) dir: PathBuf,
    pub(crate) genesis: Genesis,
    /// Node names in validator order.
    pub(crate) nodes: Vec<String>,
    pub(crate) funded: Vec<FundedAccount>,
}

impl Devnet {
    /// Opens the network in `dir`, or makes one as planned where there is none.
    pub(crate) fn open_or_create(dir: &Path, plan: &Plan) -> Result<Self> {
        if let Some(file) = DevnetFile::read(dir)? {
            let devnet = Self::open(dir, file)?;
            ensure!(
                devnet.nodes.len() == plan.nodes.len(),
                "{} holds a network of {} validators, not {}; give another --dir or --validators {}",
                dir.display(),
                devnet.nodes.len(),
                plan.nodes.len(),
                devnet.nodes.len()
            );
            return Ok(devnet);
        }
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} is not empty and holds no devnet; give an empty or a new folder", dir.display());
        }
        Self::create(dir, plan)
    }

    fn open(dir: &Path, file: DevnetFile) -> Result<Self> {
        let path = dir.join("genesis.json");
        let json = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let genesis = Genesis::from_json(&json).with_context(|| format!("understand {}", path.display()))?;
        Ok(Self { dir: dir.to_owned(), genesis, nodes: file.nodes, funded: file.funded })
    }

    fn create(dir: &Path, plan: &Plan) -> Result<Self> {
        let funded = (0..plan.funded_accounts).map(|_| random_account()).collect::<Vec<_>>();
        let governor = random_account();
        let ports = free_ports(plan.nodes.len() * PORTS)?;
        let mut validators = Vec::new();
        let mut configs = Vec::new();
        for (node, ports) in plan.nodes.iter().zip(ports.chunks(PORTS)) {
            let data_dir = dir.join("nodes").join(&node.name);
            fs::create_dir_all(&data_dir).with_context(|| format!("create {}", data_dir.display()))?;
            let identity = Enclave::create(&data_dir.join("enclave"), None, None)?.public();
            let [p2p, rpc, fhir, metrics, mllp, swarm] = ports else { continue };
            let (p2p, rpc, fhir, metrics) = (*p2p, *rpc, *fhir, *metrics);
            let listen = Listen { p2p, rpc, fhir, metrics, mllp: Some(*mllp) };
            validators.push(entry(node, identity, listen.p2p));
            configs.push((data_dir, config(node, plan, listen, *swarm)));
        }
        let genesis = genesis(validators, &funded, governor.address, plan)?;
        for (data_dir, config) in configs {
            write(&data_dir.join("node.toml"), &config.to_toml()?)?;
        }
        crate::commands::content::write_swarm_key(&dir.join(SWARM_KEY))?;
        write(&dir.join("genesis.json"), &serde_json::to_string_pretty(&genesis)?)?;
        let nodes: Vec<String> = plan.nodes.iter().map(|node| node.name.clone()).collect();
        let file = DevnetFile { nodes: nodes.clone(), funded: funded.clone(), governor: Some(governor) };
        // Written last: a folder without it was left half made, and is refused.
        write(&dir.join(DEVNET_FILE), &serde_json::to_string_pretty(&file)?)?;
        Ok(Self { dir: dir.to_owned(), genesis, nodes, funded })
    }

    /// The configuration file of a node.
    pub(crate) fn config_file(&self, name: &str) -> PathBuf {
        self.dir.join("nodes").join(name).join("node.toml")
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn random_account() -> FundedAccount {
    let (secret, public) = loop {
        if let Ok(secret) = secp256k1::SecretKey::from_byte_array(&rand::random()) {
            break (secret, secret.public_key(secp256k1::SECP256K1));
        }
    };
    let address = Address::from_raw_public_key(&public.serialize_uncompressed()[1..]);
    FundedAccount { address, private_key: B256::from(secret.secret_bytes()) }
}

/// Ports below those that systems give to outgoing connections (RFC 6335 has them from 49152 on, Linux from 32768 on): of
/// those, one that is free now may be some connection's when a node begins to listen.
const PORT_RANGE: Range<u16> = 16_384..32_768;

/// How often a port may be tried that something else listens on.
const PORT_TRIES_MAX: usize = 1_000;

/// Ports that are free now; all are held until all are found, so that they differ.
pub(crate) fn free_ports(count: usize) -> Result<Vec<SocketAddr>> {
    let tries = (0..PORT_TRIES_MAX + count).map(|_| rand::random_range(PORT_RANGE));
    let free = tries.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let listeners: Vec<TcpListener> = free.take(count).collect();
    ensure!(listeners.len() == count, "no {count} ports of {PORT_RANGE:?} on 127.0.0.1 are free");
    listeners.iter().map(|listener| Ok(listener.local_addr()?)).collect()
}

fn entry(node: &PlannedNode, identity: PublicIdentity, p2p: SocketAddr) -> ValidatorEntry {
    ValidatorEntry {
        name: node.name.clone(),
        jurisdiction: node.jurisdiction,
        public_key: identity.public_key,
        sealing_key: identity.sealing_key,
        account: identity.account,
        p2p_address: p2p.to_string(),
    }
}

fn config(node: &PlannedNode, plan: &Plan, listen: Listen, swarm: SocketAddr) -> NodeConfig {
    let regulators = plan.nodes.iter().filter(|node| node.regulator).map(|node| node.name.clone());
    NodeConfig {
        name: node.name.clone(),
        genesis: "../../genesis.json".into(),
        data_dir: ".".into(),
        listen,
        default_jurisdiction: node.jurisdiction,
        regulators: regulators.collect(),
        validation: bxp_clinical::validate::Mode::Strict,
        profiles: bxp_clinical::validate::Mode::Warn,
        block_interval_ms: 50,
        archive: false,
        state_history_blocks: 256,
        segments: bxp_node::Segments::default(),
        release: bxp_node::Release::default(),
        verification: plan.verification,
        vote_gather_ms: None,
        fhir: bxp_node::Fhir::default(),
        content: Content {
            listen: Some(swarm),
            swarm_key: Some(Path::new("../..").join(SWARM_KEY)),
            ..Content::default()
        },
        mllp_tls: None,
        rpc: bxp_node::Rpc::default(),
    }
}

fn genesis(
    validators: Vec<ValidatorEntry>,
    funded: &[FundedAccount],
    governor: Address,
    plan: &Plan,
) -> Result<Genesis> {
    let institutions = || validators.iter().map(|entry| entry.account);
    let mut accounts: BTreeMap<Address, GenesisAccount> =
        bxp_contracts::genesis_accounts(institutions(), TREASURY);
    accounts.insert(NODE_REGISTRY, node_registry_account(&validators, &[governor], 1));
    let owners = institutions().chain(funded.iter().map(|account| account.address)).chain([governor]);
    for address in owners.chain(plan.extra_accounts.iter().copied()) {
        let balance = Amount::from_bxm(1_000_000);
        accounts.insert(address, GenesisAccount { balance, ..GenesisAccount::default() });
    }
    let time_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let genesis = Genesis {
        chain_id: CHAIN_ID,
        time_ms: u64::try_from(time_ms)?,
        gas_limit: GAS_LIMIT,
        base_fee_wei: BASE_FEE_WEI,
        treasury: TREASURY,
        validators,
        accounts,
        identity_copies: plan.identity_copies.clone(),
    };
    genesis.check()?;
    Ok(genesis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("net");
        let made = Devnet::open_or_create(&dir, &Plan::usual(4)).unwrap();
        let found = Devnet::open_or_create(&dir, &Plan::usual(4)).unwrap();
        assert_eq!(made.genesis, found.genesis);
        assert!(NodeConfig::read(&found.config_file("star")).is_ok());
        let refused = Devnet::open_or_create(&dir, &Plan::usual(7)).err().unwrap().to_string();
        assert!(refused.contains("holds a network of 4 validators"), "{refused}");
        fs::remove_file(dir.join(DEVNET_FILE)).unwrap();
        let refused = Devnet::open_or_create(&dir, &Plan::usual(4)).err().unwrap().to_string();
        assert!(refused.contains("is not empty and holds no devnet"), "{refused}");
    }
}
