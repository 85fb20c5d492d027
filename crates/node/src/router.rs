//! From the network to the rooms: each event goes to the one room that it is for.

use bxp_chain::{Chain, ChainEvent};
use bxp_network::{Event, Service};
use tokio::sync::mpsc;

/// Carries events until the network or the chain ends.
pub(crate) async fn route(mut events: mpsc::Receiver<Event>, chain: Chain) {
    while let Some(event) = events.recv().await {
        let for_chain = match event {
            Event::Connected(peer) => ChainEvent::Connected(peer),
            Event::Disconnected(peer) => ChainEvent::Disconnected(peer),
            Event::Message { from, channel, bytes } => ChainEvent::Message { from, channel, bytes },
            Event::Request { service: Service::Sync, bytes, reply, .. } => {
                ChainEvent::SyncRequest { bytes, reply }
            }
            Event::Request { .. } | Event::Blocks { .. } | Event::BlockWanted { .. } => continue,
        };
        if chain.deliver(for_chain).await.is_err() {
            return;
        }
    }
}
