//! What the vault refuses, and how it fails. No variant carries content, keys or a patient.

use alloy_primitives::B256;
use bxp_enclave::EnclaveError;
use bxp_storage::StorageError;
use bxp_types::{Jurisdiction, RecordId, ValidatorIndex};
use cid::Cid;

/// Why the vault refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The data folder failed.
    #[error("use the vault's tables")]
    Storage(#[from] StorageError),
    /// Sealing, opening or wrapping failed.
    #[error("{action}")]
    Enclave {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: EnclaveError,
    },
    /// No such record here.
    #[error("record {0} is not here")]
    UnknownRecord(RecordId),
    /// The record was erased by its holder and does not come back.
    #[error("record {0} was erased")]
    Erased(RecordId),
    /// No record here has this block.
    #[error("block {0} is not here")]
    UnknownBlock(Cid),
    /// The block is here, its key is not: ask the holder to release it.
    #[error("the key of block {0} is not here; ask the record's holder to release it")]
    MissingKey(Cid),
    /// The permit does not cover this record, this side of the split, or this time.
    #[error("the permit does not open this")]
    NotPermitted,
    /// Identity data would leave its country (row A12).
    #[error("block {cid} holds identity data of {home} and may not be kept in {there}")]
    Residency {
        /// The block.
        cid: Cid,
        /// The country that it belongs to.
        home: Jurisdiction,
        /// The country that it was about to enter.
        there: Jurisdiction,
    },
    /// Placement gives the copies of this block to other nodes of the country.
    #[error("block {cid} is not placed on {node}; the directory of nodes tells who keeps it")]
    NotPlaced {
        /// The block.
        cid: Cid,
        /// The node that does not keep it.
        node: ValidatorIndex,
    },
    /// Placement has this node keep the record, so its copy is not deleted.
    #[error("record {0} is placed on this node and stays")]
    Placed(RecordId),
    /// Something of a country that this node has left is still here, so nothing is signed.
    #[error("block {0} or its key is still here; it goes once all that keep it vouch for theirs")]
    StillHeld(Cid),
    /// The directories of two nodes differ, or the directory has changed meanwhile.
    #[error("the nodes go by different directories; ask again when both have the newest")]
    DirectoryDiffers,
    /// Two directories claim the same height.
    #[error(
        "another directory of nodes from height {height} on is here already; the chain has one at each height"
    )]
    OtherDirectory {
        /// From which height on both would hold.
        height: u64,
    },
    /// A statement that its node did not sign, or for no departure that is known here.
    #[error("the statement of {node} on {country} is not its word on a departure that is known here")]
    InvalidStatement {
        /// Who sent it.
        node: ValidatorIndex,
        /// The country.
        country: Jurisdiction,
    },
    /// Records are taken in where their patient lives, since the identity side has to stay there (row A12).
    #[error("records of residents of {home} are taken in by a node in {home}, this one is in {here}")]
    ForeignRecord {
        /// The country of residence.
        home: Jurisdiction,
        /// This node's country.
        here: Jurisdiction,
    },
    /// Only the holder speaks for a record.
    #[error("record {record} is not {from}'s to send")]
    NotTheHolder {
        /// The record.
        record: RecordId,
        /// Who sent it.
        from: ValidatorIndex,
    },
    /// Only the holder anchors, replicates or erases a record.
    #[error("record {0} is held by another node; only that node can do this")]
    NotOurs(RecordId),
    /// Another entry with this id is already here.
    #[error("record {0} is already here with different content")]
    Conflict(RecordId),
    /// The bytes are not what the CID names.
    #[error("block {0} does not hash to its CID")]
    WrongCid(Cid),
    /// The manifest names a block that did not come and is not here.
    #[error("block {0} is named by the manifest but was not sent")]
    MissingBlock(Cid),
    /// A block came that the manifest does not name, or that does not belong to this node.
    #[error("block {0} is not named by the manifest")]
    UnexpectedBlock(Cid),
    /// Bytes that are no canonical encoding of what they should be.
    #[error("decode {0}: the bytes are not its canonical encoding")]
    Malformed(&'static str),
    /// The rows on disk have another form than this version writes.
    #[error(
        "the vault's tables were written by another version of bxp; open them with that one, or use another --dir"
    )]
    OtherVersion,
    /// What opened is not what was committed to.
    #[error("block {0} opens to content that its record does not commit to")]
    WrongContent(Cid),
    /// A plaintext or list above its bound.
    #[error("{what} has {size}, above the bound of {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much it has.
        size: usize,
        /// The most.
        max: usize,
    },
    /// A batch needs at least one record.
    #[error("a batch has at least one record")]
    EmptyBatch,
    /// Records that are written with their batches are in them, in the same order.
    #[error("the batches do not hold just the records that are written")]
    UnbatchedRecords,
    /// No such batch here.
    #[error("no batch with root {0} is here")]
    UnknownBatch(B256),
    /// A batch is anchored for one country.
    #[error("a batch holds records of one country, got {first} and {other}")]
    MixedCountries {
        /// The first record's.
        first: Jurisdiction,
        /// Another record's.
        other: Jurisdiction,
    },
    /// A record came with a proof that does not lead to its batch's root.
    #[error("record {0} came with a Merkle proof that does not hold")]
    InvalidProof(RecordId),
    /// A tombstone that its holder did not sign.
    #[error("the tombstone of record {0} is not signed by its holder")]
    InvalidTombstone(RecordId),
    /// A receipt that its node did not sign, or for nothing that this node erased.
    #[error("the receipt for record {0} is not its sender's word on an erasure of this node")]
    InvalidReceipt(RecordId),
    /// The accounting of disclosures does not chain up: a row was changed or taken out.
    #[error("disclosure {0} does not chain to the one before it; restore the folder from a backup")]
    BrokenChain(u64),
    /// Compression failed, which only a lack of memory explains.
    #[error("compress content")]
    Compression(#[source] std::io::Error),
}

/// Names the action in which the enclave failed.
pub(crate) fn enclave(action: &'static str) -> impl Fn(EnclaveError) -> VaultError {
    move |source| VaultError::Enclave { action, source }
}
