//! From the network to the rooms: each event goes to the one room that it is for.

use crate::records::Records;
use bxp_chain::{Chain, ChainEvent};
use bxp_network::{Event, Service};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// Pieces of peers' work that run at once beside the chain: storing replicas, answering requests.
const SIDE_WORK_MAX: usize = 8;

/// Carries events until the network or the chain ends. The chain's events are never held up by records: work for
/// those runs beside, and while all of its places are taken, further work is refused and asked for again.
pub(crate) async fn route(mut events: mpsc::Receiver<Event>, chain: Chain, records: Records) {
    let places = Arc::new(Semaphore::new(SIDE_WORK_MAX));
    while let Some(event) = events.recv().await {
        let for_chain = match event {
            Event::Connected(peer) => {
                records.peer_is_back();
                ChainEvent::Connected(peer)
            }
            Event::Disconnected(peer) => ChainEvent::Disconnected(peer),
            Event::Message { from, channel, bytes } => ChainEvent::Message { from, channel, bytes },
            Event::Request { service: Service::Sync, bytes, reply, .. } => {
                ChainEvent::SyncRequest { bytes, reply }
            }
            for_records => {
                // A request that is dropped here stays unanswered, which its sender is told.
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    let records = records.clone();
                    tokio::task::spawn_blocking(move || {
                        records.handle(for_records);
                        drop(place);
                    });
                }
                continue;
            }
        };
        if chain.deliver(for_chain).await.is_err() {
            return;
        }
    }
}
