//! Blocks, receipts and the certificate beside a block.

use crate::{Height, NetworkId, ValidatorIndex};
use alloy_consensus::{Header, ReceiptEnvelope, TxEnvelope, transaction::Recovered};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256};
use ed25519_zebra::{Signature, SigningKey, VerificationKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A signed Ethereum transaction (types 0, 1, 2 and 4; blobs are refused at the door).
pub type Transaction = TxEnvelope;

/// A transaction with its sender recovered from the signature.
pub type RecoveredTransaction = Recovered<TxEnvelope>;

/// A block as the chain keeps it. Its header is a plain Ethereum header.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBlock {
    /// The header, whose keccak is `hash`.
    pub header: Header,
    /// keccak256 of the header's RLP.
    pub hash: B256,
    /// The included transactions, in order.
    pub transactions: Vec<RecoveredTransaction>,
    /// The block's time in milliseconds since the epoch (`header.timestamp` has whole seconds).
    pub time_ms: u64,
}

impl StoredBlock {
    /// The block's number.
    #[must_use]
    pub const fn height(&self) -> Height {
        Height(self.header.number)
    }
}

/// What a block of Ethereum has beside its transactions. A block of a BXP network has none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutsideBody {
    /// Headers of blocks that were mined beside the chain.
    pub ommers: Vec<Header>,
    /// What the beacon chain releases; none before Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

/// A receipt with what JSON-RPC adds to it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReceipt {
    /// Status, cumulative gas, bloom and logs, typed as the transaction.
    pub receipt: ReceiptEnvelope,
    /// Gas used by this transaction alone.
    pub gas_used: u64,
    /// The created contract.
    pub contract_address: Option<Address>,
    /// What a unit of gas cost, in wei.
    pub effective_gas_price: u128,
}

/// Where an included transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionLocation {
    /// The block.
    pub height: Height,
    /// The index in the block.
    pub index: u32,
}

/// One validator's word that it decided and executed a block: an Ed25519 signature (ZIP-215 rules) over
/// `"BXP block attestation v1" || network id || height (u64 BE) || block hash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The block's number.
    pub height: Height,
    /// The block's hash.
    pub block_hash: B256,
    /// Who signs.
    pub validator: ValidatorIndex,
    /// The signature, 64 bytes.
    pub signature: [u8; 64],
}

impl Attestation {
    fn message(network: NetworkId, height: Height, block_hash: B256) -> Vec<u8> {
        [b"BXP block attestation v1".as_slice(), &network.0, &height.0.to_be_bytes(), block_hash.as_slice()]
            .concat()
    }

    /// Signs `block_hash` at `height`.
    #[must_use]
    pub fn sign(
        key: &SigningKey,
        validator: ValidatorIndex,
        network: NetworkId,
        height: Height,
        block_hash: B256,
    ) -> Self {
        let signature = key.sign(&Self::message(network, height, block_hash)).to_bytes();
        Self { height, block_hash, validator, signature }
    }

    /// Whether the signature is `key`'s.
    #[must_use]
    pub fn verify(&self, key: &VerificationKey, network: NetworkId) -> bool {
        key.verify(
            &Signature::from_bytes(&self.signature),
            &Self::message(network, self.height, self.block_hash),
        )
        .is_ok()
    }
}

/// n - t attestations of one block. It stands beside the block, never inside the hashed header, since nodes hold
/// different sets of signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The block's number.
    pub height: Height,
    /// The block's hash.
    pub block_hash: B256,
    /// Signatures by validator.
    pub signatures: BTreeMap<ValidatorIndex, [u8; 64]>,
}

impl Certificate {
    /// Whether at least `quorum` validators of `keys` (by index) signed this very block.
    #[must_use]
    pub fn verify(&self, keys: &[VerificationKey], network: NetworkId, quorum: usize) -> bool {
        let valid = self.signatures.iter().filter(|&(&validator, &signature)| {
            let attestation =
                Attestation { height: self.height, block_hash: self.block_hash, validator, signature };
            keys.get(usize::from(validator.0)).is_some_and(|key| attestation.verify(key, network))
        });
        valid.count() >= quorum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_message_is_pinned() {
        let (network, hash) = (NetworkId([0xab; 32]), B256::repeat_byte(0xcd));
        let height = Height(0x0102_0304_0506_0708);
        let expected = [
            b"BXP block attestation v1".as_slice(), // what is signed
            &[0xab; 32],                            // the network's id
            b"\x01\x02\x03\x04\x05\x06\x07\x08",    // the height
            &[0xcd; 32],                            // the block's hash
        ]
        .concat();
        assert_eq!(Attestation::message(network, height, hash), expected);
        let key = SigningKey::from([1; 32]);
        let signed = Attestation::sign(&key, ValidatorIndex(2), network, height, hash);
        let signature = Signature::from_bytes(&signed.signature);
        VerificationKey::from(&key).verify(&signature, &expected).unwrap();
    }

    #[test]
    fn a_certificate_counts_only_valid_signatures_of_members() {
        let keys: Vec<_> = (1..=4_u8).map(|seed| SigningKey::from([seed; 32])).collect();
        let public: Vec<_> = keys.iter().map(VerificationKey::from).collect();
        let (network, height, hash) = (NetworkId([9; 32]), Height(3), B256::repeat_byte(5));
        let sign = |index: u16| {
            let key = &keys[usize::from(index)];
            (
                ValidatorIndex(index),
                Attestation::sign(key, ValidatorIndex(index), network, height, hash).signature,
            )
        };
        let mut certificate =
            Certificate { height, block_hash: hash, signatures: (0..3).map(sign).collect() };
        assert!(certificate.verify(&public, network, 3));
        assert!(!certificate.verify(&public, NetworkId([8; 32]), 3), "another network");
        certificate.signatures.insert(ValidatorIndex(2), [1; 64]);
        assert!(!certificate.verify(&public, network, 3), "a forged signature");
        let outsider = certificate.signatures[&ValidatorIndex(0)];
        certificate.signatures.insert(ValidatorIndex(7), outsider);
        assert!(!certificate.verify(&public, network, 3), "a validator that does not exist");
    }
}
