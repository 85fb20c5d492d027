//! What stands still holds new heights back, the pool fills, and clients are told so (ADR 54).

use super::node::{Node, after, at, genesis};
use crate::{
    Admitted, Machine, Verification,
    machine::start::{LAG_MAX, SPREAD, UNCERTIFIED_MAX},
    mempool::PoolLimits,
    proposal::tests::transfer,
};
use alloy_consensus::transaction::TxHashRef as _;
use alloy_eips::eip2718::Encodable2718 as _;
use bxp_types::{B256, Height, RecoveredTransaction, SubmitError};
use std::collections::BTreeSet;

/// Goal: no height begins more than `LAG_MAX` above the newest block, whoever works on it; each block that is executed lets
/// one more begin. The journal counts on it.
#[test]
fn execution_that_lags_stops_new_heights_until_it_has_caught_up() {
    let mut node = Node::open();
    for height in (1..=LAG_MAX + 2).map(Height) {
        node.hears(2, height, at(5));
        node.hears(3, height, at(5));
    }
    node.turns(at(5));
    assert_eq!(node.machine.started, Height(LAG_MAX));
    for height in (1..=LAG_MAX).map(Height) {
        node.decide(height, at(6));
    }
    node.admit(&transfer(1, 0, 1)).unwrap();
    node.turns(at(60_000));
    assert_eq!(node.machine.started, Height(LAG_MAX), "all is decided and nothing executed");
    assert_eq!(node.machine.next_start(at(60_000)), None);
    assert_eq!(node.jobs.len() + node.machine.load().jobs, LAG_MAX as usize, "they wait for execution");
    for executed in (1..=2).map(Height) {
        node.work(at(60_001));
        assert_eq!(node.machine.shared.head().height(), executed);
        assert_eq!(node.machine.started, Height(executed.0 + LAG_MAX));
        assert_eq!(node.machine.started, Machine::begun_max(executed));
    }
    assert_eq!(node.nonces(LAG_MAX + 1), [0], "what waited in the pool is in the first of them");
}

/// Goal: after `UNCERTIFIED_MAX` blocks without a certificate no height begins, whoever works on it, until one has come.
#[test]
fn missing_certificates_stop_new_heights_until_one_comes() {
    assert_eq!(UNCERTIFIED_MAX, 8, "another number is another decision");
    let mut node = Node::open();
    for nonce in 0..UNCERTIFIED_MAX {
        node.block(nonce, at(5));
    }
    assert_eq!(node.machine.shared.head().height(), Height(UNCERTIFIED_MAX));
    let next = Height(UNCERTIFIED_MAX + 1);
    node.admit(&transfer(1, UNCERTIFIED_MAX, 1)).unwrap();
    node.hears(2, next, at(6));
    node.hears(3, next, at(6));
    node.turns(at(60_000));
    assert_eq!(node.machine.started, Height(UNCERTIFIED_MAX));
    assert_eq!(node.machine.next_start(at(60_000)), None);
    node.attest_by_others(Height(1), at(60_001));
    assert_eq!((node.machine.started, node.nonces(next.0)), (next, vec![UNCERTIFIED_MAX]));
}

/// Goal: while the machine stands still its pool fills until the client is told so, however long it lasts; once a block has
/// spent what is in it, the pool takes again.
#[test]
fn a_stalled_machine_fills_its_pool_and_a_block_makes_room() {
    let pool = PoolLimits { transactions_max: 6, ..PoolLimits::default() };
    let mut node = Node::open_with(genesis(), pool, Verification::All);
    let mut now = at(5);
    for nonce in 0..6 {
        node.admit(&transfer(1, nonce, 1)).unwrap();
        node.turns(now);
        now = after(now, SPREAD);
    }
    let late = transfer(2, 0, 1);
    assert_eq!(node.admit(&late), Err(SubmitError::PoolUnderpriced));
    node.turns(at(60_000));
    assert_eq!(node.admit(&late), Err(SubmitError::PoolUnderpriced), "nobody has answered");
    node.decide(Height(1), at(60_000));
    assert_eq!(node.admit(&late), Err(SubmitError::PoolUnderpriced), "a decision spends nothing");
    node.work(at(60_001));
    assert_eq!(node.machine.load().pool, 5, "the block has spent one");
    assert_eq!(node.nonces(3), [2, 3, 4, 5], "what waited is proposed in one");
    node.admit(&late).unwrap();
    let refused = node.admit(&transfer(2, 1, 1));
    assert_eq!(refused, Err(SubmitError::PoolUnderpriced), "one has made room for one");
}

/// What the disk has of the pool.
fn rows(node: &Node) -> BTreeSet<B256> {
    node.machine.shared.blocks.pooled().unwrap().into_iter().map(|(hash, _)| hash).collect()
}

fn take(node: &Node, transaction: &RecoveredTransaction) -> Admitted {
    node.machine.shared.admit(&transaction.encoded_2718()).unwrap()
}

fn keep(node: &Node, admitted: &[Admitted]) {
    node.machine.shared.keep(admitted).unwrap();
}

fn hashes(transactions: &[&RecoveredTransaction]) -> BTreeSet<B256> {
    transactions.iter().map(|transaction| *transaction.tx_hash()).collect()
}

/// Goal: what a newcomer has pushed out or replaced leaves the disk with the write of the newcomer, so that it does not come back
/// at the next start, nor go before that write.
#[test]
fn what_left_the_pool_leaves_the_disk_when_the_newcomer_is_written() {
    let pool = PoolLimits { transactions_max: 2, ..PoolLimits::default() };
    let node = Node::open_with(genesis(), pool, Verification::All);
    let (first, last, dear) = (transfer(1, 0, 1), transfer(1, 1, 1), transfer(2, 0, 10));
    keep(&node, &[take(&node, &first), take(&node, &last)]);
    let newcomer = take(&node, &dear);
    assert_eq!(newcomer.gone, [*last.tx_hash()]);
    assert_eq!(rows(&node), hashes(&[&first, &last]), "nothing is written yet");
    keep(&node, &[newcomer]);
    assert_eq!(rows(&node), hashes(&[&first, &dear]));
    let dearer = transfer(2, 0, 500_000_000);
    keep(&node, &[take(&node, &dearer)]);
    assert_eq!(rows(&node), hashes(&[&first, &dearer]), "a replaced one goes too");
}

/// Goal: whoever was pushed out and comes again is kept, although the write of what pushed it out comes later.
#[test]
fn what_comes_again_stays_on_the_disk() {
    let pool = PoolLimits { transactions_max: 1, ..PoolLimits::default() };
    let node = Node::open_with(genesis(), pool, Verification::All);
    let (cheap, dear) = (transfer(1, 0, 1), transfer(2, 0, 10));
    keep(&node, &[take(&node, &cheap)]);
    let slow = take(&node, &dear);
    node.machine.shared.forget(slow.hash());
    keep(&node, &[take(&node, &cheap)]);
    keep(&node, &[slow]);
    assert!(rows(&node).contains(cheap.tx_hash()));
}

/// Goal: the machine tells its pool the time, and what waited behind a gap for three hours leaves the disk as well.
#[test]
fn what_waits_behind_a_gap_leaves_the_disk_after_three_hours() {
    const HOUR_MS: u64 = 60 * 60 * 1_000;
    let mut node = Node::open();
    let gapped = transfer(1, 1, 1);
    keep(&node, &[take(&node, &gapped)]);
    node.turns(at(2 * HOUR_MS));
    assert_eq!(rows(&node), hashes(&[&gapped]));
    node.turns(at(3 * HOUR_MS));
    assert_eq!((rows(&node), node.machine.load().pool), (BTreeSet::new(), 0));
}
