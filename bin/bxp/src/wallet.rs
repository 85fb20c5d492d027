//! An account whose key the command holds: the buyer of a demonstration, the senders of a benchmark.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature};
use anyhow::{Context, Result};
use secp256k1::{Message, SECP256K1, SecretKey};

/// A secp256k1 account.
pub(crate) struct Wallet {
    key: SecretKey,
    address: Address,
}

impl Wallet {
    /// The account of a private key.
    pub(crate) fn new(private_key: B256) -> Result<Self> {
        let key = SecretKey::from_byte_array(&private_key.0).context("use a private key")?;
        let public = key.public_key(SECP256K1).serialize_uncompressed();
        Ok(Self { key, address: Address::from_raw_public_key(&public[1..]) })
    }

    /// The account's address.
    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    /// Signs; gives the transaction's hash and its EIP-2718 bytes.
    pub(crate) fn sign(&self, transaction: TxEip1559) -> (B256, Bytes) {
        let message = Message::from_digest(transaction.signature_hash().0);
        let (parity, bytes) = SECP256K1.sign_ecdsa_recoverable(&message, &self.key).serialize_compact();
        let signature = Signature::from_bytes_and_parity(&bytes, i32::from(parity) == 1);
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        (*signed.tx_hash(), signed.encoded_2718().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_eips::eip2718::Decodable2718;

    #[test]
    fn a_signed_transaction_names_its_sender() {
        let wallet = Wallet::new(B256::repeat_byte(7)).unwrap();
        let (hash, raw) = wallet.sign(TxEip1559 { chain_id: 1, ..Default::default() });
        let read = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        assert_eq!((*read.tx_hash(), read.recover_signer().unwrap()), (hash, wallet.address()));
        assert!(Wallet::new(B256::ZERO).is_err());
    }
}
