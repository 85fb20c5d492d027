//! One connection's streams of bitswap: passes on those that the peer opens, and opens those that its session asks for.

use futures::future::{Ready, ready};
use libp2p::{
    Stream, StreamProtocol,
    core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use std::{
    convert::Infallible,
    iter,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// The one version that is spoken: the first with HAVE and DONT_HAVE, which every current implementation knows.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");

/// Streams that wait to be opened. A session opens one at a time.
const WISHES_QUEUED_MAX: usize = 2;

/// A session's way to its connection. `inbound` ends when the connection does.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) open: mpsc::Sender<oneshot::Sender<Stream>>,
    pub(crate) inbound: mpsc::Receiver<Stream>,
}

pub(crate) struct Handler {
    open: mpsc::Receiver<oneshot::Sender<Stream>>,
    inbound: mpsc::Sender<Stream>,
    timeout: Duration,
}

impl Handler {
    /// A handler and its session's side of it. A peer that has more than `streams_max` streams waiting loses streams.
    pub(crate) fn new(streams_max: usize, timeout: Duration) -> (Self, Link) {
        let (open_sender, open) = mpsc::channel(WISHES_QUEUED_MAX);
        let (inbound, inbound_receiver) = mpsc::channel(streams_max);
        (Self { open, inbound, timeout }, Link { open: open_sender, inbound: inbound_receiver })
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Speak;
    type OutboundProtocol = Speak;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Stream>;

    fn listen_protocol(&self) -> SubstreamProtocol<Speak> {
        SubstreamProtocol::new(Speak, ()).with_timeout(self.timeout)
    }

    fn connection_keep_alive(&self) -> bool {
        // Its session decides how long a connection lives.
        true
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Speak, oneshot::Sender<Stream>, Infallible>> {
        let Poll::Ready(Some(wish)) = self.open.poll_recv(cx) else { return Poll::Pending };
        let protocol = SubstreamProtocol::new(Speak, wish).with_timeout(self.timeout);
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Speak, Speak, (), oneshot::Sender<Stream>>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: stream,
                info: (),
            }) => {
                // The message on it is lost, and its wants are asked for again.
                let _ = self.inbound.try_send(stream).inspect_err(|_| {
                    tracing::debug!("drop a stream: the peer opens them faster than they are read");
                });
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: stream, info }) => {
                // A session that no longer waits drops the stream, which resets it.
                let _ = info.send(stream);
            }
            // The dropped sender tells the session.
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, .. }) => drop(info),
            _ => {}
        }
    }
}

/// Offers the one protocol and gives the bare stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speak;

impl UpgradeInfo for Speak {
    type Info = StreamProtocol;
    type InfoIter = iter::Once<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once(PROTOCOL)
    }
}

impl InboundUpgrade<Stream> for Speak {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        ready(Ok(stream))
    }
}

impl OutboundUpgrade<Stream> for Speak {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, _: StreamProtocol) -> Self::Future {
        ready(Ok(stream))
    }
}
