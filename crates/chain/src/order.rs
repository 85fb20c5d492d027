//! From a superblock's proposals to one order of transactions.
//!
//! Proposals come by index, rotated by the parent's `mixHash`, so that no validator is always first. That is the hash of
//! the superblock below, which is known before its block is made, and never its certificate's: nodes hold different sets of
//! signatures. Duplicates are dropped by hash.
//! Each sender's transactions are put in nonce order into that sender's own slots, so that the race between proposals
//! never reorders one sender's work.

use alloy_consensus::Transaction as _;
use bxp_types::{Address, B256, RecoveredTransaction};
use std::collections::{HashMap, HashSet};

/// One order for all transactions of a superblock. `proposals` stand by proposer index.
#[must_use]
pub fn order<'a>(
    parent: B256,
    proposals: impl IntoIterator<Item = &'a [RecoveredTransaction]>,
) -> Vec<RecoveredTransaction> {
    let mut proposals: Vec<_> = proposals.into_iter().collect();
    rotate(parent, &mut proposals);
    let mut seen = HashSet::new();
    let unique = proposals.into_iter().flatten().filter(|transaction| seen.insert(*transaction.tx_hash()));
    // Copied once, when their places are known.
    nonce_order(unique.collect()).into_iter().cloned().collect()
}

fn rotate(parent: B256, proposals: &mut [&[RecoveredTransaction]]) {
    if !proposals.is_empty() {
        let (seed, _) = parent.0.split_at(8);
        let seed = seed.iter().fold(0_u64, |seed, byte| (seed << 8) | u64::from(*byte));
        let first = seed % proposals.len() as u64;
        proposals.rotate_left(first as usize);
    }
}

fn nonce_order(transactions: Vec<&RecoveredTransaction>) -> Vec<&RecoveredTransaction> {
    let mut queues: HashMap<Address, Vec<&RecoveredTransaction>> = HashMap::new();
    for &transaction in &transactions {
        queues.entry(transaction.signer()).or_default().push(transaction);
    }
    for queue in queues.values_mut() {
        // The sort is stable: of two with one nonce, the earlier slot stays first and wins. Taken from the end.
        queue.sort_by_key(|transaction| transaction.nonce());
        queue.reverse();
    }
    let slots = transactions.into_iter().map(RecoveredTransaction::signer);
    slots.filter_map(|sender| queues.get_mut(&sender)?.pop()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposal::tests::transfer;

    fn nonces(list: &[RecoveredTransaction]) -> Vec<(u8, u64)> {
        list.iter().map(|transaction| (transaction.signer().0[0], transaction.nonce())).collect()
    }

    #[test]
    fn each_sender_fills_its_own_slots_in_nonce_order() {
        let (a, b) = (1_u8, 2_u8);
        let first = [transfer(a, 2, 1), transfer(b, 0, 1), transfer(a, 0, 1)];
        let second = [transfer(a, 1, 1), transfer(b, 0, 1)];
        let signer = |seed: u8| transfer(seed, 0, 1).signer().0[0];
        let ordered = order(B256::ZERO, [&first[..], &second[..]]);
        assert_eq!(
            nonces(&ordered),
            [(signer(a), 0), (signer(b), 0), (signer(a), 1), (signer(a), 2)],
            "the duplicate of b's transaction is gone"
        );
    }

    #[test]
    fn the_parent_rotates_who_is_first() {
        let proposals = || vec![vec![transfer(1, 0, 1)], vec![transfer(2, 0, 1)], vec![transfer(3, 0, 1)]];
        let first = |seed: u64| {
            let mut parent = B256::ZERO;
            parent.0[..8].copy_from_slice(&seed.to_be_bytes());
            order(parent, proposals().iter().map(Vec::as_slice))[0].signer()
        };
        assert_eq!(first(0), transfer(1, 0, 1).signer());
        assert_eq!(first(4), transfer(2, 0, 1).signer());
        assert_eq!(first(5), transfer(3, 0, 1).signer());
        assert!(order(B256::ZERO, []).is_empty());
    }

    #[test]
    fn of_two_with_one_nonce_the_earlier_slot_stays_first() {
        let (cheap, dear) = (transfer(1, 7, 1), transfer(1, 7, 2));
        let ordered = order(B256::ZERO, [&[cheap.clone()][..], &[dear.clone()][..]]);
        assert_eq!(ordered, [cheap, dear]);
    }
}
