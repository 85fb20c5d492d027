//! When heights begin, and with what: the next ones spread while earlier ones are decided and executed (ADR 54).

use super::{Machine, Moment};
use crate::proposal::{Proposal, ProposalRules};
use bxp_consensus::{Input as Consensus, Verification};
use bxp_types::{Digest, Height};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// Blocks that may be executed before their certificate is there.
const UNCERTIFIED_MAX: u64 = 8;
/// Heights above the newest block that this node begins of its own accord. While as many wait for their decision or
/// their execution, transactions wait in the pool.
const OPEN_MAX: u64 = 2;
/// Heights above the newest block that this node takes part in where others have begun them: as far as execution may
/// be behind consensus.
pub(super) const LAG_MAX: u64 = 6;
/// While own transactions are under way, the next height begins after this: so that under load proposals are large.
const SPREAD: Duration = Duration::from_millis(50);
/// After a block with transactions an empty one follows, and then further ones at doubling intervals up to the longest:
/// clients that wait for "the next block" see one soon, and a quiet network costs little.
const QUIET_MIN: Duration = Duration::from_secs(1);
const QUIET_DOUBLINGS_MAX: u32 = 6;
/// A height that fewer than t + 1 others work on begins at once, since one of them alone may have a transaction. Where
/// such heights gave empty blocks, the next one waits, twice as long each time: one validator that lies cannot fill the
/// chain with them.
const HURRY_MIN: Duration = Duration::from_millis(10);
const HURRY_DOUBLINGS_MAX: u32 = 7;

impl Machine {
    /// The greatest height of which the journal may hold records when the newest block is `head`.
    #[must_use]
    pub const fn begun_max(head: Height) -> Height {
        Height(head.0 + LAG_MAX)
    }

    /// The height to begin next.
    fn next_height(&self) -> Height {
        self.started.max(self.shared.head.load().height()).next()
    }

    /// When the next height will start, if only time holds it back.
    pub(super) fn next_start(&self, now: Moment) -> Option<Duration> {
        let reason_at = self.reason_at(now)?;
        let interval_over = self.started_at.map(|at| at + self.shared.config.block_interval);
        Some(interval_over.map_or(reason_at, |at| at.max(reason_at)))
    }

    fn reason_at(&self, now: Moment) -> Option<Duration> {
        let (head, next) = (self.shared.head.load().height(), self.next_height());
        let open = next.0 - head.0 - 1;
        let uncertified = head.0.saturating_sub(self.certificates.certified().0);
        let importing = !self.queue.is_empty() || (open == 0 && self.making.is_some());
        if importing || uncertified >= UNCERTIFIED_MAX {
            return None;
        }
        if open < LAG_MAX && self.wanted.range(next..).next().is_some() {
            return Some(self.hurry_over(next).max(now.elapsed));
        }
        if open == 0 {
            let quiet_over = self.quiet_over();
            return Some(if self.has_candidate() { quiet_over.min(now.elapsed) } else { quiet_over });
        }
        // Cheap first: this is asked at every turn.
        if open >= OPEN_MAX || self.shared.pool_len() <= self.under_way.len() {
            return None;
        }
        let spread_over = self.started_at.filter(|_| !self.under_way.is_empty()).map(|at| at + SPREAD);
        match spread_over {
            Some(at) if at > now.elapsed => Some(at),
            _ => self.has_candidate().then_some(now.elapsed),
        }
    }

    /// When an empty block is due.
    fn quiet_over(&self) -> Duration {
        self.head_at + QUIET_MIN * (1 << self.empty_blocks.min(QUIET_DOUBLINGS_MAX))
    }

    /// When a height may begin that others work on.
    fn hurry_over(&self, next: Height) -> Duration {
        let hurried = self.hurried_blocks.checked_sub(1);
        if self.engine.reached_by_one_correct() >= next || self.has_candidate() {
            return Duration::ZERO;
        }
        hurried
            .map_or(Duration::ZERO, |times| self.head_at + HURRY_MIN * (1 << times.min(HURRY_DOUBLINGS_MAX)))
    }

    /// Counts the block that has just become the head, before its time is noted.
    pub(super) fn count_empty(&mut self, is_empty: bool, now: Moment) {
        if !is_empty {
            (self.empty_blocks, self.hurried_blocks) = (0, 0);
            return;
        }
        let quiet = self.quiet_over().saturating_sub(self.head_at);
        // Clocks that differ a little make nobody a liar.
        if now.elapsed < self.head_at + quiet / 2 {
            self.hurried_blocks = self.hurried_blocks.saturating_add(1);
        } else {
            self.hurried_blocks = self.hurried_blocks.saturating_sub(1);
        }
        self.empty_blocks = self.empty_blocks.saturating_add(1);
    }

    fn has_candidate(&self) -> bool {
        self.shared.pool.lock().has_candidate(self.shared.next_base_fee(), &self.under_way)
    }

    pub(super) fn maybe_start(&mut self, now: Moment) {
        if self.next_start(now).is_none_or(|at| at > now.elapsed) {
            return;
        }
        let height = self.next_height();
        let bytes_max = ProposalRules::of(&self.shared.genesis).bytes_max - 64;
        let (gas_max, base_fee) = (self.shared.genesis.gas_limit, self.shared.next_base_fee());
        let transactions = self.shared.pool.lock().take(bytes_max, gas_max, base_fee, &self.under_way);
        self.under_way.insert(height, &transactions);
        let proposal = Proposal { time_ms: now.wall_ms, transactions };
        let body = Bytes::from(match self.shared.config.verification {
            Verification::All => proposal.encode(),
            Verification::Sharded => proposal.encode_with_senders(),
        });
        self.shared.checked.lock().insert(height, Digest::of(&body), Arc::new(proposal));
        self.started = height;
        self.started_at = Some(now.elapsed);
        self.begun = self.begun.max(height);
        self.wanted = self.wanted.split_off(&height.next());
        tracing::debug!(%height, bytes = body.len(), "start height");
        self.consensus(Consensus::Start { height, proposal: body });
    }
}

#[cfg(test)]
pub(super) mod tests;
