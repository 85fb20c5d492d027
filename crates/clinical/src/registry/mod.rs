//! The `NodeRegistry` contract as the records see it: the directory of nodes that follows from it, and the proofs of deletion
//! that nodes file there.
//!
//! Each change holds from its block's height on, and every node goes through all of them in their order: who left which
//! country at which height is then the same for everybody, however long a node was away. Only final blocks are read.

mod filing;

pub use filing::Filing;

use crate::{ClinicalError, contract::view, keeping::DirectorySource};
use bxp_contracts::{
    NODE_REGISTRY, NodeRegistry,
    nodes::{CHANGES_SLOT, country_code, has_node_registry, registry_agrees_with},
};
use bxp_types::{B256, Digest, Genesis, Jurisdiction, Ledger, U256, ValidatorIndex};
use bxp_vault::{Directory, Member};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// Changes that are read in one call: it stays far below the gas that a call may use.
const CHANGES_PER_CALL: u64 = 256;

/// The directory of nodes by the contract.
pub struct RegistryDirectory {
    ledger: Arc<dyn Ledger>,
    /// How many changes there were when they were last read, and the height of the last of them.
    seen: Mutex<Option<(u64, u64)>>,
}

impl std::fmt::Debug for RegistryDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryDirectory").field("seen", &*self.seen.lock()).finish_non_exhaustive()
    }
}

/// Where the directory of this network's nodes is read: the contract, or genesis alone on a network without one.
///
/// # Errors
/// [`ClinicalError::Chain`] where the contract's nodes in block 0 are not those of genesis.
pub fn directory_source(ledger: &Arc<dyn Ledger>) -> Result<Arc<dyn DirectorySource>, ClinicalError> {
    let genesis = ledger.genesis();
    if !has_node_registry(genesis) {
        return Ok(Arc::new(Directory::of_genesis(genesis)));
    }
    if !registry_agrees_with(genesis) {
        return Err(ClinicalError::Chain(
            "the NodeRegistry of genesis has other nodes than its validators; make the genesis document anew",
        ));
    }
    Ok(Arc::new(RegistryDirectory { ledger: Arc::clone(ledger), seen: Mutex::default() }))
}

impl DirectorySource for RegistryDirectory {
    fn newer_than(&self, height: Option<u64>) -> Result<Vec<Directory>, ClinicalError> {
        // One slot, which is in memory: all that a block without changes costs.
        let count = self.ledger.storage(NODE_REGISTRY, CHANGES_SLOT)?;
        let count =
            u64::try_from(count).map_err(|_| ClinicalError::Chain("more than 2^64 changes of nodes"))?;
        if let (Some(known), Some((seen, last))) = (height, *self.seen.lock())
            && seen == count
            && last <= known
        {
            return Ok(Vec::new());
        }
        let directories = directories(self.ledger.genesis(), &self.changes(count)?)?;
        let last = directories.last().map_or(0, |newest| newest.height);
        *self.seen.lock() = Some((count, last));
        let is_newer = |directory: &Directory| height.is_none_or(|height| directory.height > height);
        Ok(directories.into_iter().filter(is_newer).collect())
    }
}

impl RegistryDirectory {
    /// The first `count` changes. Changes are only ever added, so that reading them by and by gives one list.
    fn changes(&self, count: u64) -> Result<Vec<NodeRegistry::Change>, ClinicalError> {
        let mut changes = Vec::new();
        while (changes.len() as u64) < count {
            let from = changes.len() as u64;
            let max = CHANGES_PER_CALL.min(count - from);
            let call = NodeRegistry::changesCall { from: U256::from(from), max: U256::from(max) };
            let page = view(self.ledger.as_ref(), NODE_REGISTRY, &call)?;
            if page.is_empty() {
                return Err(ClinicalError::Chain("the NodeRegistry has fewer changes than it counts"));
            }
            changes.extend(page);
        }
        Ok(changes)
    }
}

/// The directory of genesis, and one for each height at which something changed, in their order.
fn directories(genesis: &Genesis, changes: &[NodeRegistry::Change]) -> Result<Vec<Directory>, ClinicalError> {
    let first = Directory::of_genesis(genesis);
    let mut standing: BTreeMap<ValidatorIndex, Member> =
        first.members().map(|member| (member.validator, *member)).collect();
    let known = first.clone();
    let mut directories = vec![first];
    for changes in changes.chunk_by(|one, next| one.height == next.height) {
        let mut height = 0;
        for change in changes {
            let node = ValidatorIndex(change.node);
            let member = known.member(node).ok_or(ClinicalError::Chain("a change of a node that is none"))?;
            if change.active {
                standing.insert(node, Member { country: country(change.country.0)?, ..*member });
            } else {
                standing.remove(&node);
            }
            height = change.height;
        }
        let members = standing.values().copied();
        directories.push(Directory::new(height, members, genesis.identity_copies.clone()));
    }
    Ok(directories)
}

fn country(code: [u8; 2]) -> Result<Jurisdiction, ClinicalError> {
    let text = std::str::from_utf8(&code).ok();
    let country = text.and_then(|text| text.parse().ok());
    country.ok_or(ClinicalError::Chain("a node stands in what is no country"))
}

/// What the chain has of a departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiledProof {
    /// The block in which the node filed it.
    pub height: u64,
    /// How many blocks the statement names, as it says.
    pub blocks: u64,
    /// SHA-256 over all parts of the node's statement.
    pub digest: Digest,
}

/// How a departure stands on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChain {
    /// The network has no registry, or the registry knows of no such departure.
    Unknown,
    /// The proof is owed.
    Owed,
    /// The proof was filed.
    Proven(FiledProof),
}

/// What the chain has of the departure of `node` from `country` at `height`.
///
/// # Errors
/// [`ClinicalError::Ledger`], [`ClinicalError::Contract`].
pub fn departure_on_chain(
    ledger: &dyn Ledger,
    node: ValidatorIndex,
    country: Jurisdiction,
    height: u64,
) -> Result<OnChain, ClinicalError> {
    if !has_node_registry(ledger.genesis()) {
        return Ok(OnChain::Unknown);
    }
    let call = NodeRegistry::departureOfCall { node: node.0, country: country_code(country) };
    let departure = view(ledger, NODE_REGISTRY, &call)?;
    if departure.leftAt != height || height == 0 {
        return Ok(OnChain::Unknown);
    }
    if departure.provenAt == 0 && departure.proof == B256::ZERO {
        return Ok(OnChain::Owed);
    }
    Ok(OnChain::Proven(FiledProof {
        height: departure.provenAt,
        blocks: departure.blocks,
        digest: Digest(departure.proof.0),
    }))
}
