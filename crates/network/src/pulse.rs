//! The pulse: a byte each way in an interval, by which both sides see that a connection is not dead without having
//! been closed, as when a cable is cut or a machine loses power.

use crate::ending::Reason;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::Stream;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Intervals without a byte after which a peer is given up.
const SILENT_INTERVALS_MAX: u32 = 3;

/// Keeps the pulse until the stream ends or falls silent.
pub(crate) async fn keep(stream: Stream, interval: Duration) -> Reason {
    let (reader, writer) = stream.split();
    tokio::select! {
        reason = beat(writer, interval) => reason,
        reason = listen(reader, interval.saturating_mul(SILENT_INTERVALS_MAX)) => reason,
    }
}

async fn beat<W: AsyncWrite + Unpin>(mut writer: W, interval: Duration) -> Reason {
    loop {
        if writer.write_all(&[0]).await.is_err() || writer.flush().await.is_err() {
            return Reason::Closed;
        }
        sleep(interval).await;
    }
}

async fn listen<R: AsyncRead + Unpin>(mut reader: R, patience: Duration) -> Reason {
    let mut beats = [0; 64];
    loop {
        match timeout(patience, reader.read(&mut beats)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return Reason::Closed,
            Err(_) => return Reason::Silent,
        }
    }
}
