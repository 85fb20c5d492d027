//! What a height decides.

use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;

use crate::bitmask::Bitmask;

/// Separates this digest from every other use of SHA-256 in the network.
const DOMAIN: &[u8] = b"bxp superblock v1";

/// All proposals of a height that were decided 1 (S5). At least n-t of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The height.
    pub height: Height,
    /// Which validators' proposals are in.
    pub bitmask: Bitmask,
    /// Those proposals, by proposer, ascending.
    pub proposals: Vec<Proposal>,
}

/// One proposal that was decided 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Who proposed it.
    pub proposer: ValidatorIndex,
    /// SHA-256 of the body.
    pub digest: Digest,
    /// The body.
    pub body: Bytes,
}

impl Superblock {
    /// SHA-256 over domain, height (8 bytes, big endian), number of validators (2 bytes, big endian), bitmask, and
    /// the digests of the proposals in order. Equal at all correct nodes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(DOMAIN.len() + 10 + self.proposals.len() * 33);
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(&self.height.0.to_be_bytes());
        bytes.extend_from_slice(&self.bitmask.length().to_be_bytes());
        bytes.extend_from_slice(self.bitmask.as_bytes());
        for proposal in &self.proposals {
            bytes.extend_from_slice(proposal.digest.as_bytes());
        }
        Digest::of(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_pinned_and_depends_on_every_part() {
        let body = Bytes::from_static(b"body");
        let mut bitmask = Bitmask::new(4);
        bitmask.insert(ValidatorIndex(2));
        let proposal = Proposal { proposer: ValidatorIndex(2), digest: Digest::of(&body), body };
        let superblock = Superblock { height: Height(7), bitmask, proposals: vec![proposal] };
        let digest = superblock.digest();
        assert_eq!(digest.to_string(), "fbd0a612efc07f28e8e1d7ddd0153a3d1c7286bd21a45770d7c9b0abcdf96caa");
        let mut other = superblock.clone();
        other.height = Height(8);
        assert_ne!(other.digest(), digest);
        let mut other = superblock.clone();
        other.bitmask.insert(ValidatorIndex(3));
        assert_ne!(other.digest(), digest);
        let mut other = superblock;
        other.proposals.clear();
        assert_ne!(other.digest(), digest);
    }
}
