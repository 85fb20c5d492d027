//! The next proposals spread while earlier ones are decided and executed (ADR 54): how many, how large, how soon.

use super::node::{Node, after, at, genesis};
use crate::{
    Input, Job, Moment, Verification,
    machine::start::{LAG_MAX, OPEN_MAX, SPREAD},
    mempool::PoolLimits,
    proposal::{
        ProposalRules,
        tests::{CHAIN_ID, sign, transfer},
    },
    sync::{SyncItem, SyncResponse},
};
use alloy_consensus::{Transaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::TxKind;
use bxp_execution::Below;
use bxp_types::{Address, B256, Certificate, Genesis, Height, RecoveredTransaction, ValidatorIndex};
use std::{collections::BTreeMap, time::Duration};

/// Goal: a second own height begins while the first one is undecided, and no third before the first one's block; what is
/// under way is not proposed again.
#[test]
fn two_own_heights_are_open_at_once_and_no_third() {
    let measured = (2, 6, Duration::from_millis(50));
    assert_eq!((OPEN_MAX, LAG_MAX, SPREAD), measured, "ADR 54 and 75");
    let mut node = Node::open();
    let mut now = at(5);
    for nonce in 0..=OPEN_MAX {
        node.admit(&transfer(1, nonce, 1)).unwrap();
        node.turns(now);
        now = after(now, SPREAD);
    }
    node.turns(at(60_000));
    assert_eq!(node.machine.started, Height(OPEN_MAX), "nobody has answered");
    assert_eq!(node.machine.next_start(at(60_000)), None, "time alone begins no other");
    node.decide(Height(1), at(60_000));
    assert_eq!(node.machine.started, Height(OPEN_MAX), "a decision is no block");
    node.work(at(60_001));
    assert_eq!(node.machine.started, Height(OPEN_MAX + 1), "the block has made room");
    for height in 1..=OPEN_MAX + 1 {
        assert_eq!(node.nonces(height), [height - 1], "height {height} has what no other has");
    }
}

/// Goal: under load a proposal is full, to the block's gas or to a body's bytes, and the next one goes on where it ends.
#[test]
fn under_load_a_proposal_is_full_and_the_next_one_goes_on_where_it_ends() {
    let small: Vec<_> = (0..25).map(|nonce| transfer(1, nonce, 1)).collect();
    let large: Vec<_> = (0..36).map(large).collect();
    // Almost eleven transfers; and more gas than a body can ask for.
    let (scarce, plenty) = (11 * small[0].gas_limit() - 1, 200_000_000);
    for (transactions, gas_limit, verification) in [
        (&small, scarce, Verification::All),
        (&large, plenty, Verification::All),
        (&large, plenty, Verification::Sharded),
    ] {
        let genesis = Genesis { gas_limit, ..genesis() };
        let bytes_max = ProposalRules::of(&genesis).bytes_max;
        let mut node = Node::open_with(genesis, PoolLimits::default(), verification);
        for transaction in transactions {
            node.admit(transaction).unwrap();
        }
        node.turns(at(5));
        node.turns(after(at(5), SPREAD));
        assert_eq!(node.machine.started, Height(2));
        let (first, second) = (node.nonces(1), node.nonces(2));
        let (bytes, gas) = (node.body_bytes(1), first.len() as u64 * transactions[0].gas_limit());
        assert!(bytes <= bytes_max && gas <= gas_limit, "{bytes} bytes, {gas} gas");
        let one_more = (bytes + transactions[0].encode_2718_len(), gas + transactions[0].gas_limit());
        assert!(one_more.0 > bytes_max || one_more.1 > gas_limit, "one more fits: {bytes} bytes, {gas} gas");
        let in_order: Vec<u64> = (0..(first.len() + second.len()) as u64).collect();
        assert!(!second.is_empty());
        assert_eq!([first, second].concat(), in_order);
    }
}

/// A transaction of which a body holds some thirty.
fn large(nonce: u64) -> RecoveredTransaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 1_400_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(9)),
        input: vec![0_u8; 128_000].into(),
        ..Default::default()
    };
    sign(1, transaction)
}

/// Goal: while own transactions are under way, heights begin no closer than the spread, also where a block comes in between;
/// and the machine wakes up when it is over.
#[test]
fn under_load_heights_keep_the_spread() {
    let mut node = Node::open();
    let first = at(100);
    node.admit(&transfer(1, 0, 1)).unwrap();
    node.turns(first);
    node.admit(&transfer(1, 1, 1)).unwrap();
    let second = after(first, SPREAD);
    assert_eq!(node.machine.wake_at(first), second.elapsed);
    node.turns(after(first, SPREAD / 2));
    assert_eq!(node.machine.started, Height(1), "half of the spread is over");
    node.turns(second);
    assert_eq!(node.machine.started, Height(2), "all of it is over");
    let between = after(second, SPREAD / 2);
    node.decide(Height(1), between);
    node.work(between);
    node.admit(&transfer(1, 2, 1)).unwrap();
    node.turns(between);
    assert_eq!(node.machine.started, Height(2), "a block came, and the second one is under way");
    let third = after(second, SPREAD);
    assert_eq!(node.machine.wake_at(between), third.elapsed);
    node.turns(third);
    assert_eq!(node.machine.started, Height(3));
}

/// Goal: at low load a transaction does not wait: neither in an idle network, nor for the spread once the one before has its
/// block, nor for a height that is open without one of its own.
#[test]
fn at_low_load_a_transaction_does_not_wait() {
    let mut node = Node::open();
    node.turns(at(300));
    assert_eq!(node.machine.started, Height(0), "nothing to do");
    node.admit(&transfer(1, 0, 1)).unwrap();
    assert_eq!(node.machine.wake_at(at(300)), at(300).elapsed);
    node.turns(at(300));
    assert_eq!((node.machine.started, node.nonces(1)), (Height(1), vec![0]));

    let soon = after(at(300), SPREAD / 5);
    node.decide(Height(1), soon);
    node.work(soon);
    node.block(1, soon);
    assert_eq!((node.machine.shared.head().height(), node.nonces(2)), (Height(2), vec![1]));

    node.hears(3, Height(3), soon);
    node.turns(soon);
    assert_eq!((node.machine.started, node.nonces(3)), (Height(3), vec![]), "another one began it");
    node.admit(&transfer(1, 2, 1)).unwrap();
    node.turns(soon);
    assert_eq!((node.machine.started, node.nonces(4)), (Height(4), vec![2]));
}

/// What waits outside, in words.
fn jobs(node: &Node) -> Vec<&'static str> {
    let name = |job: &Job| match job {
        Job::Run { below: None, .. } => "run",
        Job::Run { below: Some(Below::Unwritten(_)), .. } => "run above a hash",
        Job::Run { below: Some(Below::Ran { .. }), .. } => "run above no hash",
        Job::Seal { .. } => "seal",
        Job::Write(_) => "write",
        Job::Import { .. } => "import",
        Job::Check { .. } => "check",
    };
    node.jobs.iter().map(name).collect()
}

/// A node with so many heights decided and no block made, and the moment. Whether it runs blocks ahead is `runs_ahead`.
fn decided(heights: u64, runs_ahead: bool) -> (Node, Moment) {
    let mut node = Node::open();
    node.machine.making.runs_ahead = runs_ahead;
    let mut now = at(5);
    for height in (1..=heights).map(Height) {
        node.hears(2, height, now);
        node.hears(3, height, now);
        node.admit(&transfer(1, height.0 - 1, 1)).unwrap();
        now = after(now, SPREAD);
        node.turns(now);
    }
    for height in (1..=heights).map(Height) {
        node.decide(height, now);
    }
    (node, now)
}

/// Goal: where there are few processors, a block is run when the one below is hashed, while that one is written.
#[test]
fn with_few_processors_a_block_is_run_above_a_hash_only() {
    let (mut node, now) = decided(2, false);
    for expected in [&["run"][..], &["seal"], &["write", "run above a hash"]] {
        assert_eq!(jobs(&node), expected);
        node.do_job(0, now);
    }
    assert_eq!(jobs(&node), ["run above a hash"]);
    for expected in ["seal", "write"] {
        node.do_job(0, now);
        assert_eq!(jobs(&node), [expected]);
    }
    node.do_job(0, now);
    assert_eq!(node.machine.shared.head().height(), Height(2));
}

/// Goal: a block is run while the one below it is hashed, and that one while the one below it is written; no fourth begins
/// before one of them is on disk, and nobody sees one that is not (ADR 99, 102). An import waits until all are.
#[test]
fn a_block_is_run_while_the_one_below_is_hashed_and_the_one_below_that_is_written() {
    let (mut node, now) = decided(4, true);
    let head = |node: &Node| node.machine.shared.head().height();
    assert_eq!(jobs(&node), ["run"]);
    node.do_job(0, now);
    assert_eq!(jobs(&node), ["seal", "run above no hash"]);
    node.do_job(1, now);
    assert_eq!(jobs(&node), ["seal"], "the second has run, and waits for the first one's hash");
    node.do_job(0, now);
    assert_eq!(jobs(&node), ["write", "seal", "run above no hash"]);
    node.do_job(1, now);
    node.do_job(1, now);
    assert_eq!(jobs(&node), ["write"], "the second is hashed, the third has run; the disk has none");
    assert_eq!(head(&node), Height(0));

    let answer = Some(SyncResponse { certified: Height(9), items: vec![foreign_item()] });
    node.machine.handle(Input::Fetched { from: ValidatorIndex(1), answer }, now).unwrap();
    node.turns(now);
    assert_eq!(jobs(&node), ["write"]);
    node.do_job(0, now);
    assert_eq!((head(&node), jobs(&node)), (Height(1), vec!["write", "seal", "run above no hash"]));
    node.do_job(0, now);
    assert_eq!((head(&node), jobs(&node)), (Height(2), vec!["seal", "run above no hash"]));
    node.do_job(0, now);
    assert_eq!((head(&node), jobs(&node)), (Height(2), vec!["run above no hash", "write"]));
    node.do_job(1, now);
    assert_eq!(
        (head(&node), jobs(&node)),
        (Height(3), vec!["run above no hash"]),
        "the third is on disk by then"
    );
    for step in ["seal", "write", "import"] {
        node.do_job(0, now);
        assert_eq!(jobs(&node), [step]);
    }
    assert_eq!(head(&node), Height(4));
    let nonce = node.machine.shared.state().account(transfer(1, 0, 1).signer()).unwrap().nonce;
    assert_eq!(nonce, 4, "nothing is lost between them");
}

/// Something to import, whatever it is.
fn foreign_item() -> SyncItem {
    let certificate =
        Certificate { height: Height(9), block_hash: B256::ZERO, signatures: BTreeMap::default() };
    SyncItem { block: None, certificate }
}
