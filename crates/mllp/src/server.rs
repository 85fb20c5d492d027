//! Listening, and stopping: messages in work are answered first.

use crate::{MllpError, Tls, connection};
use bxp_clinical::inbox::Inbox;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Bounds on senders.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at once; others are closed at once.
    pub connections: usize,
    /// Messages in work at once; others wait.
    pub messages_in_work: usize,
    /// The most bytes of one message.
    pub message_bytes: usize,
    /// The longest time from the first byte of a message to its last.
    pub message_time: Duration,
    /// The longest time without a message; a sender that is still there connects again.
    pub idle_time: Duration,
    /// The longest time of a TLS handshake.
    pub handshake_time: Duration,
    /// The longest time that a sender may take to read an answer.
    pub answer_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            messages_in_work: 4,
            message_bytes: 16 << 20,
            message_time: Duration::from_secs(60),
            idle_time: Duration::from_secs(3_600),
            handshake_time: Duration::from_secs(10),
            answer_time: Duration::from_secs(30),
        }
    }
}

/// How long connections may take to end when the listener stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A running listener.
#[derive(Debug)]
pub struct MllpServer {
    address: SocketAddr,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
    tasks: TaskTracker,
}

impl MllpServer {
    /// Where it listens; the port that the system chose where 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new message is taken, and those in work are answered.
    pub async fn stop(self) {
        self.stop.cancel();
        // It ends at once when told to stop.
        let _ = self.accepting.await;
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("MLLP connections did not end in time");
        }
    }
}

/// Listens on `address` until it is told to stop; with `tls`, within that alone.
///
/// # Errors
/// [`MllpError::PortInUse`], [`MllpError::Listen`].
pub async fn serve(
    address: SocketAddr,
    inbox: Inbox,
    bounds: Bounds,
    tls: Option<Tls>,
) -> Result<MllpServer, MllpError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => MllpError::PortInUse(address),
        _ => MllpError::Listen { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    metrics::describe_counter!("bxp_mllp_connections_total", "MLLP connections, by how they ended");
    metrics::describe_counter!("bxp_hl7v2_messages_total", "HL7 v2 messages, by what became of them");
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let accepting = tokio::spawn(accept(listener, (inbox, tls), bounds, stop.clone(), tasks.clone()));
    Ok(MllpServer { address, stop, accepting, tasks })
}

async fn accept(
    listener: TcpListener,
    (inbox, tls): (Inbox, Option<Tls>),
    bounds: Bounds,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let work = Arc::new(Semaphore::new(bounds.messages_in_work));
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, usually: it gets better when connections end.
                    tracing::warn!(kind = ?error.kind(), "an MLLP connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics::counter!("bxp_mllp_connections_total", "end" => "too_many").increment(1);
            continue;
        };
        let (inbox, tls) = (inbox.clone(), tls.clone());
        let (work, stop) = (Arc::clone(&work), stop.clone());
        tasks.spawn(async move {
            let end = connection::serve(stream, tls, inbox, bounds, work, stop).await;
            metrics::counter!("bxp_mllp_connections_total", "end" => end).increment(1);
            drop(place);
        });
    }
}
