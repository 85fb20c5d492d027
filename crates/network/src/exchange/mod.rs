//! Exchanges: each on a stream of its own, with a bound on its bytes and its time.

pub(crate) mod fetch;
pub(crate) mod hand_over;
pub(crate) mod request;

use crate::{Event, Limits, protocol::Kind, roster::Peer, shared::Shared, wire::verdict::Verdict};
use futures::{AsyncWrite, AsyncWriteExt};
use libp2p::Stream;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The serving side of one session.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Server {
    fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// How long the serving side takes: longer than the other, so that it is the one who waits that gives up.
    fn patience(timeout: Duration) -> Duration {
        timeout.saturating_mul(2)
    }

    /// Spends one exchange, or one portion of a hand-over, of the peer's budget, and waits until what the peer owes is
    /// paid: what it has written is read no sooner. Its other exchanges wait too, and those of other peers do not.
    ///
    /// Since the bytes of an answer are known late, as many exchanges as the peer has in hand may be above the budget
    /// together. So the wait is bounded: it is the time of so many largest answers.
    async fn afford(&self) {
        let budget = self.shared.exchange_budget(self.peer.index);
        let wait = budget.map_or(Duration::ZERO, |budget| budget.spend(0, Instant::now()));
        if wait > Duration::ZERO {
            tokio::time::sleep(wait).await;
        }
    }

    /// Spends the bytes of an exchange, as soon as this node has had the work with them.
    fn spend(&self, bytes: usize) {
        if let Some(budget) = self.shared.exchange_budget(self.peer.index) {
            budget.spend_bytes(bytes, Instant::now());
        }
    }

    /// Serves one exchange; what goes wrong with it concerns nobody else.
    pub(crate) async fn serve(&self, kind: Kind, stream: Stream) {
        self.afford().await;
        let served = match kind {
            Kind::Request => request::serve(self, stream).await,
            Kind::Blocks => hand_over::serve(self, stream).await,
            Kind::Fetch => fetch::serve(self, stream).await,
            // The session keeps the lasting streams to itself.
            Kind::Channel(_) | Kind::Pulse => Ok(()),
        };
        if let Err(error) = served {
            tracing::debug!(peer = %self.peer.index, exchange = kind.name(), error = %error.kind(), "an exchange broke off");
        }
    }

    /// Tells the peer that it has too many exchanges in hand.
    pub(crate) async fn refuse(&self, mut stream: Stream) {
        let told =
            tokio::time::timeout(self.limits().handshake_timeout, answer(&mut stream, Verdict::Busy)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!(peer = %self.peer.index, "a refused exchange broke off");
        }
    }

    /// Passes an event to the owner.
    async fn tell(&self, event: Event) -> io::Result<()> {
        self.events.send(event).await.map_err(|_| io::ErrorKind::NotConnected.into())
    }
}

/// Ends an exchange with a verdict that nothing follows.
async fn answer<W: AsyncWrite + Unpin>(writer: &mut W, verdict: Verdict) -> io::Result<()> {
    verdict.write(writer).await?;
    writer.close().await
}
