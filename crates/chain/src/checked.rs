//! What this node knows to be valid of proposals, so that no signature is recovered twice.

use crate::proposal::{Proposal, ProposalRules};
use alloy_consensus::transaction::TxHashRef as _;
use bxp_types::{Address, B256, Digest, Height};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

/// Recovered proposals kept between their check and their execution.
const CHECKED_MAX: usize = 1_024;
/// Senders kept of transactions that came too late for their superblock: some 5 MiB.
const LATE_MAX: usize = 65_536;
/// Late proposals kept that nobody has read: those of a few heights.
const UNREAD_MAX: usize = 16;

/// Transactions of checked proposals by digest, until their height has its block.
#[derive(Default)]
pub(crate) struct Checked {
    by_digest: BTreeMap<Digest, (Height, Arc<Proposal>)>,
}

impl Checked {
    pub(crate) fn insert(&mut self, height: Height, digest: Digest, proposal: Arc<Proposal>) {
        if self.by_digest.len() >= CHECKED_MAX {
            let oldest =
                self.by_digest.iter().min_by_key(|(_, (height, _))| *height).map(|(&digest, _)| digest);
            oldest.map(|digest| self.by_digest.remove(&digest));
        }
        self.by_digest.insert(digest, (height, proposal));
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// Gives away a proposal whose height is decided.
    pub(crate) fn take(&mut self, digest: &Digest) -> Option<Arc<Proposal>> {
        self.by_digest.remove(digest).map(|(_, proposal)| proposal)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_digest.len()
    }

    pub(crate) fn forget_up_to(&mut self, height: Height) {
        self.by_digest.retain(|_, (of, _)| *of > height);
    }
}

/// Senders of the transactions in valid proposals that came too late for their superblock. Their proposer proposes them
/// again, in another body and before other verifiers. A hash covers the signature, so its sender does not change.
#[derive(Default)]
pub(crate) struct Late {
    /// The next check reads them, on its thread.
    unread: Mutex<VecDeque<Unread>>,
    known: RwLock<Known>,
}

/// A late proposal.
pub(crate) enum Unread {
    /// This node has checked it.
    Checked(Arc<Proposal>),
    /// t+1 others have. Nothing is learned from one that does not name its senders.
    Vouched(Bytes),
}

#[derive(Default)]
struct Known {
    senders: HashMap<B256, Address>,
    /// In the order in which they came, the oldest first.
    order: VecDeque<B256>,
}

impl Late {
    /// Takes in valid proposals.
    pub(crate) fn add(&self, late: impl Iterator<Item = Unread>) {
        let mut unread = self.unread.lock();
        unread.extend(late);
        let surplus = unread.len().saturating_sub(UNREAD_MAX);
        unread.drain(..surplus);
    }

    /// Reads what was taken in since the last time.
    pub(crate) fn read(&self, rules: ProposalRules) {
        let unread = std::mem::take(&mut *self.unread.lock());
        for late in unread {
            match late {
                Unread::Checked(proposal) => self.known.write().insert(&proposal),
                Unread::Vouched(body) => {
                    if let Ok(Some(proposal)) = Proposal::named(&body, rules) {
                        self.known.write().insert(&proposal);
                    }
                }
            }
        }
    }

    /// The sender of the transaction with that hash.
    pub(crate) fn sender(&self, transaction: &B256) -> Option<Address> {
        self.known.read().senders.get(transaction).copied()
    }
}

impl Known {
    fn insert(&mut self, proposal: &Proposal) {
        for transaction in &proposal.transactions {
            let hash = *transaction.tx_hash();
            if self.senders.insert(hash, transaction.signer()).is_none() {
                self.order.push_back(hash);
            }
        }
        while self.order.len() > LATE_MAX {
            self.order.pop_front().map(|oldest| self.senders.remove(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposal::tests::transfer;

    const RULES: ProposalRules =
        ProposalRules { chain_id: crate::proposal::tests::CHAIN_ID, bytes_max: 1_000 };

    fn proposal(seed: u8, nonce: u64) -> Proposal {
        Proposal { time_ms: 1, transactions: vec![transfer(seed, nonce, 1)] }
    }

    #[test]
    fn what_nobody_took_is_forgotten_once_its_height_is_past() {
        let mut checked = Checked::default();
        let [taken, late, next] = [1, 2, 3].map(|seed| Arc::new(proposal(seed, 0)));
        for (height, digest, one) in [(7, 1, &taken), (7, 2, &late), (8, 3, &next)] {
            checked.insert(Height(height), Digest([digest; 32]), Arc::clone(one));
        }
        assert_eq!(checked.take(&Digest([1; 32])), Some(taken));
        checked.forget_up_to(Height(7));
        assert!(!checked.contains(&Digest([2; 32])));
        assert!(checked.contains(&Digest([3; 32])));
        assert_eq!(checked.len(), 1);
    }

    #[test]
    fn senders_of_late_proposals_are_known_once_read() {
        let late = Late::default();
        let (vouched, checked, nameless) = (proposal(1, 0), proposal(2, 0), proposal(3, 0));
        let bodies = [vouched.encode_with_senders(), nameless.encode(), vec![1, 2, 3]].map(Bytes::from);
        late.add(bodies.iter().cloned().map(Unread::Vouched));
        late.add([Unread::Checked(Arc::new(checked.clone()))].into_iter());
        let sender = |proposal: &Proposal| late.sender(proposal.transactions[0].tx_hash());
        assert_eq!(sender(&vouched), None);
        late.read(RULES);
        assert_eq!(sender(&vouched), Some(vouched.transactions[0].signer()));
        assert_eq!(sender(&checked), Some(checked.transactions[0].signer()));
        assert_eq!(sender(&nameless), None);
        assert!(late.unread.lock().is_empty());
        late.add((0..20).map(|_| Unread::Vouched(bodies[0].clone())));
        assert_eq!(late.unread.lock().len(), UNREAD_MAX);
    }

    #[test]
    fn the_oldest_go_beyond_the_bound() {
        let mut known = Known::default();
        let first = proposal(1, 0);
        known.insert(&first);
        known.insert(&first);
        // These stand for transactions that nobody wants to sign in a test.
        known.order.extend((1..LATE_MAX as u64).map(|number| B256::left_padding_from(&number.to_be_bytes())));
        assert!(known.senders.contains_key(first.transactions[0].tx_hash()));
        known.insert(&proposal(2, 0));
        assert_eq!(known.order.len(), LATE_MAX);
        assert!(!known.senders.contains_key(first.transactions[0].tx_hash()));
        assert_eq!(known.senders.len(), 1);
    }
}
