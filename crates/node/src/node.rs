//! Starting and stopping a node.

use crate::{
    NodeConfig, metrics_server,
    records::{self, Ground, RecordWorkers},
    router,
};
use anyhow::{Context, Result, bail};
use bxp_chain::{Chain, ChainConfig, ChainError, ChainEvent, Source, View};
use bxp_enclave::Enclave;
use bxp_execution::ChainSpec;
use bxp_network::{Network, NetworkConfig};
use bxp_rpc::{NodeInfo, NodeStatus, RpcServer};
use bxp_storage::Store;
use bxp_types::{Genesis, Height, Jurisdiction, Ledger, ValidatorIndex};
use serde::Serialize;
use std::{fs, net::SocketAddr, sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// A running node.
pub struct Node {
    addresses: NodeAddresses,
    chain: Chain,
    network: Network,
    rpc: RpcServer,
    records: RecordWorkers,
    driver: JoinHandle<Result<(), ChainError>>,
}

/// Where a node answers; also the line that `bxp node --json` prints when it is ready.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub struct NodeAddresses {
    /// The validator's name.
    pub name: String,
    /// The law that the node lives under: by genesis, or where it was moved before it was started.
    pub jurisdiction: Jurisdiction,
    /// Ethereum JSON-RPC.
    pub rpc: String,
    /// FHIR REST.
    pub fhir: String,
    /// Prometheus metrics.
    pub metrics: String,
    /// HL7 v2 over MLLP, where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mllp: Option<String>,
    /// The address of the content swarm, where the node is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

impl Node {
    /// Opens the folder and starts every room.
    ///
    /// # Errors
    /// Says what could not be opened or bound, and what to do.
    pub async fn start(config: &NodeConfig) -> Result<Self> {
        let genesis = config.read_genesis()?;
        fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("create data folder {}", config.data_dir.display()))?;
        let store = Store::open(&config.data_dir.join("chain"), genesis.network_id())?;
        let enclave = Enclave::open_or_create(&config.data_dir.join("enclave"), None)?;
        let (me, jurisdiction) = identify(&genesis, &config.name, &enclave)?;
        let (network, events) = bxp_network::start(NetworkConfig {
            genesis: Arc::new(genesis.clone()),
            me,
            signing_key: enclave.network_key(),
            listen: config.listen.p2p,
        })
        .await?;
        let chain_config = ChainConfig {
            me,
            journal: config.data_dir.join("consensus.log"),
            block_interval: Duration::from_millis(config.block_interval_ms),
            pool: bxp_chain::mempool::PoolLimits::default(),
            retention: config.retention(),
            verification: config.verification.into(),
            vote_gather: config.vote_gather_ms.map(Duration::from_millis),
            segments: config.segments.rules(),
            run_ahead: ChainConfig::gains_by_running_ahead(),
        };
        let (chain, driver) =
            Chain::start(genesis.clone(), chain_config, store.clone(), enclave.clone(), network.clone())?;
        let ledger: Arc<dyn Ledger> = Arc::new(View::new(chain.clone()));
        let policy = config.rpc.policy(config.listen.rpc);
        let info = node_info(me, &chain, &network);
        let rpc = bxp_rpc::serve_with(config.listen.rpc, Arc::clone(&ledger), info, policy).await?;
        let metrics = metrics_server::serve(config.listen.metrics).await?;
        let ground = Ground {
            config,
            store: &store,
            enclave: &enclave,
            network: &network,
            ledger: &ledger,
            me,
            jurisdiction,
        };
        let (handlers, records) = records::start(ground).await?;
        let jurisdiction = handlers.home();
        tokio::spawn(router::route(events, chain.clone(), handlers));
        let addresses = NodeAddresses {
            name: config.name.clone(),
            jurisdiction,
            rpc: url(rpc.local_addr()),
            fhir: url(records.fhir_address()),
            metrics: url(metrics),
            mllp: records.mllp_address().map(|address| {
                let scheme = if config.mllp_tls.is_some() { "mllps" } else { "mllp" };
                format!("{scheme}://{address}")
            }),
            content: records.content_address(),
        };
        Ok(Self { addresses, chain, network, rpc, records, driver })
    }

    /// Where the node answers.
    #[must_use]
    pub const fn addresses(&self) -> &NodeAddresses {
        &self.addresses
    }

    /// Waits until the chain's driver ends, which it does by itself only on an error.
    ///
    /// # Errors
    /// What stopped the chain.
    pub async fn failed(&mut self) -> Result<()> {
        (&mut self.driver).await.context("the chain's driver panicked")?.context("the chain stopped")
    }

    /// Stops taking requests, ends the chain after its current block and closes the network.
    ///
    /// # Errors
    /// What went wrong in the chain while stopping.
    pub async fn stop(self) -> Result<()> {
        self.rpc.stop().await;
        self.records.stop().await;
        // The driver may have ended by itself; its result below tells.
        let _ = self.chain.deliver(ChainEvent::Shutdown).await;
        let ended = self.driver.await;
        self.network.shutdown().await;
        ended.context("the chain's driver panicked")?.context("stop the chain")
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Reads and checks a genesis document.
fn identify(genesis: &Genesis, name: &str, enclave: &Enclave) -> Result<(ValidatorIndex, Jurisdiction)> {
    let Some((me, entry)) = genesis.validator_named(name) else {
        let known: Vec<&str> = genesis.validators.iter().map(|entry| entry.name.as_str()).collect();
        bail!("genesis names no validator {name:?}; it names {}", known.join(", "));
    };
    let public = enclave.public();
    if (public.public_key, public.sealing_key, public.account)
        != (entry.public_key, entry.sealing_key, entry.account)
    {
        bail!(
            "the keys in this node's enclave folder are not those of validator {name:?} in genesis; \
             use the data_dir in which the keys were made"
        );
    }
    Ok((me, entry.jurisdiction))
}

fn node_info(me: ValidatorIndex, chain: &Chain, network: &Network) -> NodeInfo {
    NodeInfo {
        version: format!(
            "bxp/v{}/{}-{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
        validator: Some(me),
        status: Arc::new(Status { chain: chain.clone(), network: network.clone() }),
        spec: Arc::new(ChainSpec::bxp(chain.genesis().chain_id)),
        developer: None,
    }
}

struct Status {
    chain: Chain,
    network: Network,
}

impl NodeStatus for Status {
    fn peer_count(&self) -> usize {
        self.network.connected().len()
    }

    fn highest_block(&self) -> Height {
        self.chain.highest_known()
    }
}
