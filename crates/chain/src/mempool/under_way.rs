//! What this node has proposed in heights without a block: it is not proposed again before that.

use alloy_consensus::Transaction as _;
use bxp_types::{Address, Height, RecoveredTransaction};
use std::collections::{BTreeMap, HashMap};

/// The own proposals of open heights: for each sender the nonce after those under way.
#[derive(Clone, Debug, Default)]
pub struct UnderWay {
    by_height: BTreeMap<Height, (usize, HashMap<Address, u64>)>,
    next: HashMap<Address, u64>,
}

impl UnderWay {
    /// How many transactions are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_height.values().map(|(count, _)| count).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These are proposed at `height`.
    pub fn insert(&mut self, height: Height, transactions: &[RecoveredTransaction]) {
        let mut next = HashMap::new();
        for transaction in transactions {
            let after = next.entry(transaction.signer()).or_default();
            *after = transaction.nonce().saturating_add(1).max(*after);
        }
        for (sender, nonce) in &next {
            let after = self.next.entry(*sender).or_default();
            *after = (*nonce).max(*after);
        }
        self.by_height.insert(height, (transactions.len(), next));
    }

    /// Heights up to this one have their blocks. What these left out may be proposed again.
    pub fn forget_up_to(&mut self, height: Height) {
        self.by_height = self.by_height.split_off(&height.next());
        self.next.clear();
        for (sender, nonce) in self.by_height.values().flat_map(|(_, next)| next) {
            let after = self.next.entry(*sender).or_default();
            *after = (*nonce).max(*after);
        }
    }

    /// The first nonce of `sender` that may be proposed, when its account is at `account_nonce`.
    pub(super) fn first(&self, sender: Address, account_nonce: u64) -> u64 {
        self.next.get(&sender).copied().unwrap_or_default().max(account_nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposal::tests::transfer;

    #[test]
    fn what_is_under_way_is_skipped_until_its_height_has_its_block() {
        let mut under_way = UnderWay::default();
        under_way.insert(Height(5), &[transfer(1, 3, 1), transfer(1, 4, 1)]);
        under_way.insert(Height(6), &[transfer(1, 5, 1), transfer(2, 0, 1)]);
        let (one, two) = (transfer(1, 0, 1).signer(), transfer(2, 0, 1).signer());
        assert_eq!((under_way.first(one, 3), under_way.first(two, 0), under_way.len()), (6, 1, 4));
        under_way.forget_up_to(Height(5));
        assert_eq!((under_way.first(one, 5), under_way.first(two, 0), under_way.len()), (6, 1, 2));
        under_way.forget_up_to(Height(6));
        assert_eq!((under_way.first(one, 5), under_way.first(two, 0)), (5, 0));
        assert!(under_way.is_empty());
    }
}
