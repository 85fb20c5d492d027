//! Chains of one network in one process: real sockets on loopback, real folders, real consensus and execution.

mod cluster;
mod misuse;
mod segments;
mod verify;
mod wide_area;
mod wire;

use bxp_chain::Verification;
use bxp_types::{Height, Ledger, SubmitError, U256};
use cluster::{Cluster, How, Wallet};
use std::time::Duration;

const SHARDED: How = How { verification: Verification::Sharded, segments: None };

/// Goal: a transfer sent to any node is final on all of them. Way: one transfer through each of four nodes.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_through_every_node_become_final_everywhere() {
    transfers_through_every_node(Cluster::start(4).await).await;
}

/// The same with two of four nodes checking each proposal, and the others going by their reports.
#[tokio::test(flavor = "multi_thread")]
async fn sharded_verification_makes_the_same_transfers_final() {
    transfers_through_every_node(Cluster::start_with(4, SHARDED).await).await;
}

async fn transfers_through_every_node(cluster: Cluster) {
    let mut hashes = Vec::new();
    for (index, wallet) in cluster.wallets().enumerate() {
        hashes.push(cluster.chain(index).submit(wallet.transfer(0)).await.unwrap());
    }
    cluster.wait_included(&[0, 1, 2, 3], &hashes).await;
    cluster.assert_equal_blocks(&[0, 1, 2, 3]);
    for index in 0..4 {
        let to = cluster.chain(index).account(Wallet::RECIPIENT).unwrap();
        assert_eq!(to.balance, U256::from(4), "node {index}");
    }
    cluster.wait_certified(&[0, 1, 2, 3]).await;
}

/// Goal: transactions that are submitted together are answered one by one, in order, and what one is refused for does not
/// touch the others; once answered they are on disk.
#[tokio::test(flavor = "multi_thread")]
async fn many_are_submitted_together() {
    let mut cluster = Cluster::start(4).await;
    for node in 1..4 {
        cluster.stop(node).await;
    }
    let (one, two) = (Wallet::new(1), Wallet::new(2));
    let mut raws: Vec<_> = (0..40).map(|nonce| one.transfer(nonce)).collect();
    raws.push(one.transfer(7));
    raws.push(Wallet::new(99).transfer(0));
    raws.push(vec![0x02, 0xff].into());
    raws.extend((0..5).rev().map(|nonce| two.transfer(nonce)));
    let answers = cluster.chain(0).submit_many(raws.clone()).await;
    assert_eq!(answers.len(), raws.len());
    let hash = |raw: &bxp_types::Bytes| Ok(bxp_types::primitives::keccak256(raw));
    for (place, (answer, raw)) in answers.iter().zip(&raws).enumerate() {
        match place {
            40 => assert_eq!(*answer, Err(SubmitError::AlreadyKnown)),
            41 => assert!(matches!(answer, Err(SubmitError::InsufficientFunds { .. })), "{answer:?}"),
            42 => assert!(matches!(answer, Err(SubmitError::Decode(_))), "{answer:?}"),
            _ => assert_eq!(*answer, hash(raw), "transaction {place}"),
        }
    }
    let pending =
        |cluster: &Cluster, wallet: &Wallet| cluster.chain(0).pending_nonce(wallet.address()).unwrap();
    assert_eq!((pending(&cluster, &one), pending(&cluster, &two)), (40, 5));
    cluster.stop(0).await;
    for node in 0..4 {
        cluster.restart(node).await;
    }
    assert_eq!(pending(&cluster, &one), 40, "they were on disk");
    let hashes: Vec<_> = answers.into_iter().flatten().collect();
    cluster.wait_included(&[0, 1, 2, 3], &hashes).await;
    assert!(cluster.chain(0).submit_many(Vec::new()).await.is_empty());
}

/// Goal (A14): of two transactions with one nonce, sent to two nodes at once, exactly one wins.
#[tokio::test(flavor = "multi_thread")]
async fn one_nonce_over_two_nodes_is_spent_once() {
    let cluster = Cluster::start(4).await;
    let wallet = Wallet::new(1);
    let (first, second) = (wallet.transfer_of(0, 5), wallet.transfer_of(0, 7));
    let (first, second) = tokio::join!(cluster.chain(0).submit(first), cluster.chain(1).submit(second));
    let (first, second) = (first.unwrap(), second.unwrap());
    let after = cluster.chain(2).submit(Wallet::new(2).transfer(0)).await.unwrap();
    cluster.wait_included(&[0, 1, 2, 3], &[after]).await;
    cluster
        .until("one of the two is in", || cluster.chain(3).account(wallet.address()).unwrap().nonce == 1)
        .await;
    let won: Vec<_> = [first, second].map(|hash| cluster.chain(3).locate(hash).unwrap().is_some()).into();
    assert_eq!(won.iter().filter(|&&won| won).count(), 1, "{won:?}");
    let paid = cluster.chain(3).account(Wallet::RECIPIENT).unwrap().balance;
    assert!(paid == U256::from(6) || paid == U256::from(8), "{paid}");
    let again = cluster.chain(0).submit(wallet.transfer_of(0, 9)).await.unwrap_err();
    assert_eq!(again, SubmitError::NonceTooLow { next: 1, got: 0 });
}

/// Goal: one stopped validator of four stops nobody, and catches up from certified blocks when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_catches_up() {
    stopped_node_catches_up(Cluster::start(4).await).await;
}

/// The same where the stopped one is a verifier of others' proposals.
#[tokio::test(flavor = "multi_thread")]
async fn sharded_verification_bears_a_stopped_verifier() {
    stopped_node_catches_up(Cluster::start_with(4, SHARDED).await).await;
}

async fn stopped_node_catches_up(mut cluster: Cluster) {
    cluster.stop(3).await;
    let wallet = Wallet::new(1);
    for nonce in 0..5 {
        let hash = cluster.chain(0).submit(wallet.transfer(nonce)).await.unwrap();
        cluster.wait_included(&[0, 1, 2], &[hash]).await;
    }
    let height = cluster.chain(0).head().height();
    assert!(height >= Height(5));
    cluster.restart(3).await;
    cluster
        .until("the restarted node is at the others' height", || cluster.chain(3).head().height() >= height)
        .await;
    cluster.assert_equal_blocks(&[0, 1, 2, 3]);
    let hash = cluster.chain(3).submit(Wallet::new(2).transfer(0)).await.unwrap();
    cluster.wait_included(&[0, 1, 2, 3], &[hash]).await;
}

/// Goal: with two of four stopped no block is added and nothing is lost; with them back it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn two_of_four_stop_the_chain_without_a_fork() {
    let mut cluster = Cluster::start(4).await;
    let wallet = Wallet::new(1);
    let first = cluster.chain(0).submit(wallet.transfer(0)).await.unwrap();
    cluster.wait_included(&[0, 1, 2, 3], &[first]).await;
    cluster.stop(2).await;
    cluster.stop(3).await;
    let second = cluster.chain(0).submit(wallet.transfer(1)).await.unwrap();
    // What was under way when the two stopped may still end; then nothing moves.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let heights = || [0, 1].map(|node| cluster.chain(node).head().height());
    let before = heights();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(heights(), before, "no quorum, no block");
    assert_eq!(cluster.chain(0).locate(second).unwrap(), None);
    cluster.restart(2).await;
    cluster.restart(3).await;
    cluster.wait_included(&[0, 1, 2, 3], &[second]).await;
    cluster.assert_equal_blocks(&[0, 1, 2, 3]);
}

/// Goal: what is acknowledged survives. Way: a transaction waits without a quorum, every node restarts, it goes in.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_transaction_survives_the_restart_of_all() {
    let mut cluster = Cluster::start(4).await;
    cluster.stop(1).await;
    cluster.stop(2).await;
    let hash = cluster.chain(0).submit(Wallet::new(1).transfer(0)).await.unwrap();
    cluster.stop(0).await;
    cluster.stop(3).await;
    for index in 0..4 {
        cluster.restart(index).await;
    }
    cluster.wait_included(&[0, 1, 2, 3], &[hash]).await;
    cluster.assert_equal_blocks(&[0, 1, 2, 3]);
}

/// Goal: a client that waits for the next block of a quiet chain gets one.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_chain_goes_on() {
    let cluster = Cluster::start(4).await;
    let hash = cluster.chain(0).submit(Wallet::new(1).transfer(0)).await.unwrap();
    cluster.wait_included(&[0], &[hash]).await;
    let height = cluster.chain(0).head().height();
    cluster.until("an empty block follows", || cluster.chain(0).head().height() > height).await;
}

/// Goal: a network of one works, as a developer's chain does.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_validator_decides_alone() {
    let cluster = Cluster::start(1).await;
    let hash = cluster.chain(0).submit(Wallet::new(1).transfer(0)).await.unwrap();
    cluster.wait_included(&[0], &[hash]).await;
    cluster.wait_certified(&[0]).await;
}
