//! One sender's waiting transactions, by nonce.

use bxp_types::RecoveredTransaction;
use std::{collections::BTreeMap, time::Duration};

/// A waiting transaction.
#[derive(Clone, Debug)]
pub(super) struct Pooled {
    pub(super) transaction: RecoveredTransaction,
    /// Of its encoding.
    pub(super) bytes: usize,
    /// Its number among all that came.
    pub(super) arrival: u64,
}

/// One sender's transactions: spent ones, then those that follow each other from the account's nonce on, then those that
/// wait for one before them.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) account_nonce: u64,
    pub(super) by_nonce: BTreeMap<u64, Pooled>,
    /// How many lie below the account's nonce: a block has spent them, and the pool has not been told yet.
    pub(super) spent: usize,
    /// How many follow each other from the account's nonce on.
    pub(super) ready: usize,
    /// Since when the first gap is what it is, by the pool's clock. Says nothing while none waits behind one.
    pub(super) gap_since: Duration,
}

impl Queue {
    /// The nonce after those that follow each other.
    pub(super) const fn next(&self) -> u64 {
        self.account_nonce.saturating_add(self.ready as u64)
    }

    /// How many wait for one before them.
    pub(super) fn gapped(&self) -> usize {
        self.by_nonce.len().saturating_sub(self.ready).saturating_sub(self.spent)
    }

    /// The one with the last nonce.
    pub(super) fn tail(&self) -> Option<&Pooled> {
        self.by_nonce.last_key_value().map(|(_, pooled)| pooled)
    }

    /// The account's nonce is this one; what lies below is spent.
    pub(super) fn advance(&mut self, account_nonce: u64) {
        let moved = account_nonce.saturating_sub(self.account_nonce);
        if moved == 0 {
            return;
        }
        self.account_nonce = account_nonce;
        self.spent = self.by_nonce.range(..account_nonce).count();
        // What follows the spent ones follows them still.
        match self.ready.checked_sub(usize::try_from(moved).unwrap_or(usize::MAX)) {
            Some(ready) => self.ready = ready,
            None => {
                self.ready = 0;
                self.count_on();
            }
        }
    }

    /// Puts one in, whose nonce is not spent; gives the one that it replaces.
    pub(super) fn put(&mut self, nonce: u64, pooled: Pooled) -> Option<Pooled> {
        let old = self.by_nonce.insert(nonce, pooled);
        self.count_on();
        old
    }

    /// Counts on from what follows already.
    fn count_on(&mut self) {
        while self.by_nonce.contains_key(&self.next()) {
            self.ready += 1;
        }
    }

    /// Takes one out. Those after it have a gap before them then.
    pub(super) fn take(&mut self, nonce: u64) -> Option<Pooled> {
        let pooled = self.by_nonce.remove(&nonce)?;
        match nonce.checked_sub(self.account_nonce) {
            Some(before) => self.ready = self.ready.min(usize::try_from(before).unwrap_or(usize::MAX)),
            None => self.spent = self.spent.saturating_sub(1),
        }
        Some(pooled)
    }

    /// Takes the one with the last nonce out.
    pub(super) fn take_tail(&mut self) -> Option<Pooled> {
        let (&nonce, _) = self.by_nonce.last_key_value()?;
        self.take(nonce)
    }

    /// Puts back what was taken from the end, when the account's nonce was `account_nonce`.
    pub(super) fn put_tail_back(&mut self, account_nonce: u64, nonce: u64, pooled: Pooled) {
        self.account_nonce = account_nonce;
        self.spent += usize::from(nonce < account_nonce);
        self.put(nonce, pooled);
    }

    /// Takes out what is spent.
    pub(super) fn take_spent(&mut self) -> BTreeMap<u64, Pooled> {
        let kept = self.by_nonce.split_off(&self.account_nonce);
        self.spent = 0;
        std::mem::replace(&mut self.by_nonce, kept)
    }

    /// Takes out what waits for one before it.
    pub(super) fn take_gapped(&mut self) -> BTreeMap<u64, Pooled> {
        self.by_nonce.split_off(&self.next())
    }
}
