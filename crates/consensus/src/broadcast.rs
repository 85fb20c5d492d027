//! Reliable broadcast of one proposal (lines R1-R9): if one correct node delivers a digest, all do, and it is the
//! same; and at least t+1 correct nodes hold the body, so that it can be fetched.

use bxp_types::{Digest, ValidatorIndex};
use bytes::Bytes;

use crate::bitmask::Bitmask;
use crate::config::Settings;
use crate::interface::{Effect, Timer};
use crate::tally::Tally;
use crate::turn::Turn;
use crate::votes::Vote;
use crate::wire::Message;

/// Longest wait between two fetches, in multiples of the first.
const FETCH_BACKOFF_MAX: u32 = 8;

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

/// The state of one proposer's broadcast.
#[derive(Debug)]
pub(crate) struct Broadcast {
    proposer: ValidatorIndex,
    candidate: Option<Candidate>,
    echoes: Tally,
    readies: Tally,
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

    /// The own or an echoed body, for the log.
    pub(crate) fn vouched(&self) -> Option<&Bytes> {
        let candidate = self.candidate.as_ref().filter(|candidate| candidate.verdict == Verdict::Valid);
        candidate.map(|candidate| &candidate.body)
    }

    /// Does what the votes counted so far call for.
    pub(crate) fn progress(&mut self, turn: &mut Turn<'_>) {
        self.validate(turn);
        self.echo(turn);
        self.ready(turn);
        self.deliver(turn);
    }

    fn validate(&mut self, turn: &mut Turn<'_>) {
        if let Some(candidate) = &mut self.candidate
            && candidate.verdict == Verdict::Unasked
        {
            candidate.verdict = Verdict::Asked; // R2
            turn.outbox.push(Effect::Validate {
                height: turn.height,
                proposer: self.proposer,
                digest: candidate.digest,
                body: candidate.body.clone(),
            });
        }
    }

    fn echo(&mut self, turn: &mut Turn<'_>) {
        let me = turn.settings.me();
        let Some(candidate) = &self.candidate else { return };
        if candidate.verdict != Verdict::Valid || self.echoes.has_voted(me) {
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
        let Some(digest) = echoed.or_else(|| self.readies.reached(turn.settings.one_correct())) else {
            return;
        }; // R5
        if turn.say(self.proposer, Vote::Ready(digest)) {
            self.readies.count(me, digest);
        }
    }

    fn deliver(&mut self, turn: &mut Turn<'_>) {
        if self.delivered.is_some() {
            return;
        }
        self.delivered = self.readies.reached(turn.settings.most_correct()); // R6
        if let Some(digest) = self.delivered
            && self.body(digest).is_none()
        {
            turn.timer(self.fetch_timer(turn), turn.settings.config.fetch_after); // R7
        }
    }

    /// R7: the body is still missing: ask the next peer that said to hold it.
    pub(crate) fn fetch(&mut self, turn: &mut Turn<'_>) {
        let Some(digest) = self.delivered.filter(|digest| self.body(*digest).is_none()) else { return };
        if let Some(peer) = self.next_holder(turn.settings, &digest) {
            self.asked.insert(peer);
            turn.send(peer, Message::Fetch { proposer: self.proposer, digest });
        }
        self.fetches = self.fetches.saturating_add(1);
        let backoff = self.fetches.min(FETCH_BACKOFF_MAX);
        turn.timer(self.fetch_timer(turn), turn.settings.config.fetch_after.saturating_mul(backoff));
    }

    /// R9: a peer that was asked answers. Anything else is ignored without being hashed.
    pub(crate) fn receive(&mut self, from: ValidatorIndex, body: Bytes) {
        let Some(digest) = self.delivered.filter(|digest| self.body(*digest).is_none()) else { return };
        if self.asked.remove(from) && Digest::of(&body) == digest {
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
