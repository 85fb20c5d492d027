//! The vault's tables. The table of identity blocks carries its country in its name: that is the residency partition.

use crate::VaultError;
use bxp_storage::{Result, Store, Table};
use bxp_types::Jurisdiction;
use cid::Cid;

/// The bytes of SHA-256, by which all sealed blocks are named.
const DIGEST_LEN: usize = 32;

const BLOCK_KEY: &str = "key of a sealed block's row";

#[derive(Debug)]
pub(crate) struct Tables {
    /// Block ([`block_key`]) -> sealed identity block of this node's country.
    pub(crate) identity: Table,
    /// Block -> sealed de-identified block.
    pub(crate) deidentified: Table,
    /// Block -> record id || data key, wrapped by the enclave under the patient's key in the context of the CID.
    pub(crate) keys: Table,
    /// Record id -> entry, as a row.
    pub(crate) entries: Table,
    /// Block -> record id, for blocks whose key is not here; the record of the others stands by the key.
    pub(crate) by_cid: Table,
    /// Subject || record id -> number of arrival (u64 BE).
    pub(crate) by_subject: Table,
    /// Number of arrival (u64 BE) -> record id.
    pub(crate) by_order: Table,
    /// `next` -> a number of arrival (u64 BE) below which none is given again, whatever was erased.
    pub(crate) arrivals: Table,
    /// Record id -> nothing, for this node's records that no batch holds yet.
    pub(crate) unbatched: Table,
    /// Merkle root -> the batch and where it is anchored.
    pub(crate) batches: Table,
    /// Merkle root -> the leaves of an own batch (32 bytes each), in their order.
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
            arrivals: store.table("vault.arrivals")?,
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

/// The key of a block's rows: the digest of its CID, and then the bytes that stand before it there (version, codec,
/// hash function, length). Sealed blocks have all of these in common, and where keys begin alike, each step of a
/// search must read them whole.
pub(crate) fn block_key(cid: &Cid) -> Vec<u8> {
    let mut key = cid.to_bytes();
    let before = key.len() - cid.hash().digest().len();
    key.rotate_left(before);
    key
}

/// The CID of a sealed block, from its [`block_key`].
pub(crate) fn block_of_key(key: &[u8]) -> std::result::Result<Cid, VaultError> {
    let malformed = || VaultError::Malformed(BLOCK_KEY);
    let (digest, before) = key.split_first_chunk::<DIGEST_LEN>().ok_or_else(malformed)?;
    let cid = Cid::try_from([before, digest.as_slice()].concat()).map_err(|_| malformed())?;
    if block_key(&cid) == key { Ok(cid) } else { Err(malformed()) }
}

/// A key of two parts.
pub(crate) fn pair(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}

/// The last eight bytes of a key as a number.
pub(crate) fn trailing_number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::cid_of;
    use cid::multihash::Multihash;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_key_of_a_block_is_its_digest_and_then_the_rest_of_its_cid() {
        let cid = cid_of(b"identity").unwrap();
        let expected = [
            "689f6a627384c7dcb2dcc1487e540223e77bdf9dcd0d8be8a326eda65b0ce9a4", // SHA-256 of the block
            "01",                                                               // a CID of version 1
            "71",                                                               // DAG-CBOR
            "1220",                                                             // SHA-256 of 32 bytes
        ];
        let key = block_key(&cid);
        assert_eq!(hex::encode(&key), expected.concat());
        assert_eq!(block_of_key(&key).unwrap(), cid);
    }

    #[test]
    fn a_cid_as_it_is_and_a_cut_or_longer_key_are_refused() {
        let cid = cid_of(b"identity").unwrap();
        let key = block_key(&cid);
        assert!(block_of_key(&cid.to_bytes()).is_err());
        assert!(block_of_key(&[key.as_slice(), &[0]].concat()).is_err());
        for end in 0..key.len() {
            assert!(block_of_key(&key[..end]).is_err());
        }
    }

    #[test]
    fn cids_of_every_form_have_keys_of_their_own() {
        let digest = [0x12_u8; 32];
        let hash = |code, digest: &[u8]| Multihash::wrap(code, digest).unwrap();
        let cids = [
            Cid::new_v1(0x71, hash(0x12, &digest)),
            Cid::new_v1(0x55, hash(0x12, &digest)),
            Cid::new_v1(0x71, hash(0x12, &digest[1..])),
            Cid::new_v1(0x71, hash(0xb220, &digest)),
            Cid::new_v1(0x71, hash(0, &[])),
            Cid::new_v0(hash(0x12, &digest)).unwrap(),
        ];
        let keys: BTreeSet<_> = cids.iter().map(block_key).collect();
        assert_eq!(keys.len(), cids.len());
    }

    proptest! {
        #[test]
        fn a_key_that_is_read_is_the_key_of_what_was_read(key in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(cid) = block_of_key(&key) {
                prop_assert_eq!(block_key(&cid), key);
            }
        }
    }
}
