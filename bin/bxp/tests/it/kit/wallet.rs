//! A funded account.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use secp256k1::{Message, SECP256K1, SecretKey};
use serde_json::Value;

/// An account whose key the test has.
#[derive(Clone)]
pub(crate) struct Wallet(SecretKey);

impl Wallet {
    /// An entry of `funded` in the line that `bxp devnet --json` prints.
    pub(super) fn of_json(account: &Value) -> Self {
        let key: B256 = account["private_key"].as_str().unwrap().parse().unwrap();
        Self(SecretKey::from_byte_array(&key.0).unwrap())
    }

    /// A transfer of one wei to a fixed address: its hash, and its EIP-2718 bytes.
    pub(crate) fn transfer(&self, chain_id: u64, nonce: u64) -> (B256, Bytes) {
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 1_000_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::repeat_byte(0x77)),
            value: U256::from(1),
            ..Default::default()
        };
        let message = Message::from_digest(transaction.signature_hash().0);
        let (parity, bytes) = SECP256K1.sign_ecdsa_recoverable(&message, &self.0).serialize_compact();
        let signature = Signature::from_bytes_and_parity(&bytes, i32::from(parity) == 1);
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        (*signed.tx_hash(), signed.encoded_2718().into())
    }
}
