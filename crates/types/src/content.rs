//! Sealed content on its way between nodes: what the network's residency fence looks at.

use crate::Jurisdiction;
use alloy_primitives::Bytes;
use cid::Cid;
use serde::{Deserialize, Serialize};

/// Which side of the split a sealed block holds (row A12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockClass {
    /// Identifying fields. May be held by, and carried to, nodes of this country only.
    Identity(Jurisdiction),
    /// The de-identified rest. May travel.
    Deidentified,
}

impl BlockClass {
    /// Whether a node in `jurisdiction` may hold the block.
    #[must_use]
    pub fn may_be_held_in(self, jurisdiction: Jurisdiction) -> bool {
        match self {
            Self::Identity(home) => home == jurisdiction,
            Self::Deidentified => true,
        }
    }
}

/// A sealed block and its content identifier, which hashes the ciphertext and so tells nothing of the plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBlock {
    /// CIDv1, dag-cbor, SHA-256, of `bytes`.
    pub cid: Cid,
    /// Identity or de-identified.
    pub class: BlockClass,
    /// The DAG-CBOR envelope around the ciphertext.
    pub bytes: Bytes,
}
