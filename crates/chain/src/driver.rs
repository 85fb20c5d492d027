//! The driver: the one task that gives consensus its time, its sockets and its disk.
//!
//! It takes local results and peers' messages in, lets the pure machines decide, writes what consensus says to the
//! journal before anyone hears it, and hands decided superblocks to execution, one block at a time.

mod work;

use crate::{
    ChainError, ChainEvent,
    certificates::Certificates,
    chain::Shared,
    codec,
    journal::Journal,
    proposal::{Proposal, ProposalRules},
    sync::{SyncRequest, SyncResponse},
};
use bxp_consensus::{Config, Effect, Engine, Input, Timer};
use bxp_enclave::Enclave;
use bxp_network::{Channel, Network, Service};
use bxp_types::{Attestation, Digest, Height, ValidatorIndex};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use work::{Done, Work};

/// Blocks that may be executed before their certificate is there.
const UNCERTIFIED_MAX: u64 = 8;
/// Inputs taken in before what consensus says is flushed: one disk write and one round of frames for all.
const INPUTS_PER_FLUSH: usize = 256;
/// How often a node looks whether it lacks blocks or certificates.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a block with transactions an empty one follows, and then further ones at doubling intervals up to the longest:
/// clients that wait for "the next block" see one soon, and a quiet network costs little.
const QUIET_MIN: Duration = Duration::from_secs(1);
const QUIET_DOUBLINGS_MAX: u32 = 6;
/// Local results that may wait.
const RESULTS_MAX: usize = 4_096;

pub(crate) enum Outcome {
    Timer(Timer),
    Validated { height: Height, proposer: ValidatorIndex, digest: Digest, valid: bool },
    Done(Result<Done, ChainError>),
    Fetched { from: ValidatorIndex, answer: Option<SyncResponse> },
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    enclave: Enclave,
    network: Network,
    engine: Engine,
    journal: Journal,
    certificates: Certificates,
    /// Own attestations of blocks without a certificate, said again to a peer that comes back.
    attestations: BTreeMap<Height, Attestation>,
    effects: Vec<Effect>,
    /// The newest height that consensus was told to start.
    started: Height,
    started_at: Option<Instant>,
    /// When the head came.
    head_at: Instant,
    /// Empty blocks since the newest one with transactions.
    empty_blocks: u32,
    /// Heights that others work on.
    wanted: BTreeSet<Height>,
    /// Execution's queue; its front is being worked on while `working`.
    queue: VecDeque<Work>,
    working: bool,
    fetching: bool,
    behind: bool,
    /// When the newest certificate came, or was last asked for.
    certified_at: Instant,
    results: mpsc::Sender<Outcome>,
    incoming: Option<mpsc::Receiver<Outcome>>,
}

impl Driver {
    pub(crate) fn open(shared: Arc<Shared>, enclave: Enclave, network: Network) -> Result<Self, ChainError> {
        let genesis = &shared.genesis;
        let certified = shared.blocks.certified()?;
        let head = shared.head.load().height();
        let mut config = Config::new(shared.config.me, genesis.validator_count(), shared.network_id);
        config.body_bytes_max = ProposalRules::of(genesis).bytes_max;
        let mut engine = Engine::new(config).map_err(|error| ChainError::Recovery(error.to_string()))?;
        let (journal, records) = Journal::open(&shared.config.journal, head.next())?;
        engine.recover(records).map_err(|error| ChainError::Recovery(error.to_string()))?;
        let keys = genesis.verification_keys();
        let certificates = Certificates::new(shared.network_id, keys, genesis.quorum(), certified);
        let (results, incoming) = mpsc::channel(RESULTS_MAX);
        let mut driver = Self {
            effects: engine.handle(Input::Settled(certified)),
            started: head,
            started_at: None,
            head_at: Instant::now(),
            empty_blocks: 0,
            wanted: BTreeSet::new(),
            queue: VecDeque::new(),
            working: false,
            fetching: false,
            behind: false,
            certified_at: Instant::now(),
            attestations: BTreeMap::new(),
            results,
            incoming: Some(incoming),
            engine,
            journal,
            certificates,
            enclave,
            network,
            shared,
        };
        for height in (certified.0 + 1..=head.0).map(Height) {
            if let Some(block) = driver.shared.blocks.block(height)? {
                driver.attest(height, block.hash);
            }
        }
        Ok(driver)
    }

    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<ChainEvent>) -> Result<(), ChainError> {
        let Some(mut results) = self.incoming.take() else { return Ok(()) };
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let shared = Arc::clone(&self.shared);
        loop {
            let start_at = self.next_start();
            tokio::select! {
                biased;
                // Local work is finished before remote work is taken.
                Some(result) = results.recv() => self.on_result(result)?,
                event = events.recv() => match event {
                    Some(ChainEvent::Shutdown) | None => return self.journal.sync(),
                    Some(event) => self.on_event(event),
                },
                () = shared.pool_grew.notified() => {}
                () = sleep_until(start_at) => {}
                _ = look.tick() => self.look(),
            }
            for _ in 0..INPUTS_PER_FLUSH {
                if let Ok(result) = results.try_recv() {
                    self.on_result(result)?;
                } else {
                    match events.try_recv() {
                        Ok(ChainEvent::Shutdown) => return self.journal.sync(),
                        Ok(event) => self.on_event(event),
                        Err(_) => break,
                    }
                }
            }
            self.collect_certificates()?;
            self.maybe_start();
            self.flush()?;
        }
    }

    fn on_event(&mut self, event: ChainEvent) {
        match event {
            ChainEvent::Connected(peer) => {
                self.handle(Input::PeerConnected(peer));
                for attestation in self.attestations.values() {
                    let bytes = codec::encode_attestation(attestation).into();
                    self.send(peer, Channel::Attestation, bytes);
                }
                self.fetch(peer);
            }
            ChainEvent::Disconnected(peer) => tracing::debug!(%peer, "peer is gone"),
            ChainEvent::Message { from, channel: Channel::Consensus, bytes } => {
                self.handle(Input::Received { from, message: bytes });
            }
            ChainEvent::Message { from, channel: Channel::Attestation, bytes } => {
                match codec::decode_attestation(&bytes) {
                    Ok(attestation) if attestation.validator == from => self.certificates.add(&attestation),
                    Ok(_) => tracing::warn!(%from, "peer sends an attestation in another's name"),
                    Err(error) => tracing::warn!(%from, %error, "peer sends a damaged attestation"),
                }
            }
            ChainEvent::SyncRequest { bytes, reply } => self.answer_sync(bytes, reply),
            ChainEvent::Shutdown => {}
        }
    }

    fn on_result(&mut self, result: Outcome) -> Result<(), ChainError> {
        match result {
            Outcome::Timer(timer) => self.handle(Input::TimerFired(timer)),
            Outcome::Validated { height, proposer, digest, valid } => {
                self.handle(Input::Validated { height, proposer, digest, valid });
            }
            Outcome::Done(done) => self.on_done(done?)?,
            Outcome::Fetched { from, answer } => self.on_fetched(from, answer),
        }
        Ok(())
    }

    fn handle(&mut self, input: Input) {
        let effects = self.engine.handle(input);
        self.effects.extend(effects);
    }

    /// When the next height will start, if only time holds it back.
    fn next_start(&self) -> Option<Instant> {
        if !self.may_start() {
            return None;
        }
        let quiet_over = self.quiet_over();
        let reason_at = if self.has_reason_to_start() { quiet_over.min(Instant::now()) } else { quiet_over };
        let interval_over = self.started_at.map(|at| at + self.shared.config.block_interval);
        Some(interval_over.map_or(reason_at, |at| at.max(reason_at)))
    }

    /// When an empty block is due.
    fn quiet_over(&self) -> Instant {
        self.head_at + QUIET_MIN * (1 << self.empty_blocks.min(QUIET_DOUBLINGS_MAX))
    }

    fn may_start(&self) -> bool {
        let head = self.shared.head.load().height();
        let uncertified = head.0.saturating_sub(self.certificates.certified().0);
        !self.working && self.queue.is_empty() && self.started <= head && uncertified < UNCERTIFIED_MAX
    }

    fn has_reason_to_start(&self) -> bool {
        let next = self.shared.head.load().height().next();
        self.wanted.contains(&next) || self.shared.pool.lock().has_candidate(self.shared.next_base_fee())
    }

    fn proposal_transactions(&self, bytes_max: usize) -> Vec<bxp_types::RecoveredTransaction> {
        let gas_max = self.shared.genesis.gas_limit;
        self.shared.pool.lock().take(bytes_max, gas_max, self.shared.next_base_fee())
    }

    fn maybe_start(&mut self) {
        if self.next_start().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let height = self.shared.head.load().height().next();
        let transactions = self.proposal_transactions(ProposalRules::of(&self.shared.genesis).bytes_max - 64);
        let proposal = Proposal { time_ms: now_ms(), transactions };
        let body = Bytes::from(proposal.encode());
        self.shared.checked.lock().insert(height, Digest::of(&body), Arc::new(proposal));
        self.started = height;
        self.started_at = Some(Instant::now());
        self.wanted = self.wanted.split_off(&height.next());
        self.journal.begin(height);
        tracing::debug!(%height, bytes = body.len(), "start height");
        self.handle(Input::Start { height, proposal: body });
    }

    /// Carries out what consensus wants. Its records reach the disk before any of its messages leaves.
    fn flush(&mut self) -> Result<(), ChainError> {
        while !self.effects.is_empty() {
            let effects = std::mem::take(&mut self.effects);
            let mut spoken = Vec::with_capacity(effects.len());
            for effect in effects {
                match effect {
                    Effect::Persist(record) => self.journal.append(record)?,
                    other => spoken.push(other),
                }
            }
            tokio::task::block_in_place(|| self.journal.sync())?;
            for effect in spoken {
                self.carry_out(effect);
            }
        }
        self.next_work();
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(_) => {}
            Effect::Send { to, message } => self.send(to, Channel::Consensus, message),
            Effect::Broadcast { message } => self.network.broadcast(Channel::Consensus, message),
            Effect::SetTimer { timer, after } => self.later(after, Outcome::Timer(timer)),
            Effect::Validate { height, proposer, digest, body } => {
                self.validate(height, proposer, digest, body);
            }
            Effect::Wanted { height } => {
                self.wanted.insert(height);
            }
            Effect::Decided(superblock) => {
                if superblock.height > self.shared.head.load().height() {
                    self.queue.push_back(Work::Execute(superblock));
                }
            }
            Effect::ProposalTooLarge { height } => {
                // The pool fills proposals below the bound, so this height starts without one of ours.
                tracing::error!(%height, "own proposal is above consensus' bound");
                let body = Bytes::from(Proposal { time_ms: now_ms(), transactions: Vec::new() }.encode());
                self.handle(Input::Start { height, proposal: body });
            }
            Effect::Behind { height } => {
                tracing::debug!(%height, "others are ahead");
                self.behind = true;
                self.fetch_from_any();
            }
        }
    }

    fn send(&self, to: ValidatorIndex, channel: Channel, bytes: Bytes) {
        if let Err(error) = self.network.send(to, channel, bytes) {
            // Consensus says everything again when the peer comes back.
            tracing::debug!(peer = %to, %error, "message not sent");
        }
    }

    fn later(&self, after: Duration, result: Outcome) {
        let results = self.results.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let _ = results.send(result).await;
        });
    }

    fn validate(&mut self, height: Height, proposer: ValidatorIndex, digest: Digest, body: Bytes) {
        if self.shared.checked.lock().get(&digest).is_some() {
            return self.handle(Input::Validated { height, proposer, digest, valid: true });
        }
        let (shared, results) = (Arc::clone(&self.shared), self.results.clone());
        tokio::task::spawn_blocking(move || {
            let checked = Proposal::check(&body, ProposalRules::of(&shared.genesis));
            let valid = checked.is_ok();
            match checked {
                Ok(proposal) => shared.checked.lock().insert(height, digest, Arc::new(proposal)),
                Err(error) => tracing::warn!(%height, %proposer, %error, "invalid proposal"),
            }
            let _ = results.blocking_send(Outcome::Validated { height, proposer, digest, valid });
        });
    }

    fn answer_sync(&self, request: Bytes, reply: tokio::sync::oneshot::Sender<Bytes>) {
        let blocks = self.shared.blocks.clone();
        tokio::task::spawn_blocking(move || match SyncRequest::answer(&request, &blocks) {
            Ok(answer) => drop(reply.send(answer.into())),
            Err(error) => tracing::warn!(%error, "refuse a sync request"),
        });
    }

    /// Asks for blocks or certificates when some have been missing for a while.
    fn look(&mut self) {
        let head = self.shared.head.load().height();
        let waits = self.certificates.certified() < head && self.certified_at.elapsed() > 2 * LOOK_EVERY;
        if waits || self.behind {
            self.certified_at = Instant::now();
            self.fetch_from_any();
        }
    }

    fn fetch_from_any(&mut self) {
        let peers = self.network.connected();
        if !peers.is_empty() {
            let turn = now_ms() as usize / LOOK_EVERY.as_millis() as usize;
            self.fetch(peers[turn % peers.len()]);
        }
    }

    fn fetch(&mut self, from: ValidatorIndex) {
        if self.fetching {
            return;
        }
        self.fetching = true;
        let has = self.shared.head.load().height();
        let request = SyncRequest { from: self.certificates.certified().0 + 1, has: has.0 };
        let (network, results) = (self.network.clone(), self.results.clone());
        let chain_id = self.shared.genesis.chain_id;
        tokio::spawn(async move {
            let answer = match network.request(from, Service::Sync, request.encode().into()).await {
                Ok(bytes) => tokio::task::spawn_blocking(move || SyncResponse::decode(&bytes, chain_id))
                    .await
                    .map_err(|error| error.to_string())
                    .and_then(|decoded| decoded.map_err(|error| error.to_string())),
                Err(error) => Err(error.to_string()),
            };
            let answer =
                answer.inspect_err(|error| tracing::debug!(%from, error, "no blocks from peer")).ok();
            let _ = results.send(Outcome::Fetched { from, answer }).await;
        });
    }

    fn on_fetched(&mut self, from: ValidatorIndex, answer: Option<SyncResponse>) {
        self.fetching = false;
        let Some(answer) = answer else { return };
        self.shared.highest_known.fetch_max(answer.certified.0, Ordering::Relaxed);
        self.behind = answer.certified > self.shared.head.load().height();
        if !answer.items.is_empty() {
            tracing::debug!(%from, blocks = answer.items.len(), "import certified blocks");
            self.queue.push_back(Work::Import { from, items: answer.items });
        }
    }

    fn attest(&mut self, height: Height, hash: bxp_types::B256) {
        let attestation = self.enclave.attest(self.shared.config.me, self.shared.network_id, height, hash);
        self.network.broadcast(Channel::Attestation, codec::encode_attestation(&attestation).into());
        self.certificates.add(&attestation);
        self.attestations.insert(height, attestation);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The wall clock in milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
