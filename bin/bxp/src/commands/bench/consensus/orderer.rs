//! The driver of consensus alone: several heights open at once, superblocks in order, and nothing executed.
//!
//! It has the time and the sockets. What consensus says goes to the journal first; checks and timers do not wait for it.

use super::{
    journal::Journal,
    pool::{Batch, Pool, whole},
};
use anyhow::{Context, Result, bail, ensure};
use bxp_consensus::{Effect, Engine, Input, Superblock, Timer, wire::carries_body};
use bxp_network::{Channel, Event, Network};
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender};

/// Inputs taken in one turn, whose votes leave together.
const INPUTS_PER_TURN: usize = 256;
/// Heights that may be decided here and not everywhere; beyond them this node begins no further one.
const UNSETTLED_MAX: u64 = 64;

/// When heights begin.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Heights that a node has open of its own accord.
    pub(super) open_max: u64,
    /// While own transactions are under way and less than a full proposal waits, the next height begins after this.
    pub(super) spread_ms: u64,
    /// The next height does not begin earlier than this, unless a full proposal waits or others have begun it.
    pub(super) pause_ms: u64,
}

impl Pace {
    /// How far others may be ahead.
    pub(super) const fn heights_ahead(self) -> u64 {
        2 * self.open_max + 2
    }
}

/// What a node has done so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counters {
    pub(super) superblocks: u64,
    pub(super) transactions: u64,
    /// Bodies of all superblocks.
    pub(super) body_bytes: u64,
    /// Messages handed to the network, once for each peer.
    pub(super) sent_messages: u64,
    pub(super) sent_bytes: u64,
    pub(super) proposals_left_out: u64,
    pub(super) turns: u64,
}

pub(super) struct Orderer {
    me: ValidatorIndex,
    engine: Engine,
    network: Network,
    pool: Arc<Pool>,
    acks: UnboundedSender<(u64, u64)>,
    pace: Pace,
    started: Height,
    started_at: Instant,
    wanted: BTreeSet<Height>,
    timers: BTreeMap<(Instant, u64), Timer>,
    timers_set: u64,
    /// Own transactions under way.
    ours: BTreeMap<Height, Batch>,
    /// Decided before a lower one was.
    early: BTreeMap<Height, Superblock>,
    /// The last height up to which all are decided.
    head: Height,
    /// Digest over all superblocks up to each height that is not settled.
    chain: BTreeMap<Height, Digest>,
    /// What each validator has said to have decided last.
    reached: Vec<Height>,
    /// What others have decided at heights that this node has not come to.
    claims: BTreeMap<(Height, ValidatorIndex), Digest>,
    settled: Height,
    connected: BTreeSet<ValidatorIndex>,
    counters: Counters,
}

impl Orderer {
    pub(super) fn new(
        me: ValidatorIndex,
        validators: usize,
        engine: Engine,
        network: Network,
        pool: Arc<Pool>,
        acks: UnboundedSender<(u64, u64)>,
        pace: Pace,
    ) -> Self {
        Self {
            me,
            engine,
            network,
            pool,
            acks,
            pace,
            started: Height(0),
            started_at: Instant::now(),
            wanted: BTreeSet::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            ours: BTreeMap::new(),
            early: BTreeMap::new(),
            head: Height(0),
            chain: BTreeMap::from([(Height(0), Digest([0; 32]))]),
            reached: vec![Height(0); validators],
            claims: BTreeMap::new(),
            settled: Height(0),
            connected: BTreeSet::new(),
            counters: Counters::default(),
        }
    }

    /// Runs until `asked` ends. `tell` is called once when all are connected, and for each time that is asked.
    pub(super) async fn run(
        &mut self,
        journal: &mut Journal,
        mut flushed: UnboundedReceiver<Vec<Effect>>,
        mut events: Receiver<Event>,
        mut asked: UnboundedReceiver<()>,
        tell: impl Fn(Counters) -> Result<()>,
    ) -> Result<()> {
        let pool = Arc::clone(&self.pool);
        let mut ready = false;
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                effects = flushed.recv() => match effects {
                    Some(effects) => self.carry_out(effects)?,
                    None => bail!("the log's thread has ended"),
                },
                event = events.recv() => match event {
                    Some(event) => self.on_event(event)?,
                    None => bail!("the network has ended"),
                },
                question = asked.recv() => match question {
                    Some(()) => tell(self.counters)?,
                    None => return Ok(()),
                },
                () = pool.grew.notified() => {}
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            for _ in 0..INPUTS_PER_TURN {
                if let Ok(effects) = flushed.try_recv() {
                    self.carry_out(effects)?;
                } else if let Ok(event) = events.try_recv() {
                    self.on_event(event)?;
                } else {
                    break;
                }
            }
            if !ready && self.connected.len() + 1 == self.reached.len() {
                ready = true;
                tell(self.counters)?;
            }
            self.fire_timers();
            self.begin_heights();
            self.turn(journal)?;
        }
    }

    fn on_event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Connected(peer) => {
                self.connected.insert(peer);
                self.engine.take_in(Input::PeerConnected(peer));
                self.network.broadcast(Channel::Attestation, &self.attestation());
            }
            Event::Message { from, channel: Channel::Attestation, bytes } => self.attested(from, &bytes)?,
            Event::Message { from, bytes, .. } => {
                self.engine.take_in(Input::Received { from, message: bytes });
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets consensus work on all that was taken in, and hands the outcome to the journal.
    fn turn(&mut self, journal: &mut Journal) -> Result<()> {
        self.counters.turns += 1;
        while !self.work(journal)? {}
        Ok(())
    }

    /// One step of a turn. True when nothing is left to do at once.
    fn work(&mut self, journal: &mut Journal) -> Result<bool> {
        let mut waiting = Vec::new();
        loop {
            let effects = self.engine.effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Validate { height, proposer, digest, body } => {
                        let valid = whole(&body, body.len())
                            .is_some_and(|(_, whole_bytes)| whole_bytes == body.len());
                        self.engine.take_in(Input::Validated { height, proposer, digest, valid });
                    }
                    Effect::SetTimer { timer, after } => {
                        self.timers_set += 1;
                        self.timers.insert((Instant::now() + after, self.timers_set), timer);
                    }
                    Effect::Wanted { height } => drop(self.wanted.insert(height)),
                    Effect::Misbehaved { peer } => bail!("validator {peer} sends what is no message"),
                    Effect::Behind { .. } | Effect::ProposalTooLarge { .. } => {}
                    other => waiting.push(other),
                }
            }
        }
        if waiting.is_empty() {
            return Ok(true);
        }
        let at_once = journal.write(self.started, self.settled, waiting)?;
        let done = at_once.is_empty();
        self.carry_out(at_once)?;
        Ok(done)
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<()> {
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    self.count_sent(&message, 1);
                    // Consensus says everything again when the peer comes back.
                    let _ = self.network.send(to, channel_of(&message), message);
                }
                Effect::Broadcast { message } => {
                    self.count_sent(&message, self.connected.len() as u64);
                    self.network.broadcast(channel_of(&message), &message);
                }
                Effect::Decided(superblock) => self.decided(superblock)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn count_sent(&mut self, message: &Bytes, peers: u64) {
        self.counters.sent_messages += peers;
        self.counters.sent_bytes += peers * message.len() as u64;
    }

    fn decided(&mut self, superblock: Superblock) -> Result<()> {
        self.early.insert(superblock.height, superblock);
        let before = self.head;
        while let Some(superblock) = self.early.remove(&self.head.next()) {
            self.head = superblock.height;
            self.take(&superblock);
            self.compare()?;
        }
        if self.head > before {
            self.network.broadcast(Channel::Attestation, &self.attestation());
            self.reach(self.me, self.head);
        }
        Ok(())
    }

    /// One superblock, in order.
    fn take(&mut self, superblock: &Superblock) {
        let mut chained = BytesMut::with_capacity(64);
        let before = self.chain.last_key_value().map_or([0; 32], |(_, digest)| digest.0);
        chained.put_slice(&before);
        chained.put_slice(superblock.digest().as_bytes());
        self.chain.insert(superblock.height, Digest::of(&chained));
        self.counters.superblocks += 1;
        for proposal in &superblock.proposals {
            self.counters.body_bytes += proposal.body.len() as u64;
            let transactions = whole(&proposal.body, proposal.body.len()).map_or(0, |(count, _)| count);
            self.counters.transactions += transactions;
        }
        if let Some(batch) = self.ours.remove(&superblock.height) {
            if superblock.bitmask.contains(self.me) {
                // A client that has gone needs no answer.
                let _ = self.acks.send((batch.first, batch.count));
            } else {
                self.counters.proposals_left_out += 1;
                self.pool.again(batch);
            }
        }
    }

    /// `height (8) digest (32)`: the last height up to which all are decided here, and what they are.
    fn attestation(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(40);
        bytes.put_u64(self.head.0);
        bytes.put_slice(&self.chain.get(&self.head).map_or([0; 32], |digest| digest.0));
        bytes.freeze()
    }

    fn attested(&mut self, from: ValidatorIndex, bytes: &[u8]) -> Result<()> {
        let Some((height, digest)) = bytes.split_first_chunk::<8>() else { bail!("{from} attests nothing") };
        let height = Height(u64::from_be_bytes(*height));
        let digest = Digest(digest.try_into().context("read an attestation")?);
        self.claims.insert((height, from), digest);
        self.reach(from, height);
        self.compare()
    }

    /// Agreement: what others have decided is what this node has.
    fn compare(&mut self) -> Result<()> {
        while let Some(claim) = self.claims.first_entry().filter(|claim| claim.key().0 <= self.head) {
            let ((height, from), digest) = claim.remove_entry();
            let ours = self.chain.get(&height);
            ensure!(ours.is_none_or(|ours| *ours == digest), "{from} has decided something else at {height}");
        }
        Ok(())
    }

    /// Heights that all have decided are forgotten.
    fn reach(&mut self, validator: ValidatorIndex, height: Height) {
        if let Some(reached) = self.reached.get_mut(usize::from(validator.0)) {
            *reached = height.max(*reached);
        }
        let settled = self.reached.iter().min().copied().unwrap_or_default().min(self.head);
        if settled > self.settled {
            self.settled = settled;
            self.chain = self.chain.split_off(&settled);
            self.engine.take_in(Input::Settled(settled));
        }
    }

    fn fire_timers(&mut self) {
        let now = Instant::now();
        while let Some(due) = self.timers.first_entry().filter(|due| due.key().0 <= now) {
            self.engine.take_in(Input::TimerFired(due.remove()));
        }
    }

    fn wake_at(&self) -> Instant {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        let spread = (self.may_begin() && !self.pool.is_empty()).then(|| self.spread_over());
        let far = Instant::now() + Duration::from_secs(60);
        timer.into_iter().chain(spread).min().unwrap_or(far)
    }

    /// When less than a full proposal is worth a height.
    fn spread_over(&self) -> Instant {
        let wait = if self.ours.is_empty() { self.pace.pause_ms } else { self.pace.spread_ms };
        self.started_at + Duration::from_millis(wait)
    }

    fn may_begin(&self) -> bool {
        self.started.0 < self.head.0 + self.pace.open_max && self.started.0 < self.settled.0 + UNSETTLED_MAX
    }

    /// Joins heights that others have begun, and begins new ones: at once where a proposal would be full, otherwise at
    /// intervals, shorter ones where no own transaction is under way.
    fn begin_heights(&mut self) {
        loop {
            let next = self.started.next();
            let wanted = self.wanted.last().is_some_and(|wanted| *wanted >= next);
            let worth_it =
                || self.pool.is_full() || (!self.pool.is_empty() && Instant::now() >= self.spread_over());
            let begin = wanted || (self.may_begin() && worth_it());
            if !begin {
                return;
            }
            let batch = self.pool.next();
            let proposal = batch.body.clone();
            if batch.count > 0 {
                self.ours.insert(next, batch);
            }
            self.started = next;
            self.started_at = Instant::now();
            self.wanted = self.wanted.split_off(&next.next());
            self.engine.take_in(Input::Start { height: next, proposal });
        }
    }
}

/// Votes do not wait behind proposals.
fn channel_of(message: &[u8]) -> Channel {
    if carries_body(message) { Channel::Bodies } else { Channel::Consensus }
}
