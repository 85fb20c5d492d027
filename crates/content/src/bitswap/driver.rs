//! The task that owns the swarm: it dials and closes on command and begins a session for each new connection.

use super::{
    behaviour::{Behaviour, BehaviourEvent, Opened},
    session,
    swarm::Shared,
};
use crate::metric;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    swarm::{
        ConnectionId, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// What other tasks want of the swarm.
#[derive(Debug)]
pub(crate) enum Command {
    /// Dial a peer.
    Dial {
        /// Who is expected there.
        peer: PeerId,
        /// Where.
        address: Multiaddr,
        /// Told when the session has begun, or why there is none.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Close a connection whose session is over.
    Close(ConnectionId),
    /// Close all connections of a peer.
    Disconnect(PeerId),
}

pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    dials: HashMap<ConnectionId, oneshot::Sender<Result<(), String>>>,
}

impl Driver {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        commands: mpsc::Receiver<Command>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { swarm, commands, shared, dials: HashMap::new() }
    }

    /// Drives the swarm until it is told to stop; dropping it closes every socket.
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
            Command::Disconnect(peer) => {
                // An error says that the peer is gone already.
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::Dial { peer, address, reply } => {
                let options = DialOpts::peer_id(peer)
                    .condition(PeerCondition::Always)
                    .addresses(vec![address])
                    .allocate_new_port()
                    .build();
                let connection = options.connection_id();
                match self.swarm.dial(options) {
                    Ok(()) => drop(self.dials.insert(connection, reply)),
                    Err(error) => drop(reply.send(Err(error.to_string()))),
                }
            }
        }
    }

    fn note(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Doors(opened)) => self.begin(opened),
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(reply) = self.dials.remove(&connection_id) {
                    let _ = reply.send(Err(error.to_string()));
                }
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(reason = %error, "a connection to the content swarm came to nothing");
            }
            SwarmEvent::ListenerClosed { reason, .. } => {
                tracing::error!(?reason, "the content swarm's socket is closed");
            }
            _ => {}
        }
    }

    fn begin(&mut self, opened: Opened) {
        let Opened { peer, connection, link } = opened;
        tracing::debug!(%peer, "content peer connected");
        let (entered, requests) = self.shared.enter(peer, connection);
        if let Some(reply) = self.dials.remove(&connection) {
            let _ = reply.send(Ok(()));
        }
        metric::peers(self.shared.peer_count());
        self.shared.tasks.spawn(session::run(Arc::clone(&self.shared), entered, link, requests));
    }
}
