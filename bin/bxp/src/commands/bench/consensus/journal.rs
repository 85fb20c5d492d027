//! What consensus says, in the log before it is said. Where the disk is waited for, one thread brings the records of many
//! turns there at once, and consensus goes on meanwhile.

use anyhow::{Context, Result};
use bxp_consensus::Effect;
use bxp_storage::SegmentedLog;
use bxp_types::Height;
use bytes::Bytes;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};
use tokio::sync::mpsc::UnboundedSender;

/// Bytes of one file of the log.
const SEGMENT_BYTES: u64 = 64 << 20;

/// One turn of consensus: what must be written, and what may happen after.
struct Turn {
    begun: Height,
    settled: Height,
    records: Vec<Bytes>,
    after: Vec<Effect>,
}

/// Counters of the journal.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) bytes: AtomicU64,
    pub(super) syncs: AtomicU64,
}

/// The log, or the way to its thread.
pub(super) struct Journal {
    way: Way,
    written: Arc<Written>,
}

enum Way {
    /// Written at once; nobody waits for the disk.
    Here(Box<SegmentedLog>),
    /// Turns wait there for at most one sync, so they are as many as inputs of that time.
    Thread(Sender<Turn>, JoinHandle<Result<()>>),
}

impl Journal {
    /// Opens the log at `path`; effects come back on `done` when what was to be before them is on disk, or in the
    /// system's memory where it is not `durable`.
    pub(super) fn open(path: &Path, durable: bool, done: UnboundedSender<Vec<Effect>>) -> Result<Self> {
        let (log, _) = SegmentedLog::open(path, SEGMENT_BYTES, 0).context("open consensus log")?;
        let written = Arc::new(Written::default());
        if !durable {
            return Ok(Self { way: Way::Here(Box::new(log)), written });
        }
        let (turns, receiver) = channel();
        let counted = Arc::clone(&written);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || keep(log, &receiver, &done, &counted))
            .context("start the log's thread")?;
        Ok(Self { way: Way::Thread(turns, thread), written })
    }

    /// What has been written so far.
    pub(super) fn written(&self) -> Arc<Written> {
        Arc::clone(&self.written)
    }

    /// Writes one turn, and gives back what may happen at once.
    pub(super) fn write(
        &mut self,
        begun: Height,
        settled: Height,
        effects: Vec<Effect>,
    ) -> Result<Vec<Effect>> {
        let mut turn = Turn { begun, settled, records: Vec::new(), after: Vec::with_capacity(effects.len()) };
        for effect in effects {
            match effect {
                Effect::Persist(record) => turn.records.push(record),
                other => turn.after.push(other),
            }
        }
        match &mut self.way {
            Way::Here(log) => {
                append(log, &turn, &self.written)?;
                Ok(turn.after)
            }
            Way::Thread(turns, _) => {
                turns.send(turn).ok().context("the log's thread has ended")?;
                Ok(Vec::new())
            }
        }
    }

    /// Ends the thread and tells what it failed of.
    pub(super) fn close(self) -> Result<()> {
        let Way::Thread(turns, thread) = self.way else { return Ok(()) };
        drop(turns);
        thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the log's thread panicked")))
    }
}

/// Appends a turn's records and drops what is settled. Tells whether there were any.
fn append(log: &mut SegmentedLog, turn: &Turn, written: &Written) -> Result<bool> {
    for record in &turn.records {
        log.append(turn.begun.0, record)?;
        written.bytes.fetch_add(record.len() as u64, Relaxed);
    }
    log.settled(turn.settled.0)?;
    Ok(!turn.records.is_empty())
}

fn keep(
    mut log: SegmentedLog,
    turns: &Receiver<Turn>,
    done: &UnboundedSender<Vec<Effect>>,
    written: &Written,
) -> Result<()> {
    while let Ok(first) = turns.recv() {
        let (mut after, mut dirty, mut next) = (Vec::new(), false, Some(first));
        while let Some(turn) = next {
            dirty |= append(&mut log, &turn, written)?;
            after.extend(turn.after);
            next = turns.try_recv().ok();
        }
        if dirty {
            log.sync()?;
            written.syncs.fetch_add(1, Relaxed);
        }
        if done.send(after).is_err() {
            break;
        }
    }
    Ok(())
}
