//! DataMarket and DataRequest: opening a request, and what counts as a delivery (rows D4, E, A14).

use crate::chain::Chain;
use crate::fixture::{
    DAWN, QUANTTUS, STAR, STRANGER, Story, TERM, anchor, contribute, deliver, escrow, open, open_with,
    patient, progress, settle, state, terms,
};
use bxp_contracts::{DATA_MARKET, DataMarket, DataRequest, RequestState};
use bxp_types::primitives::{Address, B256, Bytes, U256};

#[test]
fn a_request_is_listed_with_its_terms_and_its_escrow() {
    let mut chain = Chain::new(&[STAR]);
    let terms = terms(&chain, 3);
    let first = open(&mut chain, terms.clone()).unwrap();
    let second = open(&mut chain, terms.clone()).unwrap();
    assert_eq!(chain.read(DATA_MARKET, &DataMarket::requestCountCall {}), U256::from(2));
    for (offset, limit, expected) in
        [(0, 9, vec![first, second]), (1, 1, vec![second]), (2, 5, vec![]), (9, u64::MAX, vec![])]
    {
        let call = DataMarket::requestsCall { offset: U256::from(offset), limit: U256::from(limit) };
        assert_eq!(chain.read(DATA_MARKET, &call), expected);
    }
    assert!(chain.read(DATA_MARKET, &DataMarket::isRequestCall { request: first }));
    assert!(!chain.read(DATA_MARKET, &DataMarket::isRequestCall { request: STRANGER }));

    assert_eq!(chain.balance(first), escrow(&terms));
    assert_eq!(chain.read(first, &DataRequest::valueCall {}), escrow(&terms));
    assert_eq!(chain.read(first, &DataRequest::fromCall {}), QUANTTUS);
    assert_eq!(chain.read(first, &DataRequest::toCall {}), Address::ZERO);
    let shown = chain.read(first, &DataRequest::termsCall {});
    assert_eq!((shown.criterion, shown.wanted, shown.sealingKey), (terms.criterion, 3, terms.sealingKey));
    assert_eq!(state(&mut chain, first), RequestState::Created);
}

#[test]
fn wrong_terms_are_refused_by_name() {
    let mut chain = Chain::new(&[STAR]);
    let good = terms(&chain, 3);
    let incomplete: [fn(&mut DataMarket::Terms); 5] = [
        |terms| terms.criterion = Bytes::new(),
        |terms| terms.criterion = vec![b' '; 4097].into(),
        |terms| terms.pricePerRecord = U256::ZERO,
        |terms| terms.wanted = 0,
        |terms| terms.sealingKey = B256::ZERO,
    ];
    for spoil in incomplete {
        let mut wrong = good.clone();
        spoil(&mut wrong);
        open(&mut chain, wrong).unwrap_err().as_error::<DataRequest::InvalidTerms>();
    }
    let wrong = DataMarket::Terms { holderBps: 2501, ..good.clone() };
    assert_eq!(
        open(&mut chain, wrong).unwrap_err().as_error::<DataRequest::WrongSplit>().sum,
        U256::from(10_001)
    );
    let wrong = DataMarket::Terms { deadline: chain.time, ..good.clone() };
    open(&mut chain, wrong).unwrap_err().as_error::<DataRequest::DeadlinePassed>();
    for value in [escrow(&good) - U256::ONE, escrow(&good) + U256::ONE, U256::ZERO] {
        let refused = open_with(&mut chain, good.clone(), value).unwrap_err();
        let error = refused.as_error::<DataRequest::WrongEscrow>();
        assert_eq!((error.required, error.sent), (escrow(&good), value));
    }
    let overflowing = DataMarket::Terms { pricePerRecord: U256::MAX, ..good };
    assert!(
        open_with(&mut chain, overflowing, U256::ZERO).unwrap_err().in_words().unwrap().contains("panicked")
    );
}

#[test]
fn the_first_delivery_locks_the_request_and_others_join() {
    let mut story = Story::new(3, 4);
    let done = story.deliver(&[patient(0), patient(2)]).unwrap();
    let event = &done.events::<DataRequest::PatientContentValidated>()[0];
    assert_eq!((event.delivery, event.holder, event.count), (U256::ZERO, STAR, 2));
    let disclosed = done.events::<DataRequest::PatientContentDisclosed>();
    assert_eq!(disclosed.iter().map(|event| event.patient).collect::<Vec<_>>(), [patient(0), patient(2)]);
    assert_eq!(state(&mut story.chain, story.request), RequestState::Locked);

    let dawns = anchor(&mut story.chain, DAWN, &[patient(7)]);
    contribute(&mut story.chain, patient(7), true);
    deliver(&mut story.chain, story.request, DAWN, dawns.entries(&[patient(7)])).unwrap();
    assert_eq!(story.chain.read(story.request, &DataRequest::toCall {}), STAR);
    let second = story.chain.read(story.request, &DataRequest::storage_Call { delivery: U256::ONE });
    assert_eq!((second.holder, second.first, second.count, second.cid.len()), (DAWN, 2, 1, 36));
    assert_eq!(story.chain.read(story.request, &DataRequest::unfulfilledCall {}), U256::ONE);
}

#[test]
fn revoked_consent_is_refused_and_nothing_of_the_delivery_counts() {
    let mut story = Story::new(3, 3);
    contribute(&mut story.chain, patient(1), false);
    let refused = story.deliver(&[patient(0), patient(1), patient(2)]).unwrap_err();
    assert_eq!(refused.as_error::<DataRequest::NotContributing>().patient, patient(1));
    assert_eq!(progress(&mut story.chain, story.request).counted, 0);
    story.deliver(&[patient(0), patient(2)]).unwrap();
    assert_eq!(progress(&mut story.chain, story.request).counted, 2);
}

#[test]
fn a_patient_is_counted_once_in_a_request() {
    let mut story = Story::new(3, 3);
    let refused = story.deliver(&[patient(0), patient(0)]).unwrap_err();
    assert_eq!(refused.as_error::<DataRequest::AlreadyCounted>().patient, patient(0));
    story.deliver(&[patient(0)]).unwrap();
    story.deliver(&[patient(0)]).unwrap_err().as_error::<DataRequest::AlreadyCounted>();

    // Another record of the same patient at another holder is the same patient.
    let dawns = anchor(&mut story.chain, DAWN, &[patient(0)]);
    let refused = deliver(&mut story.chain, story.request, DAWN, dawns.entries(&[patient(0)])).unwrap_err();
    refused.as_error::<DataRequest::AlreadyCounted>();

    // Another request is another contract, and pays again.
    let terms = terms(&story.chain, 1);
    let other = open(&mut story.chain, terms).unwrap();
    let entries = story.batch.entries(&[patient(0)]);
    deliver(&mut story.chain, other, STAR, entries).unwrap();
}

#[test]
fn only_authorised_holders_claim_and_only_from_their_own_batches() {
    let mut story = Story::new(2, 2);
    let entries = story.batch.entries(&[patient(0)]);
    let refused = deliver(&mut story.chain, story.request, STRANGER, entries.clone()).unwrap_err();
    assert_eq!(refused.as_error::<DataRequest::NotAuthorisedHolder>().account, STRANGER);
    let refused = deliver(&mut story.chain, story.request, DAWN, entries).unwrap_err();
    assert_eq!(refused.as_error::<DataRequest::NotYourBatch>().holder, STAR);
}

#[test]
fn a_record_cannot_be_claimed_for_another_patient() {
    let mut story = Story::new(2, 2);
    contribute(&mut story.chain, STRANGER, true);
    let entry = DataRequest::Entry { patient: STRANGER, ..story.batch.entry(patient(0)) };
    let refused = deliver(&mut story.chain, story.request, STAR, vec![entry]).unwrap_err();
    assert_eq!(refused.as_error::<DataRequest::InvalidProof>().patient, STRANGER);
}

#[test]
fn one_delivery_may_draw_on_several_batches() {
    let mut story = Story::new(2, 4);
    let later = anchor(&mut story.chain, STAR, &[patient(8), patient(9)]);
    for number in [8, 9] {
        contribute(&mut story.chain, patient(number), true);
    }
    let entries = vec![
        story.batch.entry(patient(0)),
        later.entry(patient(8)),
        story.batch.entry(patient(1)),
        later.entry(patient(9)),
    ];
    deliver(&mut story.chain, story.request, STAR, entries).unwrap();
    assert_eq!(progress(&mut story.chain, story.request).counted, 4);
}

#[test]
fn empty_and_oversized_deliveries_are_refused() {
    let mut story = Story::new(3, 2);
    story.deliver(&[]).unwrap_err().as_error::<DataRequest::EmptyDelivery>();
    let entries = story.batch.entries(&[patient(0)]);
    for (cid, root) in
        [(vec![], B256::repeat_byte(1)), (vec![1; 65], B256::repeat_byte(1)), (vec![1], B256::ZERO)]
    {
        let call =
            DataRequest::validatePatientContentCall { entries: entries.clone(), cid: cid.into(), root };
        let refused = story.chain.send(STAR, story.request, &call).unwrap_err();
        refused.as_error::<DataRequest::EmptyDelivery>();
    }
    let refused = story.deliver(&[patient(0), patient(1), patient(2)]).unwrap_err();
    assert_eq!(refused.as_error::<DataRequest::TooManyEntries>().remaining, U256::from(2));
}

#[test]
fn nothing_is_delivered_from_the_deadline_on() {
    let mut story = Story::new(2, 2);
    story.chain.time += TERM - 1;
    story.deliver(&[patient(0)]).unwrap();
    story.chain.time += 1;
    let refused = story.deliver(&[patient(1)]).unwrap_err();
    let error = refused.as_error::<DataRequest::ConditionNotMet>();
    assert_eq!(U256::from(error.deadline), error.time);
}

#[test]
fn a_closed_request_takes_no_delivery() {
    let mut story = Story::new(2, 1);
    story.deliver(&[patient(0)]).unwrap();
    settle(&mut story.chain, story.request, QUANTTUS, 1).unwrap();
    let refused = story.deliver(&[patient(1)]).unwrap_err();
    refused.as_error::<DataRequest::ConditionNotMet>();
}
