//! The task that owns the swarm: it dials and closes on command and begins a session for each new connection.

use crate::{
    Event,
    behaviour::{Behaviour, BehaviourEvent, Opened},
    metric,
    session::{self, Fared},
    shared::Shared,
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    swarm::{
        ConnectionId, DialError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// What other tasks want of the swarm.
#[derive(Debug)]
pub(crate) enum Command {
    /// Dial a validator at the given addresses.
    Dial {
        /// Who is expected there.
        id: PeerId,
        /// Where.
        addresses: Vec<Multiaddr>,
        /// Told when the dial has failed or its session is over.
        fared: oneshot::Sender<Fared>,
    },
    /// Close a connection whose session is over.
    Close(ConnectionId),
}

pub(crate) struct Driver {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) events: mpsc::Sender<Event>,
    /// Dials under way; at most one for each peer.
    dials: HashMap<ConnectionId, oneshot::Sender<Fared>>,
}

impl Driver {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        commands: mpsc::Receiver<Command>,
        shared: Arc<Shared>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self { swarm, commands, shared, events, dials: HashMap::new() }
    }

    /// Drives the swarm until the network stops; dropping it closes every socket.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                Some(command) = self.commands.recv() => self.obey(command),
                event = self.swarm.select_next_some() => self.note(event),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Close(connection) => {
                // False when it is closed already.
                self.swarm.close_connection(connection);
            }
            Command::Dial { id, addresses, fared } => {
                // A port of its own: sharing the listening one would tie new connections to the old ones' states.
                let options = DialOpts::peer_id(id)
                    .condition(PeerCondition::Always)
                    .addresses(addresses)
                    .allocate_new_port()
                    .build();
                let connection = options.connection_id();
                match self.swarm.dial(options) {
                    Ok(()) => drop(self.dials.insert(connection, fared)),
                    Err(error) => {
                        tracing::debug!(%error, "dial refused");
                        let _ = fared.send(Fared::Failed);
                    }
                }
            }
        }
    }

    fn note(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gate(opened)) => self.begin(opened),
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::IncomingConnectionError { error, peer_id, .. } => {
                metrics::counter!(metric::REFUSED_CONNECTIONS).increment(1);
                tracing::info!(peer = ?peer_id, reason = %error, "incoming connection refused");
            }
            SwarmEvent::ListenerClosed { reason, .. } => {
                tracing::error!(?reason, "the socket for peers is closed");
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "accept a peer's connection"),
            _ => {}
        }
    }

    fn begin(&mut self, opened: Opened) {
        let fared = self.dials.remove(&opened.connection);
        let session = session::run(Arc::clone(&self.shared), opened, self.events.clone(), fared);
        self.shared.tasks.spawn(session);
    }

    fn dial_failed(&mut self, connection: ConnectionId, id: Option<PeerId>, error: &DialError) {
        let peer = id.and_then(|id| self.shared.roster.other(&id)).map(|peer| peer.index);
        if matches!(error, DialError::WrongPeerId { .. }) {
            tracing::warn!(?peer, "another node answers at the validator's address");
        } else {
            tracing::debug!(?peer, %error, "dial failed");
        }
        if let Some(fared) = self.dials.remove(&connection) {
            let _ = fared.send(Fared::Failed);
        }
    }
}
