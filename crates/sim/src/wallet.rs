//! Accounts of the clients, and what they sign.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use bytes::Bytes;
use secp256k1::{Message, SECP256K1, SecretKey};

pub(crate) const CHAIN_ID: u64 = 2018;
const GAS: u64 = 21_000;
/// Above every base fee that a run can reach, so that no transaction becomes too cheap while it waits.
const FEE_MAX: u128 = 100_000_000_000;

/// One account with its key.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    key: SecretKey,
    address: Address,
}

/// What one transfer is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) nonce: u64,
    pub(crate) to: Address,
    pub(crate) value: u64,
    /// In wei for each unit of gas.
    pub(crate) tip: u128,
}

/// A signed transaction as a client sends it.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) raw: Bytes,
    pub(crate) hash: B256,
}

impl Wallet {
    /// The wallet with this number; the same for the same number.
    pub(crate) fn new(number: u16) -> Option<Self> {
        let mut bytes = [0x5a; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let key = SecretKey::from_byte_array(&bytes).ok()?;
        let public = key.public_key(SECP256K1).serialize_uncompressed();
        let address = Address::from_raw_public_key(public.get(1..)?);
        Some(Self { key, address })
    }

    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn sign(&self, transfer: Transfer) -> Signed {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: transfer.nonce,
            gas_limit: GAS,
            max_fee_per_gas: FEE_MAX + transfer.tip * 1_000,
            max_priority_fee_per_gas: transfer.tip,
            to: TxKind::Call(transfer.to),
            value: U256::from(transfer.value),
            ..Default::default()
        };
        let message = Message::from_digest(transaction.signature_hash().0);
        let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(&message, &self.key).serialize_compact();
        let signature = Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1);
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() }
    }
}
