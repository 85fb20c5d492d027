//! Showing at home and abroad, with the proof against the contract; keys are released by the holder alone.

use crate::{
    node::{clock, cluster, patients},
    replicating::replicate,
};
use bxp_clinical::{
    ClinicalError,
    anchor::Anchoring,
    facts::ChainFacts,
    release::{KeyRequest, answer_key_request},
    sender::{Call, SendFailure, TransactionSender},
    show::{Content, show},
};
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry};
use bxp_privacy::Purpose;
use bxp_types::{Address, BlockClass, Jurisdiction, Ledger, U256, ValidatorIndex};
use bxp_vault::VaultError;
use std::{collections::BTreeSet, sync::Arc};

const US: Jurisdiction = Jurisdiction::US;
const DE: Jurisdiction = Jurisdiction::DE;

#[tokio::test]
async fn whole_at_home_and_the_rest_abroad_each_with_its_proof() {
    let cluster = cluster(&[US, US, DE]);
    let (holder, neighbour, abroad) = (&cluster.nodes[0], &cluster.nodes[1], &cluster.nodes[2]);
    holder.take(&patients(US, 1)[1]);
    replicate(&cluster, 0).await;
    let ledger: Arc<dyn Ledger> = Arc::clone(&cluster.ledger) as Arc<dyn Ledger>;
    for node in [holder, neighbour, abroad] {
        let sender = TransactionSender::new(Arc::clone(&ledger), node.enclave.clone());
        assert_eq!(Anchoring::new(node.ingest.clone(), sender).anchor_pending().await.unwrap(), 0);
    }
    assert_eq!(cluster.ledger.submitted.lock().len(), 1, "only the holder anchors");
    let patient = holder.ingest.patients().next().unwrap().unwrap();
    let records = &holder.ingest.chart(patient.subject).unwrap()[..6];
    for &record in records {
        let mut wholes = Vec::new();
        for node in [holder, neighbour] {
            let permit = node.permit(record, BlockClass::Identity(US));
            let shown = show(&node.vault, ledger.as_ref(), record, &permit).unwrap();
            let Content::Whole(whole) = shown.content else { panic!("the identity side is opened") };
            wholes.push(sonic_rs::to_string(whole.expose()).unwrap());
            let on_chain = shown.on_chain.unwrap();
            assert_eq!((on_chain.anchor.batch_id, on_chain.anchor.height.0), (1, 1));
            assert_eq!(on_chain.proof.is_some(), node.vault.me() == holder.vault.me());
        }
        assert_eq!(wholes[0], wholes[1]);
        let permit = abroad.permit(record, BlockClass::Deidentified);
        let missing = show(&abroad.vault, ledger.as_ref(), record, &permit).unwrap_err();
        assert!(matches!(missing, ClinicalError::Vault(VaultError::MissingKey(_))), "{missing:?}");
        let facts = ChainFacts::new(Arc::clone(&ledger), BTreeSet::new(), clock());
        let request = KeyRequest { record, purpose: Purpose::Treatment }.encode().unwrap();
        let answer = answer_key_request(&holder.vault, &facts, ValidatorIndex(2), &request);
        assert_eq!(answer[0], 0);
        abroad
            .vault
            .accept_key(&abroad.vault.entry(record).unwrap().unwrap().deidentified_cid, &answer[1..])
            .unwrap();
        let shown = show(&abroad.vault, ledger.as_ref(), record, &permit).unwrap();
        let Content::Deidentified(rest) = shown.content else { panic!("abroad there is only the rest") };
        assert_ne!(sonic_rs::to_string(&rest).unwrap(), wholes[0]);
        assert!(shown.on_chain.is_some());
    }
    let disclosures = holder.vault.disclosures_of(patient.subject).unwrap();
    let abroad_seen = disclosures.iter().filter(|one| one.requester == ValidatorIndex(2)).count();
    assert_eq!(abroad_seen, records.len());
}

#[tokio::test]
async fn refusals_all_read_the_same() {
    let cluster = cluster(&[US, DE]);
    let holder = &cluster.nodes[0];
    holder.take(&patients(US, 1)[1]);
    let ledger: Arc<dyn Ledger> = Arc::clone(&cluster.ledger) as Arc<dyn Ledger>;
    let facts = ChainFacts::new(Arc::clone(&ledger), BTreeSet::new(), clock());
    let patient = holder.ingest.patients().next().unwrap().unwrap();
    let record = holder.ingest.chart(patient.subject).unwrap()[0];
    let research = Purpose::Research { request: Address::repeat_byte(7) };
    let ask = |from: u16, record, purpose| {
        let request = KeyRequest { record, purpose }.encode().unwrap();
        answer_key_request(&holder.vault, &facts, ValidatorIndex(from), &request)
    };
    for answer in [
        ask(1, record, research),
        ask(1, record, Purpose::Oversight),
        ask(9, record, Purpose::Treatment),
        ask(1, bxp_types::RecordId([9; 16]), Purpose::Treatment),
    ] {
        assert_eq!(&answer[..], b"\x01not permitted");
    }
    assert_eq!(holder.vault.disclosures_of(patient.subject).unwrap(), []);
    assert_eq!(facts.contribution(patient.account).unwrap(), Some(false));
    assert_eq!(facts.contract(Address::repeat_byte(7)).unwrap(), None);
}

#[tokio::test]
async fn a_sender_serialises_nonces_and_explains_refusals() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let ledger: Arc<dyn Ledger> = Arc::clone(&cluster.ledger) as Arc<dyn Ledger>;
    let sender = TransactionSender::new(Arc::clone(&ledger), node.enclave.clone());
    let account = node.enclave.public().account;
    let switch = |on| {
        let data = alloy_sol_types::SolCall::abi_encode(&ConsentRegistry::setContributionCall { on });
        Call { to: CONSENT_REGISTRY, value: U256::ZERO, data: data.into() }
    };
    let calls: Vec<_> = (0..8).map(|number| switch(number % 2 == 0)).collect();
    let sent = futures::future::join_all(calls.iter().map(|call| sender.send(account, call))).await;
    let mut heights: Vec<_> = sent.into_iter().map(|mined| mined.unwrap().height.0).collect();
    heights.sort_unstable();
    assert_eq!(heights, [1, 2, 3, 4, 5, 6, 7, 8]);
    let wrong = Call { to: bxp_contracts::RECORD_REGISTRY, value: U256::from(1), data: switch(true).data };
    let refused = sender.send(account, &wrong).await.unwrap_err();
    assert!(matches!(refused, SendFailure::Refused { .. }), "{refused:?}");
    assert_eq!(ledger.account(account).unwrap().nonce, 8);
}
