//! DataRequest: payment exactly once, by whom and when, and the refund of what was not delivered.

use crate::chain::TREASURY;
use crate::fixture::{
    GreedyAccount, QUANTTUS, ReentrantAccount, RefusingAccount, STAR, STRANGER, Story, TERM, WINDOW, anchor,
    credit, deliver, open, patient, progress, refund, settle, state, terms,
};
use alloy_sol_types::SolCall;
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry, DataMarket, DataRequest, RequestState};
use bxp_types::Amount;
use bxp_types::primitives::{Address, Bytes, U256};

const NONE: U256 = U256::ZERO;

fn mbxm(amount: u64) -> U256 {
    Amount::from_mbxm(amount).0
}

#[test]
fn the_buyer_settles_at_once_and_everyone_gets_the_split() {
    let mut story = Story::new(3, 3);
    story.deliver(&[patient(0), patient(1), patient(2)]).unwrap();
    let done = story.settle(QUANTTUS).unwrap();
    assert_eq!(done.events::<DataRequest::Paid>().len(), 5);
    assert_eq!(story.balances([0, 1, 2].map(patient)), [mbxm(1400); 3]);
    assert_eq!(story.purses(), [NONE, mbxm(1500), mbxm(300), NONE]);
    let progress = progress(&mut story.chain, story.request);
    assert_eq!(progress.settled, 3);
    assert_eq!(state(&mut story.chain, story.request), RequestState::Inactive);
    assert_eq!((progress.paid, progress.refunded), (mbxm(6000), NONE));

    story.settle(QUANTTUS).unwrap_err().as_error::<DataRequest::NothingToSettle>();
    refund(&mut story.chain, story.request).unwrap_err().as_error::<DataRequest::ConditionNotMet>();
}

#[test]
fn others_settle_after_the_window_of_each_delivery() {
    let mut story = Story::new(3, 3);
    let first_time = story.chain.time;
    story.deliver(&[patient(0)]).unwrap();
    story.chain.time += WINDOW / 2;
    story.deliver(&[patient(1)]).unwrap();
    let refused = story.settle(STAR).unwrap_err();
    let error = refused.as_error::<DataRequest::NothingToSettle>();
    assert_eq!(error.earliest, U256::from(first_time + WINDOW));

    story.chain.time = first_time + WINDOW;
    story.settle(STAR).unwrap();
    assert_eq!(story.balances([patient(0), patient(1)]), [mbxm(1400), NONE]);
    story.settle(STAR).unwrap_err().as_error::<DataRequest::NothingToSettle>();
    story.chain.time += WINDOW / 2;
    story.settle(STRANGER).unwrap();
    assert_eq!(story.balances([patient(0), patient(1)]), [mbxm(1400), mbxm(1400)]);
}

#[test]
fn the_deadline_ends_every_window_and_refunds_once() {
    let mut story = Story::new(3, 3);
    refund(&mut story.chain, story.request).unwrap_err().as_error::<DataRequest::ConditionNotMet>();
    story.chain.time += TERM - 1;
    story.deliver(&[patient(0)]).unwrap();
    story.settle(STRANGER).unwrap_err().as_error::<DataRequest::NothingToSettle>();

    story.chain.time += 1;
    let done = refund(&mut story.chain, story.request).unwrap();
    assert_eq!(done.events::<DataRequest::Refunded>()[0].amount, mbxm(4000));
    assert_eq!(story.purses(), [mbxm(2000), NONE, NONE, mbxm(4000)]);
    assert_eq!(state(&mut story.chain, story.request), RequestState::Locked);
    refund(&mut story.chain, story.request).unwrap_err().as_error::<DataRequest::ConditionNotMet>();

    story.settle(STRANGER).unwrap();
    assert_eq!(story.purses(), [NONE, mbxm(500), mbxm(100), mbxm(4000)]);
    assert_eq!(state(&mut story.chain, story.request), RequestState::Inactive);
}

#[test]
fn a_request_without_any_delivery_returns_everything() {
    let mut story = Story::new(1, 5);
    story.chain.time += TERM;
    refund(&mut story.chain, story.request).unwrap();
    assert_eq!(story.purses(), [NONE, NONE, NONE, mbxm(10_000)]);
    assert_eq!(state(&mut story.chain, story.request), RequestState::Inactive);
}

#[test]
fn a_revocation_after_the_delivery_does_not_take_the_payment_away() {
    let mut story = Story::new(1, 1);
    story.deliver(&[patient(0)]).unwrap();
    crate::fixture::contribute(&mut story.chain, patient(0), false);
    story.settle(QUANTTUS).unwrap();
    assert_eq!(story.balances([patient(0)]), [mbxm(1400)]);
}

#[test]
fn settlement_goes_on_in_parts_of_any_size() {
    let mut story = Story::new(7, 7);
    story.deliver(&[0, 1, 2].map(patient)).unwrap();
    story.deliver(&[3, 4, 5, 6].map(patient)).unwrap();
    for settled in [2, 4, 6, 7] {
        settle(&mut story.chain, story.request, QUANTTUS, 2).unwrap();
        assert_eq!(progress(&mut story.chain, story.request).settled, settled);
    }
    assert_eq!(story.balances([0, 1, 2, 3, 4, 5, 6].map(patient)), [mbxm(1400); 7]);
    assert_eq!(story.purses(), [NONE, mbxm(3500), mbxm(700), NONE]);
}

#[test]
fn the_dust_of_division_is_the_treasurys() {
    let mut story = Story::new(2, 1);
    let terms = DataMarket::Terms {
        pricePerRecord: U256::from(7),
        wanted: 2,
        patientBps: 3333,
        holderBps: 3333,
        treasuryBps: 3334,
        ..terms(&story.chain, 1)
    };
    let request = open(&mut story.chain, terms).unwrap();
    let shares = story.chain.read(request, &DataRequest::sharesOfRecordCall {});
    assert_eq!((shares.patient, shares.holder, shares.fee), (U256::from(2), U256::from(2), U256::from(3)));
    let entries = story.batch.entries(&[patient(0), patient(1)]);
    deliver(&mut story.chain, request, STAR, entries).unwrap();
    settle(&mut story.chain, request, QUANTTUS, u32::MAX).unwrap();
    assert_eq!(story.balances([request, patient(0), STAR, TREASURY]), [0, 2, 4, 6].map(U256::from));
}

/// A request whose patients are: an ordinary one, then contract accounts with `code`.
fn story_with_accounts(codes: &[&Bytes]) -> (Story, Vec<Address>) {
    let mut story = Story::new(1, 1);
    let accounts: Vec<Address> = (0..codes.len() as u8).map(|number| patient(100 + number)).collect();
    for (&account, &code) in accounts.iter().zip(codes) {
        story.chain.set_code(account, code.clone());
        let data = ConsentRegistry::setContributionCall { on: true }.abi_encode().into();
        let call = RefusingAccount::runCall { target: CONSENT_REGISTRY, data };
        story.chain.send(STRANGER, account, &call).unwrap();
    }
    let patients = [vec![patient(0)], accounts].concat();
    story.batch = anchor(&mut story.chain, STAR, &patients);
    let terms = terms(&story.chain, patients.len() as u32);
    story.request = open(&mut story.chain, terms).unwrap();
    story.deliver(&patients).unwrap();
    (story, patients)
}

#[test]
fn an_account_that_refuses_is_credited_and_blocks_nobody() {
    let codes = [&RefusingAccount::DEPLOYED_BYTECODE, &GreedyAccount::DEPLOYED_BYTECODE];
    let (mut story, patients) = story_with_accounts(&codes);
    let done = story.settle(QUANTTUS).unwrap();
    let credited = done.events::<DataRequest::Paid>().iter().filter(|event| event.credited).count();
    assert_eq!(credited, 2);
    assert_eq!(story.purses(), [mbxm(2800), mbxm(1500), mbxm(300), NONE]);
    assert_eq!(story.balances([patient(0)]), [mbxm(1400)]);

    for &account in &patients[1..] {
        assert_eq!(credit(&mut story.chain, story.request, account), mbxm(1400));
        let withdraw = |recipient| {
            let data = DataRequest::withdrawCall { recipient }.abi_encode().into();
            RefusingAccount::runCall { target: story.request, data }
        };
        let refused = story.chain.send(STRANGER, account, &withdraw(patients[1])).unwrap_err();
        refused.as_error::<DataRequest::WithdrawalRefused>();
        let before = story.chain.balance(STRANGER);
        story.chain.send(STRANGER, account, &withdraw(STRANGER)).unwrap();
        assert_eq!(story.chain.balance(STRANGER) - before, mbxm(1400));
        let refused = story.chain.send(STRANGER, account, &withdraw(STRANGER)).unwrap_err();
        refused.as_error::<DataRequest::NothingToWithdraw>();
    }
    assert_eq!(story.chain.balance(story.request), NONE);
}

#[test]
fn an_account_that_calls_back_is_paid_once() {
    let (mut story, patients) = story_with_accounts(&[&ReentrantAccount::DEPLOYED_BYTECODE]);
    settle(&mut story.chain, story.request, QUANTTUS, 2).unwrap();
    assert!(!story.chain.read(patients[1], &ReentrantAccount::breachedCall {}));
    assert_eq!(story.balances([patients[1], story.request]), [mbxm(1400), NONE]);
}

#[test]
fn a_recipient_of_a_withdrawal_that_calls_back_gets_nothing_more() {
    let codes = [&RefusingAccount::DEPLOYED_BYTECODE, &ReentrantAccount::DEPLOYED_BYTECODE];
    let (mut story, patients) = story_with_accounts(&codes);
    settle(&mut story.chain, story.request, QUANTTUS, 2).unwrap();
    story.chain.time += TERM;
    assert_eq!(story.chain.read(story.request, &DataRequest::settleableCall { caller: STRANGER }), 1);

    // A withdrawal passes on all gas, enough to settle the third record on the way.
    let data = DataRequest::withdrawCall { recipient: patients[2] }.abi_encode().into();
    let withdraw = RefusingAccount::runCall { target: story.request, data };
    story.chain.send(STRANGER, patients[1], &withdraw).unwrap();
    assert!(!story.chain.read(patients[2], &ReentrantAccount::breachedCall {}));
    assert_eq!(story.balances([patients[2], story.request]), [mbxm(1400), mbxm(2000)]);
}

#[test]
fn an_account_that_burns_gas_burns_little_of_the_callers() {
    let (mut story, _) = story_with_accounts(&[&GreedyAccount::DEPLOYED_BYTECODE]);
    let data: Bytes = DataRequest::computePaymentCall { entriesMax: u32::MAX }.abi_encode().into();
    story.chain.transact(QUANTTUS, story.request, NONE, data, 350_000).unwrap();
    assert_eq!(progress(&mut story.chain, story.request).settled, 2);
}

#[test]
fn little_gas_cannot_turn_payments_into_credits() {
    let (story, patients) = story_with_accounts(&[&ReentrantAccount::DEPLOYED_BYTECODE]);
    let mut story = story;
    let data: Bytes = DataRequest::computePaymentCall { entriesMax: u32::MAX }.abi_encode().into();
    for gas in (60_000..400_000).step_by(5_000) {
        let sent = story.chain.transact(QUANTTUS, story.request, NONE, data.clone(), gas);
        assert_eq!(credit(&mut story.chain, story.request, patients[1]), NONE, "with {gas} gas");
        if sent.is_ok() {
            assert_eq!(story.balances([patients[1]]), [mbxm(1400)]);
            return;
        }
    }
    panic!("400 000 gas settles two records");
}
