//! Who goes when the pool is full: the last of whoever has most behind a gap, then the last of whoever pays least (ADR 98).
//!
//! Only the last nonce of a sender ever goes, so that no queue gets a hole. The orders in which victims are sought are made
//! when the first one is, and forgotten once there is room to spare: until then they cost nothing.

use super::{
    Mempool,
    check::outbids,
    queue::{Pooled, Queue},
};
use alloy_consensus::{Transaction as _, transaction::TxHashRef as _};
use bxp_types::{Address, B256, SubmitError};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// The most transactions that one newcomer pushes out, so that taking it in stays short. Only bytes can ask for more than
/// one: 128 KiB are 48 transactions of the size at which the default number and bytes are full together.
const PUSHED_OUT_MAX: usize = 128;

/// A new transaction, as far as room goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newcomer {
    pub(super) sender: Address,
    pub(super) bytes: usize,
    /// Whether it waits for one before it.
    pub(super) is_gapped: bool,
    /// What it would pay for a unit of gas above the base fee in the next block, in wei.
    pub(super) tip: u128,
    /// The next block's base fee in wei.
    pub(super) base_fee: u64,
}

/// One that was pushed out, with what its queue may have lost by it.
#[derive(Debug)]
struct PushedOut {
    pooled: Pooled,
    account_nonce: u64,
    gap_since: Duration,
}

/// What the orders tell of one sender's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many wait for one before them.
    pub(super) gapped: usize,
    /// What the last one pays, where that order is kept.
    tail_tip: Option<u128>,
}

/// Senders in the orders in which their last transactions go, as far as these are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Those with transactions behind a gap, by how many these are.
    by_gapped: Option<BTreeSet<(usize, Address)>>,
    by_tail: Option<ByTail>,
}

/// All senders by what their last transactions pay.
#[derive(Clone, Debug)]
struct ByTail {
    /// The base fee of the block after which the order was made. It stays, so that each key can be found again.
    base_fee: u64,
    senders: BTreeSet<(u128, Address)>,
}

impl Index {
    /// What is known of `queue` now; [`Self::moved`] takes it after a change.
    pub(super) fn standing(&self, queue: &Queue) -> Standing {
        let tail_tip = self.by_tail.as_ref().and_then(|order| tail_tip(queue, order.base_fee));
        Standing { gapped: queue.gapped(), tail_tip }
    }

    /// A sender's queue was changed.
    pub(super) fn moved(&mut self, sender: Address, before: Standing, after: Standing) {
        if let Some(order) = &mut self.by_gapped
            && before.gapped != after.gapped
        {
            order.remove(&(before.gapped, sender));
            if after.gapped > 0 {
                order.insert((after.gapped, sender));
            }
        }
        if let Some(order) = &mut self.by_tail
            && before.tail_tip != after.tail_tip
        {
            if let Some(tip) = before.tail_tip {
                order.senders.remove(&(tip, sender));
            }
            if let Some(tip) = after.tail_tip {
                order.senders.insert((tip, sender));
            }
        }
    }

    /// The sender with most transactions behind a gap, the greatest address among equals.
    fn most_gapped(&mut self, senders: &HashMap<Address, Queue>) -> Option<(usize, Address)> {
        let order = self.by_gapped.get_or_insert_with(|| by_gapped(senders));
        order.last().copied()
    }

    /// The sender whose last transaction pays least, the least address among equals, other than `except`.
    fn least_tail(
        &mut self,
        senders: &HashMap<Address, Queue>,
        base_fee: u64,
        except: Address,
    ) -> Option<Address> {
        let make = || ByTail { base_fee, senders: by_tail(senders, base_fee) };
        let order = self.by_tail.get_or_insert_with(make);
        order.senders.iter().map(|&(_, sender)| sender).find(|sender| *sender != except)
    }

    /// Whether what is kept is what counting anew gives.
    #[cfg(test)]
    pub(super) fn agrees_with(&self, senders: &HashMap<Address, Queue>) -> bool {
        let gapped = self.by_gapped.as_ref().is_none_or(|order| *order == by_gapped(senders));
        let agrees = |order: &ByTail| order.senders == by_tail(senders, order.base_fee);
        gapped && self.by_tail.as_ref().is_none_or(agrees)
    }

    /// Whether no order is kept.
    #[cfg(test)]
    pub(super) const fn is_empty(&self) -> bool {
        self.by_gapped.is_none() && self.by_tail.is_none()
    }
}

fn by_gapped(senders: &HashMap<Address, Queue>) -> BTreeSet<(usize, Address)> {
    let counts = senders.iter().map(|(&sender, queue)| (queue.gapped(), sender));
    counts.filter(|(count, _)| *count > 0).collect()
}

fn by_tail(senders: &HashMap<Address, Queue>, base_fee: u64) -> BTreeSet<(u128, Address)> {
    let tip = |(&sender, queue): (&Address, &Queue)| Some((tail_tip(queue, base_fee)?, sender));
    senders.iter().filter_map(tip).collect()
}

/// What a sender's last transaction pays above the base fee, in wei; nothing where it cannot pay that.
fn tail_tip(queue: &Queue, base_fee: u64) -> Option<u128> {
    let tail = queue.tail()?;
    Some(tail.transaction.effective_tip_per_gas(base_fee).unwrap_or_default())
}

impl Mempool {
    /// Pushes out until there is room for a newcomer, and gives the hashes of those that went.
    ///
    /// # Errors
    /// [`SubmitError::PoolFull`] and [`SubmitError::PoolUnderpriced`]; the pool is unchanged then.
    pub(super) fn make_room(&mut self, newcomer: &Newcomer) -> Result<Vec<B256>, SubmitError> {
        let mut gone: Vec<PushedOut> = Vec::new();
        while !self.has_room(newcomer) {
            let victim =
                if gone.len() < PUSHED_OUT_MAX { self.victim(newcomer) } else { Err(SubmitError::PoolFull) };
            match victim.and_then(|sender| self.push_out(sender).ok_or(SubmitError::PoolFull)) {
                Ok(one) => gone.push(one),
                Err(refused) => {
                    // The last one that went is before the others in its queue.
                    gone.into_iter().rev().for_each(|one| self.put_back(one));
                    return Err(refused);
                }
            }
        }
        Ok(gone.iter().map(|one| *one.pooled.transaction.tx_hash()).collect())
    }

    fn has_room(&self, newcomer: &Newcomer) -> bool {
        self.by_hash.len() < self.limits.transactions_max
            && self.bytes.saturating_add(newcomer.bytes) <= self.limits.bytes_max
            && (!newcomer.is_gapped || self.gapped < self.limits.gapped_max)
    }

    /// Whose last transaction goes for a newcomer.
    fn victim(&mut self, newcomer: &Newcomer) -> Result<Address, SubmitError> {
        let most = self.index.most_gapped(&self.senders);
        if newcomer.is_gapped {
            // What cannot run never takes the place of what can, nor of those who have no more of it than its own sender.
            let own = self.senders.get(&newcomer.sender).map_or(0, Queue::gapped);
            return most
                .filter(|(count, _)| *count > own)
                .map(|(_, sender)| sender)
                .ok_or(SubmitError::PoolFull);
        }
        if let Some((_, sender)) = most {
            return Ok(sender);
        }
        // Its own sender's lie before it.
        let least = self.index.least_tail(&self.senders, newcomer.base_fee, newcomer.sender);
        let sender = least.ok_or(SubmitError::PoolFull)?;
        let pays = self.senders.get(&sender).and_then(|queue| tail_tip(queue, newcomer.base_fee));
        if outbids(newcomer.tip, pays.unwrap_or_default()) {
            Ok(sender)
        } else {
            Err(SubmitError::PoolUnderpriced)
        }
    }

    /// Takes a sender's last transaction out.
    fn push_out(&mut self, sender: Address) -> Option<PushedOut> {
        let queue = self.senders.get(&sender)?;
        let (account_nonce, gap_since) = (queue.account_nonce, queue.gap_since);
        let pooled = self.change(sender, Queue::take_tail)?;
        self.forget(&pooled);
        Some(PushedOut { pooled, account_nonce, gap_since })
    }

    fn put_back(&mut self, one: PushedOut) {
        let PushedOut { pooled, account_nonce, gap_since } = one;
        let transaction = &pooled.transaction;
        let (hash, sender, nonce) = (*transaction.tx_hash(), transaction.signer(), transaction.nonce());
        self.bytes += pooled.bytes;
        self.by_hash.insert(hash, (sender, nonce));
        self.change(sender, |queue| queue.put_tail_back(account_nonce, nonce, pooled));
        if let Some(queue) = self.senders.get_mut(&sender) {
            queue.gap_since = gap_since;
        }
    }

    /// Forgets the orders of which there is no need any more: an eighth of the room is free. Made again, they were paid for by
    /// as many that came in between.
    pub(super) fn forget_orders(&mut self) {
        let ample = |used: usize, max: usize| used < max - max / 8;
        if !ample(self.by_hash.len(), self.limits.transactions_max)
            || !ample(self.bytes, self.limits.bytes_max)
        {
            return;
        }
        self.index.by_tail = None;
        if ample(self.gapped, self.limits.gapped_max) {
            self.index.by_gapped = None;
        }
    }
}
