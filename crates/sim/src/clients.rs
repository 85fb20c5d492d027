//! The load: clients that send transfers to nodes, ask again when they get no answer, and sometimes try to cheat.

use crate::{
    audit::Audit,
    wallet::{Signed, Transfer, Wallet},
};
use bxp_types::{Address, B256};
use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Accounts of a run.
const WALLETS: u16 = 8;
/// How many transactions of one account may be under way.
const UNDER_WAY_MAX: u64 = 24;

struct Account {
    wallet: Wallet,
    next: u64,
    /// The first transaction signed for each nonce that is not known to be settled.
    open: BTreeMap<u64, Signed>,
}

pub(crate) struct Clients {
    accounts: Vec<Account>,
}

/// A transaction on its way to a node.
pub(crate) struct Submission {
    pub(crate) host: usize,
    pub(crate) signed: Signed,
}

impl Clients {
    pub(crate) fn new() -> Self {
        let accounts = (1..=WALLETS).filter_map(Wallet::new);
        Self { accounts: accounts.map(|wallet| Account { wallet, next: 0, open: BTreeMap::new() }).collect() }
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.accounts.iter().map(|account| account.wallet.address())
    }

    /// What some client does next. `hosts` is the number of nodes.
    pub(crate) fn act(&mut self, hosts: usize, audit: &mut Audit, rng: &mut ChaCha8Rng) -> Vec<Submission> {
        let index = rng.random_range(0..self.accounts.len());
        let receivers: Vec<Address> = self.addresses().collect();
        let Some(account) = self.accounts.get_mut(index) else { return Vec::new() };
        account.forget_settled(audit);
        if account.open.len() as u64 >= UNDER_WAY_MAX {
            return account.ask_again(hosts, audit, rng);
        }
        let to = receivers.choose(rng).copied().unwrap_or_default();
        let transfer = Transfer {
            nonce: account.next,
            to,
            value: rng.random_range(0..1_000),
            tip: rng.random_range(1..50),
        };
        let host = rng.random_range(0..hosts);
        let other = rng.random_range(0..hosts);
        match rng.random_range(0..12) {
            // The same transaction to two nodes.
            0 => {
                let signed = account.sign(transfer, audit);
                vec![Submission { host, signed: signed.clone() }, Submission { host: other, signed }]
            }
            // Two transactions with one nonce to two nodes: one of them wins.
            1 => {
                let signed = account.sign(transfer, audit);
                let rival = account.rival(Transfer { value: transfer.value + 1, ..transfer }, audit);
                vec![Submission { host, signed }, Submission { host: other, signed: rival }]
            }
            // A better paid one in the place of another, at the same node.
            2 => {
                let signed = account.sign(transfer, audit);
                let better = account.rival(Transfer { tip: transfer.tip * 1_000_000_000, ..transfer }, audit);
                vec![Submission { host, signed }, Submission { host, signed: better }]
            }
            // The later nonce first, and to another node.
            3 => {
                let first = account.sign(transfer, audit);
                let second = account.sign(Transfer { nonce: transfer.nonce + 1, ..transfer }, audit);
                vec![Submission { host, signed: second }, Submission { host: other, signed: first }]
            }
            4 | 5 => account.ask_again(hosts, audit, rng),
            _ => vec![Submission { host, signed: account.sign(transfer, audit) }],
        }
    }

    /// Everything that no correct node has acknowledged once more, to correct nodes, so that a nonce that no correct node has heard of holds
    /// nobody up.
    pub(crate) fn all_again(
        &mut self,
        correct: &[usize],
        audit: &Audit,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Submission> {
        let mut again = Vec::new();
        for account in &mut self.accounts {
            account.forget_settled(audit);
            again.extend(account.unacknowledged(audit).filter_map(|signed| {
                Some(Submission { host: *correct.choose(rng)?, signed: signed.clone() })
            }));
        }
        again
    }

    /// One fresh transaction for each of `hosts`, by which they show that they work.
    pub(crate) fn probes(&mut self, hosts: &[usize], audit: &mut Audit) -> Vec<(Submission, B256)> {
        let to = self.addresses().next().unwrap_or_default();
        let mut probes = Vec::new();
        for (turn, &host) in hosts.iter().enumerate() {
            let count = self.accounts.len().max(1);
            let Some(account) = self.accounts.get_mut(turn % count) else { continue };
            let signed = account.sign(Transfer { nonce: account.next, to, value: 1, tip: 1 }, audit);
            let hash = signed.hash;
            probes.push((Submission { host, signed }, hash));
        }
        probes
    }
}

impl Account {
    fn sign(&mut self, transfer: Transfer, audit: &mut Audit) -> Signed {
        let signed = self.rival(transfer, audit);
        self.next = self.next.max(transfer.nonce + 1);
        self.open.insert(transfer.nonce, signed.clone());
        signed
    }

    fn rival(&self, transfer: Transfer, audit: &mut Audit) -> Signed {
        let signed = self.wallet.sign(transfer);
        audit.sign(signed.hash, (self.wallet.address(), transfer.nonce));
        signed
    }

    /// What has been acknowledged is not sent again: that would hide that it was lost.
    fn unacknowledged<'a>(&'a self, audit: &'a Audit) -> impl Iterator<Item = &'a Signed> {
        self.open.values().filter(|signed| !audit.is_acknowledged(signed.hash))
    }

    fn forget_settled(&mut self, audit: &Audit) {
        self.open.retain(|_, signed| !audit.is_settled(signed.hash));
    }

    fn ask_again(&self, hosts: usize, audit: &Audit, rng: &mut ChaCha8Rng) -> Vec<Submission> {
        let open: Vec<&Signed> = self.unacknowledged(audit).collect();
        let signed = open.choose(rng).map(|signed| (*signed).clone());
        signed.into_iter().map(|signed| Submission { host: rng.random_range(0..hosts), signed }).collect()
    }
}
