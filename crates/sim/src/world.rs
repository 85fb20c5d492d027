//! A whole network in one process: virtual time, and everything that happens in one order that the seed decides.

mod faults;
mod flow;
mod load;
mod traffic;

use crate::{
    audit::Audit,
    byzantine::{Behaviour, Byzantine},
    clients::Clients,
    host::{Host, START_MS, signing_key},
    links::Links,
    plan::{Fault, Plan},
    report::{Failure, Summary},
    sabotage::Sabotage,
    trace::Trace,
    wallet::CHAIN_ID,
};
use alloy_primitives::{Address, B256};
use bxp_chain::Job;
use bxp_consensus::Verification;
use bxp_network::Channel;
use bxp_storage::MemoryDisk;
use bxp_types::{Amount, Genesis, GenesisAccount, Height, Jurisdiction, ValidatorEntry, ValidatorIndex};
use bytes::Bytes;
use ed25519_zebra::VerificationKey;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, ops::Range, time::Duration};

/// Within this time after everything has healed, whatever was acknowledged must be final everywhere.
const PROGRESS_WITHIN: Duration = Duration::from_secs(180);
/// No run may take more steps than this.
const STEPS_MAX: u64 = 3_000_000;
/// How often a Byzantine validator gets a chance to speak of itself.
const TICK: Duration = Duration::from_millis(150);
/// How often it is looked whether the run may end.
const LOOK: Duration = Duration::from_millis(250);

/// Something that will happen.
pub(crate) enum Event {
    Deliver { from: usize, to: usize, link: u32, channel: Channel, bytes: Bytes },
    Turn { host: usize, life: u32, number: u64 },
    Flushed { host: usize, life: u32 },
    JobDone { host: usize, life: u32, job: Box<Job> },
    Asked { from: usize, to: usize, life: u32, number: u64, request: Bytes },
    Answered { host: usize, life: u32, number: u64, from: ValidatorIndex, answer: Option<Bytes> },
    Kept { host: usize, life: u32 },
    Submit,
    Submitted { host: usize, raw: Bytes, hash: B256 },
    Fault(Fault),
    Start { host: usize },
    Connect { a: usize, b: usize },
    Tick { host: usize },
    Heal,
    Look,
}

/// A run.
pub(crate) struct World {
    seed: u64,
    sabotage: Option<Sabotage>,
    plan: Plan,
    rng: ChaCha8Rng,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    steps: u64,
    genesis: Genesis,
    hosts: Vec<Host>,
    links: Links,
    clients: Clients,
    audit: Audit,
    trace: Trace,
    healed_at: Option<Duration>,
    /// Transactions by which each correct node shows that it works, with its place.
    probes: Vec<(usize, B256, Bytes)>,
    looks: u64,
    /// The height that every correct node must reach.
    goal: Option<Height>,
    crashes: u64,
    ended: bool,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        validators: usize,
        verification: Verification,
        print: bool,
        sabotage: Option<Sabotage>,
    ) -> Self {
        let mut plan = Plan::of(seed, validators, verification);
        let liars = Plan::fault_bound(validators) + 1;
        match sabotage {
            Some(Sabotage::TooManyLiars) => plan.byzantine = vec![Behaviour::TwoBodies; liars],
            Some(Sabotage::TooManyFalseVerifiers) => {
                plan.sharding = vec![true; validators];
                plan.byzantine = vec![Behaviour::WrongSenders];
                plan.byzantine.resize(liars, Behaviour::FalseValid);
            }
            _ => {}
        }
        let clients = Clients::new();
        let genesis = genesis(validators, clients.addresses());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let hosts = hosts(&plan, &genesis, seed, &mut rng);
        if sabotage == Some(Sabotage::DiskLies) {
            hosts.iter().for_each(|host| host.disk.lie_about_syncs());
        }
        Self {
            sabotage,
            seed,
            rng,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            sequence: 0,
            steps: 0,
            hosts,
            links: Links::default(),
            clients,
            audit: Audit::new(&genesis),
            genesis,
            trace: Trace::new(print),
            healed_at: None,
            probes: Vec::new(),
            looks: 0,
            goal: None,
            crashes: 0,
            ended: false,
            plan,
        }
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Summary {
        let plan = format!("{:?}", self.plan);
        self.trace.note(self.now, format_args!("seed {} plan {plan}", self.seed));
        self.begin();
        let outcome = self.run_events();
        self.summary(outcome.err())
    }

    fn begin(&mut self) {
        for host in 0..self.hosts.len() {
            let late = self.between(0..200_000);
            self.at(late, Event::Start { host });
            if self.hosts[host].byzantine.is_some() {
                self.at(TICK, Event::Tick { host });
            }
        }
        for (at, fault) in self.plan.faults.clone() {
            self.at(at, Event::Fault(fault));
        }
        self.at(Duration::from_millis(300), Event::Submit);
        self.at(self.plan.trouble, Event::Heal);
        self.at(LOOK, Event::Look);
    }

    fn run_events(&mut self) -> Result<(), Failure> {
        while !self.ended {
            let Some(((at, _), event)) = self.queue.pop_first() else {
                return Err(self.failure(None, "nothing will happen any more"));
            };
            self.now = at;
            self.steps += 1;
            self.handle(event)?;
            if self.steps > STEPS_MAX {
                return Err(self.failure(None, "the run does not come to an end"));
            }
        }
        self.audit.check_end().map_err(|what| self.failure(None, &what))
    }

    fn handle(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Deliver { from, to, link, channel, bytes } => self.deliver(from, to, link, channel, bytes),
            Event::Turn { host, life, number } => return self.turn(host, life, number),
            Event::Flushed { host, life } => return self.flushed(host, life),
            Event::JobDone { host, life, job } => self.job_done(host, life, *job),
            Event::Asked { from, to, life, number, request } => self.asked(from, to, life, number, &request),
            Event::Answered { host, life, number, from, answer } => {
                self.answered(host, life, number, from, answer);
            }
            Event::Kept { host, life } => self.kept(host, life),
            Event::Submit => self.submit(),
            Event::Submitted { host, raw, hash } => self.submitted(host, &raw, hash),
            Event::Fault(fault) => self.fault(fault),
            Event::Start { host } => return self.start(host),
            Event::Connect { a, b } => self.connect(a, b),
            Event::Tick { host } => self.tick(host),
            Event::Heal => self.heal(),
            Event::Look => return self.look(),
        }
        Ok(())
    }

    /// Puts something on the list, after `delay` from now.
    fn at(&mut self, delay: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), event);
    }

    /// A random time of so many microseconds.
    fn between(&mut self, micros: Range<u64>) -> Duration {
        let micros = if micros.is_empty() { micros.start } else { self.rng.random_range(micros) };
        Duration::from_micros(micros)
    }

    fn is_calm(&self) -> bool {
        self.healed_at.is_some()
    }

    fn correct(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.hosts[*host].is_correct()).collect()
    }

    fn failure(&self, host: Option<usize>, what: &str) -> Failure {
        Failure { at_s: self.now.as_secs_f64(), host, what: what.to_owned(), last: Vec::new() }
    }

    /// Looks whether the run may end: all correct nodes have what was acknowledged, and the same blocks.
    fn look(&mut self) -> Result<(), Failure> {
        self.at(LOOK, Event::Look);
        let Some(healed_at) = self.healed_at else { return Ok(()) };
        if self.is_settled() {
            self.ended = true;
            return Ok(());
        }
        if self.now > healed_at + PROGRESS_WITHIN {
            let what =
                format!("no progress within {} s of healing: {}", PROGRESS_WITHIN.as_secs(), self.state());
            return Err(self.failure(None, &what));
        }
        self.submit_again();
        if self.looks.is_multiple_of(8) {
            self.send_unacknowledged();
        }
        self.looks += 1;
        Ok(())
    }

    /// Whether every correct node has all of it. Blocks may go on coming while this is asked, so the goal is the chain
    /// as it was when everything was first in it.
    fn is_settled(&mut self) -> bool {
        let probed = self.probes.iter().all(|(_, hash, _)| self.audit.is_included(*hash));
        if self.goal.is_none() && probed && !self.probes.is_empty() && self.audit.unsettled().is_none() {
            self.goal = Some(self.audit.height());
        }
        let Some(goal) = self.goal else { return false };
        self.correct().into_iter().all(|host| {
            let process = self.hosts[host].process.as_ref();
            process.is_some_and(|process| process.shared.head().height() >= goal)
        })
    }

    /// Where everybody is, for a failure's line.
    fn state(&self) -> String {
        let of = |host: usize| match &self.hosts[host].process {
            Some(process) => {
                let load = process.machine.load();
                format!("host {host} at {} {load:?}", process.shared.head().height())
            }
            None => format!("host {host} is down"),
        };
        let hosts: Vec<String> = self.correct().into_iter().map(of).collect();
        let missing = self.probes.iter().filter(|(_, hash, _)| !self.audit.is_included(*hash)).count();
        format!(
            "chain at {}, {missing} probes and {:?} missing; {}",
            self.audit.height(),
            self.audit.unsettled(),
            hosts.join("; ")
        )
    }

    fn summary(self, failure: Option<Failure>) -> Summary {
        let mut byzantine: Vec<Behaviour> = self.plan.byzantine.clone();
        byzantine.sort_unstable();
        Summary {
            seed: self.seed,
            validators: self.plan.validators,
            sharding: self.plan.sharding.iter().filter(|shards| **shards).count(),
            byzantine,
            faults: self.plan.faults.len(),
            crashes: self.crashes,
            heights: self.audit.height().0,
            transactions: self.audit.transactions,
            proposals_decided: self.audit.proposals_decided(),
            acknowledged: self.audit.acknowledged_count(),
            books_checked: self.audit.books_checked,
            steps: self.steps,
            simulated_s: self.now.as_secs_f64(),
            healed_within_s: self.healed_at.map(|healed| (self.now - healed).as_secs_f64()),
            waiting_most: self.audit.waiting_most,
            fingerprint: format!("{:016x}", self.trace.fingerprint()),
            failure: failure.map(|failure| Failure { last: self.trace.last_lines(), ..failure }),
        }
    }
}

pub(crate) fn genesis(validators: usize, accounts: impl Iterator<Item = Address>) -> Genesis {
    let entry = |index: u16| {
        let key = signing_key(ValidatorIndex(index));
        ValidatorEntry {
            name: format!("v{index}"),
            jurisdiction: Jurisdiction::US,
            public_key: B256::from(<[u8; 32]>::from(VerificationKey::from(&key))),
            sealing_key: B256::left_padding_from(&index.to_be_bytes()),
            account: Address::left_padding_from(&(index + 1).to_be_bytes()),
            p2p_address: format!("127.0.0.1:{}", 1_000 + index),
        }
    };
    let balance = GenesisAccount { balance: Amount::from_bxm(1_000_000), ..Default::default() };
    Genesis {
        chain_id: CHAIN_ID,
        time_ms: START_MS,
        gas_limit: 30_000_000,
        base_fee_wei: 1_000_000_000,
        treasury: Address::repeat_byte(0xfe),
        validators: (0..u16::try_from(validators).unwrap_or(u16::MAX)).map(entry).collect(),
        accounts: accounts.map(|address| (address, balance.clone())).collect(),
        identity_copies: BTreeMap::new(),
    }
}

/// One machine for each validator, the last ones Byzantine, and a second one for each pair of twins.
fn hosts(plan: &Plan, genesis: &Genesis, seed: u64, rng: &mut ChaCha8Rng) -> Vec<Host> {
    let correct = plan.validators - plan.byzantine.len();
    let mut places: Vec<(usize, Option<Behaviour>, u64)> = (0..plan.validators)
        .map(|index| (index, index.checked_sub(correct).map(|at| plan.byzantine[at]), 0))
        .collect();
    let twins: Vec<_> = places.iter().filter(|place| place.1 == Some(Behaviour::Twins)).copied().collect();
    places.extend(twins.into_iter().map(|(index, behaviour, _)| (index, behaviour, 1)));
    let host = |(place, (index, behaviour, twin)): (usize, (usize, Option<Behaviour>, u64))| {
        let validator = ValidatorIndex(u16::try_from(index).unwrap_or(u16::MAX));
        let shards = plan.sharding.get(index).copied().unwrap_or_default();
        Host {
            validator,
            verification: if shards { Verification::Sharded } else { Verification::All },
            vote_gather: plan.vote_gather,
            // Most do, in every run somebody else.
            run_ahead: index as u64 % 3 != seed % 3,
            disk: MemoryDisk::new(rng.random()),
            clock: plan.clocks.get(place).copied().unwrap_or_default(),
            byzantine: behaviour
                .map(|behaviour| Byzantine::new(behaviour, validator, twin, genesis, shards, seed)),
            process: None,
            life: 0,
            paused_until: Duration::ZERO,
        }
    };
    places.into_iter().enumerate().map(host).collect()
}
