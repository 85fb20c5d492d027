//! The vault's tables. The table of identity blocks carries its country in its name: that is the residency partition.

use bxp_storage::{Result, Store, Table};
use bxp_types::Jurisdiction;

#[derive(Debug)]
pub(crate) struct Tables {
    /// CID -> sealed identity block of this node's country.
    pub(crate) identity: Table,
    /// CID -> sealed de-identified block.
    pub(crate) deidentified: Table,
    /// CID -> data key, wrapped by the enclave under the patient's key in the context of the CID.
    pub(crate) keys: Table,
    /// Record id -> entry.
    pub(crate) entries: Table,
    /// CID -> record id.
    pub(crate) by_cid: Table,
    /// Subject || record id -> number of arrival (u64 BE).
    pub(crate) by_subject: Table,
    /// Number of arrival (u64 BE) -> record id.
    pub(crate) by_order: Table,
    /// Record id -> nothing, for this node's records that no batch holds yet.
    pub(crate) unbatched: Table,
    /// Merkle root -> the batch and where it is anchored.
    pub(crate) batches: Table,
    /// Merkle root || index (u32 BE) -> leaf.
    pub(crate) leaves: Table,
    /// Record id -> Merkle root || index (u32 BE).
    pub(crate) placements: Table,
    /// Record id || holder (u16 BE) -> signed tombstone.
    pub(crate) tombstones: Table,
    /// Record id || node (u16 BE) -> signed receipt.
    pub(crate) receipts: Table,
    /// `newest` -> the directory of nodes that this vault goes by.
    pub(crate) directory: Table,
    /// Node (u16 BE) || country -> that the node left the country.
    pub(crate) departures: Table,
    /// Node (u16 BE) || country || height (u64 BE) || part (u32 BE) -> signed part of a statement.
    pub(crate) statements: Table,
    /// Receiver (u16 BE) || key of a part of an own statement -> nothing, once the receiver has it.
    pub(crate) stated: Table,
    /// Number (u64 BE) -> disclosure.
    pub(crate) disclosures: Table,
    /// Subject || number (u64 BE) -> nothing.
    pub(crate) disclosures_by_subject: Table,
}

impl Tables {
    pub(crate) fn open(store: &Store, home: Jurisdiction) -> Result<Self> {
        Ok(Self {
            identity: Self::identity_of(store, home)?,
            deidentified: store.table("vault.deidentified")?,
            keys: store.table("vault.keys")?,
            entries: store.table("vault.entries")?,
            by_cid: store.table("vault.by-cid")?,
            by_subject: store.table("vault.by-subject")?,
            by_order: store.table("vault.by-order")?,
            unbatched: store.table("vault.unbatched")?,
            batches: store.table("vault.batches")?,
            leaves: store.table("vault.leaves")?,
            placements: store.table("vault.placements")?,
            tombstones: store.table("vault.tombstones")?,
            receipts: store.table("vault.receipts")?,
            directory: store.table("vault.directory")?,
            departures: store.table("vault.departures")?,
            statements: store.table("vault.statements")?,
            stated: store.table("vault.stated")?,
            disclosures: store.table("vault.disclosures")?,
            disclosures_by_subject: store.table("vault.disclosures-by-subject")?,
        })
    }

    /// The sealed identity blocks of one country.
    pub(crate) fn identity_of(store: &Store, country: Jurisdiction) -> Result<Table> {
        store.table(&format!("vault.identity.{country}"))
    }
}

/// A key of two parts.
pub(crate) fn pair(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}

/// The last eight bytes of a key as a number.
pub(crate) fn trailing_number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}
