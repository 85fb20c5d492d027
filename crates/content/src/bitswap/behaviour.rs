//! The doors of the swarm: who holds the swarm key may connect, within bounds, unless it was cut off not long ago.

use super::{
    Limits,
    handler::{Handler, Link},
    swarm::Shared,
};
use libp2p::{
    Multiaddr, PeerId, connection_limits,
    core::{Endpoint, transport::PortUse},
    identify,
    identity::PublicKey,
    ping,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, behaviour::ConnectionEstablished,
    },
};
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

/// What other peers see in `identify`. They look at protocols only.
const PROTOCOL_VERSION: &str = "ipfs/0.1.0";
const AGENT: &str = concat!("bxp/", env!("CARGO_PKG_VERSION"));

/// Connections whose handshake is under way, beyond which new ones are refused: who has not got the swarm key can make
/// these, and no others.
const HANDSHAKES_MAX: u32 = 32;

/// A peer that was cut off.
#[derive(Debug, thiserror::Error)]
#[error("{0} broke bitswap or its bounds and is refused for a while")]
pub(crate) struct CutOff(PeerId);

/// A new connection.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) link: Link,
}

/// Lets peers in and hands their connections over.
pub(crate) struct Doors {
    shared: Arc<Shared>,
    admitted: HashMap<ConnectionId, (PeerId, Link)>,
    opened: VecDeque<Opened>,
}

impl Doors {
    fn admit(&mut self, connection: ConnectionId, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        if self.shared.is_cut_off(&peer) {
            return Err(ConnectionDenied::new(CutOff(peer)));
        }
        let limits = &self.shared.limits;
        let (handler, link) = Handler::new(limits.streams_per_connection_max, limits.handshake_timeout);
        self.admitted.insert(connection, (peer, link));
        Ok(handler)
    }
}

impl NetworkBehaviour for Doors {
    type ConnectionHandler = Handler;
    type ToSwarm = Opened;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(connection, peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(connection, peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, .. }) => {
                if let Some((peer, link)) = self.admitted.remove(&connection_id) {
                    self.opened.push_back(Opened { peer, connection: connection_id, link });
                }
            }
            // Another behaviour refused what was admitted here.
            FromSwarm::ListenFailure(failure) => drop(self.admitted.remove(&failure.connection_id)),
            FromSwarm::DialFailure(failure) => drop(self.admitted.remove(&failure.connection_id)),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        let never: Infallible = event;
        match never {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Opened, THandlerInEvent<Self>>> {
        // Openings come from swarm events, after which the swarm polls again, so no waker is kept.
        self.opened.pop_front().map_or(Poll::Pending, |opened| Poll::Ready(ToSwarm::GenerateEvent(opened)))
    }
}

/// The doors, what every IPFS peer asks of another (identify, ping), and bounds on connections.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    doors: Doors,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    bounds: connection_limits::Behaviour,
}

impl Behaviour {
    pub(crate) fn new(shared: Arc<Shared>, key: PublicKey) -> Self {
        let Limits { connections_max, connections_per_peer_max, .. } = shared.limits;
        let bounds = connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(HANDSHAKES_MAX))
            .with_max_established(Some(connections_max))
            .with_max_established_per_peer(Some(connections_per_peer_max));
        let about =
            identify::Config::new(PROTOCOL_VERSION.to_owned(), key).with_agent_version(AGENT.to_owned());
        Self {
            doors: Doors { shared, admitted: HashMap::new(), opened: VecDeque::new() },
            identify: identify::Behaviour::new(about),
            ping: ping::Behaviour::default(),
            bounds: connection_limits::Behaviour::new(bounds),
        }
    }
}
