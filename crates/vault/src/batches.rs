//! Merkle batches: records grouped for one anchor transaction, and their proofs.
//!
//! The tree is `bxp_contracts::merkle`'s, which is the contract's: RFC 9162 with keccak256, leaves and nodes apart by
//! prefix, an odd node rising unchanged. Duplicating the odd node instead would give two lists of leaves one root.

use crate::{RecordEntry, Vault, VaultError, encoding, tables::pair, vault::record_id};
use alloy_primitives::B256;
use bxp_contracts::merkle::{Proof, Tree};
use bxp_storage::Batch;
use bxp_types::{Height, Jurisdiction, RecordId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const WHAT: &str = "batch";
pub(crate) const VERSION: u8 = 1;

/// Records of one country under one root.
#[derive(Clone, Debug)]
pub struct MerkleBatch {
    home: Jurisdiction,
    records: Vec<RecordId>,
    leaves: Vec<B256>,
    tree: Tree,
}

impl MerkleBatch {
    /// The batch of `entries`, in their order.
    ///
    /// # Errors
    /// [`VaultError::EmptyBatch`], [`VaultError::MixedCountries`], [`VaultError::TooLarge`] beyond `u32::MAX` records.
    pub fn new(entries: &[RecordEntry]) -> Result<Self, VaultError> {
        let home = entries.first().ok_or(VaultError::EmptyBatch)?.home;
        if let Some(other) = entries.iter().map(|entry| entry.home).find(|other| *other != home) {
            return Err(VaultError::MixedCountries { first: home, other });
        }
        let leaves: Vec<B256> = entries.iter().map(RecordEntry::leaf).collect();
        let size = leaves.len();
        let tree = Tree::new(leaves.clone());
        let tree = tree.ok_or(VaultError::TooLarge { what: WHAT, size, max: u32::MAX as usize })?;
        let records = entries.iter().map(|entry| entry.record_id).collect();
        Ok(Self { home, records, leaves, tree })
    }

    /// What is anchored.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.tree.root()
    }

    /// Number of records.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.tree.count()
    }

    pub(crate) fn records(&self) -> &[RecordId] {
        &self.records
    }

    /// The records' country.
    #[must_use]
    pub const fn home(&self) -> Jurisdiction {
        self.home
    }

    /// The proof of record number `index`.
    #[must_use]
    pub fn proof(&self, index: u32) -> Option<Proof> {
        self.tree.prove(index)
    }
}

/// Where a batch stands on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The batch's id in the `RecordRegistry`.
    pub batch_id: u64,
    /// The block that holds the transaction.
    pub height: Height,
}

/// Where a record stands in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The batch's root.
    pub root: B256,
    /// The record's number in the batch.
    pub index: u32,
    /// Number of records in the batch.
    pub count: u32,
    /// Where the batch is anchored; `None` until its transaction is in a block.
    pub anchor: Option<Anchor>,
}

/// A batch that is not anchored yet, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingBatch {
    /// The root.
    pub root: B256,
    /// Number of records.
    pub count: u32,
    /// The records' country.
    pub home: Jurisdiction,
    /// Whether this node has to anchor it; otherwise another holder does.
    pub own: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchWire {
    pub(crate) v: u8,
    pub(crate) home: Jurisdiction,
    pub(crate) count: u32,
    pub(crate) own: bool,
    pub(crate) id: Option<u64>,
    pub(crate) height: Option<u64>,
}

impl Vault {
    /// This node's records that no batch holds yet, at most `records_max`, in no order that tells anything.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn unbatched(&self, records_max: usize) -> Result<Vec<RecordEntry>, VaultError> {
        let mut entries = Vec::new();
        for row in self.tables.unbatched.iter() {
            if entries.len() == records_max {
                break;
            }
            entries.extend(self.entry(record_id(&row?.0)?)?);
        }
        Ok(entries)
    }

    /// Adds a Merkle batch of this node's records to `batch`, which may be the one that stages them, before its
    /// transaction is sent: after a crash [`Vault::pending_batches`] tells what may have to be sent again.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn stage_batch(&self, batch: &mut Batch, merkle: &MerkleBatch) -> Result<(), VaultError> {
        for record in &merkle.records {
            batch.remove(&self.tables.unbatched, record.0);
        }
        self.stage_leaves(batch, merkle)
    }

    pub(crate) fn stage_leaves(&self, batch: &mut Batch, merkle: &MerkleBatch) -> Result<(), VaultError> {
        let root = merkle.root();
        for (index, record) in (0_u32..).zip(&merkle.records) {
            batch.put(&self.tables.placements, record.0, pair(root.as_slice(), &index.to_be_bytes()));
        }
        let leaves: Vec<u8> = merkle.leaves.iter().flat_map(|leaf| leaf.0).collect();
        batch.put(&self.tables.leaves, root, leaves);
        self.put_batch(batch, root, merkle.home, merkle.count(), true)
    }

    /// Notes in `batch` where a batch came to stand on the chain.
    ///
    /// # Errors
    /// [`VaultError::UnknownBatch`], [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn stage_anchor(&self, batch: &mut Batch, root: B256, anchor: Anchor) -> Result<(), VaultError> {
        let mut wire = self.read_batch(root)?.ok_or(VaultError::UnknownBatch(root))?;
        (wire.id, wire.height) = (Some(anchor.batch_id), Some(anchor.height.0));
        batch.put(&self.tables.batches, root, encoding::encode(WHAT, &wire)?);
        Ok(())
    }

    /// Whether a batch with this root is here, own or replicated.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn has_batch(&self, root: B256) -> Result<bool, VaultError> {
        Ok(self.tables.batches.contains(root)?)
    }

    /// Batches that are not anchored as far as this node knows.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn pending_batches(&self) -> Result<Vec<PendingBatch>, VaultError> {
        let mut pending = Vec::new();
        for row in self.tables.batches.iter() {
            let (root, bytes) = row?;
            let wire = decode_batch(&bytes)?;
            if wire.id.is_none() {
                let root = B256::try_from(&*root).map_err(|_| VaultError::Malformed(WHAT))?;
                pending.push(PendingBatch { root, count: wire.count, home: wire.home, own: wire.own });
            }
        }
        Ok(pending)
    }

    /// Where a record stands; `None` while no batch holds it.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn placement(&self, record: RecordId) -> Result<Option<Placement>, VaultError> {
        let Some(place) = self.tables.placements.get(record.0)? else {
            return Ok(None);
        };
        let (root, index) = split_place(&place)?;
        let wire = self.read_batch(root)?.ok_or(VaultError::UnknownBatch(root))?;
        let anchor = wire.id.zip(wire.height);
        let anchor = anchor.map(|(batch_id, height)| Anchor { batch_id, height: Height(height) });
        Ok(Some(Placement { root, index, count: wire.count, anchor }))
    }

    /// Placements and Merkle proofs of this node's records, in their order. A record that no own batch holds has none.
    /// The tree of the last batch is kept, so that a batch which is proven in parts is built once.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn prove(&self, records: &[RecordId]) -> Result<Vec<Option<(Placement, Proof)>>, VaultError> {
        let mut proofs = Vec::with_capacity(records.len());
        for record in records {
            let placement = self.placement(*record)?;
            let tree = placement.map_or(Ok(None), |placement| self.tree_of(placement))?;
            let proof = placement
                .zip(tree)
                .and_then(|(placement, tree)| tree.prove(placement.index).map(|proof| (placement, proof)));
            proofs.push(proof);
        }
        Ok(proofs)
    }

    fn tree_of(&self, placement: Placement) -> Result<Option<Arc<Tree>>, VaultError> {
        let mut last = self.last_tree.lock();
        if last.as_ref().is_none_or(|tree| tree.root() != placement.root) {
            let Some(tree) = self.read_tree(placement)? else {
                return Ok(None);
            };
            *last = Some(Arc::new(tree));
        }
        Ok(last.clone())
    }

    /// The tree of an own batch; replicas have no leaves, only a proof that they checked.
    fn read_tree(&self, placement: Placement) -> Result<Option<Tree>, VaultError> {
        let Some(row) = self.tables.leaves.get(placement.root)? else { return Ok(None) };
        let tree = Tree::new(split_leaves(&row)?);
        Ok(tree.filter(|tree| tree.root() == placement.root && tree.count() == placement.count))
    }

    pub(crate) fn put_batch(
        &self,
        batch: &mut Batch,
        root: B256,
        home: Jurisdiction,
        count: u32,
        own: bool,
    ) -> Result<(), VaultError> {
        let known = self.read_batch(root)?;
        let (id, height) = known.map_or((None, None), |wire| (wire.id, wire.height));
        let wire = BatchWire { v: VERSION, home, count, own, id, height };
        batch.put(&self.tables.batches, root, encoding::encode(WHAT, &wire)?);
        Ok(())
    }

    fn read_batch(&self, root: B256) -> Result<Option<BatchWire>, VaultError> {
        self.tables.batches.get(root)?.map(|bytes| decode_batch(&bytes)).transpose()
    }
}

pub(crate) fn decode_batch(bytes: &[u8]) -> Result<BatchWire, VaultError> {
    let wire: BatchWire = encoding::decode(WHAT, bytes)?;
    if wire.v == VERSION { Ok(wire) } else { Err(VaultError::Malformed(WHAT)) }
}

/// The leaves in a batch's row of them.
fn split_leaves(row: &[u8]) -> Result<Vec<B256>, VaultError> {
    let (leaves, []) = row.as_chunks::<32>() else { return Err(VaultError::Malformed("leaves of a batch")) };
    Ok(leaves.iter().copied().map(B256::from).collect())
}

fn split_place(place: &[u8]) -> Result<(B256, u32), VaultError> {
    let (root, index) = place.split_first_chunk::<32>().ok_or(VaultError::Malformed(WHAT))?;
    let index = <[u8; 4]>::try_from(index).map_err(|_| VaultError::Malformed(WHAT))?;
    Ok((B256::from(*root), u32::from_be_bytes(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand after the DAG-CBOR specification: keys by length, then by bytes.
    #[test]
    fn the_row_of_a_batch_is_pinned() {
        let expected = |id: &[u8], height: &[u8]| {
            let parts = [
                b"\xa6".as_slice(),       // a map of six
                b"\x61v\x01",             // the version
                b"\x62id",                // the batch's id on the chain
                id,                       // a number or null
                b"\x63own\xf5",           // true
                b"\x64home\x62US",        // the country
                b"\x65count\x19\x02\x03", // 515 records
                b"\x66height",            // the block's number
                height,                   // a number or null
            ];
            parts.concat()
        };
        let encoded = |id, height| {
            let (home, count) = (Jurisdiction::US, 0x0203);
            encoding::encode(WHAT, &BatchWire { v: VERSION, home, count, own: true, id, height }).unwrap()
        };
        assert_eq!(encoded(None, None), expected(b"\xf6", b"\xf6"));
        let anchored = encoded(Some(0x0102_0304), Some(7));
        assert_eq!(anchored, expected(b"\x1a\x01\x02\x03\x04", b"\x07"));
        let read = decode_batch(&anchored).unwrap();
        assert_eq!((read.home, read.count, read.own), (Jurisdiction::US, 0x0203, true));
        assert_eq!((read.id, read.height), (Some(0x0102_0304), Some(7)));
    }

    #[test]
    fn the_row_of_leaves_is_pinned() {
        let row = [[0xab_u8; 32], [0xcd; 32]].concat();
        assert_eq!(split_leaves(&row).unwrap(), [B256::repeat_byte(0xab), B256::repeat_byte(0xcd)]);
        assert!(split_leaves(&row[1..]).is_err());
    }

    #[test]
    fn a_place_is_pinned() {
        let place = [
            [0xab_u8; 32].as_slice(), // the root
            b"\x00\x00\x02\x03",      // the index, 4 bytes
        ]
        .concat();
        let (root, index) = (B256::repeat_byte(0xab), 0x0203_u32);
        assert_eq!(pair(root.as_slice(), &index.to_be_bytes()), place);
        assert_eq!(split_place(&place).unwrap(), (root, index));
    }
}
