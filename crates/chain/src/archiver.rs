//! Moves what is far behind the head from tables to segments, behind the chain's back (ADR 76).
//!
//! A segment is written beside its place, synced and renamed; then its row is synced; only then are the heights'
//! rows deleted. Whatever is interrupted is either there twice, until the next start has deleted the rows, or a file
//! without a row, which the next start removes.

use crate::{ChainError, blocks::Blocks, segments::Segments};
use bxp_storage::{Durability, SegmentWriter, Store};
use bxp_types::{Height, NetworkId};
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// Heights of a segment: few files (a year at a block a second is 3,850 of them), each of them made within seconds.
pub const SEGMENT_BLOCKS: u64 = 8_192;
/// How many heights below the newest certified block stay in tables: what clients mostly ask for, and what a peer that
/// was restarted lacks. Both indexes settle within an eighth of it.
pub const SEGMENTS_BEHIND: u64 = 8_192;

/// Heights packed in one step at most.
const PACKED_PER_STEP: u64 = 64;
/// Bytes after which a step ends.
const BYTES_PER_STEP: usize = 1 << 20;
/// Heights whose rows are deleted in one step.
const DELETED_PER_STEP: u64 = 256;
/// A step is followed by a rest of so many times its own length: a fifth of a processor at most.
const REST_FACTOR: u32 = 4;

/// When heights move, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRules {
    /// Heights of a segment; its first height is a multiple of it, unless it was another number before.
    pub blocks: u64,
    /// Heights below the newest certified block that stay in tables at least.
    pub behind: u64,
}

impl Default for SegmentRules {
    fn default() -> Self {
        Self { blocks: SEGMENT_BLOCKS, behind: SEGMENTS_BEHIND }
    }
}

/// What makes segments.
pub struct Archiver {
    store: Store,
    blocks: Blocks,
    segments: Segments,
    rules: SegmentRules,
    network: NetworkId,
    chain_id: u64,
    work: Work,
}

enum Work {
    /// It is not known yet what an earlier run left.
    Begin,
    /// Rows from this height on may be in tables, although segments have them.
    Delete(Height),
    Idle,
    Write(Box<Writing>),
}

struct Writing {
    writer: SegmentWriter,
    first: Height,
    count: u32,
    next: Height,
}

impl Archiver {
    /// For the chain in `store`, whose blocks are `blocks`.
    #[must_use]
    pub fn new(
        store: &Store,
        blocks: &Blocks,
        rules: SegmentRules,
        network: NetworkId,
        chain_id: u64,
    ) -> Self {
        let (store, blocks) = (store.clone(), blocks.clone());
        let segments = blocks.segments().clone();
        Self { store, segments, blocks, rules, network, chain_id, work: Work::Begin }
    }

    /// Works whenever there is something to do, and rests after each step, until `stop` is dropped. A failure ends it,
    /// not the chain: what has not moved stays in its tables.
    pub(crate) async fn run(mut self, mut heads: watch::Receiver<Height>, mut stop: oneshot::Receiver<()>) {
        loop {
            heads.borrow_and_update();
            let began = Instant::now();
            let stepped = tokio::task::spawn_blocking(move || {
                let stepped = self.step();
                (self, stepped)
            });
            let rest = match stepped.await {
                Ok((archiver, Ok(more))) => {
                    self = archiver;
                    more.then(|| began.elapsed() * REST_FACTOR)
                }
                Ok((_, Err(error))) => {
                    let error = error.chain();
                    tracing::error!(%error, "move old blocks to a segment; they stay in the database until a restart");
                    return;
                }
                Err(_) => return,
            };
            tokio::select! {
                biased;
                _ = &mut stop => return,
                changed = heads.changed(), if rest.is_none() => if changed.is_err() { return },
                () = tokio::time::sleep(rest.unwrap_or_default()), if rest.is_some() => {}
            }
        }
    }

    /// Does a small piece of what is to be done; says whether there may be more.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails; nothing is lost by it.
    pub fn step(&mut self) -> Result<bool, ChainError> {
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Begin => {
                self.segments.remove_leftovers()?;
                self.work = Work::Delete(self.blocks.oldest_row()?);
                Ok(true)
            }
            Work::Delete(from) => {
                let end = self.segments.end();
                let to = Height(from.0.saturating_add(DELETED_PER_STEP)).min(end);
                if from < to {
                    self.blocks.delete_rows(&self.store, from, to)?;
                    self.work = Work::Delete(to);
                }
                Ok(true)
            }
            Work::Idle => self.begin(),
            Work::Write(writing) => self.write(writing),
        }
    }

    fn begin(&mut self) -> Result<bool, ChainError> {
        let first = self.segments.end();
        // Up to the next multiple, so that heights are aligned again after a change of the rules.
        let blocks = self.rules.blocks.max(1);
        let count = u32::try_from(blocks - first.0 % blocks).unwrap_or(u32::MAX);
        let last = first.0.saturating_add(u64::from(count));
        let certified = self.blocks.certified()?;
        if certified.0 < last.saturating_add(self.rules.behind) {
            return Ok(false);
        }
        self.blocks.index_before_moving(Height(last), certified)?;
        let writer = self.segments.begin(self.network, self.chain_id, first, count)?;
        self.work = Work::Write(Box::new(Writing { writer, first, count, next: first }));
        Ok(true)
    }

    fn write(&mut self, mut writing: Box<Writing>) -> Result<bool, ChainError> {
        let (first, count) = (writing.first, writing.count);
        let end = Height(first.0 + u64::from(count));
        let mut bytes = 0;
        for _ in 0..PACKED_PER_STEP {
            if writing.next == end || bytes >= BYTES_PER_STEP {
                break;
            }
            let [block, receipts, certificate] = self.blocks.row(writing.next)?;
            bytes += block.len() + receipts.len() + certificate.len();
            writing.writer.add(&[&block, &receipts, &certificate])?;
            writing.next = writing.next.next();
        }
        if writing.next < end {
            self.work = Work::Write(writing);
            return Ok(true);
        }
        let written = writing.writer.finish()?;
        let mut batch = self.store.batch();
        self.segments.put(&mut batch, first, count, written);
        batch.commit(Durability::Synced)?;
        self.segments.know(first, count, written);
        tracing::info!(%first, blocks = count, bytes = written.bytes, "old blocks are in a segment");
        self.work = Work::Delete(first);
        Ok(true)
    }
}
