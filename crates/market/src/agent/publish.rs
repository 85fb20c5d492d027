//! Publishing charts in the content store: under the same policy, profiles and pseudonyms as a delivery.
//!
//! For research only charts are published that the request's contract has counted, so that no chart gets to a buyer
//! around its patient's share. For oversight and treatment the readers are validators, whom genesis names.

use super::Inner;
use crate::MarketError;
use bxp_content::{
    ContentStore, Draft, PeerId, Publication, Reader, Terms, peer_of,
    records::{RESOURCE_BYTES_MAX, RecordSet, ReleasedChart, ReleasedRecord},
};
use bxp_privacy::{Denial, Permit, Purpose, Request, Scope, decide};
use bxp_types::{Address, BlockClass, SubjectId, ValidatorIndex};
use bxp_vault::{RecordEntry, VaultError};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The most charts of one publication, whose bytes the content store bounds too.
const CHARTS_MAX: usize = 1_000;

/// How often publications whose term is over, and records that were erased, are looked for. An erasure asks for it at
/// once; this finds what a crash came between.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// What is to be published, for whom.
#[derive(Clone, Debug)]
pub struct Order {
    /// What for.
    pub purpose: Purpose,
    /// Who may read it.
    pub readers: Vec<Reader>,
    /// Until when, in seconds since the epoch.
    pub until_s: u64,
    /// Whose charts. Without any, for research, all that the contract has counted of this holder.
    pub patients: Vec<SubjectId>,
}

/// What was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The publication.
    pub publication: Publication,
    /// Charts in it.
    pub charts: usize,
    /// Records in it.
    pub records: usize,
    /// Records that are too large for a block and stayed out.
    pub too_large: usize,
}

/// Publishes for one holder. Clones share everything.
#[derive(Clone, Debug)]
pub struct Publisher {
    inner: Arc<Inner>,
    content: ContentStore,
}

/// A chart that is asked for: its patient's first record stands for the facts of all.
struct Wanted {
    subject: SubjectId,
    entry: RecordEntry,
}

impl Publisher {
    pub(super) const fn new(inner: Arc<Inner>, content: ContentStore) -> Self {
        Self { inner, content }
    }

    /// The store in which it publishes.
    #[must_use]
    pub const fn content(&self) -> &ContentStore {
        &self.content
    }

    /// Publishes charts. The disclosures to every reader are on disk before the publication is.
    ///
    /// # Errors
    /// [`MarketError::Reader`] where a reader may not read for the purpose, [`MarketError::NothingToPublish`],
    /// [`MarketError::TooIdentifying`], [`MarketError::TooLarge`], [`MarketError::Content`].
    pub fn publish(&self, order: &Order) -> Result<Published, MarketError> {
        let requesters = self.requesters(order)?;
        let wanted = self.wanted(order)?;
        let (mut charts, mut rules) = (Vec::new(), BTreeSet::new());
        let (mut records, mut too_large) = (0, 0);
        for one in wanted {
            let Some(permits) = self.permits(&one, order.purpose, &requesters)? else { continue };
            let released = match self.inner.release_chart(one.subject, &permits, &mut rules) {
                Ok(released) => released,
                // Erased a moment ago.
                Err(MarketError::Vault(VaultError::Erased(_) | VaultError::UnknownRecord(_))) => continue,
                Err(error) => return Err(error),
            };
            let before = released.len();
            let mut chart: Vec<_> = released
                .into_iter()
                .filter(|(_, text)| text.len() <= RESOURCE_BYTES_MAX)
                .map(|(record, resource)| ReleasedRecord { record, salt: rand::random(), resource })
                .collect();
            // The holder's own order is the same in every publication.
            chart.sort_by_key(|record| record.salt);
            too_large += before - chart.len();
            records += chart.len();
            charts.push(ReleasedChart { patient: one.subject, subject: rand::random(), records: chart });
        }
        if charts.is_empty() {
            return Err(MarketError::NothingToPublish);
        }
        charts.sort_by_key(|chart| chart.subject);
        let count = charts.len();
        let set = RecordSet {
            holder: self.inner.account,
            purpose: order.purpose,
            profile: self.inner.policy.profile.name().to_owned(),
            rules: rules.into_iter().collect(),
            charts,
        };
        let (root, blocks) = set.into_blocks()?;
        let terms = Terms { purpose: order.purpose, until_s: order.until_s };
        let draft = Draft { root, terms, readers: order.readers.clone(), blocks };
        let publication = self.content.publish(draft)?;
        Ok(Published { publication, charts: count, records, too_large })
    }

    /// Removes what was erased and withdraws what is over, until `stop`.
    pub async fn keep_clean(self, stop: CancellationToken) {
        loop {
            let publisher = self.clone();
            let swept = tokio::task::spawn_blocking(move || publisher.sweep()).await;
            if let Ok(Err(error)) = swept {
                tracing::warn!(error = ?error, "clean the content store; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP_EVERY) => {}
            }
        }
    }

    /// Removes what was erased, and what is over.
    ///
    /// # Errors
    /// [`MarketError::Content`].
    pub fn sweep(&self) -> Result<(), MarketError> {
        let (over, erased) = self.content.sweep()?;
        if over + erased > 0 {
            tracing::info!(publications = over, records = erased, "removed from the content store");
        }
        if over > 0 {
            self.content.collect()?;
        }
        Ok(())
    }

    /// In whose names the charts are opened: the holder's for research, the readers' own otherwise.
    fn requesters(&self, order: &Order) -> Result<Vec<ValidatorIndex>, MarketError> {
        let me = self.inner.ingest.vault().me();
        if matches!(order.purpose, Purpose::Research { .. }) {
            return Ok(vec![me]);
        }
        order.readers.iter().map(|reader| self.validator(reader)).collect()
    }

    fn validator(&self, reader: &Reader) -> Result<ValidatorIndex, MarketError> {
        let Reader::Peer(peer) = reader else {
            return Err(MarketError::Reader("for oversight and treatment name peers, not tokens"));
        };
        let genesis = self.inner.reader.ledger().genesis();
        let is = |key: &[u8; 32], peer: &PeerId| peer_of(key).as_ref() == Some(peer);
        let found = (0_u16..).zip(&genesis.validators).find(|(_, entry)| is(&entry.public_key.0, peer));
        let unknown =
            MarketError::Reader("a reader for oversight or treatment is no validator of this network");
        found.map(|(index, _)| ValidatorIndex(index)).ok_or(unknown)
    }

    /// The charts that are asked for and may be considered: this holder's, hidden well enough, and for research counted
    /// by the contract.
    fn wanted(&self, order: &Order) -> Result<Vec<Wanted>, MarketError> {
        let inner = &self.inner;
        let research = match order.purpose {
            Purpose::Research { request } => Some(request),
            _ => None,
        };
        if order.patients.is_empty() && research.is_none() {
            return Err(MarketError::Reader("name the patients whose charts are published"));
        }
        let subjects = if order.patients.is_empty() {
            let all = inner.ingest.patients().map(|patient| patient.map(|patient| patient.subject));
            all.collect::<Result<_, _>>()?
        } else {
            order.patients.clone()
        };
        let mut crowd = inner.crowd()?;
        let (mut wanted, mut met) = (Vec::new(), BTreeSet::new());
        for subject in subjects {
            let Some(entry) = self.first_entry(subject)? else { continue };
            if let Some(request) = research
                && !inner.reader.is_counted(request, entry.patient)?
            {
                continue;
            }
            if met.insert(subject) && crowd.hides(subject) {
                wanted.push(Wanted { subject, entry });
            }
        }
        if wanted.is_empty() {
            crowd.check(research.unwrap_or(Address::ZERO))?;
        }
        if wanted.len() > CHARTS_MAX {
            return Err(MarketError::TooLarge {
                what: "publication (in charts)",
                size: wanted.len(),
                max: CHARTS_MAX,
            });
        }
        Ok(wanted)
    }

    fn first_entry(&self, subject: SubjectId) -> Result<Option<RecordEntry>, MarketError> {
        let vault = self.inner.ingest.vault();
        for record in self.inner.ingest.chart(subject)? {
            if let Some(entry) = vault.entry(record)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// A permit for each of the requesters; nothing where the patient does not contribute.
    fn permits(
        &self,
        wanted: &Wanted,
        purpose: Purpose,
        requesters: &[ValidatorIndex],
    ) -> Result<Option<Vec<Permit>>, MarketError> {
        let mut permits = Vec::with_capacity(requesters.len());
        for &requester in requesters {
            let scope = Scope::Subject(wanted.subject);
            let asked = Request { requester, scope, class: BlockClass::Deidentified, purpose };
            match decide(&asked, &self.inner.facts.of(requester, &wanted.entry, purpose)?) {
                Ok(permit) => permits.push(permit),
                Err(Denial::NoContribution) => return Ok(None),
                Err(denial) => return Err(denial.into()),
            }
        }
        Ok(Some(permits))
    }
}
