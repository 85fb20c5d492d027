//! ConsentRegistry: the switch is the patient's, with gas or without (row B2).

use crate::chain::{CHAIN_ID, Chain, Done, Reverted};
use crate::fixture::{STRANGER, contribute, patient};
use bxp_contracts::consent::{contribution_digest, domain, signed_change};
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry};
use bxp_types::primitives::{Address, B256, U256, keccak256};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

struct Patient {
    key: SecretKey,
    account: Address,
}

fn member(seed: u8) -> Patient {
    let key = SecretKey::from_slice(&[seed; 32]).unwrap();
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    Patient { key, account: Address::from_slice(&keccak256(&public[1..])[12..]) }
}

fn sign(key: &SecretKey, digest: B256) -> [u8; 65] {
    let (recovery, compact) =
        SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(digest.0), key).serialize_compact();
    let mut signature = [0; 65];
    signature[..64].copy_from_slice(&compact);
    signature[64] = 27 + i32::from(recovery) as u8;
    signature
}

fn is_contributing(chain: &mut Chain, patient: Address) -> bool {
    chain.read(CONSENT_REGISTRY, &ConsentRegistry::isContributingCall { patient })
}

/// A signed change, sent by somebody who is not the patient.
fn change(
    chain: &mut Chain,
    patient: &Patient,
    on: bool,
    nonce: u64,
    deadline: u64,
) -> Result<Done, Reverted> {
    let (nonce, deadline) = (U256::from(nonce), U256::from(deadline));
    let digest = contribution_digest(CHAIN_ID, patient.account, on, nonce, deadline);
    let call = signed_change(patient.account, on, nonce, deadline, sign(&patient.key, digest));
    chain.send(STRANGER, CONSENT_REGISTRY, &call)
}

#[test]
fn it_is_off_until_the_patient_switches_it_on_and_off_again() {
    let mut chain = Chain::new(&[]);
    let jane = patient(1);
    assert!(!is_contributing(&mut chain, jane));
    contribute(&mut chain, jane, true);
    assert!(is_contributing(&mut chain, jane));
    assert!(!is_contributing(&mut chain, patient(2)));
    contribute(&mut chain, jane, false);
    assert!(!is_contributing(&mut chain, jane));
}

#[test]
fn the_domain_separator_is_the_one_that_wallets_compute() {
    let mut chain = Chain::new(&[]);
    let separator = chain.read(CONSENT_REGISTRY, &ConsentRegistry::domainSeparatorCall {});
    assert_eq!(separator, domain(CHAIN_ID).separator());
}

#[test]
fn a_signature_moves_the_switch_once() {
    let mut chain = Chain::new(&[]);
    let jane = member(1);
    let deadline = chain.time + 60;
    let done = change(&mut chain, &jane, true, 0, deadline).unwrap();
    let event = &done.events::<ConsentRegistry::ContributionChanged>()[0];
    assert_eq!((event.patient, event.on, event.nonce), (jane.account, true, U256::ZERO));
    assert!(is_contributing(&mut chain, jane.account));
    let refused = change(&mut chain, &jane, true, 0, deadline).unwrap_err();
    assert_eq!(refused.as_error::<ConsentRegistry::WrongNonce>().expected, U256::ONE);
}

#[test]
fn an_older_signature_cannot_undo_a_revocation() {
    let mut chain = Chain::new(&[]);
    let jane = member(1);
    let deadline = chain.time + 60;
    contribute(&mut chain, jane.account, false);
    let refused = change(&mut chain, &jane, true, 0, deadline).unwrap_err();
    refused.as_error::<ConsentRegistry::WrongNonce>();
    assert!(!is_contributing(&mut chain, jane.account));
}

#[test]
fn a_late_signature_is_refused() {
    let mut chain = Chain::new(&[]);
    let deadline = chain.time;
    change(&mut chain, &member(1), true, 0, deadline).unwrap();
    chain.time += 1;
    let refused = change(&mut chain, &member(1), true, 1, deadline).unwrap_err();
    assert_eq!(refused.as_error::<ConsentRegistry::SignatureExpired>().deadline, U256::from(deadline));
}

#[test]
fn anything_but_the_patients_own_signature_is_refused() {
    let mut chain = Chain::new(&[]);
    let (jane, mallory) = (member(1), member(2));
    let (nonce, deadline) = (U256::ZERO, U256::from(chain.time + 60));
    let digest = contribution_digest(CHAIN_ID, jane.account, true, nonce, deadline);
    let good = sign(&jane.key, digest);
    let other_chain = contribution_digest(CHAIN_ID + 1, jane.account, true, nonce, deadline);
    let mut wrong_v = good;
    wrong_v[64] = 29;

    for signature in [sign(&mallory.key, digest), sign(&jane.key, other_chain), twin(good), wrong_v, [0; 65]]
    {
        let call = signed_change(jane.account, true, nonce, deadline, signature);
        let refused = chain.send(STRANGER, CONSENT_REGISTRY, &call).unwrap_err();
        assert_eq!(refused.as_error::<ConsentRegistry::InvalidSignature>().patient, jane.account);
    }
    let mut short = signed_change(jane.account, true, nonce, deadline, good);
    short.signature = good[..64].to_vec().into();
    chain
        .send(STRANGER, CONSENT_REGISTRY, &short)
        .unwrap_err()
        .as_error::<ConsentRegistry::InvalidSignature>();
    let nobody = signed_change(Address::ZERO, true, nonce, deadline, [0; 65]);
    chain
        .send(STRANGER, CONSENT_REGISTRY, &nobody)
        .unwrap_err()
        .as_error::<ConsentRegistry::InvalidSignature>();

    chain
        .send(STRANGER, CONSENT_REGISTRY, &signed_change(jane.account, true, nonce, deadline, good))
        .unwrap();
}

/// The malleable twin of a signature: s' = n - s, with the other v.
fn twin(signature: [u8; 65]) -> [u8; 65] {
    let order = U256::from_str_radix(ORDER, 16).unwrap();
    let s = order - U256::from_be_slice(&signature[32..64]);
    let mut twin = signature;
    twin[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    twin[64] = 27 + 28 - signature[64];
    twin
}

#[test]
fn a_batch_is_all_or_none() {
    let mut chain = Chain::new(&[]);
    let deadline = U256::from(chain.time + 60);
    let signed = |member: &Patient, nonce: u64| {
        let nonce = U256::from(nonce);
        let digest = contribution_digest(CHAIN_ID, member.account, true, nonce, deadline);
        let signature = sign(&member.key, digest).to_vec().into();
        ConsentRegistry::SignedChange { patient: member.account, on: true, nonce, deadline, signature }
    };
    let (jane, john) = (member(1), member(2));
    let wrong = ConsentRegistry::setContributionsBySignatureCall {
        changes: vec![signed(&jane, 0), signed(&john, 5)],
    };
    let refused = chain.send(STRANGER, CONSENT_REGISTRY, &wrong).unwrap_err();
    assert_eq!(refused.as_error::<ConsentRegistry::WrongNonce>().patient, john.account);
    assert!(!is_contributing(&mut chain, jane.account));

    let right = ConsentRegistry::setContributionsBySignatureCall {
        changes: vec![signed(&jane, 0), signed(&john, 0)],
    };
    chain.send(STRANGER, CONSENT_REGISTRY, &right).unwrap();
    assert!(is_contributing(&mut chain, jane.account) && is_contributing(&mut chain, john.account));
}
