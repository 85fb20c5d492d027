//! Who signs for this node.

use bxp_enclave::Enclave;
use bxp_types::{Attestation, B256, Height, NetworkId, ValidatorIndex};

/// Gives this node's word for a block that it has executed.
pub trait Attester: Send {
    /// The signed word of validator `me` that the block at `height` has this hash.
    fn attest(&self, me: ValidatorIndex, network: NetworkId, height: Height, hash: B256) -> Attestation;
}

impl Attester for Enclave {
    fn attest(&self, me: ValidatorIndex, network: NetworkId, height: Height, hash: B256) -> Attestation {
        Self::attest(self, me, network, height, hash)
    }
}
