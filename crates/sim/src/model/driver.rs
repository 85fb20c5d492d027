//! A driver's turn, as in `bxp bench consensus`: up to so many inputs, then the log, then what consensus says. Where
//! transactions are signed blocks follow, as in the chain.

use super::{
    Place,
    network::{ATTESTATION_BYTES, Content, Event, Frame, Network},
    validator::{Handed, Steps, Taken},
};
use bxp_consensus::{
    Effect, Input, Superblock,
    wire::{Envelope, Message, carries_body},
};
use bxp_types::{Height, ValidatorIndex};
use bytes::Bytes;
use std::time::Duration;

/// Inputs taken in one turn, whose votes leave together, as in the driver.
const INPUTS_PER_TURN: usize = 256;
/// A record of the log begins with the names of network and validator.
const RECORD_PREFIX_BYTES: usize = 10;
/// A message's header.
const HEADER_BYTES: u64 = 10;

impl Network<'_> {
    /// The driver takes in what has come, and does what consensus wants.
    pub(super) fn turn(&mut self, node: usize) {
        let (costs, mut cost_us) = (self.setup.costs, 0.0);
        for _ in 0..INPUTS_PER_TURN {
            let validator = &mut self.validators[node];
            let Some(taken) = validator.inbox.pop_front() else { break };
            match taken {
                Taken::Frame { input, votes, hashed_bytes } => {
                    cost_us += costs.frame_driver_us
                        + f64::from(votes) * costs.vote_us
                        + hashed_bytes as f64 * costs.sha256_s_per_gb / 1e3;
                    validator.engine.take_in(input);
                }
                Taken::Reached(from, height) => validator.reach(from, height),
                Taken::Validated { height, proposer, digest } => {
                    validator.engine.take_in(Input::Validated { height, proposer, digest, valid: true });
                }
                Taken::Timer(timer) => validator.engine.take_in(Input::TimerFired(timer)),
                Taken::Look => {}
            }
        }
        self.begin_heights(node, &mut cost_us);
        let mut effects = Vec::new();
        self.gather(node, &mut effects, &mut cost_us);
        let begun = self.now.max(self.validators[node].driver_free);
        let end = self.work(node, begun, cost_us, 1.0, true);
        let (log_us, said) = self.log(node, end, &effects);
        let mut end = end + Duration::from_secs_f64(log_us / 1e6);
        if self.setup.signed.is_some() {
            // The chain's driver waits for the disk where it stands.
            end = end.max(said);
        }
        self.carry_out(node, effects, end, said.max(end));
        let validator = &mut self.validators[node];
        validator.driver_free = end;
        validator.turn_set = !validator.inbox.is_empty();
        if validator.turn_set {
            let at = validator.driver_free;
            self.at(at, Event::Turn(node));
        }
    }

    /// Begins what may begin.
    fn begin_heights(&mut self, node: usize, cost_us: &mut f64) {
        let full = self.setup.transactions_max();
        loop {
            let validator = &mut self.validators[node];
            let (may, later) = validator.may_begin(self.now, full, self.setup);
            if !may {
                if let Some(at) = later.filter(|at| validator.look_at != *at) {
                    validator.look_at = at;
                    self.at(at, Event::Taken(node, Taken::Look));
                }
                return;
            }
            let height = validator.started.next();
            let batch = validator.next_batch(full);
            let count = batch.iter().map(|handed| handed.count).sum();
            if count > 0 {
                validator.ours.insert(height, batch);
            }
            validator.started = height;
            validator.started_at = self.now;
            validator.wanted = validator.wanted.split_off(&height.next());
            let me = ValidatorIndex(u16::try_from(node).unwrap_or(u16::MAX));
            self.declared.insert((height, me), count);
            *cost_us += self.setup.body_bytes(count) as f64 * self.setup.costs.sha256_s_per_gb / 1e3;
            let stand_in = [height.0.to_be_bytes().as_slice(), &me.0.to_be_bytes()].concat();
            validator.engine.take_in(Input::Start { height, proposal: stand_in.into() });
        }
    }

    /// All effects of the turn. Opaque bodies are valid at once, as in the driver.
    fn gather(&mut self, node: usize, effects: &mut Vec<Effect>, cost_us: &mut f64) {
        loop {
            let more = self.validators[node].engine.effects();
            if more.is_empty() {
                return;
            }
            for effect in more {
                match effect {
                    Effect::Validate { height, proposer, digest, .. } if self.setup.signed.is_none() => {
                        let engine = &mut self.validators[node].engine;
                        engine.take_in(Input::Validated { height, proposer, digest, valid: true });
                        *cost_us += self.setup.costs.frame_driver_us;
                    }
                    Effect::Wanted { height } => {
                        self.validators[node].wanted.insert(height);
                        self.begin_heights(node, cost_us);
                    }
                    other => effects.push(other),
                }
            }
        }
    }

    /// Writes the turn's records; says what that costs, and when they are on the disk where that is waited for.
    fn log(&mut self, node: usize, from: Duration, effects: &[Effect]) -> (f64, Duration) {
        let mut bytes = 0;
        for effect in effects {
            if let Effect::Persist(record) = effect {
                bytes += self.measure_frame(node, &record.slice(RECORD_PREFIX_BYTES..)).bytes;
            }
        }
        if bytes == 0 {
            return (0.0, from);
        }
        let cost_us = bytes as f64 * self.setup.costs.log_s_per_gb / 1e3;
        let written = self.work(node, from, cost_us, 1.0, true);
        let mut said = written;
        if self.setup.durable {
            // One flush at a time; what comes meanwhile goes with the next one.
            let (flush, takes) = (self.flush(), self.taking(bytes as f64));
            let validator = &mut self.validators[node];
            if validator.flushed_at <= written {
                validator.flushed_at = written + flush + takes;
            } else {
                validator.flushed_at += takes;
            }
            said = validator.flushed_at;
        }
        (written.saturating_sub(from).as_secs_f64() * 1e6, said)
    }

    /// What a flush takes.
    fn flush(&self) -> Duration {
        Duration::from_secs_f64(self.setup.costs.sync_ms / 1e3)
    }

    /// What that many bytes take to come to the disk. One machine has one disk.
    fn taking(&self, bytes: f64) -> Duration {
        let sharing = if self.setup.place == Place::Local { self.setup.validators as f64 } else { 1.0 };
        Duration::from_secs_f64(bytes * sharing / self.setup.costs.disk_gb_per_s / 1e9)
    }

    /// Checks and timers do not wait for the log, what is said does.
    fn carry_out(&mut self, node: usize, effects: Vec<Effect>, end: Duration, said: Duration) {
        for effect in effects {
            match effect {
                Effect::Validate { height, proposer, digest, .. } => {
                    self.check(node, end, height, proposer, digest);
                }
                Effect::SetTimer { timer, after } => self.at(end + after, Event::Timer(node, timer)),
                Effect::Send { to, message } => {
                    let frame = self.measure_frame(node, &message);
                    self.send(node, Some(usize::from(to.0)), &frame, said);
                }
                Effect::Broadcast { message } => {
                    let frame = self.measure_frame(node, &message);
                    self.send(node, None, &frame, said);
                }
                Effect::Decided(superblock) => self.decided(node, superblock, said),
                Effect::Persist(_)
                | Effect::Wanted { .. }
                | Effect::Behind { .. }
                | Effect::Misbehaved { .. }
                | Effect::ProposalTooLarge { .. } => {}
            }
        }
    }

    /// What a message is charged for.
    fn measure_frame(&self, node: usize, message: &Bytes) -> Frame {
        let from = ValidatorIndex(u16::try_from(node).unwrap_or(u16::MAX));
        let n = u16::try_from(self.setup.validators).unwrap_or(u16::MAX);
        let body = |height, proposer| {
            let count = self.declared.get(&(height, proposer)).copied().unwrap_or(0);
            HEADER_BYTES + self.setup.body_bytes(count)
        };
        let (bytes, votes) = match Envelope::decode(message, n, usize::MAX) {
            Ok(Envelope { height, message: Message::Init { .. } }) => (body(height, from), 0),
            Ok(Envelope { height, message: Message::Body { proposer, .. } }) => {
                (body(height, proposer) + 2, 0)
            }
            Ok(Envelope { message: Message::Votes(votes), .. }) => {
                (message.len() as u64, u32::try_from(votes.iter().count()).unwrap_or(u32::MAX))
            }
            _ => (message.len() as u64, 0),
        };
        let content = Content::Consensus(message.clone());
        Frame { from, content, bytes, votes, is_body: carries_body(message) }
    }

    /// A superblock is decided; they are taken in order.
    fn decided(&mut self, node: usize, superblock: Superblock, at: Duration) {
        let validator = &mut self.validators[node];
        validator.early.insert(superblock.height, superblock);
        let before = validator.decided;
        loop {
            let validator = &mut self.validators[node];
            let next = validator.decided.next();
            let Some(superblock) = validator.early.remove(&next) else { break };
            validator.decided = next;
            self.take_superblock(node, &superblock, at);
        }
        let decided = self.validators[node].decided;
        if decided > before {
            let me = ValidatorIndex(u16::try_from(node).unwrap_or(u16::MAX));
            let content = Content::Attestation(decided);
            let frame = Frame { from: me, content, bytes: ATTESTATION_BYTES, votes: 0, is_body: false };
            self.send(node, None, &frame, at);
            self.validators[node].reach(me, decided);
        }
    }

    /// One superblock, in order.
    fn take_superblock(&mut self, node: usize, superblock: &Superblock, at: Duration) {
        let me = ValidatorIndex(u16::try_from(node).unwrap_or(u16::MAX));
        let height = superblock.height;
        let InBlock { transactions, own, own_left } = self.in_block(superblock, me);
        self.measure.without_gas(own_left);
        let validator = &mut self.validators[node];
        if !superblock.bitmask.contains(me) && validator.ours.contains_key(&height) {
            self.measure.left_out();
            // On the chain they are under way until their height has its block.
            if self.setup.signed.is_none()
                && let Some(batch) = validator.ours.remove(&height)
            {
                validator.again(batch);
            }
        }
        let done = if self.setup.signed.is_some() { self.execute(node, at, transactions) } else { at };
        self.at(done, Event::Executed { node, height, transactions, own });
    }

    /// What of a superblock is in its block. Where there is less gas than transactions, proposals are taken one after the
    /// other until it is used, from another one on at each height.
    fn in_block(&self, superblock: &Superblock, me: ValidatorIndex) -> InBlock {
        let proposals = &superblock.proposals;
        let first = usize::try_from(superblock.height.0).unwrap_or(0) % proposals.len().max(1);
        let (mut found, mut room) = (InBlock::default(), self.setup.block_transactions_max());
        for proposal in proposals.iter().cycle().skip(first).take(proposals.len()) {
            let declared = self.declared.get(&(superblock.height, proposal.proposer)).copied().unwrap_or(0);
            let taken = declared.min(room);
            room -= taken;
            found.transactions += taken;
            if proposal.proposer == me {
                (found.own, found.own_left) = (taken, declared - taken);
            }
        }
        found
    }

    /// Makes and writes the block of a superblock that is decided at `from`, and says when it is there. One thread runs its
    /// transactions while the block below is hashed, partly by one thread and partly by all cores, and that one while the
    /// block below it is written by one thread; each step gives its block away when the next step is free (ADR 99, 102, 103).
    /// What is written the database's own thread settles in the background, by one block behind at most.
    fn execute(&mut self, node: usize, from: Duration, transactions: u64) -> Duration {
        let (costs, count) = (self.setup.costs, transactions as f64);
        let Steps { running, hashing, writing: before, settling, settled_before } =
            self.validators[node].free;
        let begun = from.max(running);
        let ran = self.work(node, begun, count * costs.running_us, 1.0, false).max(hashing);
        let alone = self.work(node, ran, count * costs.hashing_serial_us, 1.0, false);
        let hashed = self.work_wide(node, alone, count * costs.hashing_shared_us);
        let made = hashed.max(before).max(settled_before);
        let mut written = self.work(node, made, count * costs.writing_us, 1.0, false);
        if self.setup.durable {
            let bytes = self.setup.body_bytes(transactions) as f64 + count * costs.written_bytes;
            written = self.disk_takes(node, written, bytes) + self.flush();
        }
        let mut settled = self.work(node, written.max(settling), count * costs.settling_us, 1.0, false);
        if self.setup.durable {
            settled = settled.max(self.disk_takes(node, written, count * costs.settled_bytes));
        }
        let validator = &mut self.validators[node];
        validator.free = Steps {
            running: ran,
            hashing: made,
            writing: written,
            settling: settled,
            settled_before: settling,
        };
        validator.executing += written.saturating_sub(begun.max(before));
        written
    }

    /// When the disk has taken what blocks write from `from` on, after what they wrote before.
    fn disk_takes(&mut self, node: usize, from: Duration, bytes: f64) -> Duration {
        let takes = self.taking(bytes);
        let validator = &mut self.validators[node];
        validator.disk_free = validator.disk_free.max(from) + takes;
        validator.disk_free
    }

    /// What a block holds is final here: its clients hear of it, and hand the next ones in. What found no place in it comes
    /// first with the next proposal.
    pub(super) fn executed(&mut self, node: usize, height: Height, transactions: u64, own: u64) {
        let now = self.now;
        let validator = &mut self.validators[node];
        validator.head = height;
        let batch = validator.ours.remove(&height).unwrap_or_default();
        let (answered, left) = Handed::part(batch, own);
        validator.again(left);
        for handed in &answered {
            self.measure.answered(height, now - handed.at, handed.count);
        }
        let count = answered.iter().map(|handed| handed.count).sum();
        let busy = self.busy();
        self.measure.executed(height, transactions, now, busy);
        if count > 0 {
            self.submit(node, count);
        }
        self.take(node, Taken::Look);
    }
}

/// How many transactions of a superblock are in its block.
#[derive(Clone, Copy, Debug, Default)]
struct InBlock {
    transactions: u64,
    /// Those of one validator's own, and how many of its proposal found no gas.
    own: u64,
    own_left: u64,
}
