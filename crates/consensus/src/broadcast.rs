//! Reliable broadcast of one proposal (lines R1-R9, V1-V5): if one correct node delivers a digest, all do, and it is the
//! same; and at least t+1 correct nodes hold the body, so that it can be fetched.

use bxp_types::{Digest, ValidatorIndex};
use bytes::Bytes;

use crate::bitmask::Bitmask;
use crate::config::{Settings, Verification};
use crate::interface::{Effect, Timer};
use crate::mutant::Mutant;
use crate::tally::Tally;
use crate::turn::Turn;
use crate::votes::Vote;
use crate::wire::Message;

/// Longest wait between two fetches, in multiples of the first.
const FETCH_BACKOFF_MAX: u32 = 8;

/// How often a second check is put off for checks under way: a verdict that never comes must not hold it up for ever.
const PUT_OFFS_MAX: u32 = 16;

/// The body that came from the proposer itself. Only the first one counts.
#[derive(Debug)]
struct Candidate {
    digest: Digest,
    body: Bytes,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unasked,
    Asked,
    Valid,
    Invalid,
}

/// Whether the first verifiers of a proposal are still waited for (V4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecondVerifiers {
    NotYet,
    Waiting,
    /// The wait is over.
    TimedOut,
    /// The first ones disagree.
    Called,
    /// All first ones have reported, and whether the wait was long enough has been learned.
    Judged,
}

/// The state of one proposer's broadcast.
#[derive(Debug)]
pub(crate) struct Broadcast {
    proposer: ValidatorIndex,
    candidate: Option<Candidate>,
    echoes: Tally,
    readies: Tally,
    invalids: Tally,
    /// V4: how far the call for second verifiers is.
    second: SecondVerifiers,
    /// V4: how often the wait began again, because this node was checking something else.
    put_offs: u32,
    delivered: Option<Digest>,
    fetched: Option<Bytes>,
    /// Peers that were asked for the body and have not answered: each may answer once.
    asked: Bitmask,
    fetches: u32,
}

impl Broadcast {
    pub(crate) fn new(proposer: ValidatorIndex, validators: u16) -> Self {
        Self {
            proposer,
            candidate: None,
            echoes: Tally::new(validators),
            readies: Tally::new(validators),
            invalids: Tally::new(validators),
            second: SecondVerifiers::NotYet,
            put_offs: 0,
            delivered: None,
            fetched: None,
            asked: Bitmask::new(validators),
            fetches: 0,
        }
    }

    /// R2: the first body from the proposer is the only one that may be echoed.
    pub(crate) fn offer(&mut self, body: Bytes) {
        if self.candidate.is_none() {
            let digest = Digest::of(&body);
            self.candidate = Some(Candidate { digest, body, verdict: Verdict::Unasked });
        }
    }

    /// A body known to be valid: one's own, or one that was echoed before a restart.
    pub(crate) fn vouch(&mut self, body: Bytes) {
        let digest = Digest::of(&body);
        self.candidate = Some(Candidate { digest, body, verdict: Verdict::Valid });
    }

    /// The answer to R2's validation. Answers to questions that were not asked change nothing.
    pub(crate) fn validated(&mut self, digest: Digest, valid: bool) {
        if let Some(candidate) = &mut self.candidate
            && candidate.verdict == Verdict::Asked
            && candidate.digest == digest
        {
            candidate.verdict = if valid { Verdict::Valid } else { Verdict::Invalid };
        }
    }

    pub(crate) fn count_echo(&mut self, from: ValidatorIndex, digest: Digest) {
        self.echoes.count(from, digest);
    }

    pub(crate) fn count_ready(&mut self, from: ValidatorIndex, digest: Digest) {
        self.readies.count(from, digest);
    }

    pub(crate) fn count_invalid(&mut self, from: ValidatorIndex, digest: Digest) {
        self.invalids.count(from, digest);
    }

    /// V4: the first verifiers had their time.
    pub(crate) fn time_out_first_verifiers(&mut self) {
        if matches!(self.second, SecondVerifiers::NotYet | SecondVerifiers::Waiting) {
            self.second = SecondVerifiers::TimedOut;
        }
    }

    /// The digest that all correct nodes will deliver, once it is certain.
    pub(crate) const fn delivered(&self) -> Option<Digest> {
        self.delivered
    }

    /// The body of `digest`, if it is held.
    pub(crate) fn body(&self, digest: Digest) -> Option<&Bytes> {
        match &self.candidate {
            Some(candidate) if candidate.digest == digest => Some(&candidate.body),
            _ => self.fetched.as_ref().filter(|_| self.delivered == Some(digest)),
        }
    }

    /// Whether a body for this proposal is held.
    pub(crate) const fn holds_body(&self) -> bool {
        self.candidate.is_some() || self.fetched.is_some()
    }

    /// Bytes of the bodies held: one from the proposer, and one that was fetched where that was another.
    pub(crate) fn body_bytes(&self) -> usize {
        let offered = self.candidate.as_ref().map_or(0, |candidate| candidate.body.len());
        offered + self.fetched.as_ref().map_or(0, Bytes::len)
    }

    /// The body that was found valid, here or by t+1 others, and its digest: the own one, or one that is echoed.
    pub(crate) fn vouched(&self) -> Option<(Digest, &Bytes)> {
        let candidate = self.candidate.as_ref().filter(|candidate| candidate.verdict == Verdict::Valid);
        candidate.map(|candidate| (candidate.digest, &candidate.body))
    }

    /// Does what the votes counted so far call for.
    pub(crate) fn progress(&mut self, turn: &mut Turn<'_>) {
        self.accept_reports(turn);
        self.validate(turn);
        self.judge_wait(turn);
        self.report_invalid(turn);
        self.echo(turn);
        self.ready(turn);
        self.deliver(turn);
    }

    fn validate(&mut self, turn: &mut Turn<'_>) {
        if !self.candidate.as_ref().is_some_and(|candidate| candidate.verdict == Verdict::Unasked)
            || !self.checks_itself(turn)
        {
            return;
        }
        if let Some(candidate) = &mut self.candidate {
            candidate.verdict = Verdict::Asked; // R2, V2
            turn.outbox.check_begins();
            turn.outbox.push(Effect::Validate {
                height: turn.height,
                proposer: self.proposer,
                digest: candidate.digest,
                body: candidate.body.clone(),
            });
        }
    }

    /// Whether this node has to check the body that it holds (V2, V4).
    fn checks_itself(&mut self, turn: &mut Turn<'_>) -> bool {
        let (settings, height, me) = (turn.settings, turn.height, turn.settings.me());
        if settings.config.verification == Verification::All
            || settings.is_first_verifier(height, self.proposer, me)
        {
            return true;
        }
        if !settings.is_second_verifier(height, self.proposer, me)
            || settings.mutated(Mutant::NoSecondVerifiers)
        {
            return false;
        }
        if matches!(self.second, SecondVerifiers::NotYet | SecondVerifiers::Waiting)
            && self.first_verifiers_disagree(turn)
        {
            self.second = SecondVerifiers::Called;
        }
        if self.second == SecondVerifiers::TimedOut
            && turn.outbox.is_checking()
            && self.put_offs < PUT_OFFS_MAX
        {
            // The first ones may be as busy as this node is, which would only be later with its own checks.
            self.put_offs = self.put_offs.saturating_add(1);
            self.second = SecondVerifiers::NotYet;
        }
        if self.second == SecondVerifiers::NotYet {
            self.second = SecondVerifiers::Waiting;
            let timer = Timer::Verify { height, proposer: self.proposer };
            let bytes = self.candidate.as_ref().map_or(0, |candidate| candidate.body.len());
            let wait = settings.verify_wait(bytes).saturating_mul(turn.outbox.patience.factor());
            turn.timer(timer, wait);
        }
        matches!(self.second, SecondVerifiers::TimedOut | SecondVerifiers::Called)
    }

    /// V4: once all first verifiers have reported alike, it shows whether the wait for them was long enough.
    fn judge_wait(&mut self, turn: &mut Turn<'_>) {
        let timed_out = match self.second {
            SecondVerifiers::Waiting => false,
            SecondVerifiers::TimedOut => true,
            SecondVerifiers::NotYet | SecondVerifiers::Called | SecondVerifiers::Judged => return,
        };
        let Some(candidate) = &self.candidate else { return };
        if self.echoes.count_of(&candidate.digest) < turn.settings.one_correct() {
            return; // Fewer than there are first verifiers: this is asked at every vote.
        }
        let mut first = turn
            .settings
            .all()
            .filter(|validator| turn.settings.is_first_verifier(turn.height, self.proposer, *validator));
        if first.all(|validator| self.echoes.vote(validator) == Some(candidate.digest)) {
            self.second = SecondVerifiers::Judged;
            let patience = &mut turn.outbox.patience;
            if timed_out { patience.was_too_short() } else { patience.was_long_enough() }
        }
    }

    /// V4: one of them found the body held here invalid, or holds another one.
    fn first_verifiers_disagree(&self, turn: &Turn<'_>) -> bool {
        let Some(candidate) = &self.candidate else { return false };
        let first = |validator| turn.settings.is_first_verifier(turn.height, self.proposer, validator);
        self.invalids.voters(&candidate.digest).any(first)
            || turn.settings.all().any(|validator| {
                first(validator)
                    && self.echoes.vote(validator).is_some_and(|digest| digest != candidate.digest)
            })
    }

    /// V3: who says ECHO has checked the body, or has it from t+1 who did, of whom one is correct.
    fn accept_reports(&mut self, turn: &Turn<'_>) {
        if turn.settings.config.verification == Verification::All {
            return;
        }
        if let Some(candidate) = &mut self.candidate
            && matches!(candidate.verdict, Verdict::Unasked | Verdict::Asked)
            && self.echoes.count_of(&candidate.digest) >= turn.settings.report_quorum()
        {
            candidate.verdict = Verdict::Valid;
        }
    }

    /// V5: tells the second verifiers that they are needed.
    fn report_invalid(&self, turn: &mut Turn<'_>) {
        if let Some(candidate) = &self.candidate
            && candidate.verdict == Verdict::Invalid
            && turn.settings.config.verification == Verification::Sharded
        {
            turn.say(self.proposer, Vote::Invalid(candidate.digest));
        }
    }

    fn echo(&mut self, turn: &mut Turn<'_>) {
        let me = turn.settings.me();
        let Some(candidate) = &self.candidate else { return };
        let checked = candidate.verdict == Verdict::Valid || turn.settings.mutated(Mutant::EchoUnchecked);
        if !checked || self.echoes.has_voted(me) {
            return;
        }
        if self.proposer != me {
            turn.persist(Message::Body { proposer: self.proposer, body: candidate.body.clone() });
        }
        if turn.say(self.proposer, Vote::Echo(candidate.digest)) {
            self.echoes.count(me, candidate.digest); // R3
        }
    }

    fn ready(&mut self, turn: &mut Turn<'_>) {
        let me = turn.settings.me();
        if self.readies.has_voted(me) {
            return;
        }
        let echoed = self.echoes.reached(turn.settings.echo_quorum()); // R4
        let amplified = || {
            let heard = self.readies.reached(turn.settings.one_correct()); // R5
            heard.filter(|_| !turn.settings.mutated(Mutant::NoReadyAmplification))
        };
        let Some(digest) = echoed.or_else(amplified) else { return };
        if turn.say(self.proposer, Vote::Ready(digest)) {
            self.readies.count(me, digest);
        }
    }

    fn deliver(&mut self, turn: &mut Turn<'_>) {
        if self.delivered.is_some() {
            return;
        }
        self.delivered = self.readies.reached(turn.settings.delivery_quorum()); // R6
        if let Some(digest) = self.delivered
            && self.body(digest).is_none()
        {
            turn.timer(self.fetch_timer(turn), turn.settings.config.fetch_after); // R7
        }
    }

    /// R7: the body is still missing: ask the next peer that said to hold it.
    pub(crate) fn fetch(&mut self, turn: &mut Turn<'_>) {
        let Some(digest) = self.delivered.filter(|digest| self.body(*digest).is_none()) else { return };
        if turn.settings.mutated(Mutant::NoFetch) {
            return;
        }
        if let Some(peer) = self.next_holder(turn.settings, &digest) {
            self.asked.insert(peer);
            turn.send(peer, Message::Fetch { proposer: self.proposer, digest });
        }
        self.fetches = self.fetches.saturating_add(1);
        let backoff = self.fetches.min(FETCH_BACKOFF_MAX);
        turn.timer(self.fetch_timer(turn), turn.settings.config.fetch_after.saturating_mul(backoff));
    }

    /// R9: a peer that was asked answers. Anything else is ignored without being hashed.
    pub(crate) fn receive(&mut self, from: ValidatorIndex, body: Bytes, settings: &Settings) {
        let Some(digest) = self.delivered.filter(|digest| self.body(*digest).is_none()) else { return };
        let unchecked = settings.mutated(Mutant::BodyUnchecked);
        if self.asked.remove(from) && (unchecked || Digest::of(&body) == digest) {
            self.fetched = Some(body);
        }
    }

    /// Echoers in turn; if their votes have not come yet, everybody in turn.
    fn next_holder(&self, settings: &Settings, digest: &Digest) -> Option<ValidatorIndex> {
        let mut holders: Vec<_> = self.echoes.voters(digest).filter(|peer| *peer != settings.me()).collect();
        if holders.is_empty() {
            holders = settings.all().filter(|peer| *peer != settings.me()).collect();
        }
        let turn = usize::try_from(self.fetches).unwrap_or(0).checked_rem(holders.len())?;
        holders.get(turn).copied()
    }

    const fn fetch_timer(&self, turn: &Turn<'_>) -> Timer {
        Timer::Fetch { height: turn.height, proposer: self.proposer }
    }
}

#[cfg(test)]
mod tests;
