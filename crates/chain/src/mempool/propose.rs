//! What a proposal takes of the pool: gapless from each account's nonce on, the best effective tip first.

use super::{Mempool, UnderWay, queue::Queue};
use alloy_consensus::Transaction as _;
use bxp_types::{Address, RecoveredTransaction};
use std::{cmp::Reverse, collections::BinaryHeap};

/// The most bytes that a transaction takes in a proposal beside its own: the header of its RLP string (4 at this size), and
/// its sender, where those are named.
const PROPOSED_BYTES: usize = 24;

/// One sender's best next transaction while a proposal is filled.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    tip: u128,
    earliest: Reverse<u64>,
    sender: Address,
    nonce: u64,
}

impl Mempool {
    /// Whether a proposal would hold anything.
    #[must_use]
    pub fn has_candidate(&self, base_fee: u64, under_way: &UnderWay) -> bool {
        let mut queues = self.senders.iter();
        queues.any(|(&sender, queue)| first_candidate(queue, sender, base_fee, under_way).is_some())
    }

    /// A proposal's transactions: executable in this order after those under way, best effective tip first, within the
    /// bounds.
    #[must_use]
    pub fn take(
        &self,
        bytes_max: usize,
        gas_max: u64,
        base_fee: u64,
        under_way: &UnderWay,
    ) -> Vec<RecoveredTransaction> {
        let mut heap: BinaryHeap<Candidate> = self
            .senders
            .iter()
            .filter_map(|(&sender, queue)| first_candidate(queue, sender, base_fee, under_way))
            .collect();
        let (mut bytes, mut gas) = (0_usize, 0_u64);
        let mut taken = Vec::new();
        while let Some(Candidate { sender, nonce, .. }) = heap.pop() {
            let Some(queue) = self.senders.get(&sender) else { continue };
            let Some(pooled) = queue.by_nonce.get(&nonce) else { continue };
            let (with_bytes, with_gas) =
                (bytes + pooled.bytes + PROPOSED_BYTES, gas.saturating_add(pooled.transaction.gas_limit()));
            if with_bytes > bytes_max || with_gas > gas_max {
                continue;
            }
            (bytes, gas) = (with_bytes, with_gas);
            taken.push(pooled.transaction.clone());
            heap.extend(candidate(queue, sender, nonce.saturating_add(1), base_fee));
        }
        taken
    }
}

/// The first of a sender's transactions that is not under way.
fn first_candidate(queue: &Queue, sender: Address, base_fee: u64, under_way: &UnderWay) -> Option<Candidate> {
    candidate(queue, sender, under_way.first(sender, queue.account_nonce), base_fee)
}

fn candidate(queue: &Queue, sender: Address, nonce: u64, base_fee: u64) -> Option<Candidate> {
    let pooled = queue.by_nonce.get(&nonce)?;
    let tip = pooled.transaction.effective_tip_per_gas(base_fee)?;
    Some(Candidate { tip, earliest: Reverse(pooled.arrival), sender, nonce })
}
