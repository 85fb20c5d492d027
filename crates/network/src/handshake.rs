//! From an authenticated connection to one that works both ways: the streams that last as long as it does.

use crate::{
    ending::Reason,
    handle,
    handler::{Link, OpenError},
    protocol::Kind,
};
use libp2p::Stream;
use std::collections::VecDeque;

/// Exchanges that a peer may begin before its lasting streams are open.
const EARLY_EXCHANGES_MAX: usize = 32;

/// A working connection's streams.
pub(crate) struct Streams {
    /// The channels', in their order.
    pub(crate) channels: [Stream; 3],
    pub(crate) pulse: Stream,
    /// Exchanges that the peer began before this side was ready.
    pub(crate) early: VecDeque<(Kind, Stream)>,
}

/// Opens the lasting streams, each of which carries both directions. The other side's part of their negotiation shows
/// that it takes them.
pub(crate) async fn begin(link: &Link) -> Result<Streams, Reason> {
    let [consensus, bodies, attestation, pulse] =
        Kind::LASTING.map(|kind| handle::open_stream(&link.open, kind));
    let channels =
        [consensus.await.map_err(reason)?, bodies.await.map_err(reason)?, attestation.await.map_err(reason)?];
    Ok(Streams { channels, pulse: pulse.await.map_err(reason)?, early: VecDeque::new() })
}

fn reason(error: OpenError) -> Reason {
    match error {
        OpenError::OtherNetwork => Reason::OtherNetwork,
        OpenError::Io(_) => Reason::Closed,
    }
}

/// Waits until the other side has opened the lasting streams.
pub(crate) async fn wait(link: &mut Link) -> Result<Streams, Reason> {
    let mut lasting = [None, None, None, None];
    let mut early = VecDeque::new();
    loop {
        let (kind, stream) = link.inbound.recv().await.ok_or(Reason::Closed)?;
        let place = Kind::LASTING.iter().position(|lasting| *lasting == kind);
        match place.and_then(|place| lasting.get_mut(place)) {
            Some(free @ None) => *free = Some(stream),
            None if early.len() < EARLY_EXCHANGES_MAX => early.push_back((kind, stream)),
            Some(Some(_)) | None => return Err(Reason::Violation),
        }
        lasting = match lasting {
            [Some(consensus), Some(bodies), Some(attestation), Some(pulse)] => {
                return Ok(Streams { channels: [consensus, bodies, attestation], pulse, early });
            }
            incomplete => incomplete,
        };
    }
}
