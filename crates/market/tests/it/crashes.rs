//! Exactly once over crashes (row A14).

use crate::{
    ledger::{Fault, FaultyLedger},
    stack::Stack,
};
use bxp_clinical::sender::TransactionSender;
use bxp_contracts::RequestState;
use bxp_types::{Amount, Ledger};
use std::sync::Arc;

const HOUR: u64 = 3_600;

/// Goal: a restarted agent neither delivers nor settles what is done. Way: everything is done, then a new agent works.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_after_the_delivery_changes_nothing() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let request = stack.request(2, HOUR, 1).await;
    let agent = star.agent();
    stack.until("it is settled", || stack.progress(request).settled == 1).await;
    agent.stop().await;
    let sent = stack.ledger.account(star.account()).unwrap().nonce;
    let agent = star.agent();
    // Another request shows that the new agent has had its rounds.
    let another = stack.request(1, HOUR, 1).await;
    stack.until("the other one is settled", || stack.progress(another).settled == 1).await;
    agent.stop().await;
    assert_eq!(stack.reader().delivery_count(request).unwrap(), 1);
    assert_eq!(stack.ledger.account(star.account()).unwrap().nonce, sent + 2, "the other's two and no more");
    assert_eq!(stack.balance(patients[0]), Amount::from_mbxm(2_800).0);
}

async fn killed_at(fault: Fault) {
    let (stack, star, patients) = Stack::with_patients(2).await;
    star.contribute(&patients, true).await;
    let request = stack.request(2, HOUR, 1).await;
    let faulty = Arc::new(FaultyLedger::new(stack.chain.clone(), fault));
    let hung = Arc::clone(&faulty.hung);
    let ledger: Arc<dyn Ledger> = faulty;
    let agent = star.agent_on(Arc::clone(&ledger), TransactionSender::new(ledger, star.enclave.clone()));
    hung.notified().await;
    agent.kill().await;
    if fault == Fault::AfterSubmission {
        stack.until("the chain counts it", || stack.progress(request).counted == 2).await;
    }
    let agent = star.agent();
    stack.until("all is settled", || stack.progress(request).settled == 2).await;
    agent.stop().await;
    assert_eq!(stack.progress(request).state, RequestState::Inactive);
    assert_eq!(stack.reader().delivery_count(request).unwrap(), 1);
    assert_eq!(
        stack.open_delivery(&star, request, 0).charts.len(),
        2,
        "the sealed delivery was on disk before"
    );
    for patient in patients {
        assert_eq!(stack.balance(patient), Amount::from_mbxm(1_400).0);
    }
}

/// Goal: a crash between the sealed delivery and its transaction loses nothing. Way: the agent dies in `submit`.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_transaction_is_sent() {
    killed_at(Fault::BeforeSubmission).await;
}

/// Goal: a crash after the transaction was sent pays nobody twice. Way: the agent dies before it learns the hash.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_the_transaction_is_sent() {
    killed_at(Fault::AfterSubmission).await;
}

/// Goal: a sealed delivery leaves only once the contract has counted it. Way: a delivery that was written but never sent,
/// of patients who revoke before the agent is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_not_counted_never_leaves() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let request = stack.request(1, HOUR, 1).await;
    let faulty = Arc::new(FaultyLedger::new(stack.chain.clone(), Fault::BeforeSubmission));
    let hung = Arc::clone(&faulty.hung);
    let ledger: Arc<dyn Ledger> = faulty;
    let agent = star.agent_on(Arc::clone(&ledger), TransactionSender::new(ledger, star.enclave.clone()));
    hung.notified().await;
    agent.kill().await;
    let kept = star.kept_deliveries();
    assert_eq!(kept.len(), 1);
    assert_eq!(star.service().delivery(&kept[0]).unwrap(), None);
    assert_eq!(star.service().answer(&kept[0].to_bytes()), None);
    star.contribute(&patients, false).await;
    let agent = star.agent();
    stack.until("it is deleted", || star.kept_deliveries().is_empty()).await;
    agent.stop().await;
    assert_eq!(stack.progress(request).counted, 0);
}
