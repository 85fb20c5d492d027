//! Who is to be paid, and what each recipient must have in the end.

use crate::client::RpcClient;
use alloy_primitives::{Address, B256, U256, keccak256};
use anyhow::{Context, Result, ensure};
use bxp_types::{Amount, Genesis};
use std::collections::HashMap;

/// Recipients whose balances are asked for at the end, at most, evenly spread: asking for all of them would count as work
/// of the nodes.
const CHECKED_MAX: usize = 256;

/// The recipients, paid in turn, one wei each time.
pub(super) struct Book {
    recipients: Vec<Address>,
    /// Payments of one transaction.
    each: usize,
    /// The place in `recipients` of whom the next transaction pays first.
    next: usize,
    /// The same of the transactions that were made.
    first: HashMap<B256, usize>,
}

impl Book {
    /// Names `recipients` accounts.
    pub(super) fn new(recipients: usize, each: usize) -> Self {
        let name = |index| Address::from_word(keccak256(format!("bxp bench recipient {index}")));
        Self { recipients: (0..recipients).map(name).collect(), each, next: 0, first: HashMap::new() }
    }

    /// All who are paid.
    pub(super) fn recipients(&self) -> impl Iterator<Item = Address> {
        self.recipients.iter().copied()
    }

    /// What the next transaction pays in wei, and the place of whom it pays first.
    pub(super) fn next(&mut self) -> (usize, Vec<(Address, U256)>) {
        let (first, count) = (self.next, self.recipients.len());
        let paid = (first..first + self.each).map(|place| (self.recipients[place % count], U256::ONE));
        let paid = paid.collect();
        self.next = (first + self.each) % count;
        (first, paid)
    }

    /// The transaction of this hash pays from `first` on.
    pub(super) fn note(&mut self, hash: B256, first: usize) {
        self.first.insert(hash, first);
    }

    /// How often each recipient is paid by these transactions.
    fn payments(&self, transactions: &[B256]) -> Result<Vec<u64>> {
        let count = self.recipients.len();
        // Whole rounds, and the rest of each transaction.
        let mut all = 0;
        let mut times = vec![0; count];
        for hash in transactions {
            let first = *self.first.get(hash).with_context(|| format!("{hash} was not signed here"))?;
            all += (self.each / count) as u64;
            for place in first..first + self.each % count {
                times[place % count] += 1;
            }
        }
        Ok(times.into_iter().map(|times: u64| times + all).collect())
    }

    /// Asks a node whether recipients have what these transactions pay them, no more and no less; gives how many were
    /// asked for.
    pub(super) async fn check(
        &self,
        client: &RpcClient,
        genesis: &Genesis,
        transactions: &[B256],
    ) -> Result<usize> {
        let times = self.payments(transactions)?;
        let step = self.recipients.len().div_ceil(CHECKED_MAX);
        let mut checked = 0;
        for (recipient, times) in self.recipients.iter().zip(times).step_by(step) {
            let before = genesis.accounts.get(recipient).map(|account| account.balance.0);
            let wanted = before.context("a recipient is not in genesis")? + U256::from(times);
            let Amount(balance) = client.balance(*recipient).await?;
            ensure!(balance == wanted, "{recipient} has {balance} wei after {times} payments, not {wanted}");
            checked += 1;
        }
        Ok(checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_paid_in_turn_and_counted() {
        for (recipients, each) in [(5, 3), (3, 5), (4, 8), (1, 2)] {
            let mut book = Book::new(recipients, each);
            let mut wanted: HashMap<Address, u64> = book.recipients().map(|address| (address, 0)).collect();
            let hashes: Vec<B256> = (1..=4).map(B256::repeat_byte).collect();
            for (at, hash) in hashes.iter().enumerate() {
                let (first, paid) = book.next();
                assert_eq!(paid.len(), each);
                book.note(*hash, first);
                // The last one was signed and not sent.
                for (to, amount) in paid.iter().filter(|_| at < 3) {
                    assert_eq!(*amount, U256::ONE);
                    *wanted.get_mut(to).unwrap() += 1;
                }
            }
            let counted: HashMap<Address, u64> =
                book.recipients().zip(book.payments(&hashes[..3]).unwrap()).collect();
            assert_eq!(counted, wanted, "{recipients} recipients, {each} payments");
            assert!(book.payments(&[B256::ZERO]).is_err());
        }
    }
}
