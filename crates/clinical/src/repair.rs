//! Scrubbing and repair: what is lost or damaged here comes back from a node that has it.

use crate::{ClinicalError, ingest::Ingest, replicate::holder_permit};
use bxp_network::Network;
use bxp_types::{BlockClass, SealedBlock, ValidatorIndex};
use bxp_vault::{Scrubbed, Vault};
use cid::Cid;
use std::{future::Future, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often everything is looked at.
const SCRUB_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Records that are looked at before others get a turn.
const RECORDS_PER_STEP: usize = 512;

/// Asks other nodes for blocks.
pub trait BlockSource: Clone + Send + Sync + 'static {
    /// The nodes that can be reached now.
    fn peers(&self) -> Vec<ValidatorIndex>;

    /// A block, or nothing where the node has not got it or may not give it.
    fn fetch(&self, from: ValidatorIndex, cid: Cid) -> impl Future<Output = Option<SealedBlock>> + Send;
}

impl BlockSource for Network {
    fn peers(&self) -> Vec<ValidatorIndex> {
        self.connected().into_iter().collect()
    }

    async fn fetch(&self, from: ValidatorIndex, cid: Cid) -> Option<SealedBlock> {
        match self.fetch_block(from, &cid).await {
            Ok(block) => block,
            Err(error) => {
                tracing::debug!(%from, %cid, %error, "fetch a block");
                None
            }
        }
    }
}

/// What a scrub saw and mended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What it saw.
    pub seen: Scrubbed,
    /// Lost and damaged blocks that came back.
    pub mended: u64,
    /// Those that no node gave.
    pub lost: Vec<Cid>,
}

/// Where scrubs are asked for and their outcomes read.
#[derive(Debug)]
pub(crate) struct ScrubDesk {
    wanted: watch::Sender<u64>,
    done: watch::Sender<(u64, Option<Repaired>)>,
}

impl Default for ScrubDesk {
    fn default() -> Self {
        Self { wanted: watch::Sender::new(0), done: watch::Sender::new((0, None)) }
    }
}

impl Ingest {
    /// Has everything looked at now, and waits for the outcome; nothing when the node stops before.
    pub async fn scrub_now(&self) -> Option<Repaired> {
        let desk = &self.0.scrubs;
        let mut done = desk.done.subscribe();
        desk.wanted.send_modify(|number| *number += 1);
        let mine = *desk.wanted.borrow();
        let outcome = done.wait_for(|(number, _)| *number >= mine).await.ok()?;
        outcome.1.clone()
    }
}

/// Scrubs once a day and when asked to.
#[derive(Clone, Debug)]
pub struct Repairing<S> {
    ingest: Ingest,
    source: S,
}

impl<S: BlockSource> Repairing<S> {
    /// Mends what `ingest`'s vault has lost, from `source`.
    pub const fn new(ingest: Ingest, source: S) -> Self {
        Self { ingest, source }
    }

    /// Works until `stop`. Failures are logged.
    pub async fn run(self, stop: CancellationToken) {
        let desk = &self.ingest.0.scrubs;
        let mut wanted = desk.wanted.subscribe();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = wanted.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(SCRUB_EVERY) => {}
            }
            let number = *wanted.borrow_and_update();
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.scrub_and_repair() => outcome,
            };
            let outcome = outcome.map_err(|error| tracing::error!(error = ?error, "scrub the vault")).ok();
            desk.done.send_replace((number, outcome));
        }
    }

    /// Looks at everything, and fetches what is lost or damaged: from the record's holder first.
    ///
    /// # Errors
    /// [`ClinicalError::Vault`] when the tables cannot be read; nothing is taken in then.
    pub async fn scrub_and_repair(&self) -> Result<Repaired, ClinicalError> {
        let mut repaired = Repaired::default();
        let mut next = Some(0);
        while let Some(from) = next {
            let (vault, clock) = (self.ingest.vault().clone(), self.ingest.0.clock.clone());
            let step = tokio::task::spawn_blocking(move || {
                let permit = holder_permit(&vault, &clock, BlockClass::Identity(vault.home()))?;
                Ok::<_, ClinicalError>(vault.scrub(from, RECORDS_PER_STEP, &permit)?)
            });
            let (seen, rest) = step.await.map_err(|_| ClinicalError::Stopped)??;
            repaired.seen.add(seen);
            next = rest;
        }
        let wanted: Vec<Cid> = repaired.seen.to_fetch().copied().collect();
        for cid in wanted {
            if self.mend(&cid).await? { repaired.mended += 1 } else { repaired.lost.push(cid) }
        }
        metrics::gauge!("clinical_blocks_lost").set(repaired.lost.len() as f64);
        if !repaired.seen.is_sound() {
            tracing::error!(
                missing = repaired.seen.missing.len(),
                damaged = repaired.seen.damaged.len(),
                unopened = repaired.seen.unopened.len(),
                mended = repaired.mended,
                "blocks were lost or damaged"
            );
        }
        Ok(repaired)
    }

    async fn mend(&self, cid: &Cid) -> Result<bool, ClinicalError> {
        let vault: &Vault = self.ingest.vault();
        // Scrubbing has every block lead to its record: one that leads to none is of a record that was erased since.
        let Some(entry) = vault.entry_of_block(cid)? else { return Ok(true) };
        let mut peers = self.source.peers();
        peers.sort_by_key(|peer| *peer != entry.holder);
        for peer in peers {
            let Some(block) = self.source.fetch(peer, *cid).await else { continue };
            match vault.accept_block(&block) {
                Ok(()) => return Ok(true),
                Err(error) => tracing::warn!(%peer, %cid, %error, "a peer gave a block that is not taken"),
            }
        }
        Ok(false)
    }
}
