//! A hand-over of sealed blocks: portions of `head frame | blocks' bytes`, each answered by a verdict when its
//! receiver has stored it.

use super::Server;
use crate::{
    Event, ExchangeError, Limits, SendBlocksError,
    fence::{self, End},
    handle::Handle,
    metric,
    protocol::Kind,
    roster::Peer,
    shared::Shared,
    wire::{
        frame,
        head::{BLOCK_HEAD_BYTES_MAX, BlockHead, PortionHead, cid_of},
        verdict::Verdict,
    },
};
use bxp_types::{SealedBlock, ValidatorIndex};
use bytes::Bytes;
use futures::{AsyncWriteExt, io::BufWriter};
use libp2p::Stream;
use std::{io, ops::Range};
use tokio::{sync::oneshot, time::timeout};

/// The longest reason for not storing blocks, in bytes.
const REASON_BYTES_MAX: usize = 512;

/// Hands `blocks` over to `to`; returns when all are stored there.
#[tracing::instrument(name = "network.send_blocks", skip_all, fields(peer = %to, blocks = blocks.len()))]
pub(crate) async fn send(
    shared: &Shared,
    to: ValidatorIndex,
    manifest: Bytes,
    blocks: &[SealedBlock],
) -> Result<(), SendBlocksError> {
    let peer = shared.roster.peer(to).ok_or(ExchangeError::NotConnected(to))?;
    let heads = checked_heads(shared, peer, &manifest, blocks)?;
    let limits = &shared.limits;
    let handle = shared.reach(to)?;
    let opened = timeout(limits.portion_timeout, handle.open(Kind::Blocks)).await;
    let (mut stream, _permit) = opened.unwrap_or(Err(ExchangeError::Timeout(to)))?;
    for range in portions(&heads, limits) {
        let head = PortionHead { manifest: manifest.clone(), blocks: heads[range.clone()].to_vec() };
        let sent =
            timeout(limits.portion_timeout, send_portion(&handle, &mut stream, &head, &blocks[range])).await;
        sent.unwrap_or(Err(ExchangeError::Timeout(to).into()))?;
    }
    // Everything is stored; whether the stream still closes cleanly no longer matters.
    let _ = stream.close().await;
    Ok(())
}

/// The blocks' heads, after everything that forbids to send has been looked at: nothing is written before.
fn checked_heads(
    shared: &Shared,
    peer: &Peer,
    manifest: &Bytes,
    blocks: &[SealedBlock],
) -> Result<Vec<BlockHead>, SendBlocksError> {
    let too_large = |size, limit| ExchangeError::TooLarge { size, limit };
    let limits = &shared.limits;
    if manifest.len() > limits.manifest_bytes_max {
        return Err(too_large(manifest.len(), limits.manifest_bytes_max).into());
    }
    let head_of = |block: &SealedBlock| {
        let ends = (peer.index, shared.roster.me.index);
        if !fence::lets_pass(&shared.roster, End::Sender, ends, &block.cid, block.class) {
            return Err(SendBlocksError::Fence { cid: block.cid, class: block.class, peer: peer.index });
        }
        if block.bytes.len() > limits.block_bytes_max {
            return Err(too_large(block.bytes.len(), limits.block_bytes_max).into());
        }
        BlockHead::of(block).ok_or(SendBlocksError::ForeignCid(block.cid))
    };
    blocks.iter().map(head_of).collect()
}

/// Splits blocks into portions, in order: each within the bounds, or a single block. No blocks are one portion, since
/// the manifest travels too.
fn portions(heads: &[BlockHead], limits: &Limits) -> Vec<Range<usize>> {
    let mut portions = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for (position, head) in heads.iter().enumerate() {
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        let full = bytes.saturating_add(length) > limits.portion_bytes_max
            || position - start >= limits.portion_blocks_max;
        if full && position > start {
            portions.push(start..position);
            (start, bytes) = (position, 0);
        }
        bytes = bytes.saturating_add(length);
    }
    portions.push(start..heads.len());
    portions
}

async fn send_portion(
    handle: &Handle,
    stream: &mut Stream,
    head: &PortionHead,
    blocks: &[SealedBlock],
) -> Result<(), SendBlocksError> {
    // A receiver that refuses answers before it has read everything, so a failed write is not yet the outcome.
    let written = write_portion(stream, head, blocks).await;
    let read = Verdict::read(stream).await;
    let to = handle.peer;
    match read.map_err(|error| handle.unread(&written.err().unwrap_or(error)))? {
        Verdict::Done => Ok(()),
        Verdict::NotStored => {
            let reason = frame::expect(stream, REASON_BYTES_MAX).await;
            let reason = reason.map_err(|error| handle.unread(&error))?;
            let reason = String::from_utf8_lossy(&reason).into_owned();
            Err(SendBlocksError::NotStored { peer: to, reason })
        }
        Verdict::Fence => Err(SendBlocksError::FenceOfPeer(to)),
        Verdict::Corrupt => Err(SendBlocksError::Corrupt(to)),
        Verdict::Busy => Err(ExchangeError::Busy(to).into()),
        Verdict::Malformed => Err(ExchangeError::Protocol(to).into()),
        Verdict::Absent | Verdict::Unanswered => Err(handle.against_protocol().into()),
    }
}

async fn write_portion(stream: &mut Stream, head: &PortionHead, blocks: &[SealedBlock]) -> io::Result<()> {
    let head = head.encode().ok_or(io::ErrorKind::InvalidInput)?;
    let mut writer = BufWriter::new(stream);
    frame::write(&mut writer, &head).await?;
    let sent = metric::sent(Kind::Blocks.name());
    for block in blocks {
        writer.write_all(&block.bytes).await?;
        sent.increment(u64::try_from(block.bytes.len()).unwrap_or(u64::MAX));
    }
    writer.flush().await
}

/// Takes a peer's hand-over, portion by portion.
pub(super) async fn serve(server: &Server, mut stream: Stream) -> io::Result<()> {
    let patience = Server::patience(server.limits().portion_timeout);
    loop {
        match timeout(patience, serve_portion(server, &mut stream)).await?? {
            None => return stream.close().await,
            Some(Verdict::Done) => server.afford().await,
            // After a refusal the rest of the stream is not read.
            Some(_) => return stream.close().await,
        }
    }
}

/// Takes one portion and answers it; nothing where the hand-over is over.
async fn serve_portion(server: &Server, stream: &mut Stream) -> io::Result<Option<Verdict>> {
    let portion = match read_portion(server, stream).await {
        Ok(Some(portion)) => portion,
        Ok(None) => return Ok(None),
        Err(Refusal::Io(error)) => return Err(error),
        Err(Refusal::Verdict(verdict)) => {
            tracing::warn!(peer = %server.peer.index, ?verdict, "refuse a peer's blocks");
            verdict.write(stream).await?;
            stream.flush().await?;
            return Ok(Some(verdict));
        }
    };
    let (manifest, blocks) = portion;
    let (done, stored) = oneshot::channel();
    server.tell(Event::Blocks { from: server.peer.index, manifest, blocks, done }).await?;
    let verdict = match stored.await {
        Ok(Ok(())) => Verdict::Done,
        Ok(Err(reason)) => return not_stored(stream, &reason).await,
        Err(_) => return not_stored(stream, "nobody took them").await,
    };
    verdict.write(stream).await?;
    stream.flush().await?;
    Ok(Some(verdict))
}

async fn not_stored(stream: &mut Stream, reason: &str) -> io::Result<Option<Verdict>> {
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    Verdict::NotStored.write(stream).await?;
    frame::write(stream, reason.as_bytes()).await?;
    stream.flush().await?;
    Ok(Some(Verdict::NotStored))
}

/// Why a portion is not taken.
enum Refusal {
    /// The stream broke.
    Io(io::Error),
    /// The peer is told.
    Verdict(Verdict),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::InvalidData {
            Self::Verdict(Verdict::Malformed)
        } else {
            Self::Io(error)
        }
    }
}

/// Reads a portion: first its head, which must satisfy bounds and fence before a byte of a block is read.
async fn read_portion(
    server: &Server,
    stream: &mut Stream,
) -> Result<Option<(Bytes, Vec<SealedBlock>)>, Refusal> {
    let limits = server.limits();
    let blocks_bytes_max = limits.portion_blocks_max.saturating_mul(BLOCK_HEAD_BYTES_MAX);
    let head_bytes_max = limits.manifest_bytes_max.saturating_add(blocks_bytes_max).saturating_add(8);
    let Some(wire) = frame::read(stream, head_bytes_max).await? else { return Ok(None) };
    server.spend(wire.len());
    let head = PortionHead::decode(&wire).filter(|head| within_bounds(head, limits));
    let head = head.ok_or(Refusal::Verdict(Verdict::Malformed))?;
    let roster = &server.shared.roster;
    let ends = (roster.me.index, server.peer.index);
    let passes = |block: &BlockHead| fence::lets_pass(roster, End::Receiver, ends, &block.cid, block.class);
    if !head.blocks.iter().all(passes) {
        return Err(Refusal::Verdict(Verdict::Fence));
    }
    let received = metric::received(Kind::Blocks.name());
    let mut blocks = Vec::with_capacity(head.blocks.len());
    for BlockHead { cid, class, length } in head.blocks {
        let bytes = frame::read_bytes(stream, usize::try_from(length).unwrap_or(usize::MAX)).await?;
        received.increment(u64::from(length));
        server.spend(bytes.len());
        if cid_of(&bytes) != cid {
            return Err(Refusal::Verdict(Verdict::Corrupt));
        }
        blocks.push(SealedBlock { cid, class, bytes: bytes.into() });
    }
    Ok(Some((head.manifest, blocks)))
}

fn within_bounds(head: &PortionHead, limits: &Limits) -> bool {
    let length = |block: &BlockHead| usize::try_from(block.length).unwrap_or(usize::MAX);
    let total = head.blocks.iter().map(length).fold(0, usize::saturating_add);
    head.manifest.len() <= limits.manifest_bytes_max
        && head.blocks.len() <= limits.portion_blocks_max
        && head.blocks.iter().all(|block| length(block) <= limits.block_bytes_max)
        && (total <= limits.portion_bytes_max || head.blocks.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_types::BlockClass;
    use proptest::prelude::*;

    fn head(length: u32) -> BlockHead {
        BlockHead { cid: cid_of(&length.to_be_bytes()), class: BlockClass::Deidentified, length }
    }

    #[test]
    fn no_blocks_are_one_portion() {
        assert_eq!(portions(&[], &Limits::default()), vec![Range::default()]);
    }

    proptest! {
        #[test]
        fn portions_keep_order_and_bounds(lengths in prop::collection::vec(0_u32..200, 0..60)) {
            let limits = Limits {
                portion_bytes_max: 100,
                portion_blocks_max: 5,
                block_bytes_max: 200,
                ..Limits::default()
            };
            let heads: Vec<_> = lengths.into_iter().map(head).collect();
            let portions = portions(&heads, &limits);
            let joined: Vec<_> = portions.iter().cloned().flatten().collect();
            prop_assert_eq!(joined, (0..heads.len()).collect::<Vec<_>>());
            for range in portions {
                let blocks = heads[range].to_vec();
                let head = PortionHead { manifest: Bytes::new(), blocks };
                prop_assert!(within_bounds(&head, &limits));
            }
        }
    }
}
