//! Receipts: a node's word that it has erased its copy of a record.

use crate::{Tombstone, Vault, VaultError, encoding, tables::pair};
use bxp_storage::Batch;
use bxp_types::{RecordId, ValidatorIndex};
use ed25519_zebra::{Signature, VerificationKey};
use serde::{Deserialize, Serialize};

/// The domain that receipts are signed in.
pub const RECEIPT_DOMAIN: &str = "BXP erasure receipt v1";

const WHAT: &str = "erasure receipt";

/// A node's word that keys and blocks of a record are gone from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The erased record.
    pub record_id: RecordId,
    /// Who held it.
    pub holder: ValidatorIndex,
    /// Who erased its copy.
    pub node: ValidatorIndex,
    /// When, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Ed25519 over [`RECEIPT_DOMAIN`], a zero byte, and `record id || holder (u16 BE) || node (u16 BE) || time (u64 BE)`.
    pub signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptWire {
    #[serde(with = "serde_bytes")]
    record: [u8; 16],
    holder: u16,
    node: u16,
    #[serde(rename = "timeMs")]
    time_ms: u64,
    #[serde(with = "serde_bytes")]
    signature: [u8; 64],
}

impl Receipt {
    fn message(record: RecordId, holder: ValidatorIndex, node: ValidatorIndex, time_ms: u64) -> Vec<u8> {
        let parts: [&[u8]; 4] =
            [&record.0, &holder.0.to_be_bytes(), &node.0.to_be_bytes(), &time_ms.to_be_bytes()];
        parts.concat()
    }

    /// Whether the `key` of [`Receipt::node`] signed it.
    #[must_use]
    pub fn verify(&self, key: &VerificationKey) -> bool {
        let message = Self::message(self.record_id, self.holder, self.node, self.time_ms);
        let signed = [RECEIPT_DOMAIN.as_bytes(), &[0], &message].concat();
        key.verify(&Signature::from_bytes(&self.signature), &signed).is_ok()
    }

    /// Canonical DAG-CBOR.
    ///
    /// # Errors
    /// Never in practice: every receipt has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, VaultError> {
        let wire = ReceiptWire {
            record: self.record_id.0,
            holder: self.holder.0,
            node: self.node.0,
            time_ms: self.time_ms,
            signature: self.signature,
        };
        encoding::encode(WHAT, &wire)
    }

    /// Reads [`Receipt::encode`] back; the signature is not checked.
    ///
    /// # Errors
    /// [`VaultError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        let wire: ReceiptWire = encoding::decode(WHAT, bytes)?;
        Ok(Self {
            record_id: RecordId(wire.record),
            holder: ValidatorIndex(wire.holder),
            node: ValidatorIndex(wire.node),
            time_ms: wire.time_ms,
            signature: wire.signature,
        })
    }
}

impl Vault {
    /// This node's receipt for a tombstone that it has accepted.
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`] when the record is not erased here by that holder's word.
    pub fn receipt(&self, tombstone: &Tombstone) -> Result<Receipt, VaultError> {
        let (record_id, holder, node) = (tombstone.record_id, tombstone.holder, self.me);
        if !self.is_erased_by(record_id, holder)? || self.entry(record_id)?.is_some() {
            return Err(VaultError::UnknownRecord(record_id));
        }
        let time_ms = self.clock.now_ms();
        let message = Receipt::message(record_id, holder, node, time_ms);
        let signature = self.enclave.sign_message(RECEIPT_DOMAIN, &message);
        Ok(Receipt { record_id, holder, node, time_ms, signature })
    }

    /// Adds to `batch` a receipt that `from` gave for a record of this node; `key` is its key, from genesis.
    ///
    /// # Errors
    /// [`VaultError::InvalidReceipt`] when it is another node's, not signed, or for no record that this node erased.
    pub fn stage_receipt(
        &self,
        batch: &mut Batch,
        from: ValidatorIndex,
        receipt: &Receipt,
        key: &VerificationKey,
    ) -> Result<(), VaultError> {
        let record = receipt.record_id;
        let fits = receipt.node == from && receipt.holder == self.me && receipt.verify(key);
        if !fits || !self.is_erased_by(record, self.me)? {
            return Err(VaultError::InvalidReceipt(record));
        }
        batch.put(&self.tables.receipts, pair(&record.0, &from.0.to_be_bytes()), receipt.encode()?);
        Ok(())
    }

    /// Own tombstones for which `node` has given no receipt, `tombstones_max` of them at most.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn without_receipt(
        &self,
        node: ValidatorIndex,
        tombstones_max: usize,
    ) -> Result<Vec<Tombstone>, VaultError> {
        let mut found = Vec::new();
        for row in self.tables.tombstones.iter() {
            if found.len() == tombstones_max {
                break;
            }
            let tombstone = Tombstone::decode(&row?.1)?;
            let receipt = pair(&tombstone.record_id.0, &node.0.to_be_bytes());
            if tombstone.holder == self.me && !self.tables.receipts.contains(receipt)? {
                found.push(tombstone);
            }
        }
        Ok(found)
    }

    /// The receipts for a record that this node erased, by node.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn receipts(&self, record: RecordId) -> Result<Vec<Receipt>, VaultError> {
        self.tables.receipts.iter_prefix(record.0).map(|row| Receipt::decode(&row?.1)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_zebra::SigningKey;
    use proptest::prelude::*;

    fn signed(key: &SigningKey) -> Receipt {
        let (record_id, holder, node) = (RecordId([1; 16]), ValidatorIndex(2), ValidatorIndex(3));
        let message = Receipt::message(record_id, holder, node, 4);
        let signature = key.sign(&[RECEIPT_DOMAIN.as_bytes(), &[0], &message].concat()).to_bytes();
        Receipt { record_id, holder, node, time_ms: 4, signature }
    }

    #[test]
    fn every_part_is_signed() {
        let key = SigningKey::from([3; 32]);
        let public = VerificationKey::from(&key);
        let receipt = signed(&key);
        assert_eq!(Receipt::decode(&receipt.encode().unwrap()).unwrap(), receipt);
        assert!(receipt.verify(&public));
        assert!(!receipt.verify(&VerificationKey::from(&SigningKey::from([4; 32]))));
        for changed in [
            Receipt { record_id: RecordId([9; 16]), ..receipt.clone() },
            Receipt { holder: ValidatorIndex(9), ..receipt.clone() },
            Receipt { node: ValidatorIndex(9), ..receipt.clone() },
            Receipt { time_ms: 9, ..receipt.clone() },
        ] {
            assert!(!changed.verify(&public));
        }
    }

    /// Written by hand after the DAG-CBOR specification: keys by length, then by bytes.
    #[test]
    fn the_encoding_is_pinned() {
        let receipt = Receipt { signature: [5; 64], ..signed(&SigningKey::from([3; 32])) };
        let expected = [
            b"\xa5\x64node\x03\x66holder\x02\x66record\x50".as_slice(),
            &[1; 16],
            b"\x66timeMs\x04\x69signature\x58\x40",
            &[5; 64],
        ];
        assert_eq!(receipt.encode().unwrap(), expected.concat());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Receipt::decode(&bytes).is_err());
        }
    }
}
