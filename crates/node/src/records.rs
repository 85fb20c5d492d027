//! The rooms around records, opened together: vault, ingest, anchoring, replication, market, content store, and the HTTP
//! edge.

use crate::{NodeConfig, working_copy};
use anyhow::{Context, Result, bail};
use bxp_clinical::{
    anchor::Anchoring,
    erase::{Erasing, answer_tombstones},
    facts::ChainFacts,
    inbox::Inbox,
    ingest::{Ingest, IngestConfig},
    keeping::{Keeping, answer_keeping},
    registry::{Filing, directory_source},
    release::answer_key_request,
    repair::Repairing,
    replicate::{Replication, accept_replica},
    sender::TransactionSender,
};
use bxp_content::{
    ContentStore,
    bitswap::{self, Bitswap, SwarmConfig, read_swarm_key},
};
use bxp_enclave::Enclave;
use bxp_fhir_api::{Edge, FhirServer, NetworkKeys};
use bxp_market::{AgentConfig, ContentKeeper, DeliveryService, HolderAgent, RequestReader, Requests};
use bxp_mllp::{Bounds, MllpServer, Tls, TlsFiles};
use bxp_network::{Event, Network, Service};
use bxp_storage::Store;
use bxp_types::{Genesis, Jurisdiction, Ledger, Secret, ValidatorIndex};
use bxp_vault::{Clock, Vault};
use std::{collections::BTreeSet, fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the network's events need.
#[derive(Clone)]
pub(crate) struct Records {
    ingest: Ingest,
    vault: Vault,
    store: Store,
    facts: ChainFacts,
    deliveries: DeliveryService,
    ledger: Arc<dyn Ledger>,
}

/// The tasks that work on records until told to stop.
pub(crate) struct RecordWorkers {
    server: FhirServer,
    feeds: Option<MllpServer>,
    swarm: Option<Bitswap>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// The rooms below.
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a NodeConfig,
    pub(crate) store: &'a Store,
    pub(crate) enclave: &'a Enclave,
    pub(crate) network: &'a Network,
    pub(crate) ledger: &'a Arc<dyn Ledger>,
    pub(crate) me: ValidatorIndex,
    pub(crate) jurisdiction: Jurisdiction,
}

/// Opens the rooms and starts their workers.
pub(crate) async fn start(ground: Ground<'_>) -> Result<(Records, RecordWorkers)> {
    let Ground { config, store, enclave, network, ledger, me, jurisdiction } = ground;
    let (genesis, account) = (ledger.genesis(), enclave.public().account);
    let vault = Vault::open(store, enclave.clone(), me, jurisdiction)?;
    let ingest_config = IngestConfig {
        default_jurisdiction: config.default_jurisdiction,
        validation: config.validation,
        profiles: config.profiles,
    };
    let ingest = Ingest::new(vault.clone(), enclave.clone(), store, genesis, ingest_config)?;
    // Before anyone is answered: by genesis nodes may stand where they stand no more.
    let keeping = Keeping::new(ingest.clone(), network.clone(), directory_source(ledger)?);
    keeping.take_over()?;
    keep_working_copy(config, enclave, &ingest).await?;
    let regulators = regulators(genesis, &config.regulators)?;
    let facts =
        ChainFacts::new(Arc::clone(ledger), regulators, Clock::system()).by_directory_of(vault.clone());
    let sender = TransactionSender::new(Arc::clone(ledger), enclave.clone());
    let deliveries = DeliveryService::open(store, Arc::clone(ledger), account, Clock::system())?;
    let agent = HolderAgent::new(
        ingest.clone(),
        Requests::open(store, Arc::clone(ledger))?,
        facts.clone(),
        sender.clone(),
        account,
        Clock::system(),
        AgentConfig { release: config.release.policy(), ..AgentConfig::default() },
    )?;
    let keeper =
        ContentKeeper::new(vault.clone(), facts.clone(), deliveries.clone(), genesis, Clock::system());
    let content = ContentStore::open(store, enclave.clone(), Arc::new(keeper), config.content.quota())?;
    let swarm = swarm(config, enclave, &content).await?;
    let publisher = agent.publisher(content);
    let inbox = Inbox::new(enclave.clone(), ingest.clone(), Clock::system());
    let edge = Edge {
        ingest: ingest.clone(),
        store: store.clone(),
        inbox: inbox.clone(),
        facts: facts.clone(),
        sender: sender.clone(),
        enclave: enclave.clone(),
        keys: Arc::new(NetworkKeys { vault: vault.clone(), network: network.clone() }),
        deliveries: deliveries.clone(),
        publisher: publisher.clone(),
        swarm: swarm.clone(),
        requests: RequestReader::new(Arc::clone(ledger)),
        operator_token: operator_token(&config.data_dir)?,
        body_bytes_max: Edge::BODY_BYTES_MAX,
    };
    let server = bxp_fhir_api::serve(config.listen.fhir, edge).await?;
    let feeds = match config.listen.mllp {
        Some(address) => Some(bxp_mllp::serve(address, inbox, Bounds::default(), mllp_tls(config)?).await?),
        None => None,
    };
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(Anchoring::new(ingest.clone(), sender.clone()).run(stop.clone()));
    tasks.spawn(Replication::new(ingest.clone(), network.clone()).run(stop.clone()));
    tasks.spawn(Erasing::new(ingest.clone(), network.clone(), genesis.clone()).run(stop.clone()));
    tasks.spawn(keeping.clone().follow(ledger.heads(), stop.clone()));
    tasks.spawn(keeping.run(stop.clone()));
    tasks.spawn(Filing::new(vault.clone(), sender.clone(), account).run(stop.clone()));
    tasks.spawn(Repairing::new(ingest.clone(), network.clone()).run(stop.clone()));
    tasks.spawn(agent.run(stop.clone()));
    tasks.spawn(publisher.keep_clean(stop.clone()));
    let records =
        Records { ingest, vault, store: store.clone(), facts, deliveries, ledger: Arc::clone(ledger) };
    Ok((records, RecordWorkers { server, feeds, swarm, stop, tasks }))
}

/// Opens the working copy. One that was lost is made again from the vault, which may take minutes.
async fn keep_working_copy(config: &NodeConfig, enclave: &Enclave, ingest: &Ingest) -> Result<()> {
    let key = enclave.database_key("fhir store")?;
    let (working_copy, ingest) = (working_copy::open(config, key, ingest.vault().home())?, ingest.clone());
    Ok(tokio::task::spawn_blocking(move || ingest.keep_working_copy(working_copy)).await??)
}

/// What feeds are encrypted with, where the configuration names files.
fn mllp_tls(config: &NodeConfig) -> Result<Option<Tls>> {
    let files = config.mllp_tls.clone().map(|tls| TlsFiles {
        certificates: tls.certificates,
        key: tls.key,
        client_authorities: tls.client_authorities,
    });
    Ok(files.as_ref().map(Tls::read).transpose()?)
}

/// The swarm of IPFS peers, where the configuration names one. Peers know the node by the key that genesis names.
async fn swarm(config: &NodeConfig, enclave: &Enclave, content: &ContentStore) -> Result<Option<Bitswap>> {
    let (Some(listen), Some(path)) = (config.content.listen, &config.content.swarm_key) else {
        return Ok(None);
    };
    let text =
        Secret::new(fs::read_to_string(path).with_context(|| {
            format!("read swarm key {}; `bxp content swarm-key` makes one", path.display())
        })?);
    let swarm_key =
        read_swarm_key(text.expose()).with_context(|| format!("understand swarm key {}", path.display()))?;
    let identity = enclave.network_key();
    let swarm = SwarmConfig { listen, identity, swarm_key, limits: bitswap::Limits::default() };
    Ok(Some(bitswap::start(swarm, content.clone()).await?))
}

fn regulators(genesis: &Genesis, names: &[String]) -> Result<BTreeSet<ValidatorIndex>> {
    let index = |name: &String| match genesis.validator_named(name) {
        Some((index, _)) => Ok(index),
        None => bail!("the configuration's regulators name {name:?}, which is no validator of genesis"),
    };
    names.iter().map(index).collect()
}

/// The token by which the operator's programs are known: made once, readable by the node's own user only.
fn operator_token(data_dir: &Path) -> Result<Secret<String>> {
    let path = data_dir.join("operator.token");
    if !path.exists() {
        let token = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(token.as_bytes()))
            .with_context(|| format!("write {}", path.display()))?;
    }
    let token = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(Secret::new(token.trim().to_owned()))
}

impl Records {
    /// Where the node stands, or stood when it was started.
    pub(crate) fn home(&self) -> Jurisdiction {
        self.vault.home()
    }

    /// What waited for the peer goes to it at once.
    pub(crate) fn peer_is_back(&self) {
        self.ingest.wake();
    }

    /// Does what a peer asks. Runs outside of the async threads.
    pub(crate) fn handle(&self, event: Event) {
        match event {
            Event::Blocks { from, manifest, blocks, done } => {
                let accepted = accept_replica(&self.vault, &self.store, from, &manifest, &blocks);
                let answer = accepted.map(drop).map_err(|error| {
                    tracing::warn!(%from, ?error, "refuse a replica");
                    error.to_string()
                });
                // The peer may be gone; it sends again when it is back.
                let _ = done.send(answer);
            }
            Event::BlockWanted { from, cid, reply } => {
                let block = self.vault.block_for(&cid, from).unwrap_or_else(|error| {
                    tracing::warn!(%from, %cid, %error, "read a block for a peer");
                    None
                });
                let _ = reply.send(block);
            }
            Event::Request { from, service: Service::KeyRelease, bytes, reply } => {
                let _ = reply.send(answer_key_request(&self.vault, &self.facts, from, &bytes));
            }
            Event::Request { from, service: Service::Keeping, bytes, reply } => {
                let (genesis, clock) = (self.ledger.genesis(), Clock::system());
                let _ = reply.send(answer_keeping(&self.vault, genesis, &clock, from, &bytes));
            }
            Event::Request { from, service: Service::Erasure, bytes, reply } => {
                let _ = reply.send(answer_tombstones(&self.vault, self.ledger.genesis(), from, &bytes));
            }
            Event::Request { service: Service::Market, bytes, reply, .. } => {
                if let Some(answer) = self.deliveries.answer(&bytes) {
                    let _ = reply.send(answer.into());
                }
            }
            // The rest is the chain's.
            _ => {}
        }
    }
}

impl RecordWorkers {
    /// Where the HTTP edge listens.
    pub(crate) fn fhir_address(&self) -> std::net::SocketAddr {
        self.server.local_addr()
    }

    /// Where HL7 v2 feeds are taken.
    pub(crate) fn mllp_address(&self) -> Option<std::net::SocketAddr> {
        self.feeds.as_ref().map(MllpServer::local_addr)
    }

    /// Where IPFS peers reach the node.
    pub(crate) fn content_address(&self) -> Option<String> {
        self.swarm.as_ref().map(|swarm| swarm.multiaddr().to_string())
    }

    /// Takes no new requests, lets the workers finish what they are at, and returns.
    pub(crate) async fn stop(mut self) {
        if let Some(feeds) = self.feeds {
            feeds.stop().await;
        }
        self.server.stop().await;
        if let Some(swarm) = self.swarm {
            swarm.shutdown().await;
        }
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
