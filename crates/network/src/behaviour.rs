//! The gate: who may connect. Everyone else is refused as soon as noise has shown who it is.

use crate::{
    ban::Bans,
    handler::{Handler, Link},
    protocol::Protocols,
    roster::{Peer, Roster},
};
use bxp_types::ValidatorIndex;
use libp2p::{
    Multiaddr, PeerId, connection_limits,
    core::{Endpoint, transport::PortUse},
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
    time::{Duration, Instant},
};

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    /// Not a validator of this network.
    #[error("{0} is not a validator of this network")]
    Stranger(PeerId),
    /// A validator that waits to be dialled instead.
    #[error("validator {0} is dialled by this node and does not dial it")]
    WrongSide(ValidatorIndex),
    /// A validator that broke the protocol not long ago.
    #[error("validator {0} broke the protocol and is banned for a while")]
    Banned(ValidatorIndex),
}

/// A validator's new connection.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) peer: ValidatorIndex,
    pub(crate) connection: ConnectionId,
    /// Whether this node dialled it.
    pub(crate) dialled: bool,
    pub(crate) link: Link,
}

/// Lets validators in and hands their connections to sessions.
pub(crate) struct Gate {
    roster: Arc<Roster>,
    bans: Arc<Bans>,
    protocols: Arc<Protocols>,
    stream_timeout: Duration,
    admitted: HashMap<ConnectionId, (ValidatorIndex, Link)>,
    opened: VecDeque<Opened>,
}

impl Gate {
    pub(crate) fn new(
        roster: Arc<Roster>,
        bans: Arc<Bans>,
        protocols: Arc<Protocols>,
        stream_timeout: Duration,
    ) -> Self {
        Self { roster, bans, protocols, stream_timeout, admitted: HashMap::new(), opened: VecDeque::new() }
    }

    fn validator(&self, id: PeerId) -> Result<&Peer, ConnectionDenied> {
        let peer = self.roster.other(&id).ok_or_else(|| ConnectionDenied::new(Denied::Stranger(id)))?;
        match self.bans.until(peer.index, Instant::now()) {
            Some(_) => Err(ConnectionDenied::new(Denied::Banned(peer.index))),
            None => Ok(peer),
        }
    }

    fn admit(&mut self, connection: ConnectionId, peer: ValidatorIndex) -> Handler {
        let (handler, link) = Handler::new(Arc::clone(&self.protocols), self.stream_timeout);
        self.admitted.insert(connection, (peer, link));
        handler
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = Handler;
    type ToSwarm = Opened;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        id: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let peer = self.validator(id)?.index;
        if peer > self.roster.me.index {
            return Err(ConnectionDenied::new(Denied::WrongSide(peer)));
        }
        Ok(self.admit(connection, peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        id: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let peer = self.validator(id)?.index;
        Ok(self.admit(connection, peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, endpoint, .. }) => {
                if let Some((peer, link)) = self.admitted.remove(&connection_id) {
                    let dialled = endpoint.is_dialer();
                    self.opened.push_back(Opened { peer, connection: connection_id, dialled, link });
                }
            }
            // Another behaviour refused what the gate had admitted.
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

/// The gate, and bounds on connections that have not passed it.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    gate: Gate,
    bounds: connection_limits::Behaviour,
}

/// Connections whose handshake is under way, beyond which new ones are refused.
const HANDSHAKES_MAX: u32 = 128;
/// A peer that was cut off may be back before its old connection is seen to be dead.
const CONNECTIONS_PER_PEER_MAX: u32 = 8;

impl Behaviour {
    pub(crate) fn new(gate: Gate) -> Self {
        let bounds = connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(HANDSHAKES_MAX))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
        Self { gate, bounds: connection_limits::Behaviour::new(bounds) }
    }
}
