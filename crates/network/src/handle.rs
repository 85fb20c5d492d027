//! The sending side of a working session: its bounded queues and its permits for exchanges.

use crate::{
    Channel, ExchangeError, Limits, SendError,
    ending::{Ending, Reason},
    handler::{OpenError, OpenStream},
    protocol::Kind,
};
use bxp_types::ValidatorIndex;
use bytes::Bytes;
use libp2p::Stream;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Messages that wait to be written on one channel.
pub(crate) struct Queue {
    pub(crate) frames: mpsc::Receiver<Bytes>,
    bytes_waiting: Arc<AtomicUsize>,
}

impl Queue {
    /// Gives the room of a written message back.
    pub(crate) fn written(&self, length: usize) {
        self.bytes_waiting.fetch_sub(length, Ordering::Relaxed);
    }
}

/// Room for exchanges with one peer. Hand-overs have their own: each holds much memory and may wait for a disk.
#[derive(Debug)]
pub(crate) struct Permits {
    hand_overs: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Permits {
    /// `factor` times what the limits say.
    pub(crate) fn new(limits: &Limits, factor: usize) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.saturating_mul(factor)));
        Self {
            hand_overs: semaphore(limits.hand_overs_per_peer_max),
            others: semaphore(limits.exchanges_per_peer_max),
        }
    }

    /// The room that exchanges of `kind` share.
    pub(crate) fn of(&self, kind: Kind) -> &Arc<Semaphore> {
        if kind == Kind::Blocks { &self.hand_overs } else { &self.others }
    }
}

/// The sending end of a [`Queue`].
#[derive(Debug)]
struct Way {
    frames: mpsc::Sender<Bytes>,
    bytes_waiting: Arc<AtomicUsize>,
}

/// A queue of at most that many messages, and its sending end.
fn queue(frames_max: usize) -> (Way, Queue) {
    let bytes_waiting = Arc::new(AtomicUsize::new(0));
    let (sender, frames) = mpsc::channel(frames_max);
    (Way { frames: sender, bytes_waiting: Arc::clone(&bytes_waiting) }, Queue { frames, bytes_waiting })
}

/// How the rest of the node reaches one connected peer.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) peer: ValidatorIndex,
    pub(crate) ending: Arc<Ending>,
    ways: [Way; 3],
    bytes_waiting_max: usize,
    open: mpsc::Sender<OpenStream>,
    exchanges: Permits,
}

impl Handle {
    pub(crate) fn new(
        peer: ValidatorIndex,
        ending: Arc<Ending>,
        open: mpsc::Sender<OpenStream>,
        limits: &Limits,
    ) -> (Self, [Queue; 3]) {
        let [consensus, bodies, attestation] = Channel::ALL.map(|_| queue(limits.queue_frames_max));
        let ways = [consensus.0, bodies.0, attestation.0];
        let queues = [consensus.1, bodies.1, attestation.1];
        let handle = Self {
            peer,
            ending,
            ways,
            bytes_waiting_max: limits.queue_bytes_max,
            open,
            exchanges: Permits::new(limits, 1),
        };
        (handle, queues)
    }

    /// Queues a message, or drops the connection where the queue is full: memory stays bounded, and the peer catches
    /// up over a new connection.
    pub(crate) fn send(&self, channel: Channel, bytes: Bytes) -> Result<(), SendError> {
        if self.ending.is_ended() {
            return Err(SendError::NotConnected(self.peer));
        }
        let length = bytes.len();
        let way = &self.ways[channel.position()];
        let waiting = way.bytes_waiting.fetch_add(length, Ordering::Relaxed).saturating_add(length);
        let queued = if waiting > self.bytes_waiting_max {
            Err(SendError::Overflow(self.peer))
        } else {
            way.frames.try_send(bytes).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => SendError::Overflow(self.peer),
                mpsc::error::TrySendError::Closed(_) => SendError::NotConnected(self.peer),
            })
        };
        if let Err(error) = queued {
            way.bytes_waiting.fetch_sub(length, Ordering::Relaxed);
            if matches!(error, SendError::Overflow(_)) {
                self.ending.end(Reason::Overflow);
            }
        }
        queued
    }

    /// Waits for room for one more exchange and opens its stream.
    pub(crate) async fn open(&self, kind: Kind) -> Result<(Stream, OwnedSemaphorePermit), ExchangeError> {
        let permit = Arc::clone(self.exchanges.of(kind)).acquire_owned().await;
        let permit = permit.map_err(|_| ExchangeError::NotConnected(self.peer))?;
        let stream = open_stream(&self.open, kind).await.map_err(|error| match error {
            OpenError::OtherNetwork => ExchangeError::Protocol(self.peer),
            OpenError::Io(error) => broken(self.peer, &error),
        })?;
        Ok((stream, permit))
    }

    /// What an I/O error means with which an answer of the peer could not be read.
    pub(crate) fn unread(&self, error: &std::io::Error) -> ExchangeError {
        match broken(self.peer, error) {
            ExchangeError::Protocol(_) => self.against_protocol(),
            other => other,
        }
    }

    /// The peer gave an answer that no correct one gives: its session ends, and it is banned for a while.
    pub(crate) fn against_protocol(&self) -> ExchangeError {
        self.ending.end(Reason::Violation);
        ExchangeError::Protocol(self.peer)
    }
}

/// Opens a stream on a connection.
pub(crate) async fn open_stream(open: &mpsc::Sender<OpenStream>, kind: Kind) -> Result<Stream, OpenError> {
    let closed = || OpenError::Io(std::io::ErrorKind::NotConnected.into());
    let (reply, stream) = oneshot::channel();
    open.send(OpenStream { kind, reply }).await.map_err(|_| closed())?;
    stream.await.map_err(|_| closed())?
}

/// What an I/O error on an exchange's stream means.
pub(crate) fn broken(peer: ValidatorIndex, error: &std::io::Error) -> ExchangeError {
    if error.kind() == std::io::ErrorKind::InvalidData {
        ExchangeError::Protocol(peer)
    } else {
        ExchangeError::Broken { peer, reason: error.kind().to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    fn handle(limits: &Limits) -> (Handle, [Queue; 3]) {
        let ending = Arc::new(Ending::within(&CancellationToken::new()));
        Handle::new(ValidatorIndex(1), ending, mpsc::channel(1).0, limits)
    }

    #[test]
    fn too_many_messages_drop_the_connection() {
        let (handle, _queues) = handle(&Limits { queue_frames_max: 2, ..Limits::default() });
        for _ in 0..2 {
            assert_eq!(handle.send(Channel::Consensus, Bytes::from_static(b"x")), Ok(()));
            assert_eq!(handle.send(Channel::Attestation, Bytes::from_static(b"x")), Ok(()));
        }
        let overflow = Err(SendError::Overflow(ValidatorIndex(1)));
        assert_eq!(handle.send(Channel::Consensus, Bytes::from_static(b"x")), overflow);
        assert!(handle.ending.is_ended());
        let gone = Err(SendError::NotConnected(ValidatorIndex(1)));
        assert_eq!(handle.send(Channel::Attestation, Bytes::from_static(b"x")), gone);
    }

    #[test]
    fn too_many_bytes_drop_the_connection_and_written_ones_make_room() {
        let (handle, mut queues) =
            handle(&Limits { frame_bytes_max: 10, queue_bytes_max: 10, ..Limits::default() });
        assert_eq!(handle.send(Channel::Consensus, Bytes::from_static(b"123456")), Ok(()));
        let frame = queues[0].frames.try_recv().unwrap();
        queues[0].written(frame.len());
        assert_eq!(handle.send(Channel::Consensus, Bytes::from_static(b"123456")), Ok(()));
        assert_eq!(handle.send(Channel::Bodies, Bytes::from_static(b"12345")), Ok(()), "room of its own");
        let overflow = Err(SendError::Overflow(ValidatorIndex(1)));
        assert_eq!(handle.send(Channel::Consensus, Bytes::from_static(b"12345")), overflow);
        assert!(handle.ending.is_ended());
    }
}
