//! Keeping: identity blocks come to the nodes that placement names, and leave those that it names no more.
//!
//! The directory of nodes is read at each new block, and with every round. Where it is new, and at each start, all records
//! are looked at, so that nothing of the work needs to be remembered: what is already where it belongs is passed over, also
//! after a crash.
//! A node that keeps a record and lacks it asks who has it; one that has it and is to keep it no more asks all that keep
//! it, and deletes its copy when each of them has vouched for its own. A node that has left the country does the same with
//! all that it has, forgets its working copy of the country's patients, and sends its signed statement to everyone.

mod answer;
pub(crate) mod wire;

pub use answer::answer_keeping;

use crate::{ClinicalError, ingest::Ingest, repair::BlockSource};
use bxp_network::{Network, Service};
use bxp_types::{Digest, Height, Jurisdiction, RecordId, ValidatorIndex};
use bxp_vault::{Copy, Directory, RecordEntry, Vault, VaultError};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use wire::Request;

/// How often unfinished work is taken up again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long it rests at most while copies wait and none of them could move: a keeper is away.
const REST_MAX: Duration = Duration::from_secs(60);
/// How often all records are looked at although the directory is the same: for copies that were lost with their keys.
const LOOK_AT_ALL: Duration = Duration::from_secs(60 * 60);
/// Records that are looked at before others get a turn.
const RECORDS_PER_STEP: usize = 512;
/// Records whose copies are asked for, and held in memory, at once.
const COPIES_MAX: usize = 64;
/// Records that come or go in a second at most, so that moving a country's copies leaves room for its daily work.
const RECORDS_PER_SECOND_MAX: u32 = 256;
/// Parts of a statement that are sent to one node in one round.
const PARTS_PER_ROUND: usize = 64;

/// Where the directory of nodes is read.
pub trait DirectorySource: Send + Sync + 'static {
    /// The directories that follow that of `height`, all of them, oldest first; from the first one on where no height is
    /// given. It is asked at every block, and is cheap where there are none.
    ///
    /// # Errors
    /// Whatever keeps them from being read; the one that is known then holds on.
    fn newer_than(&self, height: Option<u64>) -> Result<Vec<Directory>, ClinicalError>;
}

/// A directory that stays as it is, such as that of genesis.
impl DirectorySource for Directory {
    fn newer_than(&self, height: Option<u64>) -> Result<Vec<Directory>, ClinicalError> {
        let newer = height.is_none_or(|height| self.height > height);
        Ok(newer.then(|| self.clone()).into_iter().collect())
    }
}

/// The other nodes, as keeping needs them.
pub trait Others: BlockSource {
    /// Sends a request for keeping. An error says why there is no answer, in words without identifying data.
    fn ask(&self, to: ValidatorIndex, bytes: Bytes) -> impl Future<Output = Result<Bytes, String>> + Send;

    /// From now on nodes stand where `directory` says.
    fn stand(&self, directory: &Directory);
}

impl Others for Network {
    async fn ask(&self, to: ValidatorIndex, bytes: Bytes) -> Result<Bytes, String> {
        self.request(to, Service::Keeping, bytes).await.map_err(|error| error.to_string())
    }

    fn stand(&self, directory: &Directory) {
        self.set_countries(|node| directory.country(node));
    }
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Copies that came.
    pub fetched: usize,
    /// Copies that went.
    pub shed: usize,
    /// Records that are not yet where they belong.
    pub waiting: usize,
    /// Parts of statements that others have taken in.
    pub stated: usize,
}

/// Brings copies to where placement wants them.
#[derive(Clone)]
pub struct Keeping<C> {
    ingest: Ingest,
    others: C,
    source: Arc<dyn DirectorySource>,
    /// Records below this number of arrival are where they belong by the directory of this digest.
    done: Option<(Digest, u64)>,
    standing: Arc<Standing>,
}

/// What clones share.
#[derive(Debug, Default)]
struct Standing {
    /// The directory by which the fences stand. Held while a newer one is taken over.
    by: Mutex<Option<Digest>>,
    /// Tells that there is a newer one.
    changed: Notify,
}

impl<C: Others> Keeping<C> {
    /// Minds the copies in `ingest`'s vault.
    #[must_use]
    pub fn new(ingest: Ingest, others: C, source: Arc<dyn DirectorySource>) -> Self {
        Self { ingest, others, source, done: None, standing: Arc::default() }
    }

    /// Goes by the newest directory from now on, through all that came between: the fences stand by it, and what it closes
    /// is closed when this returns. Tells whether it is a newer one.
    ///
    /// # Errors
    /// [`ClinicalError::Vault`], or the source's; then the last that could be taken over holds.
    pub fn take_over(&self) -> Result<bool, ClinicalError> {
        let vault = self.ingest.vault();
        let mut by = self.standing.by.lock();
        let known = vault.directory();
        let newer = self.source.newer_than((!known.is_silent()).then_some(known.height));
        let mut moved = false;
        let taken = newer.and_then(|directories| {
            for directory in directories {
                moved |= vault.adopt(directory)?;
            }
            Ok(())
        });
        let digest = vault.directory_digest();
        if by.replace(digest) != Some(digest) {
            self.others.stand(&vault.directory());
        }
        taken.map(|()| moved)
    }

    /// Takes over what is new at each block, until `stop`: what a move closes is closed at once, also while copies move.
    pub async fn follow(self, mut heads: watch::Receiver<Height>, stop: CancellationToken) {
        loop {
            heads.borrow_and_update();
            let taking = self.clone();
            let taken = tokio::task::spawn_blocking(move || taking.take_over());
            match taken.await {
                Ok(Ok(true)) => self.standing.changed.notify_one(),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = ?error, "follow the directory of nodes; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(_) => return,
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = heads.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Works until `stop`. Failures are logged.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut told = None;
        let mut looked_at_all = tokio::time::Instant::now();
        let mut rest = LOOK_AGAIN;
        loop {
            if looked_at_all.elapsed() >= LOOK_AT_ALL {
                (self.done, looked_at_all) = (None, tokio::time::Instant::now());
            }
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.round() => outcome,
            };
            let (home, stands) = (self.ingest.vault().home(), self.ingest.vault().country());
            if stands != Some(home) && told.replace(stands) != Some(stands) {
                tracing::warn!(%home, ?stands, "this node has left its country; set default_jurisdiction and restart it to take in records where it stands");
            }
            match outcome {
                Ok(round) if round.fetched + round.shed > 0 => {
                    tracing::info!(?round, "copies of identity blocks moved");
                    rest = LOOK_AGAIN;
                }
                // A keeper may be about to take its own in, or away for long.
                Ok(round) if round.waiting > 0 => rest = (rest * 2).min(REST_MAX),
                Ok(_) => rest = LOOK_AGAIN,
                Err(error) => {
                    tracing::warn!(error = ?error, "mind the copies of identity blocks; trying again");
                    rest = LOOK_AGAIN;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.standing.changed.notified() => rest = LOOK_AGAIN,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Reads the directory, looks at what may be misplaced, and moves what can be moved now.
    ///
    /// # Errors
    /// [`ClinicalError::Vault`], or the source's.
    pub async fn round(&mut self) -> Result<Round, ClinicalError> {
        let ingest = self.ingest.clone();
        let looked = tokio::task::spawn_blocking(move || ingest.look_after_working_copy());
        looked.await.map_err(|_| ClinicalError::Stopped)?;
        let vault = self.ingest.vault().clone();
        self.take_over()?;
        let digest = vault.directory_digest();
        let mut from = self.done.filter(|(known, _)| *known == digest).map_or(0, |(_, number)| number);
        let all_before_done = from > 0;
        let mut clean = true;
        let mut round = Round::default();
        loop {
            let looking = vault.clone();
            let step = tokio::task::spawn_blocking(move || {
                if all_before_done {
                    looking.misplaced_lately(from, RECORDS_PER_STEP)
                } else {
                    looking.misplaced(from, RECORDS_PER_STEP)
                }
            });
            let found = step.await.map_err(|_| ClinicalError::Stopped)??;
            let misplaced = found.wanted.len() + found.surplus.len();
            let fetched = self.fetch(&vault, found.wanted).await?;
            let shed = self.shed(&vault, found.surplus, digest).await?;
            round.fetched += fetched;
            round.shed += shed;
            round.waiting += misplaced - fetched - shed;
            from = found.next;
            clean &= misplaced == fetched + shed;
            if clean {
                self.done = Some((digest, from));
            }
            if !found.more {
                break;
            }
        }
        metrics::gauge!("clinical_copies_misplaced").set(round.waiting as f64);
        for country in vault.leaving() {
            let (finishing, ingest) = (vault.clone(), self.ingest.clone());
            let finished = tokio::task::spawn_blocking(move || finish(&finishing, &ingest, country));
            finished.await.map_err(|_| ClinicalError::Stopped)??;
        }
        round.stated = self.state(&vault).await?;
        Ok(round)
    }

    /// Asks for the copies that this node is to keep: the holders first, then their country, then who has left it.
    async fn fetch(&self, vault: &Vault, wanted: Vec<RecordEntry>) -> Result<usize, ClinicalError> {
        let mut fetched = 0;
        for chunk in wanted.chunks(COPIES_MAX) {
            let holders: BTreeSet<ValidatorIndex> = chunk.iter().map(|entry| entry.holder).collect();
            let directory = vault.directory();
            let mut peers = self.others.peers();
            peers.sort_by_key(|peer| {
                (!holders.contains(peer), directory.country(*peer) != Some(vault.home()), *peer)
            });
            let mut missing: Vec<&RecordEntry> = chunk.iter().collect();
            for peer in peers.into_iter().filter(|peer| *peer != vault.me()) {
                if missing.is_empty() {
                    break;
                }
                let copies = self.copies(peer, &missing).await;
                let came: BTreeSet<RecordId> = copies.iter().map(|copy| copy.record).collect();
                let taking = vault.clone();
                let taken = tokio::task::spawn_blocking(move || taking.accept_copies(&copies));
                match taken.await.map_err(|_| ClinicalError::Stopped)? {
                    Ok(taken) => {
                        fetched += taken;
                        missing.retain(|entry| !came.contains(&entry.record_id));
                    }
                    Err(error) => tracing::warn!(%peer, %error, "a peer gave copies that are not taken"),
                }
            }
            breathe(chunk.len() - missing.len()).await;
        }
        metrics::counter!("clinical_copies_fetched").increment(fetched as u64);
        Ok(fetched)
    }

    /// What `peer` gives of these records.
    async fn copies(&self, peer: ValidatorIndex, wanted: &[&RecordEntry]) -> Vec<Copy> {
        let records = wanted.iter().map(|entry| entry.record_id).collect();
        let answer = self.others.ask(peer, Request::Copies { records }.encode()).await;
        let keys = match answer.and_then(|answer| wire::read_copies(&answer, wanted.len())) {
            Ok(keys) => keys,
            Err(reason) => {
                tracing::debug!(%peer, reason, "ask for copies");
                return Vec::new();
            }
        };
        let mut copies = Vec::new();
        for (entry, keys) in wanted.iter().zip(keys) {
            let Some(keys) = keys else { continue };
            if let Some(block) = self.others.fetch(peer, entry.identity_cid).await {
                copies.push(Copy { record: entry.record_id, block, keys: keys.into() });
            }
        }
        copies
    }

    /// Deletes those copies that all their keepers vouch for.
    async fn shed(
        &self,
        vault: &Vault,
        surplus: Vec<RecordEntry>,
        digest: Digest,
    ) -> Result<usize, ClinicalError> {
        if surplus.is_empty() {
            return Ok(0);
        }
        let directory = vault.directory();
        let keepers: Vec<Vec<ValidatorIndex>> =
            surplus.iter().map(|entry| directory.keepers(entry)).collect();
        // A country without nodes has nobody to keep the last copy.
        let mut vouched: Vec<bool> = keepers.iter().map(|keepers| !keepers.is_empty()).collect();
        for keeper in keepers.iter().flatten().collect::<BTreeSet<_>>() {
            let asked: Vec<usize> =
                (0..surplus.len()).filter(|at| vouched[*at] && keepers[*at].contains(keeper)).collect();
            let records: Vec<_> = asked.iter().map(|at| surplus[*at].record_id).collect();
            if records.is_empty() {
                continue;
            }
            let count = records.len();
            let answer = self.others.ask(*keeper, Request::Holds { digest, records }.encode()).await;
            let held = answer.and_then(|answer| wire::read_holds(&answer, count)).unwrap_or_else(|reason| {
                tracing::debug!(%keeper, reason, "ask a keeper to vouch for its copies");
                vec![false; count]
            });
            for (at, held) in asked.into_iter().zip(held) {
                vouched[at] &= held;
            }
        }
        let going: Vec<RecordEntry> = surplus
            .into_iter()
            .zip(vouched)
            .filter_map(|(entry, vouched)| vouched.then_some(entry))
            .collect();
        let shedding = vault.clone();
        let shed = tokio::task::spawn_blocking(move || match shedding.shed(&going, digest) {
            // The next round asks anew.
            Err(VaultError::DirectoryDiffers) => Ok(0),
            outcome => outcome,
        });
        let shed = shed.await.map_err(|_| ClinicalError::Stopped)??;
        breathe(shed).await;
        metrics::counter!("clinical_copies_shed").increment(shed as u64);
        Ok(shed)
    }

    /// Sends this node's statements to who lacks them.
    async fn state(&self, vault: &Vault) -> Result<usize, ClinicalError> {
        let mut stated = 0;
        for peer in self.others.peers().into_iter().filter(|peer| *peer != vault.me()) {
            for statement in vault.statements_for(peer, PARTS_PER_ROUND)? {
                let request = Request::Statement(statement.encode()?.into()).encode();
                let answer = self.others.ask(peer, request).await;
                if let Err(reason) = answer.and_then(|answer| wire::read_done(&answer)) {
                    tracing::debug!(%peer, reason, "send a statement; trying again");
                    break;
                }
                vault.note_stated(peer, &statement)?;
                stated += 1;
            }
        }
        Ok(stated)
    }
}

/// Signs that nothing of a country is left, once that is so.
fn finish(vault: &Vault, ingest: &Ingest, country: Jurisdiction) -> Result<(), ClinicalError> {
    if !vault.has_nothing_of(country)? {
        return Ok(());
    }
    ingest.forget_country(country)?;
    vault.finish_departure(country)?;
    tracing::info!(%country, "nothing of the identity data of a country that this node has left is here");
    Ok(())
}

/// Waits as long as moving `records` may take at least.
async fn breathe(records: usize) {
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    tokio::time::sleep(Duration::from_secs(1) * records / RECORDS_PER_SECOND_MAX).await;
}
