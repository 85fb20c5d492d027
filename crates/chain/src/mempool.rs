//! The pool of transactions that wait at this node, as a pure state machine.
//!
//! Per sender a queue by nonce. What is proposed is gapless from the account's nonce on, the best effective tip first.
//! Nothing is gossiped: every validator proposes its own pool at every height, so that a transaction needs one node.

mod intrinsic;
mod under_way;

use alloy_consensus::{Transaction as _, transaction::TxHashRef as _};
use alloy_eips::eip2718::Encodable2718;
use bxp_execution::TRANSACTION_GAS_MAX;
use bxp_types::{AccountState, Address, B256, PoolContent, RecoveredTransaction, SubmitError, U256};
pub use intrinsic::intrinsic_gas;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
pub use under_way::UnderWay;

/// The most bytes that a transaction takes in a proposal beside its own: the header of its RLP string (4 at this size), and
/// its sender, where those are named.
const PROPOSED_BYTES: usize = 24;

/// Bounds of the pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// The most transactions.
    pub transactions_max: usize,
    /// The most transactions of one sender, and how far ahead of the account's nonce they may lie.
    pub per_sender_max: usize,
    /// The most bytes of all transactions.
    pub bytes_max: usize,
    /// The most transactions that wait for one before them. They cost their sender nothing and may wait for ever, so they
    /// never take the room of those that can run.
    pub gapped_max: usize,
    /// The most of these of one sender: several full batches that arrive in another order than they were signed in.
    pub gapped_per_sender_max: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            transactions_max: 400_000,
            per_sender_max: 16_384,
            bytes_max: 1 << 30,
            gapped_max: 100_000,
            gapped_per_sender_max: 4_096,
        }
    }
}

/// What the newest block says, for judging a new transaction.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// The sender's account.
    pub account: AccountState,
    /// The next block's base fee in wei.
    pub base_fee: u64,
    /// The block gas limit.
    pub gas_limit: u64,
}

#[derive(Clone, Debug)]
struct Pooled {
    transaction: RecoveredTransaction,
    bytes: usize,
    arrival: u64,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    account_nonce: u64,
    by_nonce: BTreeMap<u64, Pooled>,
    /// How many of them follow each other from the account's nonce on.
    ready: usize,
}

impl Queue {
    /// The nonce after those that follow each other.
    const fn next(&self) -> u64 {
        self.account_nonce.saturating_add(self.ready as u64)
    }

    fn gapped(&self) -> usize {
        self.by_nonce.len().saturating_sub(self.ready)
    }

    /// Counts on from what follows already.
    fn count_on(&mut self) {
        while self.by_nonce.contains_key(&self.next()) {
            self.ready += 1;
        }
    }

    /// Counts anew, where the account's nonce moved or a transaction went.
    fn count_anew(&mut self) {
        self.ready = 0;
        self.count_on();
    }
}

/// The pool.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    limits: PoolLimits,
    senders: HashMap<Address, Queue>,
    by_hash: HashMap<B256, (Address, u64)>,
    arrivals: u64,
    /// Of all transactions.
    bytes: usize,
    /// Transactions that wait for one before them.
    gapped: usize,
}

/// One sender's best next transaction while a proposal is filled.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    tip: u128,
    earliest: std::cmp::Reverse<u64>,
    sender: Address,
    nonce: u64,
}

impl Mempool {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many transactions wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// A waiting transaction.
    #[must_use]
    pub fn get(&self, hash: B256) -> Option<&RecoveredTransaction> {
        let (sender, nonce) = self.by_hash.get(&hash)?;
        Some(&self.senders.get(sender)?.by_nonce.get(nonce)?.transaction)
    }

    /// The nonce after the sender's gapless waiting transactions, if any waits.
    #[must_use]
    pub fn next_nonce(&self, sender: Address) -> Option<u64> {
        let queue = self.senders.get(&sender)?;
        Some(queue.next())
    }

    /// What waits, of one sender or of all, in the order of senders and nonces: at most `max` transactions.
    #[must_use]
    pub fn content(&self, sender: Option<Address>, max: usize) -> PoolContent {
        let mut content = PoolContent::default();
        let mut senders: Vec<_> =
            self.senders.iter().filter(|(one, _)| sender.is_none_or(|of| of == **one)).collect();
        senders.sort_unstable_by_key(|(sender, _)| **sender);
        let mut left = max;
        for (_, queue) in senders {
            let ready = queue.ready;
            for (place, pooled) in queue.by_nonce.values().enumerate().take(left) {
                let list = if place < ready { &mut content.pending } else { &mut content.queued };
                list.push(pooled.transaction.clone());
                left -= 1;
            }
        }
        content
    }

    /// How many transactions could run now, and how many wait for one before them.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.by_hash.len().saturating_sub(self.gapped), self.gapped)
    }

    /// Takes a transaction in; gives the hash of the one that it replaces.
    ///
    /// # Errors
    /// [`SubmitError`] in geth's words; the pool is unchanged then.
    pub fn insert(
        &mut self,
        transaction: RecoveredTransaction,
        conditions: &Conditions,
    ) -> Result<Option<B256>, SubmitError> {
        let (hash, sender, nonce) = (*transaction.tx_hash(), transaction.signer(), transaction.nonce());
        if self.by_hash.contains_key(&hash) {
            return Err(SubmitError::AlreadyKnown);
        }
        check(&transaction, conditions, self.limits)?;
        let bytes = transaction.encode_2718_len();
        let replaced = self.check_room(&transaction, bytes, conditions.account.nonce)?;
        self.check_funds(&transaction, conditions.account.balance)?;
        if let Some(old) = replaced {
            self.by_hash.remove(&old);
        }
        self.arrivals += 1;
        let pooled = Pooled { bytes, transaction, arrival: self.arrivals };
        let queue = self.senders.entry(sender).or_default();
        self.gapped -= queue.gapped();
        if conditions.account.nonce > queue.account_nonce {
            queue.account_nonce = conditions.account.nonce;
            queue.count_anew();
        }
        let old = queue.by_nonce.insert(nonce, pooled);
        queue.count_on();
        self.gapped += queue.gapped();
        self.bytes = self.bytes + bytes - old.map_or(0, |old| old.bytes);
        self.by_hash.insert(hash, (sender, nonce));
        Ok(replaced)
    }

    /// Whether there is room, for `bytes` of a sender whose account's nonce is `account_nonce`; gives the hash of the one that
    /// is replaced.
    fn check_room(
        &self,
        transaction: &RecoveredTransaction,
        bytes: usize,
        account_nonce: u64,
    ) -> Result<Option<B256>, SubmitError> {
        if self.bytes.saturating_add(bytes) > self.limits.bytes_max {
            return Err(SubmitError::PoolFull);
        }
        let queue = self.senders.get(&transaction.signer());
        if let Some(old) = queue.and_then(|queue| queue.by_nonce.get(&transaction.nonce())) {
            let old = &old.transaction;
            let enough = |old: u128, new: u128| new >= old.saturating_add(old.div_ceil(10));
            let better = enough(old.max_fee_per_gas(), transaction.max_fee_per_gas())
                && enough(tip_cap(old), tip_cap(transaction));
            return if better { Ok(Some(*old.tx_hash())) } else { Err(SubmitError::ReplacementUnderpriced) };
        }
        let of_sender = queue.map_or(0, |queue| queue.by_nonce.len());
        if of_sender >= self.limits.per_sender_max {
            return Err(SubmitError::AccountLimit);
        }
        let next = queue.map_or(account_nonce, |queue| queue.next().max(account_nonce));
        let is_gapped = transaction.nonce() > next;
        if is_gapped && queue.map_or(0, Queue::gapped) >= self.limits.gapped_per_sender_max {
            return Err(SubmitError::AccountLimit);
        }
        if self.by_hash.len() >= self.limits.transactions_max
            || (is_gapped && self.gapped >= self.limits.gapped_max)
        {
            return Err(SubmitError::PoolFull);
        }
        Ok(None)
    }

    fn check_funds(&self, transaction: &RecoveredTransaction, balance: U256) -> Result<(), SubmitError> {
        let before = self.senders.get(&transaction.signer()).into_iter().flat_map(|queue| {
            queue.by_nonce.range(..transaction.nonce()).map(|(_, pooled)| cost(&pooled.transaction))
        });
        let cost = before.fold(cost(transaction), U256::saturating_add);
        if cost > balance { Err(SubmitError::InsufficientFunds { balance, cost }) } else { Ok(()) }
    }

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

    /// A block has moved `sender`'s account nonce: forgets what is spent and gives its hashes.
    pub fn account_moved(&mut self, sender: Address, account_nonce: u64) -> Vec<B256> {
        let Some(queue) = self.senders.get_mut(&sender) else { return Vec::new() };
        self.gapped -= queue.gapped();
        let moved = account_nonce.saturating_sub(queue.account_nonce);
        queue.account_nonce += moved;
        let kept = queue.by_nonce.split_off(&queue.account_nonce);
        let spent = std::mem::replace(&mut queue.by_nonce, kept);
        // What follows the spent ones follows them still.
        match queue.ready.checked_sub(usize::try_from(moved).unwrap_or(usize::MAX)) {
            Some(ready) => queue.ready = ready,
            None => queue.count_anew(),
        }
        self.gapped += queue.gapped();
        self.bytes -= spent.values().map(|pooled| pooled.bytes).sum::<usize>();
        if queue.by_nonce.is_empty() {
            self.senders.remove(&sender);
        }
        let hashes: Vec<B256> = spent.values().map(|pooled| *pooled.transaction.tx_hash()).collect();
        for hash in &hashes {
            self.by_hash.remove(hash);
        }
        hashes
    }

    /// Forgets one transaction.
    pub fn remove(&mut self, hash: B256) {
        let Some((sender, nonce)) = self.by_hash.remove(&hash) else { return };
        if let Some(queue) = self.senders.get_mut(&sender) {
            self.gapped -= queue.gapped();
            self.bytes -= queue.by_nonce.remove(&nonce).map_or(0, |pooled| pooled.bytes);
            // Those after it have a gap before them now.
            if let Some(before) = nonce.checked_sub(queue.account_nonce) {
                queue.ready = queue.ready.min(usize::try_from(before).unwrap_or(usize::MAX));
            }
            self.gapped += queue.gapped();
            if queue.by_nonce.is_empty() {
                self.senders.remove(&sender);
            }
        }
    }
}

/// The first of a sender's transactions that is not under way.
fn first_candidate(queue: &Queue, sender: Address, base_fee: u64, under_way: &UnderWay) -> Option<Candidate> {
    candidate(queue, sender, under_way.first(sender, queue.account_nonce), base_fee)
}

fn candidate(queue: &Queue, sender: Address, nonce: u64, base_fee: u64) -> Option<Candidate> {
    let pooled = queue.by_nonce.get(&nonce)?;
    let tip = pooled.transaction.effective_tip_per_gas(base_fee)?;
    Some(Candidate { tip, earliest: std::cmp::Reverse(pooled.arrival), sender, nonce })
}

fn tip_cap(transaction: &RecoveredTransaction) -> u128 {
    transaction.max_priority_fee_per_gas().unwrap_or_else(|| transaction.max_fee_per_gas())
}

fn cost(transaction: &RecoveredTransaction) -> U256 {
    let gas = U256::from(transaction.gas_limit()) * U256::from(transaction.max_fee_per_gas());
    gas.saturating_add(transaction.value())
}

fn check(
    transaction: &RecoveredTransaction,
    conditions: &Conditions,
    limits: PoolLimits,
) -> Result<(), SubmitError> {
    let (got, next) = (transaction.nonce(), conditions.account.nonce);
    if got < next {
        return Err(SubmitError::NonceTooLow { next, got });
    }
    if got - next >= limits.per_sender_max as u64 {
        return Err(SubmitError::NonceTooHigh { next, got });
    }
    if transaction.gas_limit() > conditions.gas_limit {
        return Err(SubmitError::GasLimit);
    }
    if transaction.gas_limit() > TRANSACTION_GAS_MAX {
        return Err(SubmitError::TransactionGas { cap: TRANSACTION_GAS_MAX, have: transaction.gas_limit() });
    }
    let want = intrinsic_gas(transaction);
    if transaction.gas_limit() < want {
        return Err(SubmitError::IntrinsicGas { have: transaction.gas_limit(), want });
    }
    let cap = transaction.max_fee_per_gas();
    if tip_cap(transaction) > cap {
        return Err(SubmitError::TipAboveFeeCap);
    }
    if cap < u128::from(conditions.base_fee) {
        return Err(SubmitError::Underpriced { cap, base: conditions.base_fee });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
