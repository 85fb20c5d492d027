//! Statements: the word of a node that left a country on which identity blocks of that country it has deleted.
//!
//! A departure is stated in parts, each with the blocks of one step of deletion, and the last of them says so. Together
//! they are what an erasure's receipt is for one record.

use crate::{VaultError, encoding};
use bxp_types::{Jurisdiction, ValidatorIndex};
use cid::Cid;
use ed25519_zebra::{Signature, VerificationKey};
use serde::{Deserialize, Serialize};

/// The domain that statements are signed in.
pub const STATEMENT_DOMAIN: &str = "BXP departure statement v1";

/// The most blocks of one part: its encoding stays below 24 KiB.
pub const STATEMENT_BLOCKS_MAX: usize = 512;

const WHAT: &str = "departure statement";

/// One part of a node's word that identity blocks of a country, and their keys, are gone from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Who left.
    pub node: ValidatorIndex,
    /// Which country.
    pub country: Jurisdiction,
    /// The height of the directory by which the node stands in the country no more.
    pub height: u64,
    /// The number of this part, from 0.
    pub part: u32,
    /// Whether nothing of the country is left, and no part follows.
    pub last: bool,
    /// When, in milliseconds since the epoch.
    pub time_ms: u64,
    /// The blocks that this part's step deleted.
    pub blocks: Vec<Cid>,
    /// Ed25519 over [`STATEMENT_DOMAIN`], a zero byte, and `node (u16 BE) || country (2) || height (u64 BE) || part (u32
    /// BE) || last (1) || time (u64 BE)`, then each block's CID.
    pub signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementWire {
    node: u16,
    country: Jurisdiction,
    height: u64,
    part: u32,
    last: bool,
    #[serde(rename = "timeMs")]
    time_ms: u64,
    blocks: Vec<Cid>,
    #[serde(with = "serde_bytes")]
    signature: [u8; 64],
}

impl Statement {
    /// What is signed, without its domain.
    pub(crate) fn message(&self) -> Vec<u8> {
        let head: [&[u8]; 6] = [
            &self.node.0.to_be_bytes(),
            self.country.as_str().as_bytes(),
            &self.height.to_be_bytes(),
            &self.part.to_be_bytes(),
            &[u8::from(self.last)],
            &self.time_ms.to_be_bytes(),
        ];
        let blocks = self.blocks.iter().flat_map(Cid::to_bytes);
        head.concat().into_iter().chain(blocks).collect()
    }

    /// Whether the `key` of [`Statement::node`] signed it.
    #[must_use]
    pub fn verify(&self, key: &VerificationKey) -> bool {
        let signed = [STATEMENT_DOMAIN.as_bytes(), &[0], &self.message()].concat();
        key.verify(&Signature::from_bytes(&self.signature), &signed).is_ok()
    }

    /// Canonical DAG-CBOR.
    ///
    /// # Errors
    /// Never in practice: every statement has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, VaultError> {
        let wire = StatementWire {
            node: self.node.0,
            country: self.country,
            height: self.height,
            part: self.part,
            last: self.last,
            time_ms: self.time_ms,
            blocks: self.blocks.clone(),
            signature: self.signature,
        };
        encoding::encode(WHAT, &wire)
    }

    /// Reads [`Statement::encode`] back; the signature is not checked.
    ///
    /// # Errors
    /// [`VaultError::Malformed`], [`VaultError::TooLarge`] above [`STATEMENT_BLOCKS_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        let wire: StatementWire = encoding::decode(WHAT, bytes)?;
        let size = wire.blocks.len();
        if size > STATEMENT_BLOCKS_MAX {
            return Err(VaultError::TooLarge { what: WHAT, size, max: STATEMENT_BLOCKS_MAX });
        }
        Ok(Self {
            node: ValidatorIndex(wire.node),
            country: wire.country,
            height: wire.height,
            part: wire.part,
            last: wire.last,
            time_ms: wire.time_ms,
            blocks: wire.blocks,
            signature: wire.signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::cid_of;
    use ed25519_zebra::SigningKey;
    use proptest::prelude::*;

    fn signed(key: &SigningKey) -> Statement {
        let mut statement = Statement {
            node: ValidatorIndex(2),
            country: Jurisdiction::DE,
            height: 7,
            part: 1,
            last: true,
            time_ms: 4,
            blocks: vec![cid_of(b"one").unwrap(), cid_of(b"two").unwrap()],
            signature: [0; 64],
        };
        let signed = [STATEMENT_DOMAIN.as_bytes(), &[0], &statement.message()].concat();
        statement.signature = key.sign(&signed).to_bytes();
        statement
    }

    #[test]
    fn every_part_is_signed() {
        let key = SigningKey::from([3; 32]);
        let public = VerificationKey::from(&key);
        let statement = signed(&key);
        assert_eq!(Statement::decode(&statement.encode().unwrap()).unwrap(), statement);
        assert!(statement.verify(&public));
        assert!(!statement.verify(&VerificationKey::from(&SigningKey::from([4; 32]))));
        let changes: [fn(&mut Statement); 7] = [
            |one| one.node = ValidatorIndex(9),
            |one| one.country = Jurisdiction::US,
            |one| one.height = 8,
            |one| one.part = 0,
            |one| one.last = false,
            |one| one.time_ms = 9,
            |one| one.blocks.truncate(1),
        ];
        for change in changes {
            let mut changed = statement.clone();
            change(&mut changed);
            assert!(!changed.verify(&public));
        }
    }

    /// Written by hand after the DAG-CBOR specification: keys by length, then by bytes.
    #[test]
    fn the_encoding_is_pinned() {
        let statement =
            Statement { blocks: vec![], signature: [5; 64], ..signed(&SigningKey::from([3; 32])) };
        let expected = [
            b"\xa8\x64last\xf5\x64node\x02\x64part\x01\x66blocks\x80\x66height\x07\x66timeMs\x04".as_slice(),
            b"\x67country\x62DE\x69signature\x58\x40",
            &[5; 64],
        ];
        assert_eq!(statement.encode().unwrap(), expected.concat());
    }

    #[test]
    fn blocks_are_bounded() {
        let block = cid_of(b"one").unwrap();
        let mut long = signed(&SigningKey::from([3; 32]));
        long.blocks = vec![block; STATEMENT_BLOCKS_MAX];
        let bytes = long.encode().unwrap();
        assert!(bytes.len() < 24 << 10 && Statement::decode(&bytes).is_ok());
        long.blocks.push(block);
        assert!(Statement::decode(&long.encode().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Statement::decode(&bytes).is_err());
        }
    }
}
