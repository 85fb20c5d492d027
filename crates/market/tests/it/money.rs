//! Who is paid what, by whom, and that nothing is lost on the way.

use crate::{
    holder::Holder,
    stack::{BENEFICIARY, Stack, TREASURY, now},
};
use bxp_contracts::RequestState;
use bxp_market::{accept, refund};
use bxp_types::{Address, Amount, U256};

const HOUR: u64 = 3_600;

fn mbxm(amount: u64) -> U256 {
    Amount::from_mbxm(amount).0
}

/// Everybody's balances add up to what genesis gave to the buyer and to each holder.
fn assert_conserved(stack: &Stack, holders: &[&Holder], request: Address, patients: &[Address]) {
    let mut accounts = vec![stack.buyer_account(), TREASURY, BENEFICIARY, request];
    accounts.extend(holders.iter().map(|holder| holder.account()));
    let sum: U256 = accounts.iter().chain(patients).map(|&account| stack.balance(account)).sum();
    assert_eq!(sum, U256::from(holders.len() + 1) * Amount::from_bxm(1_000).0);
    let gas: U256 = holders.iter().map(|holder| stack.gas_paid(holder.account())).sum();
    assert_eq!(stack.balance(BENEFICIARY), gas + stack.gas_paid(stack.buyer_account()));
}

/// Goal: the holder is paid without the buyer's help. Way: one of two contributes; the acceptance window ends.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_window_the_holder_settles_and_everyone_gets_the_share() {
    let (stack, star, patients) = Stack::with_patients(2).await;
    star.contribute(&patients[..1], true).await;
    let agent = star.agent();
    let request = stack.request(2, HOUR, 1).await;
    stack.until("the delivery is settled", || stack.progress(request).settled == 1).await;
    agent.stop().await;
    assert_eq!([0, 1].map(|number: usize| stack.balance(patients[number])), [mbxm(1_400), U256::ZERO]);
    assert_eq!(stack.balance(TREASURY), mbxm(100));
    let start = Amount::from_bxm(1_000).0;
    let holder = start + mbxm(500) - stack.gas_paid(star.account());
    assert_eq!(stack.balance(star.account()), holder);
    let buyer = start - mbxm(4_000) - stack.gas_paid(stack.buyer_account());
    assert_eq!(stack.balance(stack.buyer_account()), buyer);
    assert_eq!(stack.balance(request), mbxm(2_000), "the other's price stays in escrow");
    assert_conserved(&stack, &[&star], request, &patients);
}

/// Goal: who accepts early pays early, and the agent does not pay again. Way: the buyer settles long before the window ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_buyer_may_accept_at_once() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let agent = star.agent();
    let request = stack.request(1, HOUR, 600).await;
    stack.until("it is counted", || stack.progress(request).counted == 1).await;
    assert_eq!(stack.open_delivery(&star, request, 0).charts.len(), 1);
    stack.buy(accept(request, u32::MAX)).await;
    let progress = stack.progress(request);
    assert_eq!((progress.settled, progress.state), (1, RequestState::Inactive));
    agent.stop().await;
    assert_eq!(stack.balance(patients[0]), mbxm(1_400));
    assert_eq!(stack.balance(request), U256::ZERO);
    assert_conserved(&stack, &[&star], request, &patients);
    assert_eq!(
        stack.open_delivery(&star, request, 0).charts.len(),
        1,
        "what is paid for can still be fetched"
    );
}

/// Goal: what is not fulfilled by the deadline goes back to the buyer. Way: three wanted, one there, a short term.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_is_refunded_after_the_deadline() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let agent = star.agent();
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
    assert_conserved(&stack, &[&star], request, &patients);
    let view = stack.reader().view(request).unwrap();
    assert_eq!((view.counted, view.refunded, view.state.as_str()), (1, Amount::from_mbxm(4_000), "Inactive"));
    assert_eq!(stack.reader().views(0, 10).unwrap(), (vec![view], 1));
}

/// Goal (row E): two holders answer one request together, and neither the number wanted nor a patient is exceeded. Way: Star
/// and Dawn have two charts each and answer at once; three are wanted.
#[tokio::test(flavor = "multi_thread")]
async fn two_holders_share_a_request() {
    let (stack, star, mut patients) = Stack::with_patients(2).await;
    let dawn = stack.second_holder();
    let dawns = dawn.take_in_fitting(2, 50).await;
    star.contribute(&patients, true).await;
    dawn.contribute(&dawns, true).await;
    let request = stack.request(3, HOUR, 1).await;
    let agents = [star.agent(), dawn.agent()];
    stack.until("all three are settled", || stack.progress(request).settled == 3).await;
    for agent in agents {
        agent.stop().await;
    }
    assert_eq!(stack.progress(request).state, RequestState::Inactive);
    patients.extend(dawns);
    let paid = patients.iter().filter(|patient| stack.balance(**patient) == mbxm(1_400)).count();
    assert_eq!(paid, 3);
    for (holder, name) in [(&star, "star"), (&dawn, "dawn")] {
        let mut delivered = 0;
        for delivery in stack.reader().deliveries(request, 0).unwrap() {
            let (number, delivery) = delivery.unwrap();
            if delivery.holder == holder.account() {
                let charts = stack.open_delivery(holder, request, number).charts.len();
                assert_eq!(charts, delivery.count as usize);
                delivered += u64::from(delivery.count);
            }
        }
        assert!(delivered >= 1, "{name}");
        let earned = mbxm(500) * U256::from(delivered);
        let start = Amount::from_bxm(1_000).0;
        assert_eq!(stack.balance(holder.account()), start + earned - stack.gas_paid(holder.account()));
    }
    assert_conserved(&stack, &[&star, &dawn], request, &patients);
}
