//! Signatures, checked by alloy and by the attestation's own rule.

use crate::seeds;
use alloy_consensus::{Transaction, TxEip1559, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, address, hex, keccak256};
use bxp_enclave::{Enclave, EnclaveError};
use bxp_types::{Height, NetworkId, ValidatorIndex};
use ed25519_zebra::VerificationKey;

fn enclave() -> (tempfile::TempDir, Enclave) {
    let dir = tempfile::tempdir().unwrap();
    let enclave = Enclave::create(&dir.path().join("enclave"), None, Some(&seeds())).unwrap();
    (dir, enclave)
}

fn transfer() -> TxEip1559 {
    TxEip1559 {
        chain_id: 1,
        nonce: 9,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(address!("3535353535353535353535353535353535353535")),
        value: U256::from(10).pow(U256::from(18)),
        ..TxEip1559::default()
    }
}

#[test]
fn the_sender_of_a_signed_transaction_is_recovered() {
    let (_dir, enclave) = enclave();
    let patient = enclave.new_account().unwrap();
    for account in [enclave.public().account, patient] {
        let signed = enclave.sign_eip1559(account, transfer()).unwrap();
        assert_eq!(signed.raw[0], 2, "EIP-2718 type");
        assert_eq!(signed.hash, keccak256(&signed.raw));
        let mut bytes = signed.raw.as_ref();
        let decoded = TxEnvelope::decode_2718(&mut bytes);
        let envelope = decoded.unwrap();
        assert_eq!(envelope.recover_signer().unwrap(), account);
        assert_eq!((envelope.nonce(), *envelope.tx_hash()), (9, signed.hash));
    }
}

/// RFC 6979 makes the signature a function of key and content, so the whole encoding is pinned.
#[test]
fn the_encoding_is_pinned() {
    let (_dir, enclave) = enclave();
    assert_eq!(enclave.public().account, address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"));
    let signed = enclave.sign_eip1559(enclave.public().account, transfer()).unwrap();
    assert_eq!(
        hex::encode(&signed.raw),
        "02f8730109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c080a04e87ced8b47d801c979c6baa52bbd78b42c9db2515c9d1f473e06f65d49aaa90a02357671517c59544ebd95012d1988c102292eb570cc840ac9af72bb4c52e5edd"
    );
}

#[test]
fn a_digest_is_signed_as_wallets_do() {
    let (_dir, enclave) = enclave();
    let account = enclave.new_account().unwrap();
    for seed in 0..16_u8 {
        let digest = B256::repeat_byte(seed);
        let bytes = enclave.sign_digest(account, digest).unwrap();
        assert!(matches!(bytes[64], 27 | 28));
        let signature = Signature::try_from(bytes.as_slice()).unwrap();
        assert!(signature.normalize_s().is_none(), "s is low already (EIP-2)");
        assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), account);
    }
}

#[test]
fn accounts_kept_elsewhere_are_not_signed_for() {
    let (_dir, enclave) = enclave();
    let stranger = Address::repeat_byte(9);
    assert!(!enclave.can_sign_for(&stranger));
    assert!(
        matches!(enclave.sign_digest(stranger, B256::ZERO), Err(EnclaveError::UnknownAccount(a)) if a == stranger)
    );
    assert!(matches!(enclave.sign_eip1559(stranger, transfer()), Err(EnclaveError::UnknownAccount(_))));
}

#[test]
fn thousands_of_accounts_are_cheap_and_all_different() {
    let (dir, enclave) = enclave();
    let made = enclave.new_accounts(5_000).unwrap();
    let distinct: std::collections::BTreeSet<_> = made.iter().collect();
    assert_eq!(distinct.len(), 5_000);
    assert!(enclave.can_sign_for(&made[4_999]));
    drop(enclave);
    let again = Enclave::open(&dir.path().join("enclave"), None).unwrap();
    assert_eq!(again.accounts(), made);
    assert!(again.sign_digest(made[2_500], B256::ZERO).is_ok());
}

#[test]
fn attestations_and_messages_verify_under_the_public_key() {
    let (_dir, enclave) = enclave();
    let key = VerificationKey::try_from(enclave.public().public_key.0).unwrap();
    let network = NetworkId([3; 32]);
    let attestation = enclave.attest(ValidatorIndex(0), network, Height(7), B256::repeat_byte(1));
    assert!(attestation.verify(&key, network));
    assert!(!attestation.verify(&key, NetworkId([4; 32])));
    let signature = enclave.sign_message("BXP tombstone v1", b"record").into();
    assert!(key.verify(&signature, b"BXP tombstone v1\0record").is_ok());
    assert!(key.verify(&signature, b"BXP tombstone v2\0record").is_err());
    let network_key = ed25519_zebra::SigningKey::from(*enclave.network_key().expose());
    assert_eq!(<[u8; 32]>::from(network_key.verification_key()), enclave.public().public_key.0);
}
