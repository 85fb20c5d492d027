//! All validators in virtual time: what is on its way, and when which driver has its turn.

use super::{
    ModelError, Report, Setup,
    place::Place,
    report::Measure,
    server::Server,
    validator::{Handed, Taken, Validator},
};
use bxp_consensus::{Input, Timer};
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

/// Bytes of a frame beside its content: yamux 12, noise 18, its length 4.
const FRAME_BYTES: u64 = 34;
/// What Ethernet, IP and TCP add to full segments: 1,514 bytes with preamble and gap for 1,448.
const SEGMENT_FACTOR: f64 = 1.062;
/// What is ready sooner than this is ready at once: it saves most events and is below what a thread's wake-up takes.
const AT_ONCE: Duration = Duration::from_micros(20);
/// A message takes up to so many parts of 1,000 longer than the distance says.
const JITTER_PERMILLE: u64 = 50;
/// No run takes more events or more virtual time than this.
const EVENTS_MAX: u64 = 2_000_000_000;
const VIRTUAL_MAX: Duration = Duration::from_secs(1_000);
/// An attestation: height and digest.
pub(super) const ATTESTATION_BYTES: u64 = 40;

/// A message between two validators.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) from: ValidatorIndex,
    pub(super) content: Content,
    /// What it is charged for.
    pub(super) bytes: u64,
    pub(super) votes: u32,
    /// Whether a body is in it, which votes do not wait for.
    pub(super) is_body: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Consensus(Bytes),
    Attestation(Height),
}

pub(super) enum Event {
    Arrives(usize, Frame),
    Taken(usize, Taken),
    Turn(usize),
    Timer(usize, Timer),
    Submitted(usize, Handed),
    /// A block is there, with so many transactions, of which so many are the validator's own.
    Executed {
        node: usize,
        height: Height,
        transactions: u64,
        own: u64,
    },
}

/// The order of events is that of time, then of their making.
/// Boxed, since the queue moves its entries about.
pub(super) struct Due(Duration, u64, Box<Event>);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub(super) struct Network<'a> {
    pub(super) setup: &'a Setup,
    pub(super) now: Duration,
    queue: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    events: u64,
    rng: ChaCha8Rng,
    pub(super) validators: Vec<Validator>,
    /// One a validator, or one for all.
    processors: Vec<Server>,
    up: Vec<Server>,
    down: Vec<Server>,
    /// What each proposal holds.
    pub(super) declared: BTreeMap<(Height, ValidatorIndex), u64>,
    pub(super) measure: Measure,
}

impl<'a> Network<'a> {
    pub(super) fn new(setup: &'a Setup) -> Result<Self, ModelError> {
        let indices =
            (0..setup.validators).map(|index| ValidatorIndex(u16::try_from(index).unwrap_or(u16::MAX)));
        let validators: Result<Vec<_>, _> = indices.map(|me| Validator::new(me, setup)).collect();
        let machines = if setup.place == Place::Local { 1 } else { setup.validators };
        let mut network = Self {
            setup,
            now: Duration::ZERO,
            queue: BinaryHeap::new(),
            sequence: 0,
            events: 0,
            rng: ChaCha8Rng::seed_from_u64(setup.seed),
            validators: validators?,
            processors: vec![Server::new(f64::from(setup.cores)); machines],
            up: vec![Server::new(1.0); setup.validators],
            down: vec![Server::new(1.0); setup.validators],
            declared: BTreeMap::new(),
            measure: Measure::new(setup),
        };
        for node in 0..setup.validators {
            network.submit(node, setup.in_flight);
        }
        Ok(network)
    }

    pub(super) fn run(mut self) -> Result<Report, ModelError> {
        while !self.measure.is_over() {
            let next = self.queue.pop().filter(|_| self.events < EVENTS_MAX && self.now < VIRTUAL_MAX);
            let Some(Reverse(Due(at, _, event))) = next else {
                return Err(ModelError::Stuck {
                    decided: self.measure.decided(),
                    events: self.events,
                    seconds: self.now.as_secs(),
                });
            };
            self.now = at;
            self.events += 1;
            match *event {
                Event::Arrives(node, frame) => self.arrives(node, frame),
                Event::Taken(node, taken) => self.take(node, taken),
                Event::Turn(node) => self.turn(node),
                Event::Timer(node, timer) => self.take(node, Taken::Timer(timer)),
                Event::Submitted(node, handed) => {
                    self.validators[node].submit(handed);
                    self.take(node, Taken::Look);
                }
                Event::Executed { node, height, transactions, own } => {
                    self.executed(node, height, transactions, own);
                }
            }
        }
        Ok(Report::new(self.setup, &self.measure, self.events, self.now))
    }

    pub(super) fn at(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse(Due(at.max(self.now), self.sequence, Box::new(event))));
    }

    /// Work on a validator's processor. Where all share one machine nobody's work is more urgent than that of others.
    pub(super) fn work(
        &mut self,
        node: usize,
        from: Duration,
        cost_us: f64,
        threads: f64,
        urgent: bool,
    ) -> Duration {
        let local = self.setup.place == Place::Local;
        let processor = &mut self.processors[if local { 0 } else { node }];
        processor.serve(self.now, from, Duration::from_secs_f64(cost_us / 1e6), threads, urgent && !local)
    }

    /// Work that all cores can share.
    pub(super) fn work_wide(&mut self, node: usize, from: Duration, cost_us: f64) -> Duration {
        let width = self.processors[0].width();
        self.work(node, from, cost_us, width, false)
    }

    /// Clients of this validator hand that many transactions in.
    pub(super) fn submit(&mut self, node: usize, count: u64) {
        let (costs, now) = (self.setup.costs, self.now);
        let recovery = if self.setup.signed.is_some() { costs.recovery_us } else { 0.0 };
        let client = if self.setup.place == Place::Local { costs.client_us } else { 0.0 };
        let ready = self.work_wide(node, now, count as f64 * (costs.intake_us + recovery + client));
        self.at(ready, Event::Submitted(node, Handed { at: now, count }));
    }

    /// Sends a frame to the others, or to one of them, beginning at `from`.
    pub(super) fn send(&mut self, node: usize, to: Option<usize>, frame: &Frame, from: Duration) {
        let n = self.setup.validators;
        let targets: Vec<usize> = match to {
            Some(to) => vec![to],
            // Whoever comes last with one sender comes first with another.
            None => (1..n).map(|step| (node + step) % n).collect(),
        };
        if targets.is_empty() {
            return;
        }
        let costs = self.setup.costs;
        let one_us = costs.frame_send_us + frame.bytes as f64 * costs.transport_s_per_gb / 2.0 / 1e3;
        let urgent = !frame.is_body;
        let all_us = one_us * targets.len() as f64;
        // Connections are tasks of their own, so that several cores encrypt for several peers.
        let threads = (targets.len() as f64).min(self.processors[0].width());
        let end = self.work(node, from, all_us, threads, urgent);
        let step = end.saturating_sub(from).div_f64(targets.len() as f64);
        self.measure.sent(frame.bytes, targets.len() as u64);
        let wire = self.on_the_wire(frame.bytes);
        let mut ready = from;
        for to in targets {
            ready += step;
            let gone = self.up[node].serve(self.now, ready, wire, 1.0, urgent);
            let way = self.setup.place.one_way(node, to);
            let jitter = way * u32::try_from(self.rng.random_range(0..JITTER_PERMILLE)).unwrap_or(0) / 1_000;
            self.at(gone + way + jitter, Event::Arrives(to, frame.clone()));
        }
    }

    fn on_the_wire(&self, bytes: u64) -> Duration {
        let bits = (bytes + FRAME_BYTES) as f64 * SEGMENT_FACTOR * 8.0;
        Duration::from_secs_f64(bits / (self.setup.gigabits * 1e9))
    }

    /// The first bit of a frame is here; it has to come in and to be decrypted.
    fn arrives(&mut self, node: usize, frame: Frame) {
        let wire = self.on_the_wire(frame.bytes);
        let urgent = !frame.is_body;
        let here = self.down[node].serve(self.now, self.now, wire, 1.0, urgent);
        let costs = self.setup.costs;
        let cost_us = costs.frame_receive_us + frame.bytes as f64 * costs.transport_s_per_gb / 2.0 / 1e3;
        let ready = self.work(node, here, cost_us, 1.0, urgent);
        let taken = match frame.content {
            Content::Consensus(message) => Taken::Frame {
                input: Input::Received { from: frame.from, message },
                votes: frame.votes,
                hashed_bytes: if frame.is_body { frame.bytes } else { 0 },
            },
            Content::Attestation(height) => Taken::Reached(frame.from, height),
        };
        if ready <= self.now + AT_ONCE {
            self.take(node, taken);
        } else {
            self.at(ready, Event::Taken(node, taken));
        }
    }

    /// Something is there for a driver.
    pub(super) fn take(&mut self, node: usize, taken: Taken) {
        let validator = &mut self.validators[node];
        validator.inbox.push_back(taken);
        if !validator.turn_set {
            validator.turn_set = true;
            let at = validator.driver_free;
            self.at(at, Event::Turn(node));
        }
    }

    /// A check has been asked for.
    pub(super) fn check(
        &mut self,
        node: usize,
        from: Duration,
        height: Height,
        proposer: ValidatorIndex,
        digest: Digest,
    ) {
        let transactions = self.declared.get(&(height, proposer)).copied().unwrap_or(0);
        let done = self.work_wide(node, from, transactions as f64 * self.setup.costs.recovery_us);
        self.at(done, Event::Taken(node, Taken::Validated { height, proposer, digest }));
    }

    /// How busy everything has been so far: cores, up and down, and the making of blocks.
    pub(super) fn busy(&self) -> [Duration; 4] {
        let of = |servers: &[Server]| -> Duration { servers.iter().map(|server| server.busy).sum() };
        let executing: Duration = self.validators.iter().map(|validator| validator.executing).sum();
        [of(&self.processors), of(&self.up), of(&self.down), executing]
    }
}
