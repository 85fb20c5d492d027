//! A fetch of one sealed block: its digest, answered by `verdict | block head frame | bytes`.

use super::{Server, answer};
use crate::{
    Event, ExchangeError, FetchBlockError,
    fence::{self, End},
    handle::{Handle, broken},
    metric,
    protocol::Kind,
    shared::Shared,
    wire::{
        frame,
        head::{BLOCK_HEAD_BYTES_MAX, BlockHead, cid_of, digest_in, wanted},
        verdict::Verdict,
    },
};
use bxp_types::{SealedBlock, ValidatorIndex};
use cid::Cid;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use std::io;
use tokio::{sync::oneshot, time::timeout};

/// Fetches a block from a peer.
#[tracing::instrument(name = "network.fetch_block", skip_all, fields(peer = %from, %cid))]
pub(crate) async fn fetch(
    shared: &Shared,
    from: ValidatorIndex,
    cid: &Cid,
) -> Result<Option<SealedBlock>, FetchBlockError> {
    // No sealed block has another kind of CID, so nobody has to be asked.
    let Some(digest) = digest_in(cid) else { return Ok(None) };
    let fetched = timeout(shared.limits.request_timeout, fetch_untimed(shared, from, cid, &digest)).await;
    fetched.unwrap_or(Err(ExchangeError::Timeout(from).into()))
}

async fn fetch_untimed(
    shared: &Shared,
    from: ValidatorIndex,
    cid: &Cid,
    digest: &[u8],
) -> Result<Option<SealedBlock>, FetchBlockError> {
    let handle = shared.reach(from)?;
    let (mut stream, _permit) = handle.open(Kind::Fetch).await?;
    let failed = |error: io::Error| broken(from, &error);
    stream.write_all(digest).await.map_err(failed)?;
    stream.close().await.map_err(failed)?;
    match Verdict::read(&mut stream).await.map_err(|error| handle.unread(&error))? {
        Verdict::Done => read_block(shared, &handle, cid, &mut stream).await.map(Some),
        Verdict::Absent => Ok(None),
        Verdict::Busy => Err(ExchangeError::Busy(from).into()),
        Verdict::Malformed => Err(ExchangeError::Protocol(from).into()),
        Verdict::Unanswered | Verdict::NotStored | Verdict::Fence | Verdict::Corrupt => {
            Err(handle.against_protocol().into())
        }
    }
}

/// Reads the block's head, then, where the fence lets it in, the block.
async fn read_block(
    shared: &Shared,
    handle: &Handle,
    cid: &Cid,
    stream: &mut Stream,
) -> Result<SealedBlock, FetchBlockError> {
    let failed = |error: io::Error| handle.unread(&error);
    let against = || handle.against_protocol();
    let wire = frame::expect(stream, BLOCK_HEAD_BYTES_MAX).await.map_err(failed)?;
    let head = BlockHead::decode(&mut &*wire).ok_or_else(against)?;
    let ends = (shared.roster.me.index, handle.peer);
    if !fence::lets_pass(&shared.roster, End::Receiver, ends, &head.cid, head.class) {
        return Err(FetchBlockError::Fence { cid: *cid, peer: handle.peer });
    }
    let length = usize::try_from(head.length).unwrap_or(usize::MAX);
    if length > shared.limits.block_bytes_max {
        return Err(against().into());
    }
    let bytes = frame::read_bytes(stream, length).await.map_err(failed)?;
    metric::received(Kind::Fetch.name()).increment(u64::from(head.length));
    if cid_of(&bytes) != *cid {
        return Err(FetchBlockError::Corrupt { cid: *cid, peer: handle.peer });
    }
    Ok(SealedBlock { cid: *cid, class: head.class, bytes: bytes.into() })
}

/// Answers a peer that wants a block.
pub(super) async fn serve(server: &Server, stream: Stream) -> io::Result<()> {
    timeout(Server::patience(server.limits().request_timeout), serve_untimed(server, stream)).await?
}

async fn serve_untimed(server: &Server, mut stream: Stream) -> io::Result<()> {
    let mut digest = [0; 32];
    stream.read_exact(&mut digest).await?;
    let Some(cid) = wanted(&digest) else { return answer(&mut stream, Verdict::Malformed).await };
    let (reply, replied) = oneshot::channel();
    server.tell(Event::BlockWanted { from: server.peer.index, cid, reply }).await?;
    let held = replied.await.ok().flatten().filter(|block| block.cid == cid);
    server.spend(held.as_ref().map_or(0, |block| block.bytes.len()));
    // A block behind the fence is absent to those outside: the answer does not tell that it exists.
    let given = held.filter(|block| {
        let roster = &server.shared.roster;
        fence::lets_pass(roster, End::Sender, (server.peer.index, roster.me.index), &block.cid, block.class)
    });
    let Some((block, head)) = given.and_then(|block| BlockHead::of(&block).map(|head| (block, head))) else {
        return answer(&mut stream, Verdict::Absent).await;
    };
    let mut wire = Vec::with_capacity(BLOCK_HEAD_BYTES_MAX);
    head.encode(&mut wire);
    Verdict::Done.write(&mut stream).await?;
    frame::write(&mut stream, &wire).await?;
    stream.write_all(&block.bytes).await?;
    metric::sent(Kind::Fetch.name()).increment(u64::from(head.length));
    stream.close().await
}
