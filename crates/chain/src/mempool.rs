//! The pool of transactions that wait at this node, as a pure state machine.
//!
//! Per sender a queue by nonce. What is proposed is gapless from the account's nonce on, the best effective tip first.
//! Nothing is gossiped: every validator proposes its own pool at every height, so that a transaction needs one node.
//! A full pool takes who pays more, and nobody waits behind a gap for ever (ADR 98).

mod check;
mod eviction;
mod intrinsic;
mod propose;
mod queue;
mod under_way;

use alloy_consensus::{Transaction as _, transaction::TxHashRef as _};
use alloy_eips::eip2718::Encodable2718;
use bxp_types::{AccountState, Address, B256, PoolContent, RecoveredTransaction, SubmitError, U256};
use check::{check, cost, outbids, tip_cap};
use eviction::{Index, Newcomer};
pub use intrinsic::intrinsic_gas;
use queue::{Pooled, Queue};
use std::{collections::HashMap, time::Duration};
pub use under_way::UnderWay;

/// How long a sender's transactions wait behind the same gap, as in geth (`txpool.lifetime`).
const GAPPED_LIFETIME: Duration = Duration::from_secs(3 * 60 * 60);
/// How often gaps are looked at, which takes a look at every sender; as in geth.
const EXPIRY_EVERY: Duration = Duration::from_secs(60);

/// Bounds of the pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// The most transactions.
    pub transactions_max: usize,
    /// The most transactions of one sender, and how far ahead of the account's nonce they may lie.
    pub per_sender_max: usize,
    /// The most bytes of all transactions.
    pub bytes_max: usize,
    /// The most transactions that wait for one before them. They cost their sender nothing, so they never take the room of
    /// those that can run.
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
    /// Who goes first, where that was asked.
    index: Index,
    /// The time that has passed, as far as the pool was told.
    now: Duration,
    /// When gaps are looked at next.
    look_at: Duration,
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
            let ready = queue.spent + queue.ready;
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

    /// Takes a transaction in; gives the hashes of those that went for it: the one that it replaces, or those that it has
    /// pushed out of a full pool.
    ///
    /// # Errors
    /// [`SubmitError`] in geth's words; the pool is unchanged then.
    pub fn insert(
        &mut self,
        transaction: RecoveredTransaction,
        conditions: &Conditions,
    ) -> Result<Vec<B256>, SubmitError> {
        let (hash, sender, nonce) = (*transaction.tx_hash(), transaction.signer(), transaction.nonce());
        if self.by_hash.contains_key(&hash) {
            return Err(SubmitError::AlreadyKnown);
        }
        let queue = self.senders.get(&sender);
        // Where a block has moved it meanwhile, the pool knows better than the conditions.
        let account_nonce = queue.map_or(0, |queue| queue.account_nonce).max(conditions.account.nonce);
        check(&transaction, account_nonce, conditions, self.limits)?;
        let replaced = queue.and_then(|queue| queue.by_nonce.get(&nonce));
        let bytes = transaction.encode_2718_len();
        let gone = if let Some(old) = replaced {
            check_replacement(old, &transaction)?;
            let old_hash = *old.transaction.tx_hash();
            if (self.bytes - old.bytes).saturating_add(bytes) > self.limits.bytes_max {
                return Err(SubmitError::PoolFull);
            }
            self.check_funds(&transaction, conditions.account.balance)?;
            self.by_hash.remove(&old_hash);
            vec![old_hash]
        } else {
            let is_gapped = self.check_share(queue, nonce, account_nonce)?;
            self.check_funds(&transaction, conditions.account.balance)?;
            let base_fee = conditions.base_fee;
            let tip = transaction.effective_tip_per_gas(base_fee).unwrap_or_default();
            self.make_room(&Newcomer { sender, bytes, is_gapped, tip, base_fee })?
        };
        self.arrivals += 1;
        let pooled = Pooled { bytes, transaction, arrival: self.arrivals };
        let old = self.change(sender, |queue| {
            queue.advance(account_nonce);
            queue.put(nonce, pooled)
        });
        self.bytes = self.bytes + bytes - old.map_or(0, |old| old.bytes);
        self.by_hash.insert(hash, (sender, nonce));
        Ok(gone)
    }

    /// Whether the sender of this queue, whose account is at `account_nonce`, may have one more at `nonce`; gives whether
    /// that one has to wait for one before it.
    fn check_share(
        &self,
        queue: Option<&Queue>,
        nonce: u64,
        account_nonce: u64,
    ) -> Result<bool, SubmitError> {
        let Some(queue) = queue else { return Ok(nonce > account_nonce) };
        let is_gapped = nonce > queue.next().max(account_nonce);
        if queue.by_nonce.len() >= self.limits.per_sender_max
            || (is_gapped && queue.gapped() >= self.limits.gapped_per_sender_max)
        {
            return Err(SubmitError::AccountLimit);
        }
        Ok(is_gapped)
    }

    fn check_funds(&self, transaction: &RecoveredTransaction, balance: U256) -> Result<(), SubmitError> {
        let before = self.senders.get(&transaction.signer()).into_iter().flat_map(|queue| {
            queue.by_nonce.range(..transaction.nonce()).map(|(_, pooled)| cost(&pooled.transaction))
        });
        let cost = before.fold(cost(transaction), U256::saturating_add);
        if cost > balance { Err(SubmitError::InsufficientFunds { balance, cost }) } else { Ok(()) }
    }

    /// A block has moved `sender`'s account nonce: forgets what is spent and gives its hashes.
    pub fn account_moved(&mut self, sender: Address, account_nonce: u64) -> Vec<B256> {
        if !self.senders.contains_key(&sender) {
            return Vec::new();
        }
        let spent = self.change(sender, |queue| {
            queue.advance(account_nonce);
            queue.take_spent()
        });
        let hashes = spent.into_values().map(|pooled| self.forget(&pooled)).collect();
        self.forget_orders();
        hashes
    }

    /// Forgets one transaction.
    pub fn remove(&mut self, hash: B256) {
        let Some((sender, nonce)) = self.by_hash.get(&hash).copied() else { return };
        if let Some(pooled) = self.change(sender, |queue| queue.take(nonce)) {
            self.forget(&pooled);
        }
        self.forget_orders();
    }

    /// Tells the pool how much time has passed since some moment, which is the same each time; forgets what has waited too
    /// long behind one gap, and gives its hashes. What can run does not expire.
    pub fn expire(&mut self, elapsed: Duration) -> Vec<B256> {
        self.now = self.now.max(elapsed);
        if self.now < self.look_at {
            return Vec::new();
        }
        self.look_at = self.now + EXPIRY_EVERY;
        if self.gapped == 0 {
            return Vec::new();
        }
        let is_over =
            |queue: &Queue| queue.gapped() > 0 && self.now.saturating_sub(queue.gap_since) >= GAPPED_LIFETIME;
        let over = self.senders.iter().filter(|(_, queue)| is_over(queue)).map(|(sender, _)| *sender);
        let mut over: Vec<Address> = over.collect();
        over.sort_unstable();
        let mut hashes = Vec::new();
        for sender in over {
            let expired = self.change(sender, Queue::take_gapped);
            hashes.extend(expired.into_values().map(|pooled| self.forget(&pooled)));
        }
        self.forget_orders();
        hashes
    }

    /// Changes a sender's queue, and with it what is counted of all queues but the bytes.
    fn change<T>(&mut self, sender: Address, change: impl FnOnce(&mut Queue) -> T) -> T {
        let queue = self.senders.entry(sender).or_default();
        let (before, next) = (self.index.standing(queue), queue.next());
        let changed = change(queue);
        let after = self.index.standing(queue);
        if before.gapped == 0 || queue.next() != next {
            queue.gap_since = self.now;
        }
        let is_empty = queue.by_nonce.is_empty();
        self.gapped = self.gapped - before.gapped + after.gapped;
        self.index.moved(sender, before, after);
        if is_empty {
            self.senders.remove(&sender);
        }
        changed
    }

    /// Forgets one that was taken out of its queue, and gives its hash.
    fn forget(&mut self, pooled: &Pooled) -> B256 {
        let hash = *pooled.transaction.tx_hash();
        self.bytes -= pooled.bytes;
        self.by_hash.remove(&hash);
        hash
    }
}

/// Whether a transaction pays enough to replace one of the same nonce: fee cap and tip cap both have to be more.
fn check_replacement(old: &Pooled, new: &RecoveredTransaction) -> Result<(), SubmitError> {
    let old = &old.transaction;
    let better = outbids(new.max_fee_per_gas(), old.max_fee_per_gas()) && outbids(tip_cap(new), tip_cap(old));
    if better { Ok(()) } else { Err(SubmitError::ReplacementUnderpriced) }
}

#[cfg(test)]
mod tests;
