//! One connection's streams: opens those that its session asks for and passes on those that the peer opens.

use crate::protocol::{Kind, Offer, Protocols};
use libp2p::{
    Stream,
    swarm::{
        ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use std::{
    convert::Infallible,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Why a stream could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The peer does not speak this network's protocol.
    OtherNetwork,
    /// The connection broke, or the peer took too long.
    Io(io::Error),
}

/// A session's wish for a stream.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) kind: Kind,
    pub(crate) reply: oneshot::Sender<Result<Stream, OpenError>>,
}

/// A connection's ways in and out, held by its session. `inbound` ends when the connection does.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) open: mpsc::Sender<OpenStream>,
    pub(crate) inbound: mpsc::Receiver<(Kind, Stream)>,
}

/// Streams that wait to be opened, or to be taken by the session; a peer that opens faster loses streams.
const STREAMS_QUEUED_MAX: usize = 64;

pub(crate) struct Handler {
    protocols: Arc<Protocols>,
    open: mpsc::Receiver<OpenStream>,
    inbound: mpsc::Sender<(Kind, Stream)>,
    timeout: Duration,
}

impl Handler {
    /// A handler and its session's side of it. `timeout` bounds the negotiation of one stream.
    pub(crate) fn new(protocols: Arc<Protocols>, timeout: Duration) -> (Self, Link) {
        let (open_sender, open) = mpsc::channel(STREAMS_QUEUED_MAX);
        let (inbound, inbound_receiver) = mpsc::channel(STREAMS_QUEUED_MAX);
        let link = Link { open: open_sender, inbound: inbound_receiver };
        (Self { protocols, open, inbound, timeout }, link)
    }
}

type HandlerEvent = ConnectionHandlerEvent<Offer, oneshot::Sender<Result<Stream, OpenError>>, Infallible>;

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Result<Stream, OpenError>>;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(self.protocols.all(), ()).with_timeout(self.timeout)
    }

    fn connection_keep_alive(&self) -> bool {
        // Its session decides how long a connection lives.
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEvent> {
        let Poll::Ready(Some(wish)) = self.open.poll_recv(cx) else { return Poll::Pending };
        let protocol =
            SubstreamProtocol::new(self.protocols.one(wish.kind), wish.reply).with_timeout(self.timeout);
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Offer, Offer, (), oneshot::Sender<Result<Stream, OpenError>>>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, info: () }) => {
                let (kind, _) = &protocol;
                let kind = kind.name();
                if self.inbound.try_send(protocol).is_err() {
                    tracing::debug!(kind, "drop a stream: the peer opens them faster than they are taken");
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: stream, info }) => {
                // A session that no longer waits drops the stream, which resets it.
                let _ = info.send(Ok(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let _ = info.send(Err(open_error(error)));
            }
            _ => {}
        }
    }
}

fn open_error(error: StreamUpgradeError<Infallible>) -> OpenError {
    match error {
        StreamUpgradeError::NegotiationFailed => OpenError::OtherNetwork,
        StreamUpgradeError::Timeout => OpenError::Io(io::ErrorKind::TimedOut.into()),
        StreamUpgradeError::Io(error) => OpenError::Io(error),
        StreamUpgradeError::Apply(never) => match never {},
    }
}
