//! A request: `service (u8) | request frame`, answered by `verdict | answer frame`.

use super::{Server, answer};
use crate::{
    Event, ExchangeError, RequestError, Service, metric,
    protocol::Kind,
    shared::Shared,
    wire::{frame, verdict::Verdict},
};
use bxp_types::ValidatorIndex;
use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use std::io;
use tokio::{sync::oneshot, time::timeout};

/// Asks `to` and waits for its answer.
#[tracing::instrument(name = "network.request", skip_all, fields(peer = %to, service = service.name()))]
pub(crate) async fn ask(
    shared: &Shared,
    to: ValidatorIndex,
    service: Service,
    bytes: &[u8],
) -> Result<Bytes, RequestError> {
    let (size, limit) = (bytes.len(), shared.limits.request_bytes_max);
    if size > limit {
        return Err(ExchangeError::TooLarge { size, limit }.into());
    }
    let asked = timeout(shared.limits.request_timeout, ask_untimed(shared, to, service, bytes)).await;
    asked.unwrap_or(Err(ExchangeError::Timeout(to).into()))
}

async fn ask_untimed(
    shared: &Shared,
    to: ValidatorIndex,
    service: Service,
    bytes: &[u8],
) -> Result<Bytes, RequestError> {
    let handle = shared.reach(to)?;
    let (mut stream, _permit) = handle.open(Kind::Request).await?;
    // A peer that refuses may answer before it has read everything, so a failed write is not yet the outcome.
    let written = write(&mut stream, service, bytes).await;
    let read = Verdict::read(&mut stream).await;
    match read.map_err(|error| handle.unread(&written.err().unwrap_or(error)))? {
        Verdict::Done => {
            let answer = frame::expect(&mut stream, shared.limits.answer_bytes_max).await;
            let answer = answer.map_err(|error| handle.unread(&error))?;
            metric::request_received(service).increment(u64::try_from(answer.len()).unwrap_or(u64::MAX));
            Ok(answer)
        }
        Verdict::Unanswered => Err(RequestError::Unanswered(to)),
        Verdict::Busy => Err(ExchangeError::Busy(to).into()),
        // A peer of an older build may not know the service.
        Verdict::Malformed => Err(ExchangeError::Protocol(to).into()),
        Verdict::Absent | Verdict::NotStored | Verdict::Fence | Verdict::Corrupt => {
            Err(handle.against_protocol().into())
        }
    }
}

async fn write(stream: &mut Stream, service: Service, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(&[service.code()]).await?;
    frame::write(stream, bytes).await?;
    stream.close().await?;
    metric::request_sent(service).increment(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    Ok(())
}

/// Passes a peer's request on and answers it.
pub(super) async fn serve(server: &Server, stream: Stream) -> io::Result<()> {
    timeout(Server::patience(server.limits().request_timeout), serve_untimed(server, stream)).await?
}

async fn serve_untimed(server: &Server, mut stream: Stream) -> io::Result<()> {
    let Some((service, bytes)) = read(server, &mut stream).await? else {
        return answer(&mut stream, Verdict::Malformed).await;
    };
    let (reply, replied) = oneshot::channel();
    server.tell(Event::Request { from: server.peer.index, service, bytes, reply }).await?;
    let limit = server.limits().answer_bytes_max;
    let Ok(bytes) = replied.await else {
        return answer(&mut stream, Verdict::Unanswered).await;
    };
    // The work is done, whether the peer takes the answer or not.
    server.spend(bytes.len());
    if bytes.len() > limit {
        tracing::error!(
            service = service.name(),
            size = bytes.len(),
            limit,
            "an answer is too large to send"
        );
        return answer(&mut stream, Verdict::Unanswered).await;
    }
    Verdict::Done.write(&mut stream).await?;
    frame::write(&mut stream, &bytes).await?;
    metric::request_sent(service).increment(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    stream.close().await
}

/// A request; nothing where it is not one.
async fn read(server: &Server, stream: &mut Stream) -> io::Result<Option<(Service, Bytes)>> {
    let mut code = [0];
    stream.read_exact(&mut code).await?;
    let Some(service) = Service::from_code(code[0]) else { return Ok(None) };
    match frame::expect(stream, server.limits().request_bytes_max).await {
        Ok(bytes) => {
            server.spend(bytes.len());
            metric::request_received(service).increment(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            Ok(Some((service, bytes)))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}
