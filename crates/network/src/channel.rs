//! The two directions of one channel's stream.

use crate::{Channel, Event, Limits, budget::Budget, ending::Reason, handle::Queue, metric, wire::frame};
use bxp_types::ValidatorIndex;
use bytes::Bytes;
use futures::{
    AsyncRead, AsyncWrite, AsyncWriteExt,
    io::{BufReader, BufWriter},
};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Small messages are read and written together in buffers of this size.
const BUFFER_BYTES: usize = 64 << 10;

/// Passes a peer's messages on, in order, until the stream ends. Waits for the owner when it has not taken the
/// earlier ones, which in turn makes the peer wait.
pub(crate) async fn read_messages<R: AsyncRead + Unpin>(
    from: ValidatorIndex,
    channel: Channel,
    reader: R,
    limits: Limits,
    budget: Arc<Budget>,
    events: mpsc::Sender<Event>,
) -> Reason {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    let received = metric::received(channel.name());
    loop {
        match frame::read(&mut reader, limits.frame_bytes_max).await {
            Ok(Some(bytes)) => {
                let length = bytes.len();
                received.increment(u64::try_from(length).unwrap_or(u64::MAX));
                if events.send(Event::Message { from, channel, bytes }).await.is_err() {
                    return Reason::Shutdown;
                }
                let wait = budget.spend(length, Instant::now());
                if wait > Duration::ZERO {
                    tokio::time::sleep(wait).await;
                }
            }
            Ok(None) => return Reason::Closed,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Reason::Violation,
            Err(_) => return Reason::Closed,
        }
    }
}

/// Writes queued messages, in order, until the stream or the queue ends.
pub(crate) async fn write_messages<W: AsyncWrite + Unpin>(
    channel: Channel,
    writer: W,
    mut queue: Queue,
) -> Reason {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, writer);
    let sent = metric::sent(channel.name());
    while let Some(bytes) = queue.frames.recv().await {
        if write_all_waiting(&mut writer, bytes, &mut queue, &sent).await.is_err() {
            return Reason::Closed;
        }
    }
    Reason::Closed
}

/// Writes `first` and what else waits, and flushes when nothing more does.
async fn write_all_waiting<W: AsyncWrite + Unpin>(
    writer: &mut W,
    first: Bytes,
    queue: &mut Queue,
    sent: &metrics::Counter,
) -> io::Result<()> {
    let mut next = Some(first);
    while let Some(bytes) = next {
        frame::write(writer, &bytes).await?;
        queue.written(bytes.len());
        sent.increment(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        next = queue.frames.try_recv().ok();
    }
    writer.flush().await
}
