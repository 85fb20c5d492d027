//! What this node holds, counted from the tables as they are.

use crate::{RecordEntry, Vault, VaultError, tables::block_key, vault::record_id};
use bxp_types::{BlockClass, Jurisdiction};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is held of one country's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Records known.
    pub records: u64,
    /// Of these, records that this node took in itself.
    pub own: u64,
    /// Of these, records under an anchored root.
    pub anchored: u64,
    /// Sealed identity blocks here.
    pub identity_blocks: u64,
    /// Keys of identity blocks here.
    pub identity_keys: u64,
    /// Sealed de-identified blocks here.
    pub deidentified_blocks: u64,
    /// Keys of de-identified blocks here.
    pub deidentified_keys: u64,
}

impl Vault {
    /// Counts records, blocks and keys by country. Reads every entry once.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn holdings(&self) -> Result<BTreeMap<Jurisdiction, Holding>, VaultError> {
        let mut holdings: BTreeMap<Jurisdiction, Holding> = BTreeMap::new();
        for row in self.tables.entries.iter() {
            let (id, row) = row?;
            let entry = RecordEntry::of_row(record_id(&id)?, &row)?;
            let anchored = self.placement(entry.record_id)?.is_some_and(|place| place.anchor.is_some());
            let identity = entry.identity_class();
            let holding = holdings.entry(entry.home).or_default();
            holding.records += 1;
            holding.own += u64::from(entry.holder == self.me);
            holding.anchored += u64::from(anchored);
            holding.identity_blocks += self.counts_block(&entry, identity)?;
            holding.identity_keys += u64::from(self.has_key(&entry.identity_cid)?);
            holding.deidentified_blocks += self.counts_block(&entry, BlockClass::Deidentified)?;
            holding.deidentified_keys += u64::from(self.has_key(&entry.deidentified_cid)?);
        }
        Ok(holdings)
    }

    fn counts_block(&self, entry: &RecordEntry, class: BlockClass) -> Result<u64, VaultError> {
        Ok(u64::from(self.block_table(class).contains(block_key(entry.cid(class)))?))
    }
}
