//! The handle by which the rest of the node uses the network.

use crate::{
    Channel, Event, FetchBlockError, Limits, NetworkConfig, NetworkError, RequestError, SendBlocksError,
    SendError, Service,
    ban::Bans,
    behaviour::{Behaviour, Gate},
    dial,
    driver::Driver,
    ending::Reason,
    exchange, metric,
    protocol::Protocols,
    roster::Roster,
    shared::Shared,
};
use bxp_types::{Jurisdiction, SealedBlock, ValidatorIndex};
use bytes::Bytes;
use cid::Cid;
use futures::io::BufReader;
use libp2p::{Swarm, SwarmBuilder, Transport, core::upgrade::Version, identity::Keypair, noise, tcp, yamux};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

/// Commands that wait for the swarm.
const COMMANDS_QUEUED_MAX: usize = 256;

/// A running network. Clones share it; it stops on [`Network::shutdown`] or when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Network {
    shared: Arc<Shared>,
    _stop_when_dropped: Arc<DropGuard>,
}

/// Starts listening and dialling with the usual [`Limits`].
///
/// # Errors
/// [`NetworkError`] when the configuration contradicts genesis or the port is in use.
pub async fn start(config: NetworkConfig) -> Result<(Network, mpsc::Receiver<Event>), NetworkError> {
    start_with(config, Limits::default()).await
}

/// Starts listening and dialling. When it returns, the socket listens.
///
/// # Errors
/// [`NetworkError`] when the configuration contradicts genesis or the port is in use.
#[tracing::instrument(name = "network.start", skip_all, fields(me = %config.me, listen = %config.listen))]
pub async fn start_with(
    config: NetworkConfig,
    limits: Limits,
) -> Result<(Network, mpsc::Receiver<Event>), NetworkError> {
    metric::describe();
    limits.check()?;
    let (roster, identity) = Roster::new(&config)?;
    let protocols = Arc::new(Protocols::of(roster.network)?);
    let roster = Arc::new(roster);
    let bans = Arc::new(Bans::new(roster.count(), &limits));
    let gate = Gate::new(Arc::clone(&roster), Arc::clone(&bans), protocols, limits.handshake_timeout);
    let mut swarm = swarm(identity, Behaviour::new(gate), limits.handshake_timeout)?;
    listen(&mut swarm, config.listen)
        .map_err(|source| NetworkError::Listen { address: config.listen, source })?;
    let (commands, commands_receiver) = mpsc::channel(COMMANDS_QUEUED_MAX);
    let (events, events_receiver) = mpsc::channel(limits.events_queued_max);
    let shared = Arc::new(Shared::new(roster, limits, bans, commands));
    shared.tasks.spawn(Driver::new(swarm, commands_receiver, Arc::clone(&shared), events).run());
    for peer in shared.roster.dialled().cloned() {
        shared.tasks.spawn(dial::keep_connected(Arc::clone(&shared), peer));
    }
    let guard = Arc::new(shared.stop.clone().drop_guard());
    Ok((Network { shared, _stop_when_dropped: guard }, events_receiver))
}

/// Bytes read from a socket at once. Noise asks for 8 KiB at a time, each of which would be a system call.
const SOCKET_READ_BYTES: usize = 128 << 10;

fn swarm(
    identity: Keypair,
    behaviour: Behaviour,
    handshake_timeout: Duration,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let transport = |error: &dyn std::error::Error| NetworkError::Transport(error.to_string());
    let noise = noise::Config::new(&identity).map_err(|error| transport(&error))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(|socket, _| BufReader::with_capacity(SOCKET_READ_BYTES, socket))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default());
    let builder = SwarmBuilder::with_existing_identity(identity).with_tokio();
    let builder = builder.with_other_transport(|_| tcp).map_err(|error| transport(&error))?;
    let builder = builder.with_behaviour(|_| behaviour).map_err(|error| transport(&error))?;
    Ok(builder.with_swarm_config(std::convert::identity).with_connection_timeout(handshake_timeout).build())
}

/// Binds the socket. libp2p shares its port with any process that also shares (`SO_REUSEPORT`), such as a second node
/// started by mistake, so the port is first bound without sharing, which fails when anyone listens there.
fn listen(swarm: &mut Swarm<Behaviour>, address: SocketAddr) -> io::Result<()> {
    drop(std::net::TcpListener::bind(address)?);
    swarm.listen_on(dial::multiaddr(address)).map(drop).map_err(io::Error::other)
}

impl Network {
    /// Moves the residency fence: from now on each validator stands where `country` says, or in no country. Until this
    /// is called first, they stand where genesis says.
    pub fn set_countries(&self, country: impl Fn(ValidatorIndex) -> Option<Jurisdiction>) {
        self.shared.roster.set_countries(country);
    }

    /// Queues a message to a connected peer. Never blocks.
    ///
    /// # Errors
    /// [`SendError`]; after [`SendError::Overflow`] the connection is dropped.
    pub fn send(&self, to: ValidatorIndex, channel: Channel, bytes: Bytes) -> Result<(), SendError> {
        self.check_size(&bytes)?;
        self.shared.live(to).ok_or(SendError::NotConnected(to))?.send(channel, bytes)
    }

    /// Queues a message to every connected peer, and gives the number of these. Never blocks; who is not connected misses
    /// it.
    pub fn broadcast(&self, channel: Channel, bytes: &Bytes) -> usize {
        if let Err(error) = self.check_size(bytes) {
            tracing::error!(channel = channel.name(), %error, "broadcast nothing");
            return 0;
        }
        // An overflow ends that peer's session, which says so itself.
        let peers = self.shared.all_live();
        peers.iter().filter(|handle| handle.send(channel, bytes.clone()).is_ok()).count()
    }

    fn check_size(&self, bytes: &Bytes) -> Result<(), SendError> {
        let (size, limit) = (bytes.len(), self.shared.limits.frame_bytes_max);
        if size > limit { Err(SendError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// Asks a peer and waits for its answer.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request(
        &self,
        to: ValidatorIndex,
        service: Service,
        bytes: Bytes,
    ) -> Result<Bytes, RequestError> {
        exchange::request::ask(&self.shared, to, service, &bytes).await
    }

    /// Hands sealed blocks over, any number of them, and returns when the receiver has stored them all. Large
    /// hand-overs go in portions, each of which its receiver sees as one [`Event::Blocks`] with the same manifest; so
    /// after an error some of the blocks may be stored.
    ///
    /// # Errors
    /// [`SendBlocksError`]; with [`SendBlocksError::Fence`] nothing was sent.
    pub async fn send_blocks(
        &self,
        to: ValidatorIndex,
        manifest: Bytes,
        blocks: Vec<SealedBlock>,
    ) -> Result<(), SendBlocksError> {
        exchange::hand_over::send(&self.shared, to, manifest, &blocks).await
    }

    /// Fetches a block, or nothing where the peer does not hold it or may not give it to this node.
    ///
    /// # Errors
    /// [`FetchBlockError`].
    pub async fn fetch_block(
        &self,
        from: ValidatorIndex,
        cid: &Cid,
    ) -> Result<Option<SealedBlock>, FetchBlockError> {
        exchange::fetch::fetch(&self.shared, from, cid).await
    }

    /// Ends the connection of a validator that said what no correct one can say, and bans it for a while: longer each
    /// time.
    pub fn ban(&self, peer: ValidatorIndex) {
        if let Some(handle) = self.shared.live(peer) {
            handle.ending.end(Reason::Violation);
        }
    }

    /// The peers to which all channels work, by index.
    #[must_use]
    pub fn connected(&self) -> Vec<ValidatorIndex> {
        self.shared
            .all_live()
            .iter()
            .filter(|handle| !handle.ending.is_ended())
            .map(|handle| handle.peer)
            .collect()
    }

    /// Closes every connection and the listening socket; returns when the port is free. Queued messages are lost, and
    /// events that wait are still delivered, after which the receiver ends.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}
