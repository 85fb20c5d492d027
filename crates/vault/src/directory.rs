//! The directory of nodes, and where it places the copies of a record's identity block.
//!
//! A country may bound the number of copies. Then the record's holder keeps one, and the others go to the nodes of the
//! country with the highest weights for the record: `SHA-256(domain || record id || node's public key)`, of ids alone
//! (highest random weight; Thaler and Ravishankar, 1998). Every node computes the same, nobody keeps a table, and a
//! node that joins or leaves moves about the share of the copies that it gets or had.

use crate::{Recipient, RecordEntry, VaultError, encoding};
use alloy_primitives::B256;
use bxp_types::{Digest, Genesis, Jurisdiction, RecordId, ValidatorIndex};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, num::NonZeroU16};

const WHAT: &str = "directory of nodes";
const VERSION: u8 = 1;
const WEIGHT_DOMAIN: &[u8] = b"BXP placement v1\0";

/// A node of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub validator: ValidatorIndex,
    /// Where the node stands.
    pub country: Jurisdiction,
    /// Its Ed25519 key, by which it is weighed.
    pub public_key: B256,
    /// Its X25519 key.
    pub sealing_key: B256,
}

/// Which nodes stand in which countries, and how many copies a country wants, from a height of the chain on.
///
/// The default one names no node and bounds nothing: by it, each node keeps what is of its country.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// From which height it holds. Of two directories the one of the greater height is newer.
    pub height: u64,
    /// The nodes, by index. One that has left is not among them.
    members: BTreeMap<ValidatorIndex, Member>,
    /// How many nodes of a country keep an identity block, the holder counted. Where nothing stands, all do.
    copies: BTreeMap<Jurisdiction, NonZeroU16>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryWire {
    v: u8,
    height: u64,
    members: Vec<MemberWire>,
    copies: BTreeMap<Jurisdiction, NonZeroU16>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberWire {
    node: u16,
    country: Jurisdiction,
    #[serde(rename = "publicKey", with = "serde_bytes")]
    public_key: [u8; 32],
    #[serde(rename = "sealingKey", with = "serde_bytes")]
    sealing_key: [u8; 32],
}

impl Directory {
    /// The directory of these nodes from `height` on.
    #[must_use]
    pub fn new(
        height: u64,
        members: impl IntoIterator<Item = Member>,
        copies: BTreeMap<Jurisdiction, NonZeroU16>,
    ) -> Self {
        let members = members.into_iter().map(|member| (member.validator, member)).collect();
        Self { height, members, copies }
    }

    /// What genesis says, which holds until something newer does.
    #[must_use]
    pub fn of_genesis(genesis: &Genesis) -> Self {
        let member = |(validator, entry): (ValidatorIndex, &bxp_types::ValidatorEntry)| Member {
            validator,
            country: entry.jurisdiction,
            public_key: entry.public_key,
            sealing_key: entry.sealing_key,
        };
        let members = (0_u16..).map(ValidatorIndex).zip(&genesis.validators).map(member);
        Self::new(0, members, genesis.identity_copies.clone())
    }

    /// The nodes, by index.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// What is known of a node.
    #[must_use]
    pub fn member(&self, node: ValidatorIndex) -> Option<&Member> {
        self.members.get(&node)
    }

    /// The country that a node stands in; none for one that is not among the nodes.
    #[must_use]
    pub fn country(&self, node: ValidatorIndex) -> Option<Jurisdiction> {
        self.member(node).map(|member| member.country)
    }

    /// The node as one to whom blocks and keys go.
    #[must_use]
    pub fn recipient(&self, node: ValidatorIndex) -> Option<Recipient> {
        self.member(node).map(|member| Recipient {
            validator: node,
            jurisdiction: member.country,
            sealing_key: member.sealing_key,
        })
    }

    /// Whether it is the default one, which says nothing of where anyone stands. One of a later height that names no node
    /// says that nobody stands anywhere.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.height == 0 && self.members.is_empty()
    }

    /// The nodes that keep the record's identity block: all of its country, or as many as the country wants, the holder
    /// first and then by weight. All different, all in the country.
    #[must_use]
    pub fn keepers(&self, entry: &RecordEntry) -> Vec<ValidatorIndex> {
        let mut country: Vec<&Member> =
            self.members.values().filter(|member| member.country == entry.home).collect();
        let copies = self.copies.get(&entry.home).map_or(country.len(), |copies| usize::from(copies.get()));
        if copies < country.len() {
            country.sort_by_cached_key(|member| {
                let other = member.validator != entry.holder;
                (other, std::cmp::Reverse(weight(entry.record_id, member.public_key)), member.validator)
            });
            country.truncate(copies);
        }
        country.iter().map(|member| member.validator).collect()
    }

    /// Whether the node is one of [`Directory::keepers`]; by a silent directory, each is.
    #[must_use]
    pub fn keeps(&self, node: ValidatorIndex, entry: &RecordEntry) -> bool {
        if self.is_silent() {
            return true;
        }
        let here = self.country(node) == Some(entry.home);
        here && (!self.copies.contains_key(&entry.home) || self.keepers(entry).contains(&node))
    }

    /// Canonical DAG-CBOR: `{v: 1, height, members: [{node, country, publicKey, sealingKey}], copies}`.
    ///
    /// # Errors
    /// Never in practice: every directory has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, VaultError> {
        let members = self.members.values().map(|member| MemberWire {
            node: member.validator.0,
            country: member.country,
            public_key: member.public_key.0,
            sealing_key: member.sealing_key.0,
        });
        let wire = DirectoryWire {
            v: VERSION,
            height: self.height,
            members: members.collect(),
            copies: self.copies.clone(),
        };
        encoding::encode(WHAT, &wire)
    }

    /// Reads [`Directory::encode`] back.
    ///
    /// # Errors
    /// [`VaultError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        let wire: DirectoryWire = encoding::decode(WHAT, bytes)?;
        let ordered = wire.members.is_sorted_by(|one, next| one.node < next.node);
        if wire.v != VERSION || !ordered {
            return Err(VaultError::Malformed(WHAT));
        }
        let members = wire.members.into_iter().map(|member| Member {
            validator: ValidatorIndex(member.node),
            country: member.country,
            public_key: member.public_key.into(),
            sealing_key: member.sealing_key.into(),
        });
        Ok(Self::new(wire.height, members, wire.copies))
    }

    /// What names this directory: two nodes that have the same digest place every record alike.
    ///
    /// # Errors
    /// As [`Directory::encode`].
    pub fn digest(&self) -> Result<Digest, VaultError> {
        Ok(Digest::of(&self.encode()?))
    }
}

fn weight(record: RecordId, public_key: B256) -> [u8; 32] {
    Digest::of(&[WEIGHT_DOMAIN, &record.0, public_key.as_slice()].concat()).0
}

#[cfg(test)]
mod tests;
