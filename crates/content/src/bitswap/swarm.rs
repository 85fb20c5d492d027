//! The handle of a running swarm, and what its tasks share.

use super::{
    Limits,
    behaviour::Behaviour,
    driver::{Command, Driver},
    fetch::Answer,
    ledger::{Ledger, LedgerView},
    message::Message,
};
use crate::{ContentError, ContentStore};
use bxp_types::Secret;
use cid::Cid;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, Transport,
    core::upgrade::Version,
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    pnet::{PnetConfig, PreSharedKey},
    swarm::{ConnectionId, SwarmEvent},
    tcp, yamux,
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Commands that wait for the swarm.
const COMMANDS_QUEUED_MAX: usize = 256;
/// Messages of this node's own that wait for one session.
const REQUESTS_QUEUED_MAX: usize = 64;
/// DAGs that are fetched at once; more wait.
const FETCHES_MAX: usize = 4;
/// Peers whose ledgers are remembered after they have gone, so that reconnecting buys nothing.
const LEDGERS_MAX: usize = 1024;
/// The longest that the system may take to open the socket.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// What the swarm needs.
#[derive(Debug)]
pub struct SwarmConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The node's Ed25519 key, by which peers know it.
    pub identity: Secret<[u8; 32]>,
    /// Without this key no peer gets past the first byte.
    pub swarm_key: Secret<[u8; 32]>,
    /// Bounds on peers.
    pub limits: Limits,
}

/// A running swarm. Clones share it; it stops on [`Bitswap::shutdown`] or when the last clone is dropped.
#[derive(Clone)]
pub struct Bitswap {
    pub(super) shared: Arc<Shared>,
    peer: PeerId,
    address: SocketAddr,
    _stop_when_dropped: Arc<DropGuard>,
}

/// What all tasks of the swarm share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) store: ContentStore,
    peers: Mutex<HashMap<PeerId, Peer>>,
    /// Wants of this node's own that are open.
    pub(super) expected: Mutex<HashMap<Cid, Vec<mpsc::Sender<Answer>>>>,
    cut_off: Mutex<HashMap<PeerId, Instant>>,
    commands: mpsc::Sender<Command>,
    pub(super) fetches: Semaphore,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

#[derive(Debug)]
struct Peer {
    ledger: Arc<Ledger>,
    sessions: Vec<(ConnectionId, mpsc::Sender<Message>)>,
}

/// A session's place among the others.
pub(crate) struct Entered {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) ledger: Arc<Ledger>,
}

/// A peer that is connected.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    /// The peer's id.
    pub peer: String,
    /// Its connections.
    pub connections: usize,
    /// What it has cost.
    #[serde(flatten)]
    pub ledger: LedgerView,
}

/// Starts the swarm of `store`. When it returns, the socket listens.
///
/// # Errors
/// [`ContentError::Listen`], [`ContentError::Transport`].
pub async fn start(config: SwarmConfig, store: ContentStore) -> Result<Bitswap, ContentError> {
    let SwarmConfig { listen, identity, swarm_key, limits } = config;
    let transport = |error: &dyn std::error::Error| ContentError::Transport(error.to_string());
    let identity = Keypair::ed25519_from_bytes(*identity.expose()).map_err(|error| transport(&error))?;
    let peer = identity.public().to_peer_id();
    let (commands, commands_receiver) = mpsc::channel(COMMANDS_QUEUED_MAX);
    let shared = Arc::new(Shared {
        limits,
        store,
        peers: Mutex::default(),
        expected: Mutex::default(),
        cut_off: Mutex::default(),
        commands,
        fetches: Semaphore::new(FETCHES_MAX),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    });
    let behaviour = Behaviour::new(Arc::clone(&shared), identity.public());
    let mut swarm = swarm(identity, &swarm_key, behaviour, limits.handshake_timeout)?;
    let failed = |source| ContentError::Listen { address: listen, source };
    let address = bind(&mut swarm, listen).await.map_err(failed)?;
    shared.tasks.spawn(Driver::new(swarm, commands_receiver, Arc::clone(&shared)).run());
    let guard = Arc::new(shared.stop.clone().drop_guard());
    Ok(Bitswap { shared, peer, address, _stop_when_dropped: guard })
}

fn swarm(
    identity: Keypair,
    swarm_key: &Secret<[u8; 32]>,
    behaviour: Behaviour,
    handshake_timeout: Duration,
) -> Result<Swarm<Behaviour>, ContentError> {
    let transport = |error: &dyn std::error::Error| ContentError::Transport(error.to_string());
    let noise = noise::Config::new(&identity).map_err(|error| transport(&error))?;
    let swarm_key = PreSharedKey::new(*swarm_key.expose());
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .and_then(move |socket, _| PnetConfig::new(swarm_key).handshake(socket))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default());
    let builder = SwarmBuilder::with_existing_identity(identity).with_tokio();
    let builder = builder.with_other_transport(|_| tcp).map_err(|error| transport(&error))?;
    let builder = builder.with_behaviour(|_| behaviour).map_err(|error| transport(&error))?;
    Ok(builder.with_swarm_config(std::convert::identity).with_connection_timeout(handshake_timeout).build())
}

/// Binds the socket and gives its address. libp2p shares its port with any process that also shares (`SO_REUSEPORT`), so
/// the port is first bound without sharing, which fails when anyone listens there.
async fn bind(swarm: &mut Swarm<Behaviour>, address: SocketAddr) -> io::Result<SocketAddr> {
    drop(std::net::TcpListener::bind(address)?);
    swarm.listen_on(multiaddr(address)).map_err(io::Error::other)?;
    let opened = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address: at, .. } => {
                    let port = at.iter().find_map(|part| match part {
                        Protocol::Tcp(port) => Some(port),
                        _ => None,
                    });
                    return Ok(SocketAddr::new(address.ip(), port.unwrap_or(address.port())));
                }
                SwarmEvent::ListenerClosed { reason: Err(error), .. } => return Err(error),
                _ => {}
            }
        }
    };
    tokio::time::timeout(LISTEN_TIMEOUT, opened).await.map_err(|_| io::ErrorKind::TimedOut)?
}

fn multiaddr(address: SocketAddr) -> Multiaddr {
    let host = match address.ip() {
        IpAddr::V4(ip) => Protocol::Ip4(ip),
        IpAddr::V6(ip) => Protocol::Ip6(ip),
    };
    Multiaddr::empty().with(host).with(Protocol::Tcp(address.port()))
}

impl Bitswap {
    /// This node's id in the swarm.
    #[must_use]
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What another peer dials.
    #[must_use]
    pub fn multiaddr(&self) -> Multiaddr {
        multiaddr(self.address).with(Protocol::P2p(self.peer))
    }

    /// The peers that are connected, and what they have cost.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerView> {
        let peers = self.shared.peers.lock();
        let connected = peers.iter().filter(|(_, peer)| !peer.sessions.is_empty());
        let view = |(id, peer): (&PeerId, &Peer)| PeerView {
            peer: id.to_string(),
            connections: peer.sessions.len(),
            ledger: peer.ledger.totals(),
        };
        connected.map(view).collect()
    }

    /// Connects to the peer at an address that ends in its id.
    ///
    /// # Errors
    /// [`ContentError::Address`], [`ContentError::Unreachable`], [`ContentError::Stopped`].
    pub async fn connect(&self, address: &Multiaddr) -> Result<PeerId, ContentError> {
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            return Err(ContentError::Address(address.to_string()));
        };
        if self.shared.is_connected(&peer) {
            return Ok(peer);
        }
        let (reply, told) = oneshot::channel();
        let command = Command::Dial { peer, address: address.clone(), reply };
        self.shared.commands.send(command).await.map_err(|_| ContentError::Stopped)?;
        match told.await {
            Ok(Ok(())) => Ok(peer),
            Ok(Err(why)) => Err(ContentError::Unreachable { address: address.to_string(), why }),
            Err(_) => Err(ContentError::Stopped),
        }
    }

    /// Closes every connection and the listening socket.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl std::fmt::Debug for Bitswap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bitswap").field("peer", &self.peer).field("address", &self.address).finish()
    }
}

impl Shared {
    /// Begins a session: gives its peer's ledger, and the messages of this node's own that it is to send.
    pub(super) fn enter(&self, peer: PeerId, connection: ConnectionId) -> (Entered, mpsc::Receiver<Message>) {
        let (sender, requests) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let mut peers = self.peers.lock();
        let entry = peers.entry(peer).or_insert_with(|| {
            let ledger = Arc::new(Ledger::new(&self.limits, Instant::now()));
            Peer { ledger, sessions: Vec::new() }
        });
        entry.sessions.push((connection, sender));
        (Entered { peer, connection, ledger: Arc::clone(&entry.ledger) }, requests)
    }

    /// Ends a session.
    pub(super) fn leave(&self, entered: &Entered) {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get_mut(&entered.peer) {
            peer.sessions.retain(|(connection, _)| *connection != entered.connection);
        }
        if peers.len() > LEDGERS_MAX {
            peers.retain(|_, peer| !peer.sessions.is_empty());
        }
    }

    pub(super) fn peer_count(&self) -> usize {
        self.peers.lock().values().filter(|peer| !peer.sessions.is_empty()).count()
    }

    pub(super) fn is_connected(&self, peer: &PeerId) -> bool {
        self.peers.lock().get(peer).is_some_and(|peer| !peer.sessions.is_empty())
    }

    /// Hands a message to a session of the peer; says whether there was one that takes it.
    pub(super) fn say(&self, peer: &PeerId, message: &Message) -> bool {
        let peers = self.peers.lock();
        let mut sessions = peers.get(peer).into_iter().flat_map(|peer| &peer.sessions);
        sessions.any(|(_, session)| session.try_send(message.clone()).is_ok())
    }

    /// Closes a session's connection.
    pub(super) async fn close(&self, connection: ConnectionId) {
        // The swarm may have stopped.
        let _ = self.commands.send(Command::Close(connection)).await;
    }

    /// Closes all connections of a peer that broke the protocol, and refuses new ones for a while.
    pub(super) async fn cut_off(&self, peer: PeerId) {
        let now = Instant::now();
        {
            let mut cut_off = self.cut_off.lock();
            cut_off.retain(|_, until| *until > now);
            cut_off.insert(peer, now + self.limits.cut_off_time);
        }
        let _ = self.commands.send(Command::Disconnect(peer)).await;
    }

    pub(super) fn is_cut_off(&self, peer: &PeerId) -> bool {
        self.cut_off.lock().get(peer).is_some_and(|until| *until > Instant::now())
    }
}
