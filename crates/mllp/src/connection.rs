//! One sender: frames in, answers out, one after the other.

use crate::{Bounds, Tls};
use bxp_clinical::inbox::Inbox;
use bxp_hl7v2::{Framer, frame};
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

/// Serves a connection to its end, within TLS where there is a certificate; gives how it ended, as metrics name it.
pub(crate) async fn serve(
    stream: TcpStream,
    tls: Option<Tls>,
    inbox: Inbox,
    bounds: Bounds,
    work: Arc<Semaphore>,
    stop: CancellationToken,
) -> &'static str {
    let Some(Tls(acceptor)) = tls else { return converse(stream, inbox, bounds, work, stop).await };
    let shaken = tokio::select! {
        () = stop.cancelled() => return "stopped",
        shaken = timeout(bounds.handshake_time, acceptor.accept(stream)) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => converse(stream, inbox, bounds, work, stop).await,
        Ok(Err(_)) => {
            // What the other end showed is not logged: a certificate may name a person.
            tracing::warn!("an MLLP connection is closed: no TLS, or no certificate that is taken here");
            "no_tls"
        }
        Err(_) => "slow",
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    inbox: Inbox,
    bounds: Bounds,
    work: Arc<Semaphore>,
    stop: CancellationToken,
) -> &'static str {
    let mut framer = Framer::new(bounds.message_bytes);
    let mut buffer = vec![0_u8; READ_BYTES];
    let mut deadline = Instant::now() + bounds.idle_time;
    loop {
        let read = tokio::select! {
            () = stop.cancelled() => return "stopped",
            read = timeout_at(deadline, stream.read(&mut buffer)) => read,
        };
        let count = match read {
            Err(_) => return if framer.is_within() { "slow" } else { "idle" },
            Ok(Ok(0)) => return if framer.is_within() { "cut" } else { "closed" },
            Ok(Ok(count)) => count,
            Ok(Err(_)) => return "broken",
        };
        let was_within = framer.is_within();
        let mut rest = &buffer[..count];
        let mut any = false;
        loop {
            let message = match framer.next(&mut rest) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "an MLLP connection is closed");
                    return "bad_frame";
                }
            };
            any = true;
            if let Err(end) = answer(&mut stream, &inbox, message, bounds, &work).await {
                return end;
            }
        }
        // A message has its time from its first byte on; a slow sender does not get more by sending a little.
        if !framer.is_within() {
            deadline = Instant::now() + bounds.idle_time;
        } else if any || !was_within {
            deadline = Instant::now() + bounds.message_time;
        }
    }
}

/// Takes a message in and answers it.
async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    inbox: &Inbox,
    message: Vec<u8>,
    bounds: Bounds,
    work: &Semaphore,
) -> Result<(), &'static str> {
    let answers = {
        // The semaphore is never closed.
        let _place = work.acquire().await;
        let inbox = inbox.clone();
        let received = tokio::task::spawn_blocking(move || inbox.receive(&message)).await;
        received.map_err(|_| "failed")?.answers
    };
    for text in answers {
        let framed = frame(text.as_bytes());
        let written = timeout(bounds.answer_time, async {
            stream.write_all(&framed).await?;
            stream.flush().await
        });
        let written = written.await;
        match written {
            Err(_) => return Err("slow"),
            Ok(Err(_)) => return Err("broken"),
            Ok(Ok(())) => {}
        }
    }
    Ok(())
}
