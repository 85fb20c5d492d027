//! What becomes of a transaction that a full pool has pushed out (ADR 98).

use crate::{
    ledger::TestLedger,
    node::{Cluster, cluster},
};
use bxp_clinical::sender::{Call, Mined, SendFailure, TransactionSender};
use bxp_types::{Address, Bytes, Jurisdiction, Ledger, SubmitError, U256};
use std::sync::{Arc, atomic::Ordering};
use tokio::task::JoinHandle;

const US: Jurisdiction = Jurisdiction::US;

/// Someone who waits for a transaction's receipt.
type Sending = JoinHandle<Result<Mined, SendFailure>>;

/// Sends a transaction that the pool takes in and pushes out again. From then on it refuses everything for this reason.
async fn pushed_out(cluster: &Cluster, refusal: &SubmitError) -> Sending {
    let (ledger, node) = (&cluster.ledger, &cluster.nodes[0]);
    let account = node.enclave.public().account;
    let sender = TransactionSender::new(Arc::clone(ledger) as Arc<dyn Ledger>, node.enclave.clone());
    let call = Call { to: Address::repeat_byte(9), value: U256::ZERO, data: Bytes::new() };
    ledger.stalled.store(true, Ordering::SeqCst);
    let sending = tokio::spawn(async move { sender.send(account, &call).await });
    while ledger.submitted.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    ledger.stalled.store(false, Ordering::SeqCst);
    *ledger.refusal.lock() = Some(refusal.clone());
    sending
}

/// Blocks without transactions until the sender has its answer, or so many.
async fn empty_blocks(ledger: &TestLedger, sending: &Sending, max: usize) {
    for _ in 0..max {
        if sending.is_finished() {
            return;
        }
        ledger.empty_block();
        // The sender looks at this one.
        tokio::task::yield_now().await;
    }
}

fn refused(ledger: &TestLedger) -> u64 {
    ledger.refused.load(Ordering::SeqCst)
}

/// Goal: what was pushed out of a full pool is sent again, some blocks later each time, until there is room, and the
/// call is run once.
#[tokio::test]
async fn a_pool_without_room_is_asked_again_until_it_has_some() {
    let cluster = cluster(&[US]);
    let ledger = &cluster.ledger;
    let sending = pushed_out(&cluster, &SubmitError::PoolUnderpriced).await;
    empty_blocks(ledger, &sending, 20).await;
    assert!(!sending.is_finished(), "a refusal says nothing of what was sent before");
    assert_eq!(refused(ledger), 2, "after eight blocks, and after sixteen");
    *ledger.refusal.lock() = None;
    empty_blocks(ledger, &sending, 20).await;
    assert!(sending.is_finished());
    let hash = sending.await.unwrap().unwrap().hash;
    assert_eq!(*ledger.submitted.lock(), [hash, hash], "the same transaction");
    let account = cluster.nodes[0].enclave.public().account;
    assert_eq!(ledger.account(account).unwrap().nonce, 1, "nothing else was sent");
}

/// Goal: who gives up says that the transaction's fate is unknown, never that nothing was sent.
#[tokio::test]
async fn a_transaction_that_was_sent_once_never_ends_as_not_sent() {
    for refusal in [
        SubmitError::PoolFull,
        SubmitError::PoolUnderpriced,
        SubmitError::AccountLimit,
        SubmitError::ReplacementUnderpriced,
    ] {
        let cluster = cluster(&[US]);
        let sending = pushed_out(&cluster, &refusal).await;
        empty_blocks(&cluster.ledger, &sending, 100).await;
        assert!(sending.is_finished(), "{refusal}");
        let failure = sending.await.unwrap().unwrap_err();
        assert!(matches!(failure, SendFailure::Dropped { attempts: 8, .. }), "{refusal}: {failure:?}");
        assert_eq!(refused(&cluster.ledger), 8, "{refusal}");
        assert_eq!(cluster.ledger.submitted.lock().len(), 1, "{refusal}");
    }
}
