//! The chain as a state machine: no clock, socket, disk flush or thread of its own.
//!
//! [`Machine::handle`] takes what happened in, [`Machine::turn`] says what is to be done about all of it, in order. The
//! two are apart so that one disk flush serves many inputs. Its owner carries the effects out: [`crate::driver`] with
//! tokio, the network and the disk, the simulator with virtual time and every fault. What it reads and writes of tables
//! goes through [`Shared`].

mod claims;
mod heads;
mod interface;
mod load;
mod start;
mod work;

use crate::{
    ChainError,
    attester::Attester,
    certificates::Certificates,
    codec,
    job::Job,
    mempool::UnderWay,
    proposal::{Proposal, ProposalRules},
    shared::Shared,
    sync::{SyncRequest, SyncResponse},
};
use bxp_consensus::{
    Config, Effect as Decision, Engine, Input as Consensus, Superblock, Timer, wire::carries_body,
};
use bxp_network::Channel;
use bxp_types::{Attestation, Height, ValidatorIndex};
use bytes::Bytes;
use claims::Claims;
pub use interface::{Effect, Input, Moment};
pub use load::Load;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use work::Making;

/// How often a node looks whether it lacks blocks or certificates.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How far a request for blocks is: one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetching {
    /// Nobody is asked.
    Idle,
    /// A peer was asked.
    Asked,
    /// What it gave waits to be imported. Asked again before, a peer would give the same blocks: a slow node would
    /// drown in them.
    Importing,
}

/// One validator's chain.
pub struct Machine {
    shared: Arc<Shared>,
    keys: Box<dyn Attester>,
    engine: Engine,
    certificates: Certificates,
    /// Own attestations of blocks without a certificate, said again to a peer that comes back.
    attestations: BTreeMap<Height, Attestation>,
    /// What is to be done outside, until the next turn.
    effects: Vec<Effect>,
    /// Consensus' timers by the time at which they run out, and by the order in which they were set.
    timers: BTreeMap<(Duration, u64), Timer>,
    timers_set: u64,
    peers: BTreeSet<ValidatorIndex>,
    /// The newest height that consensus was told to start.
    started: Height,
    started_at: Option<Duration>,
    /// No record of a greater height is in the journal. After a restart that may be any that was open.
    begun: Height,
    /// When the head came.
    head_at: Duration,
    /// Empty blocks since the newest one with transactions.
    empty_blocks: u32,
    /// Empty blocks in a row of heights that too few asked for.
    hurried_blocks: u32,
    /// Heights that others work on.
    wanted: BTreeSet<Height>,
    /// Own transactions in heights without a block.
    under_way: UnderWay,
    /// Superblocks that wait for their turn: heights may be decided in any order.
    decided: BTreeMap<Height, Superblock>,
    /// Imports that wait.
    queue: VecDeque<Job>,
    /// The blocks that are being made, and whether anything is imported.
    making: Making,
    fetching: Fetching,
    /// Requests for blocks so far, so that the peers are asked in turn.
    fetches: usize,
    behind: bool,
    claims: Claims,
    look_at: Duration,
    /// When the newest certificate came, or was last asked for.
    certified_at: Duration,
}

impl Machine {
    /// The machine of a node whose journal holds `records`, as they were appended.
    ///
    /// # Errors
    /// [`ChainError`] when the journal is not this validator's, or the disk or its content fails.
    pub fn open(
        shared: Arc<Shared>,
        keys: Box<dyn Attester>,
        records: Vec<Bytes>,
        now: Moment,
    ) -> Result<Self, ChainError> {
        let genesis = &shared.genesis;
        let certified = shared.blocks.certified()?;
        let head = shared.head.load().height();
        let mut config = Config::new(shared.config.me, genesis.validator_count(), shared.network_id);
        config.body_bytes_max = ProposalRules::of(genesis).bytes_max;
        config.heights_ahead = start::LAG_MAX + 2;
        config.verification = shared.config.verification;
        config.gather = shared.config.vote_gather.unwrap_or(config.gather);
        let mut engine = Engine::new(config).map_err(|error| ChainError::Recovery(error.to_string()))?;
        engine.take_in(Consensus::Settled(certified));
        engine.recover(records).map_err(|error| ChainError::Recovery(error.to_string()))?;
        let certificates =
            Certificates::new(shared.network_id, genesis.verification_keys(), genesis.quorum(), certified);
        let mut machine = Self {
            effects: Vec::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            peers: BTreeSet::new(),
            started: head,
            started_at: None,
            begun: Self::begun_max(head),
            head_at: now.elapsed,
            empty_blocks: 0,
            hurried_blocks: 0,
            wanted: BTreeSet::new(),
            under_way: UnderWay::default(),
            decided: BTreeMap::new(),
            queue: VecDeque::new(),
            making: Making { runs_ahead: shared.config.run_ahead, ..Making::default() },
            fetching: Fetching::Idle,
            fetches: 0,
            behind: false,
            claims: Claims::default(),
            look_at: now.elapsed,
            certified_at: now.elapsed,
            attestations: BTreeMap::new(),
            engine,
            certificates,
            keys,
            shared,
        };
        for height in (certified.0 + 1..=head.0).map(Height) {
            if let Some(block) = machine.shared.blocks.block(height)? {
                machine.attest(height, block.hash);
            }
        }
        Ok(machine)
    }

    /// Takes one input in.
    ///
    /// # Errors
    /// [`ChainError`] when the node must stop: its disk failed, or its block is not the certified one.
    pub fn handle(&mut self, input: Input, now: Moment) -> Result<(), ChainError> {
        match input {
            Input::Connected(peer) => self.on_connected(peer),
            Input::Disconnected(peer) => {
                self.peers.remove(&peer);
            }
            Input::Message { from, channel: Channel::Consensus | Channel::Bodies, bytes } => {
                self.consensus(Consensus::Received { from, message: bytes });
            }
            Input::Message { from, channel: Channel::Attestation, bytes } => {
                self.on_attestation(from, &bytes);
            }
            Input::Checked { height, proposer, digest, valid } => {
                self.consensus(Consensus::Validated { height, proposer, digest, valid });
            }
            Input::Done(done) => self.on_done(done?, now)?,
            Input::Fetched { from, answer } => self.on_fetched(from, answer),
        }
        Ok(())
    }

    /// What is to be done about everything handed in, and about the time that has passed.
    ///
    /// # Errors
    /// As [`Machine::handle`].
    pub fn turn(&mut self, now: Moment) -> Result<Vec<Effect>, ChainError> {
        self.fire_timers(now);
        if now.elapsed >= self.look_at {
            self.look_at = now.elapsed + LOOK_EVERY;
            self.shared.expire(now.elapsed)?;
            self.look(now);
        }
        self.collect_certificates(now)?;
        self.maybe_start(now);
        self.carry_out_decisions(now);
        self.next_work();
        Ok(std::mem::take(&mut self.effects))
    }

    /// When the next turn is due, if nothing is handed in before.
    #[must_use]
    pub fn wake_at(&self, now: Moment) -> Duration {
        let timer = self.timers.first_key_value().map(|(&(at, _), _)| at);
        let start = self.next_start(now);
        timer.into_iter().chain(start).fold(self.look_at, Duration::min)
    }

    fn on_connected(&mut self, peer: ValidatorIndex) {
        self.peers.insert(peer);
        self.consensus(Consensus::PeerConnected(peer));
        for attestation in self.attestations.values() {
            let bytes = codec::encode_attestation(attestation).into();
            self.effects.push(Effect::Send { to: peer, channel: Channel::Attestation, bytes });
        }
        self.fetch(peer);
    }

    fn on_attestation(&mut self, from: ValidatorIndex, bytes: &Bytes) {
        match codec::decode_attestation(bytes) {
            Ok(attestation) if attestation.validator == from => self.certificates.add(&attestation),
            Ok(_) => self.ban(from, "an attestation in another's name"),
            Err(_) => self.ban(from, "bytes that are no attestation"),
        }
    }

    fn ban(&mut self, peer: ValidatorIndex, what: &'static str) {
        tracing::warn!(%peer, what, "peer sends what no correct one sends");
        self.effects.push(Effect::Ban(peer));
    }

    /// What consensus wants of it comes with the turn, so that the votes of many inputs leave together.
    fn consensus(&mut self, input: Consensus) {
        self.engine.take_in(input);
    }

    fn fire_timers(&mut self, now: Moment) {
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > now.elapsed {
                return;
            }
            let timer = entry.remove();
            self.consensus(Consensus::TimerFired(timer));
        }
    }

    /// Turns what consensus wants into effects. Its records come before any of its messages.
    fn carry_out_decisions(&mut self, now: Moment) {
        loop {
            let decisions = self.engine.effects();
            if decisions.is_empty() {
                return;
            }
            let (records, spoken): (Vec<_>, Vec<_>) =
                decisions.into_iter().partition(|decision| matches!(decision, Decision::Persist(_)));
            if !records.is_empty() {
                let begun = self.begun;
                self.effects.extend(records.into_iter().filter_map(|decision| match decision {
                    Decision::Persist(record) => Some(Effect::Append { begun, record }),
                    _ => None,
                }));
                self.effects.push(Effect::Sync);
            }
            for decision in spoken {
                self.carry_out(decision, now);
            }
        }
    }

    fn carry_out(&mut self, decision: Decision, now: Moment) {
        match decision {
            Decision::Persist(_) => {}
            Decision::Send { to, message } => {
                self.effects.push(Effect::Send { to, channel: channel_of(&message), bytes: message });
            }
            Decision::Broadcast { message } => {
                self.effects.push(Effect::Broadcast { channel: channel_of(&message), bytes: message });
            }
            Decision::SetTimer { timer, after } => {
                self.timers_set += 1;
                self.timers.insert((now.elapsed + after, self.timers_set), timer);
            }
            Decision::Validate { height, proposer, digest, body } => {
                if self.shared.checked.lock().contains(&digest) {
                    return self.consensus(Consensus::Validated { height, proposer, digest, valid: true });
                }
                self.effects.push(Effect::Run(Job::Check { height, proposer, digest, body }));
            }
            Decision::Wanted { height } => {
                self.wanted.insert(height);
            }
            Decision::Decided(superblock) => {
                if superblock.height > self.shared.head.load().height() {
                    self.decided.insert(superblock.height, superblock);
                }
            }
            Decision::ProposalTooLarge { height } => {
                // The pool fills proposals below the bound, so this height starts without one of ours.
                tracing::error!(%height, "own proposal is above consensus' bound");
                let empty = Proposal { time_ms: now.wall_ms, transactions: Vec::new() };
                self.consensus(Consensus::Start { height, proposal: empty.encode().into() });
            }
            Decision::Misbehaved { peer } => self.ban(peer, "bytes that are no message of consensus"),
            Decision::Behind { height } => {
                tracing::debug!(%height, "others are ahead");
                self.behind = true;
                self.fetch_from_any();
            }
        }
    }

    /// Asks for blocks or certificates when some have been missing for a while.
    fn look(&mut self, now: Moment) {
        let head = self.shared.head.load().height();
        let waits = self.certificates.certified() < head
            && now.elapsed.saturating_sub(self.certified_at) > 2 * LOOK_EVERY;
        if waits || self.behind {
            self.certified_at = now.elapsed;
            if waits {
                // If each of the validators lacks another's attestation, no one of them can give the others a certificate.
                self.effects.extend(self.attestations.values().map(|attestation| Effect::Broadcast {
                    channel: Channel::Attestation,
                    bytes: codec::encode_attestation(attestation).into(),
                }));
            }
            self.fetch_from_any();
        }
    }

    fn fetch_from_any(&mut self) {
        let turn = self.fetches.checked_rem(self.peers.len()).unwrap_or_default();
        if let Some(&peer) = self.peers.iter().nth(turn) {
            self.fetch(peer);
        }
    }

    fn fetch(&mut self, from: ValidatorIndex) {
        if self.fetching != Fetching::Idle {
            return;
        }
        self.fetching = Fetching::Asked;
        self.fetches = self.fetches.wrapping_add(1);
        let has = self.shared.head.load().height();
        let request = SyncRequest { from: self.certificates.certified().0 + 1, has: has.0 };
        self.effects.push(Effect::Fetch { from, request: request.encode().into() });
    }

    fn on_fetched(&mut self, from: ValidatorIndex, answer: Option<SyncResponse>) {
        self.fetching = Fetching::Idle;
        let Some(answer) = answer else { return };
        let items = answer.items.len();
        self.claims.note(from, answer.certified);
        let believed = self.claims.believed(self.shared.genesis.fault_bound());
        self.shared.highest_known.store(believed.0, Ordering::Relaxed);
        self.behind = answer.certified > self.shared.head.load().height();
        if items > 0 {
            tracing::debug!(%from, blocks = items, "import certified blocks");
            self.fetching = Fetching::Importing;
            self.queue.push_back(Job::Import { from, items: answer.items });
        }
    }
}

/// Votes do not wait behind proposals.
fn channel_of(message: &[u8]) -> Channel {
    if carries_body(message) { Channel::Bodies } else { Channel::Consensus }
}
