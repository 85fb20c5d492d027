//! Who is paid what, by whom, and that nothing is lost on the way.

use crate::stack::{BENEFICIARY, Stack, TREASURY, now};
use bxp_contracts::RequestState;
use bxp_market::{accept, refund};
use bxp_types::{Address, Amount, U256};

const HOUR: u64 = 3_600;

fn mbxm(amount: u64) -> U256 {
    Amount::from_mbxm(amount).0
}

/// Everybody's balances add up to what genesis gave.
fn assert_conserved(stack: &Stack, request: Address, patients: &[Address]) {
    let accounts = [stack.buyer_account(), stack.holder(), TREASURY, BENEFICIARY, request];
    let sum: U256 = accounts.iter().chain(patients).map(|&account| stack.balance(account)).sum();
    assert_eq!(sum, Amount::from_bxm(2_000).0);
    let gas = stack.gas_paid(stack.buyer_account()) + stack.gas_paid(stack.holder());
    assert_eq!(stack.balance(BENEFICIARY), gas);
}

/// Goal: the holder is paid without the buyer's help. Way: one of two contributes; the acceptance window ends.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_window_the_holder_settles_and_everyone_gets_the_share() {
    let (stack, patients) = Stack::with_patients(2).await;
    stack.contribute(&patients[..1], true).await;
    let agent = stack.agent();
    let request = stack.request(2, HOUR, 1).await;
    stack.until("the delivery is settled", || stack.progress(request).settled == 1).await;
    agent.stop().await;
    assert_eq!([0, 1].map(|number: usize| stack.balance(patients[number])), [mbxm(1_400), U256::ZERO]);
    assert_eq!(stack.balance(TREASURY), mbxm(100));
    let start = Amount::from_bxm(1_000).0;
    let holder = start + mbxm(500) - stack.gas_paid(stack.holder());
    assert_eq!(stack.balance(stack.holder()), holder);
    let buyer = start - mbxm(4_000) - stack.gas_paid(stack.buyer_account());
    assert_eq!(stack.balance(stack.buyer_account()), buyer);
    assert_eq!(stack.balance(request), mbxm(2_000), "the other's price stays in escrow");
    assert_conserved(&stack, request, &patients);
}

/// Goal: who accepts early pays early, and the agent does not pay again. Way: the buyer settles long before the window ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_buyer_may_accept_at_once() {
    let (stack, patients) = Stack::with_patients(1).await;
    stack.contribute(&patients, true).await;
    let agent = stack.agent();
    let request = stack.request(1, HOUR, 600).await;
    stack.until("it is counted", || stack.progress(request).counted == 1).await;
    assert_eq!(stack.open_delivery(request, 0).charts.len(), 1);
    stack.buy(accept(request, u32::MAX)).await;
    let progress = stack.progress(request);
    assert_eq!((progress.settled, progress.state), (1, RequestState::Inactive));
    agent.stop().await;
    assert_eq!(stack.balance(patients[0]), mbxm(1_400));
    assert_eq!(stack.balance(request), U256::ZERO);
    assert_conserved(&stack, request, &patients);
    assert_eq!(stack.open_delivery(request, 0).charts.len(), 1, "what is paid for can still be fetched");
}

/// Goal: what is not fulfilled by the deadline goes back to the buyer. Way: three wanted, one there, a short term.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_is_refunded_after_the_deadline() {
    let (stack, patients) = Stack::with_patients(1).await;
    stack.contribute(&patients, true).await;
    let agent = stack.agent();
    let request = stack.request(3, 8, 600).await;
    let deadline = stack.reader().terms(request).unwrap().deadline;
    stack.until("it is counted", || stack.progress(request).counted == 1).await;
    stack.until("the term ends and the holder settles", || stack.progress(request).settled == 1).await;
    assert!(now() >= deadline, "before the deadline the window of 600 s is open");
    stack.buy(refund(request)).await;
    agent.stop().await;
    let progress = stack.progress(request);
    assert_eq!(progress.state, RequestState::Inactive);
    assert_eq!((progress.paid, progress.refunded), (mbxm(2_000), mbxm(4_000)));
    assert_eq!(stack.balance(request), U256::ZERO);
    let spent = mbxm(2_000) + stack.gas_paid(stack.buyer_account());
    assert_eq!(stack.balance(stack.buyer_account()), Amount::from_bxm(1_000).0 - spent);
    assert_eq!(stack.balance(patients[0]) + stack.balance(TREASURY), mbxm(1_500));
    assert_conserved(&stack, request, &patients);
    let view = stack.reader().view(request).unwrap();
    assert_eq!((view.counted, view.refunded, view.state.as_str()), (1, Amount::from_mbxm(4_000), "Inactive"));
    assert_eq!(stack.reader().views(0, 10).unwrap(), (vec![view], 1));
}
