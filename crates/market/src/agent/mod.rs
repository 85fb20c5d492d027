//! The holder's side: follows requests, matches, delivers, settles.
//!
//! Rounds run one after the other, requests within a round too, so that this node never works on one patient twice at
//! once. What touches the disk, the EVM or charts runs outside of the async threads.

mod deliver;
mod matching;
mod policy;
mod prepare;
mod publish;
mod settle;

use crate::{MarketError, RequestReader, Requests, metric, tables::Tables};
use bxp_clinical::{facts::ChainFacts, ingest::Ingest, sender::TransactionSender};
use bxp_content::ContentStore;
use bxp_types::{Address, Amount};
use bxp_vault::Clock;
use cid::Cid;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use policy::{ReleasePolicy, ReleaseProfile};
pub use prepare::CHARTS_PER_DELIVERY_MAX;
pub use publish::{Order, Published, Publisher};

/// Deliveries to one request in one round; the others' turn comes then.
const DELIVERIES_PER_ROUND: usize = 8;
/// How often deliveries whose time is over are looked for.
const EXPIRY_EVERY: Duration = Duration::from_secs(60);
/// The longest pause after failures over one request; it begins with a second and doubles.
const REST_MAX: Duration = Duration::from_secs(60);

/// The holder's conditions, and how often the agent works.
#[derive(Clone, Copy, Debug)]
pub struct AgentConfig {
    /// Requests that pay less for a record are not answered: data is accessed on its provider's conditions (row D4).
    pub price_per_record_min: Amount,
    /// The least time between two rounds.
    pub round_interval: Duration,
    /// A round begins after this time even without a new block, since windows and deadlines end by the clock.
    pub idle_interval: Duration,
    /// Under which profile charts leave, and how well hidden.
    pub release: ReleasePolicy,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            price_per_record_min: Amount::from_mbxm(1),
            round_interval: Duration::from_millis(200),
            idle_interval: Duration::from_secs(1),
            release: ReleasePolicy::default(),
        }
    }
}

/// Answers data requests for one holder.
#[derive(Debug)]
pub struct HolderAgent {
    inner: Arc<Inner>,
    sender: TransactionSender,
    config: AgentConfig,
    /// Sealed deliveries that the contract has not counted, with their requests.
    prepared: BTreeMap<Cid, Address>,
    resting: BTreeMap<Address, Rest>,
    expire_at: Instant,
}

/// What the agent works with; everything in it is shared.
#[derive(Debug)]
struct Inner {
    ingest: Ingest,
    reader: RequestReader,
    tables: Tables,
    facts: ChainFacts,
    /// The holder's account: it delivers and is paid.
    account: Address,
    clock: Clock,
    price_min: Amount,
    policy: ReleasePolicy,
    /// What was read of patients for [`policy`].
    patient_rows: Mutex<policy::PatientRows>,
    /// Matching reads all charts there are. On threads of its own it cannot hold up the chain's signature checks.
    matching: rayon::ThreadPool,
}

/// A request over which a round failed.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    pause: Duration,
}

impl HolderAgent {
    /// The agent of the node whose charts `ingest` has and whose own account is `account`; `sender` signs for it.
    ///
    /// # Errors
    /// [`MarketError::Storage`], [`MarketError::Malformed`], [`MarketError::Threads`].
    pub fn new(
        ingest: Ingest,
        requests: Requests,
        facts: ChainFacts,
        sender: TransactionSender,
        account: Address,
        clock: Clock,
        config: AgentConfig,
    ) -> Result<Self, MarketError> {
        metric::describe();
        let Requests { reader, tables } = requests;
        let mut prepared = BTreeMap::new();
        for row in tables.deliveries() {
            let (cid, row) = row?;
            if row.number.is_none() {
                prepared.insert(cid, row.request);
            }
        }
        let price_min = config.price_per_record_min;
        let matching = matching_threads()?;
        let (policy, patient_rows) = (config.release, Mutex::default());
        let inner = Arc::new(Inner {
            ingest,
            reader,
            tables,
            facts,
            account,
            clock,
            price_min,
            policy,
            patient_rows,
            matching,
        });
        let expire_at = Instant::now();
        Ok(Self { inner, sender, config, prepared, resting: BTreeMap::new(), expire_at })
    }

    /// Publishes charts of the same holder in `content`, by the same policy.
    #[must_use]
    pub fn publisher(&self, content: ContentStore) -> Publisher {
        Publisher::new(Arc::clone(&self.inner), content)
    }

    /// Works until `stop`. Failures over one request are logged, and tried again with longer and longer pauses.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut heads = self.inner.reader.ledger().heads();
        loop {
            heads.borrow_and_update();
            tokio::select! {
                () = stop.cancelled() => return,
                done = self.round() => if let Err(error) = done {
                    metric::failed();
                    tracing::warn!(error = ?error, "a round of the market failed; trying again");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.config.round_interval) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = heads.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(self.config.idle_interval) => {}
            }
        }
    }

    /// Follows the chain to its head and works once on every open request.
    #[tracing::instrument(name = "market.round", skip_all)]
    async fn round(&mut self) -> Result<(), MarketError> {
        while self.blocking(|inner| inner.requests().follow()).await? {}
        if Instant::now() >= self.expire_at {
            self.blocking(Inner::expire).await?;
            self.expire_at = Instant::now() + EXPIRY_EVERY;
        }
        self.complete_prepared().await;
        let open = self.blocking(|inner| inner.requests().open_requests()).await?;
        metric::open_requests(open.len());
        for request in open {
            if self.is_resting(request) {
                continue;
            }
            match self.work_on(request).await {
                Ok(()) => drop(self.resting.remove(&request)),
                Err(error) => self.rest(request, &error),
            }
        }
        Ok(())
    }

    async fn work_on(&mut self, request: Address) -> Result<(), MarketError> {
        let takes_more = self.blocking(move |inner| inner.match_new(request)).await?;
        // While a delivery is on its way, how many are still wanted is not known.
        if takes_more && self.prepared.values().all(|other| *other != request) {
            for _ in 0..DELIVERIES_PER_ROUND {
                let Some(cid) = self.blocking(move |inner| inner.prepare(request)).await? else { break };
                self.prepared.insert(cid, request);
                if !self.send_delivery(cid).await? {
                    break;
                }
            }
        }
        self.settle(request).await?;
        self.blocking(move |inner| inner.close_if_done(request)).await
    }

    fn is_resting(&self, request: Address) -> bool {
        self.resting.get(&request).is_some_and(|rest| Instant::now() < rest.until)
    }

    fn rest(&mut self, request: Address, error: &MarketError) {
        metric::failed();
        let pause = self.resting.get(&request).map_or(Duration::from_secs(1), |rest| rest.pause * 2);
        let pause = pause.min(REST_MAX);
        tracing::warn!(%request, error = ?error, ?pause, "work on a data request failed; trying again");
        self.resting.insert(request, Rest { until: Instant::now() + pause, pause });
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, MarketError> + Send + 'static,
    ) -> Result<T, MarketError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(|_| MarketError::Stopped)?
    }
}

/// Half of the cores.
fn matching_threads() -> Result<rayon::ThreadPool, MarketError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(cores.div_ceil(2));
    Ok(pool.thread_name(|number| format!("market-match-{number}")).build()?)
}

impl Inner {
    fn requests(&self) -> Requests {
        Requests { reader: self.reader.clone(), tables: self.tables.clone() }
    }

    /// The clock in whole seconds, as block times are told.
    fn now(&self) -> u64 {
        self.clock.now_ms() / 1_000
    }

    /// Deletes the deliveries whose time is over.
    fn expire(&self) -> Result<(), MarketError> {
        let now = self.now();
        let mut batch = self.tables.batch();
        for row in self.tables.deliveries() {
            let (cid, row) = row?;
            if row.number.is_some() && row.until <= now {
                self.tables.remove_delivery(&mut batch, &cid);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        tracing::info!(deliveries = batch.len() / 2, "deleted deliveries whose time is over");
        Ok(batch.commit(bxp_storage::Durability::Synced)?)
    }
}
