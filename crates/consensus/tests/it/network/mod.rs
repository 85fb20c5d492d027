//! A deterministic network of engines: one seed gives delays, reordering, duplicates, lost connections, crashes at
//! any effect, restarts from exactly the persisted records, and Byzantine validators. Time is virtual.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bxp_consensus::{Config, Effect, Engine, Input, Superblock, Timer};
use bxp_types::{Digest, Height, NetworkId, ValidatorIndex};
use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use adversary::Adversary;
use audit::Audit;

pub(crate) mod adversary;
mod audit;
mod connections;
mod plan;

pub(crate) use plan::{Checks, Plan};

pub(crate) const NETWORK: NetworkId = NetworkId([7; 32]);
/// No run may take more virtual time or more events than this.
const TIME_MAX: Duration = Duration::from_secs(3_600);
const EVENTS_MAX: usize = 400_000;

/// The seeds of a test: `count` of them from `first`, times `BXP_SEEDS_FACTOR` if that is set, for longer searches.
pub(crate) fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let factor = std::env::var("BXP_SEEDS_FACTOR").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    first..first + count * factor
}

enum Event {
    Deliver { from: usize, to: usize, link: u32, message: Bytes },
    Timer { node: usize, twin: usize, life: u32, timer: Timer },
    Validated { node: usize, twin: usize, life: u32, input: Box<Input> },
    Start { node: usize, twin: usize, life: u32, height: Height },
    Cut { a: usize, b: usize, down: Duration },
    Reconnect { a: usize, b: usize },
    Crash { node: usize, after_effects: u32 },
    Restart { node: usize },
    Settle { node: usize, height: Height },
}

struct Node {
    role: Option<Adversary>,
    /// One engine; two for twins; none while crashed, or for a node that only makes noise.
    engines: Vec<Engine>,
    log: Vec<Bytes>,
    life: u32,
    /// The heights decided in this life, to see that each is decided once.
    decided_in_life: BTreeSet<Height>,
    /// All blocks this node has, decided or synced; these survive a crash.
    chain: BTreeMap<Height, Digest>,
    settled: Height,
    crash_after_effects: Option<u32>,
}

/// A whole network.
pub(crate) struct Simulator {
    pub(crate) seed: u64,
    plan: Plan,
    rng: ChaCha8Rng,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    nodes: Vec<Node>,
    /// Number and state of the connection between two nodes.
    links: BTreeMap<(usize, usize), (u32, bool)>,
    /// What was decided, by height.
    pub(crate) agreed: BTreeMap<Height, Superblock>,
    pub(crate) audit: Audit,
    /// When each node decided each height, and every timer that was set: for tests of the fast path.
    pub(crate) decided_at: BTreeMap<(usize, Height), Duration>,
    pub(crate) timers: Vec<Timer>,
}

impl Simulator {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        assert!(
            plan.byzantine.len() <= plan.faults(),
            "more Byzantine validators than the protocol tolerates"
        );
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let correct = plan.validators - plan.byzantine.len();
        let nodes = (0..plan.validators)
            .map(|index| Node {
                role: index
                    .checked_sub(correct)
                    .map(|at| Adversary::new(plan.byzantine[at], index, &plan, &mut rng)),
                engines: Vec::new(),
                log: Vec::new(),
                life: 0,
                decided_in_life: BTreeSet::new(),
                chain: BTreeMap::new(),
                settled: Height(0),
                crash_after_effects: None,
            })
            .collect();
        let audit = Audit::new(plan.validators);
        let mut simulator = Self {
            seed,
            plan,
            rng,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            sequence: 0,
            nodes,
            links: BTreeMap::new(),
            agreed: BTreeMap::new(),
            audit,
            decided_at: BTreeMap::new(),
            timers: Vec::new(),
        };
        simulator.set_up();
        simulator
    }

    fn set_up(&mut self) {
        for node in 0..self.nodes.len() {
            let twins = self.nodes[node].role.as_ref().map_or(1, Adversary::engines);
            self.nodes[node].engines = (0..twins).map(|_| self.engine(node)).collect();
            for twin in 0..twins {
                self.schedule(Duration::ZERO, Event::Start { node, twin, life: 0, height: Height(1) });
            }
        }
        let until = u64::try_from(self.plan.faults_until.as_micros()).unwrap();
        for _ in 0..self.plan.cuts {
            let (a, b) =
                (self.rng.random_range(0..self.nodes.len()), self.rng.random_range(0..self.nodes.len()));
            let down = Duration::from_millis(self.rng.random_range(0..3_000));
            let at = Duration::from_micros(self.rng.random_range(0..=until));
            self.schedule(at, Event::Cut { a, b, down });
        }
        for _ in 0..self.plan.blackouts {
            let at = Duration::from_micros(self.rng.random_range(0..=until));
            for node in 0..self.correct() {
                let after_effects = self.rng.random_range(0..12);
                self.schedule(at, Event::Crash { node, after_effects });
            }
        }
        for _ in 0..self.plan.crashes {
            let node = self.rng.random_range(0..self.correct());
            let after_effects = self.rng.random_range(0..12);
            let at = Duration::from_micros(self.rng.random_range(0..=until));
            self.schedule(at, Event::Crash { node, after_effects });
        }
    }

    fn engine(&self, node: usize) -> Engine {
        let me = ValidatorIndex(u16::try_from(node).unwrap());
        let mut config = Config::new(me, self.plan.validators, NETWORK);
        config.verification = self.plan.verification.of(node);
        config.gather = self.plan.gather;
        Engine::new(config).unwrap()
    }

    /// Correct nodes come first.
    fn correct(&self) -> usize {
        self.plan.validators - self.plan.byzantine.len()
    }

    /// Runs until every correct node has every height, then checks the whole.
    pub(crate) fn run(&mut self) {
        let mut events = 0;
        while !self.is_done() {
            let Some(((at, _), event)) = self.queue.pop_first() else {
                panic!("{}: nothing left to do", self.state())
            };
            self.now = at;
            events += 1;
            assert!(events < EVENTS_MAX && at < TIME_MAX, "{}: no progress", self.state());
            self.carry_out(event);
        }
        if self.plan.verification == Checks::Sharded {
            self.audit.few_checks(2 * self.plan.faults(), &self.state());
        }
        for height in 1..=self.plan.heights {
            let agreed = self.agreed[&Height(height)].digest();
            for node in &self.nodes[..self.correct()] {
                assert_eq!(node.chain[&Height(height)], agreed, "{}", self.state());
            }
        }
    }

    fn is_done(&self) -> bool {
        let last = Height(self.plan.heights);
        self.nodes[..self.correct()].iter().all(|node| node.chain.contains_key(&last))
    }

    /// The seed and where everybody is, for a failure's message.
    fn state(&self) -> String {
        let chains: Vec<_> = self.nodes.iter().map(|node| (node.life, node.chain.len())).collect();
        format!(
            "seed {} at {:?}, (life, blocks) of nodes {chains:?}, plan {:?}",
            self.seed, self.now, self.plan
        )
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    fn carry_out(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, link, message } => {
                if self.link(from, to) == (link, true) {
                    self.deliver(from, to, &message);
                }
            }
            Event::Timer { node, twin, life, timer } => {
                self.input(node, twin, Some(life), Input::TimerFired(timer));
            }
            Event::Validated { node, twin, life, input } => self.input(node, twin, Some(life), *input),
            Event::Start { node, twin, life, height } => self.start(node, twin, life, height),
            Event::Cut { a, b, down } => self.cut(a, b, down),
            Event::Reconnect { a, b } => self.reconnect(a, b),
            Event::Crash { node, after_effects } => {
                self.nodes[node].crash_after_effects = Some(after_effects);
            }
            Event::Restart { node } => self.restart(node),
            Event::Settle { node, height } => {
                self.nodes[node].settled = self.nodes[node].settled.max(height);
                self.input(node, 0, None, Input::Settled(height));
                let life = self.nodes[node].life;
                self.start(node, 0, life, height.next()); // It may have been working on a settled height.
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: &Bytes) {
        let sender = ValidatorIndex(u16::try_from(from).unwrap());
        for twin in 0..self.nodes[to].engines.len() {
            self.input(to, twin, None, Input::Received { from: sender, message: message.clone() });
        }
        if let Some(mut role) = self.nodes[to].role.take() {
            for (peer, noise) in role.answer(from, message, &mut self.rng) {
                self.send(to, peer, noise);
            }
            self.nodes[to].role = Some(role);
        }
    }

    fn start(&mut self, node: usize, twin: usize, life: u32, height: Height) {
        if height.0 > self.plan.heights {
            return;
        }
        let salt: u32 = self.rng.random();
        let proposal = Bytes::from(format!("height {height} by {node}, twin {twin}, {salt}"));
        if node < self.correct() && life == self.nodes[node].life {
            self.audit.proposed(node, height, &proposal);
        }
        self.input(node, twin, Some(life), Input::Start { height, proposal });
    }

    /// Hands an input to an engine, if the node still lives that life, and carries the effects out.
    fn input(&mut self, node: usize, twin: usize, life: Option<u32>, input: Input) {
        if life.is_some_and(|life| life != self.nodes[node].life) {
            return;
        }
        let Some(engine) = self.nodes[node].engines.get_mut(twin) else { return };
        for effect in engine.handle(input) {
            if let Some(left) = self.nodes[node].crash_after_effects {
                if left == 0 {
                    return self.crash(node);
                }
                self.nodes[node].crash_after_effects = Some(left - 1);
            }
            self.effect(node, twin, effect);
        }
    }

    fn effect(&mut self, node: usize, twin: usize, effect: Effect) {
        let life = self.nodes[node].life;
        if node < self.correct() {
            self.audit.effect(node, &effect, self.seed);
        }
        match effect {
            Effect::Persist(record) => self.nodes[node].log.push(record),
            Effect::Send { to, message } => self.say(node, twin, usize::from(to.0), message),
            Effect::Broadcast { message } => {
                for to in (0..self.nodes.len()).filter(|to| *to != node) {
                    self.say(node, twin, to, message.clone());
                }
            }
            Effect::SetTimer { timer, after } => {
                self.timers.push(timer);
                // Clocks of different nodes run at different speeds.
                let after = after * self.rng.random_range(90..=110) / 100;
                self.schedule(after, Event::Timer { node, twin, life, timer });
            }
            Effect::Validate { height, proposer, digest, body } => {
                if node < self.correct() {
                    self.audit.checked(node, height, proposer, digest);
                }
                let valid = !body.starts_with(b"bad");
                let input = Box::new(Input::Validated { height, proposer, digest, valid });
                self.schedule(Duration::ZERO, Event::Validated { node, twin, life, input });
            }
            Effect::Wanted { height } if node >= self.correct() => {
                self.schedule(Duration::ZERO, Event::Start { node, twin, life, height });
            }
            Effect::Decided(superblock) => self.decided(node, twin, superblock),
            Effect::Behind { .. } => self.synchronise(node),
            Effect::Misbehaved { peer } => {
                let by_correct = node >= self.correct() || usize::from(peer.0) >= self.correct();
                assert!(by_correct, "{}: node {node} finds fault with {peer}", self.state());
            }
            Effect::Wanted { .. } | Effect::ProposalTooLarge { .. } => {}
        }
    }

    fn decided(&mut self, node: usize, twin: usize, superblock: Superblock) {
        let (height, life) = (superblock.height, self.nodes[node].life);
        self.schedule(Duration::ZERO, Event::Start { node, twin, life, height: height.next() });
        if node >= self.correct() {
            return;
        }
        let state = self.state();
        assert!(
            self.nodes[node].decided_in_life.insert(height),
            "{state}: node {node} decides {height} twice"
        );
        self.audit.superblock(&superblock, self.plan.validators - self.plan.faults(), &state);
        self.decided_at.entry((node, height)).or_insert(self.now);
        self.nodes[node].chain.insert(height, superblock.digest());
        let agreed = self.agreed.entry(height).or_insert_with(|| superblock.clone());
        assert_eq!(*agreed, superblock, "{state}: node {node} disagrees");
        self.settle(height);
    }

    /// Final elsewhere: once all correct nodes have it, or (early) once as many have it as may be waited for.
    fn settle(&mut self, height: Height) {
        let holders: Vec<usize> =
            (0..self.correct()).filter(|node| self.nodes[*node].chain.contains_key(&height)).collect();
        let enough =
            if self.plan.settle_early { self.plan.validators - self.plan.faults() } else { self.correct() };
        if holders.len() < enough || height.0 == self.plan.heights {
            return;
        }
        for node in holders {
            let after = Duration::from_micros(self.rng.random_range(0..200_000));
            self.schedule(after, Event::Settle { node, height });
        }
    }

    /// What block sync does: hands over final blocks that this node lacks.
    fn synchronise(&mut self, node: usize) {
        let settled = self.nodes[..self.correct()].iter().map(|node| node.settled).max().unwrap_or_default();
        if node >= self.correct() || self.nodes[node].settled >= settled {
            return;
        }
        for height in (1..=settled.0).map(Height) {
            let digest = self.agreed[&height].digest();
            self.nodes[node].chain.insert(height, digest);
        }
        let life = self.nodes[node].life;
        self.schedule(Duration::ZERO, Event::Settle { node, height: settled });
        self.schedule(Duration::ZERO, Event::Start { node, twin: 0, life, height: settled.next() });
    }

    /// A node says something: an adversary may say something else.
    fn say(&mut self, from: usize, twin: usize, to: usize, message: Bytes) {
        let messages = match &mut self.nodes[from].role {
            Some(role) => role.distort(twin, to, message, &mut self.rng),
            None => vec![message],
        };
        for message in messages {
            self.send(from, to, message);
        }
    }
}
