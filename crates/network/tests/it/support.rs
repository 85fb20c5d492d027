//! Networks of a few nodes in one process, and a raw libp2p peer with a validator's key that can say anything.

use bxp_network::{Channel, Event, Limits, Network, NetworkConfig, NetworkError, start_with};
use bxp_types::{
    Address, B256, BlockClass, Genesis, Jurisdiction, SealedBlock, Secret, ValidatorEntry, ValidatorIndex,
};
use bytes::Bytes;
use cid::Cid;
use ed25519_zebra::{SigningKey, VerificationKey};
use futures::StreamExt;
use libp2p::{
    Multiaddr, Stream, StreamProtocol, Swarm, SwarmBuilder, identity::Keypair, noise, swarm::SwarmEvent, tcp,
    yamux,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use multihash_codetable::{Code, MultihashDigest};
use std::{
    collections::BTreeMap,
    future::Future,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// No condition of a test may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits `future` with the tests' patience.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen in {PATIENCE:?}"),
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A free port below the range from which the system takes ports of outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 180).unwrap() * 100 + 12_000;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn seed(index: u16) -> [u8; 32] {
    [u8::try_from(index).unwrap() + 1; 32]
}

/// A genesis document with one validator for each jurisdiction, on free ports.
pub(crate) fn genesis(jurisdictions: &[Jurisdiction]) -> Genesis {
    let entry = |(index, jurisdiction): (u16, &Jurisdiction)| ValidatorEntry {
        name: format!("node-{index}"),
        jurisdiction: *jurisdiction,
        public_key: B256::from(<[u8; 32]>::from(VerificationKey::from(&SigningKey::from(seed(index))))),
        sealing_key: B256::repeat_byte(seed(index)[0]),
        account: Address::repeat_byte(seed(index)[0]),
        p2p_address: format!("127.0.0.1:{}", free_port()),
    };
    Genesis {
        chain_id: 2018,
        time_ms: 0,
        gas_limit: 1,
        base_fee_wei: 1,
        treasury: Address::ZERO,
        validators: (0..).zip(jurisdictions).map(entry).collect(),
        accounts: BTreeMap::new(),
        identity_copies: BTreeMap::new(),
    }
}

/// The socket of a validator.
pub(crate) fn address(genesis: &Genesis, index: u16) -> SocketAddr {
    genesis.validators[usize::from(index)].p2p_address.parse().unwrap()
}

/// What validator `index` is started with.
pub(crate) fn config(genesis: &Genesis, index: u16) -> NetworkConfig {
    NetworkConfig {
        genesis: Arc::new(genesis.clone()),
        me: ValidatorIndex(index),
        signing_key: Secret::new(seed(index)),
        listen: address(genesis, index),
    }
}

/// A running node.
pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) events: mpsc::Receiver<Event>,
}

impl Node {
    pub(crate) async fn start(genesis: &Genesis, index: u16) -> Self {
        Self::start_with(genesis, index, Limits::default()).await
    }

    pub(crate) async fn start_with(genesis: &Genesis, index: u16, limits: Limits) -> Self {
        Self::try_start(genesis, index, limits).await.unwrap()
    }

    /// A node that does not listen where genesis says, as behind a relay.
    pub(crate) async fn listening(genesis: &Genesis, index: u16, listen: SocketAddr) -> Self {
        recorder();
        let config = NetworkConfig { listen, ..config(genesis, index) };
        let (network, events) = start_with(config, Limits::default()).await.unwrap();
        Self { network, events }
    }

    pub(crate) async fn try_start(
        genesis: &Genesis,
        index: u16,
        limits: Limits,
    ) -> Result<Self, NetworkError> {
        recorder();
        let (network, events) = start_with(config(genesis, index), limits).await?;
        Ok(Self { network, events })
    }

    pub(crate) async fn next(&mut self) -> Event {
        soon("an event", self.events.recv()).await.expect("the network still runs")
    }

    /// The next event has to be this peer's connection.
    pub(crate) async fn expect_connected(&mut self, peer: u16) {
        let event = self.next().await;
        assert!(matches!(event, Event::Connected(v) if v == ValidatorIndex(peer)), "got {event:?}");
    }

    /// The next event has to be this peer's disconnection.
    pub(crate) async fn expect_disconnected(&mut self, peer: u16) {
        let event = self.next().await;
        assert!(matches!(event, Event::Disconnected(v) if v == ValidatorIndex(peer)), "got {event:?}");
    }

    /// The next event has to be a message.
    pub(crate) async fn expect_message(&mut self) -> (ValidatorIndex, Channel, Bytes) {
        match self.next().await {
            Event::Message { from, channel, bytes } => (from, channel, bytes),
            event => panic!("got {event:?}"),
        }
    }

    /// No event waits.
    pub(crate) fn expect_quiet(&mut self) {
        match self.events.try_recv() {
            Err(mpsc::error::TryRecvError::Empty) => {}
            other => panic!("got {other:?}"),
        }
    }
}

/// Two connected nodes, 0 and 1.
pub(crate) async fn pair(jurisdictions: [Jurisdiction; 2], limits: Limits) -> (Node, Node) {
    let genesis = genesis(&jurisdictions);
    let mut second = Node::start_with(&genesis, 1, limits.clone()).await;
    let mut first = Node::start_with(&genesis, 0, limits).await;
    first.expect_connected(1).await;
    second.expect_connected(0).await;
    (first, second)
}

/// A sealed block of some bytes.
pub(crate) fn block(class: BlockClass, bytes: Vec<u8>) -> SealedBlock {
    SealedBlock { cid: cid_of(&bytes), class, bytes: bytes.into() }
}

/// CIDv1, dag-cbor, SHA-256.
pub(crate) fn cid_of(bytes: &[u8]) -> Cid {
    Cid::new_v1(0x71, Code::Sha2_256.digest(bytes))
}

/// The metrics of all nodes of this process.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().expect("no other recorder"))
}

/// The value of a metric's line, such as `name{label="value"}`; 0 where it does not exist.
pub(crate) fn metric(line: &str) -> f64 {
    let text = recorder().render();
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    value.unwrap_or(0.0)
}

/// A libp2p peer that is bound to no protocol.
pub(crate) struct Raw {
    pub(crate) control: libp2p_stream::Control,
    network: String,
    node: libp2p::PeerId,
    connected: watch::Receiver<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Raw {
    /// Dials validator `to` with validator `from`'s key and waits for the connection.
    pub(crate) async fn dial(genesis: &Genesis, from: u16, to: u16) -> Self {
        Self::dial_with_seed(genesis, seed(from), to).await
    }

    /// Dials validator `to` with any key.
    pub(crate) async fn dial_with_seed(genesis: &Genesis, mut secret: [u8; 32], to: u16) -> Self {
        let identity = Keypair::ed25519_from_bytes(&mut secret).unwrap();
        let node = Keypair::ed25519_from_bytes(seed(to)).unwrap().public().to_peer_id();
        let mut swarm = SwarmBuilder::with_existing_identity(identity)
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        let control = swarm.behaviour().new_control();
        let address = address(genesis, to);
        let address: Multiaddr = format!("/ip4/{}/tcp/{}", address.ip(), address.port()).parse().unwrap();
        swarm.dial(address).unwrap();
        let (connected_sender, mut connected) = watch::channel(false);
        let task = tokio::spawn(drive(swarm, connected_sender));
        soon("the raw peer's connection", connected.wait_for(|connected| *connected)).await.unwrap();
        let network = genesis.network_id().to_string()[..16].to_owned();
        Self { control, network, node, connected, task }
    }

    /// The name of one of the network's protocols.
    pub(crate) fn protocol(&self, name: &str) -> StreamProtocol {
        StreamProtocol::try_from_owned(format!("/bxp/{}/{name}/1", self.network)).unwrap()
    }

    pub(crate) async fn open(&mut self, name: &str) -> Stream {
        let protocol = self.protocol(name);
        soon("a stream", self.control.open_stream(self.node, protocol)).await.unwrap()
    }

    pub(crate) async fn try_open(
        &mut self,
        protocol: StreamProtocol,
    ) -> Result<Stream, libp2p_stream::OpenStreamError> {
        soon("an answer to a stream", self.control.open_stream(self.node, protocol)).await
    }

    /// Opens all channels and the pulse, after which the node counts this peer as connected.
    pub(crate) async fn shake(&mut self) -> [Stream; 4] {
        [
            self.open("consensus").await,
            self.open("bodies").await,
            self.open("attestation").await,
            self.open("pulse").await,
        ]
    }

    /// Waits until the node has closed the connection.
    pub(crate) async fn closed(&mut self) {
        soon("the node's hanging up", self.connected.wait_for(|connected| !connected)).await.unwrap();
    }
}

async fn drive(mut swarm: Swarm<libp2p_stream::Behaviour>, connected: watch::Sender<bool>) {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { .. } => drop(connected.send(true)),
            SwarmEvent::ConnectionClosed { .. } => drop(connected.send(false)),
            SwarmEvent::OutgoingConnectionError { error, .. } => panic!("raw dial: {error}"),
            _ => {}
        }
    }
}
