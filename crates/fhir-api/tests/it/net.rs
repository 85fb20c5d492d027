//! Whole nodes of one network in one process, each with its FHIR server.

use bxp_chain::{Chain, ChainConfig, ChainEvent, View, mempool::PoolLimits};
use bxp_clinical::{
    anchor::Anchoring,
    facts::ChainFacts,
    inbox::Inbox,
    ingest::{Ingest, IngestConfig},
    release::answer_key_request,
    replicate::{Replication, accept_replica},
    sender::TransactionSender,
    validate::Mode,
};
use bxp_content::{
    ContentStore, Quota,
    bitswap::{Limits, SwarmConfig},
};
use bxp_contracts::genesis_accounts;
use bxp_enclave::Enclave;
use bxp_fhir_api::{Edge, FhirServer, NetworkKeys, serve};
use bxp_market::{AgentConfig, ContentKeeper, DeliveryService, HolderAgent, RequestReader, Requests};
use bxp_network::{Event, NetworkConfig, Service};
use bxp_storage::Store;
use bxp_types::{
    Address, Amount, Genesis, GenesisAccount, Jurisdiction, Ledger, Secret, ValidatorEntry, ValidatorIndex,
};
use bxp_vault::{Clock, Vault};
use std::{
    collections::BTreeSet,
    future::Future,
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

pub(crate) const US: Jurisdiction = Jurisdiction::US;
pub(crate) const DE: Jurisdiction = Jurisdiction::DE;
pub(crate) const TOKEN: &str = "a-token-of-the-tests-0123456789";
/// The largest submission: small, so that a test can pass it.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;
/// The second node oversees.
const REGULATOR: ValidatorIndex = ValidatorIndex(1);
const SWARM_KEY: [u8; 32] = [9; 32];
const WITHIN: Duration = Duration::from_secs(60);

/// Where a node's working copy is.
pub(crate) enum Place {
    File,
    Server(crate::server::Database),
}

/// Makes each test one with the working copy in a file, and one with it on a server, where this machine has one.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod file {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name($crate::net::Place::File).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(database) = $crate::server::database() {
                    super::$name($crate::net::Place::Server(database)).await;
                }
            })*
        }
    };
}
pub(crate) use on_both;

pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    folder: TempDir,
    /// By how much the nodes' clocks are ahead of the machine's, in milliseconds.
    ahead_ms: Arc<AtomicU64>,
}

pub(crate) struct Node {
    pub(crate) edge: Edge,
    pub(crate) vault: Vault,
    pub(crate) server: FhirServer,
}

impl Net {
    /// Nodes in these countries.
    pub(crate) async fn start(homes: &[Jurisdiction]) -> Self {
        Self::start_at(homes, &[]).await
    }

    async fn start_at(homes: &[Jurisdiction], places: &[Place]) -> Self {
        crate::secrecy::listen_to_logs();
        let folder = tempfile::tempdir().unwrap();
        let enclaves: Vec<Enclave> = (0..homes.len())
            .map(|index| {
                Enclave::create(&folder.path().join(format!("enclave-{index}")), None, None).unwrap()
            })
            .collect();
        let genesis = genesis(homes, &enclaves);
        let ahead_ms = Arc::new(AtomicU64::new(0));
        let mut nodes = Vec::new();
        for (index, enclave) in enclaves.into_iter().enumerate() {
            let place = places.get(index).unwrap_or(&Place::File);
            nodes.push(start_node(folder.path(), &genesis, index, enclave, place, clock(&ahead_ms)).await);
        }
        Self { nodes, folder, ahead_ms }
    }

    /// Turns the nodes' clocks on by some hours.
    pub(crate) fn turn_clocks(&self, hours: u64) {
        self.ahead_ms.fetch_add(hours * 3_600_000, Ordering::SeqCst);
    }

    /// Where the nodes keep everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One node in the United States.
    pub(crate) async fn of_one() -> Self {
        Self::start(&[US]).await
    }

    /// The same, with its working copy at a place.
    pub(crate) async fn of_one_at(place: Place) -> Self {
        Self::start_at(&[US], &[place]).await
    }
}

impl Node {
    /// Waits until everything that was taken in is anchored and handed over.
    pub(crate) async fn settled(&self) {
        until("nothing waits", || async {
            let backlog = self.edge.ingest.backlog().unwrap();
            (backlog.batches, backlog.handovers) == (0, 0)
        })
        .await;
    }
}

/// Waits until `condition` holds, with a bound.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = Instant::now() + WITHIN;
    while !condition().await {
        assert!(Instant::now() < deadline, "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The machine's clock, turned on.
fn clock(ahead_ms: &Arc<AtomicU64>) -> Clock {
    let (machine, ahead_ms) = (Clock::system(), Arc::clone(ahead_ms));
    Clock::from_fn(move || machine.now_ms() + ahead_ms.load(Ordering::SeqCst))
}

fn genesis(homes: &[Jurisdiction], enclaves: &[Enclave]) -> Genesis {
    let listeners: Vec<TcpListener> =
        homes.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let entries = homes.iter().zip(enclaves).zip(&listeners).enumerate();
    let validators: Vec<ValidatorEntry> = entries
        .map(|(index, ((home, enclave), listener))| {
            let public = enclave.public();
            ValidatorEntry {
                name: format!("node-{index}"),
                jurisdiction: *home,
                public_key: public.public_key,
                sealing_key: public.sealing_key,
                account: public.account,
                p2p_address: listener.local_addr().unwrap().to_string(),
            }
        })
        .collect();
    let treasury = Address::repeat_byte(0xfe);
    let mut accounts = genesis_accounts(validators.iter().map(|validator| validator.account), treasury);
    for validator in &validators {
        let funded = GenesisAccount { balance: Amount::from_bxm(1_000), ..GenesisAccount::default() };
        accounts.insert(validator.account, funded);
    }
    Genesis {
        chain_id: 2018,
        time_ms: 1_700_000_000_000,
        gas_limit: 60_000_000,
        base_fee_wei: 1_000_000_000,
        treasury,
        validators,
        accounts,
        identity_copies: std::collections::BTreeMap::new(),
    }
}

async fn start_node(
    folder: &Path,
    genesis: &Genesis,
    index: usize,
    enclave: Enclave,
    place: &Place,
    clock: Clock,
) -> Node {
    let (me, entry) = (ValidatorIndex(index as u16), &genesis.validators[index]);
    let store = Store::open(&folder.join(format!("data-{index}")), genesis.network_id()).unwrap();
    let config = NetworkConfig {
        genesis: Arc::new(genesis.clone()),
        me,
        signing_key: enclave.network_key(),
        listen: entry.p2p_address.parse().unwrap(),
    };
    let (network, events) = bxp_network::start(config).await.unwrap();
    let config = ChainConfig {
        me,
        journal: folder.join(format!("consensus-{index}.log")),
        block_interval: Duration::from_millis(5),
        pool: PoolLimits::default(),
        retention: bxp_chain::Retention::default(),
        verification: bxp_chain::Verification::All,
        vote_gather: None,
        segments: None,
        run_ahead: true,
    };
    let (chain, _driver) =
        Chain::start(genesis.clone(), config, store.clone(), enclave.clone(), network.clone()).unwrap();
    let ledger: Arc<dyn Ledger> = Arc::new(View::new(chain.clone()));
    let vault =
        Vault::open_with_clock(&store, enclave.clone(), me, entry.jurisdiction, clock.clone()).unwrap();
    let config = IngestConfig {
        default_jurisdiction: entry.jurisdiction,
        validation: Mode::Strict,
        profiles: Mode::Warn,
    };
    let ingest =
        Ingest::with_clock(vault.clone(), enclave.clone(), &store, genesis, config, clock.clone()).unwrap();
    let key = enclave.database_key("fhir store").unwrap();
    let working = match place {
        Place::File => bxp_fhir_store::Store::open(&folder.join(format!("fhir-{index}")), key),
        Place::Server(database) => bxp_fhir_store::Store::connect(database.server(), &key),
    };
    ingest.keep_working_copy(working.unwrap()).unwrap();
    let facts = ChainFacts::new(Arc::clone(&ledger), BTreeSet::from([REGULATOR]), clock.clone());
    let sender = TransactionSender::new(Arc::clone(&ledger), enclave.clone());
    let never = CancellationToken::new();
    tokio::spawn(Replication::new(ingest.clone(), network.clone()).run(never.clone()));
    tokio::spawn(Anchoring::new(ingest.clone(), sender.clone()).run(never));
    let rooms = Rooms { chain, vault: vault.clone(), store: store.clone(), facts: facts.clone() };
    tokio::spawn(route(events, rooms));
    let inbox = Inbox::new(enclave.clone(), ingest.clone(), clock.clone());
    let delivered = deliveries(&store, &ledger, &enclave, clock.clone());
    let keeper = ContentKeeper::new(vault.clone(), facts.clone(), delivered.clone(), genesis, clock.clone());
    let content = ContentStore::open(
        &store,
        enclave.clone(),
        Arc::new(keeper),
        Quota { bytes_max: 1 << 30, disk_free_bytes_min: 0 },
    );
    let content = content.unwrap();
    let agent = HolderAgent::new(
        ingest.clone(),
        Requests::open(&store, Arc::clone(&ledger)).unwrap(),
        facts.clone(),
        sender.clone(),
        entry.account,
        clock.clone(),
        AgentConfig::default(),
    );
    let swarm = SwarmConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        identity: enclave.network_key(),
        swarm_key: Secret::new(SWARM_KEY),
        limits: Limits::default(),
    };
    let edge = Edge {
        store,
        inbox,
        publisher: agent.unwrap().publisher(content.clone()),
        swarm: Some(bxp_content::bitswap::start(swarm, content).await.unwrap()),
        facts,
        sender,
        keys: Arc::new(NetworkKeys { vault: vault.clone(), network: network.clone() }),
        deliveries: delivered,
        requests: RequestReader::new(Arc::clone(&ledger)),
        ingest,
        enclave,
        operator_token: Secret::new(TOKEN.to_owned()),
        body_bytes_max: BODY_BYTES_MAX,
    };
    let server = serve("127.0.0.1:0".parse().unwrap(), edge.clone()).await.unwrap();
    Node { edge, vault, server }
}

fn deliveries(store: &Store, ledger: &Arc<dyn Ledger>, enclave: &Enclave, clock: Clock) -> DeliveryService {
    DeliveryService::open(store, Arc::clone(ledger), enclave.public().account, clock).unwrap()
}

/// Where events of the network go.
struct Rooms {
    chain: Chain,
    vault: Vault,
    store: Store,
    facts: ChainFacts,
}

async fn route(mut events: mpsc::Receiver<Event>, rooms: Rooms) {
    while let Some(event) = events.recv().await {
        let event = match event {
            Event::Connected(peer) => ChainEvent::Connected(peer),
            Event::Disconnected(peer) => ChainEvent::Disconnected(peer),
            Event::Message { from, channel, bytes } => ChainEvent::Message { from, channel, bytes },
            Event::Request { service: Service::Sync, bytes, reply, .. } => {
                ChainEvent::SyncRequest { bytes, reply }
            }
            Event::Request { service: Service::KeyRelease, from, bytes, reply } => {
                let answer = answer_key_request(&rooms.vault, &rooms.facts, from, &bytes);
                let _ = reply.send(answer);
                continue;
            }
            Event::Blocks { from, manifest, blocks, done } => {
                let taken = accept_replica(&rooms.vault, &rooms.store, from, &manifest, &blocks);
                let _ = done.send(taken.map(drop).map_err(|error| error.to_string()));
                continue;
            }
            Event::Request { .. } | Event::BlockWanted { .. } => continue,
        };
        if rooms.chain.deliver(event).await.is_err() {
            return;
        }
    }
}
