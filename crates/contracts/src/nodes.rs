//! The `NodeRegistry`'s part of block 0: where each node stands and who may change it.

use crate::NodeRegistry;
use alloy_primitives::{Address, B256, FixedBytes, U256, address, keccak256};
use alloy_sol_types::SolValue;
use bxp_types::{Genesis, GenesisAccount, Jurisdiction, ValidatorEntry};
use std::collections::BTreeMap;

/// Where `NodeRegistry` stands.
pub const NODE_REGISTRY: Address = address!("000000000000000000000000000000000000b005");
/// The slot that holds the number of changes since genesis: what has to be read to know that nothing changed.
pub const CHANGES_SLOT: U256 = U256::from_limbs([3, 0, 0, 0]);

const NODES_SLOT: U256 = U256::ZERO;
const IS_GOVERNOR_SLOT: U256 = U256::ONE;
const APPROVALS_NEEDED_SLOT: U256 = U256::from_limbs([2, 0, 0, 0]);
/// Slots of one node.
const NODE_SLOTS: usize = 2;
/// Bits of an account's address in the first of them; then come the country's two letters and whether the node is active.
const ACCOUNT_BITS: usize = 160;
const COUNTRY_BITS: usize = 16;

/// The registry in block 0: `validators` stand where genesis says, and a change of that is made when `approvals_needed` of
/// the `governors` have asked for it. Without governors nobody can change anything.
#[must_use]
pub fn node_registry_account(
    validators: &[ValidatorEntry],
    governors: &[Address],
    approvals_needed: u64,
) -> GenesisAccount {
    let mut storage = nodes(validators);
    for governor in governors {
        storage.insert(governor_slot(*governor), B256::with_last_byte(1));
    }
    storage.insert(B256::from(APPROVALS_NEEDED_SLOT), B256::from(U256::from(approvals_needed)));
    GenesisAccount { code: NodeRegistry::DEPLOYED_BYTECODE.clone(), storage, ..Default::default() }
}

/// Whether a network has a registry from its genesis on: none that is older than the contract has.
#[must_use]
pub fn has_node_registry(genesis: &Genesis) -> bool {
    genesis.accounts.get(&NODE_REGISTRY).is_some_and(|account| !account.code.is_empty())
}

/// Whether the registry of block 0 has the nodes of genesis, with their keys, accounts and countries. A document that was
/// edited in one place only does not.
#[must_use]
pub fn registry_agrees_with(genesis: &Genesis) -> bool {
    let storage = genesis.accounts.get(&NODE_REGISTRY).map(|account| &account.storage);
    nodes(&genesis.validators)
        .iter()
        .all(|(slot, value)| storage.is_some_and(|storage| storage.get(slot) == Some(value)))
}

/// A country as contracts have it: its two letters.
#[must_use]
pub fn country_code(country: Jurisdiction) -> FixedBytes<2> {
    let mut code = FixedBytes([0; 2]);
    code.iter_mut().zip(country.as_str().bytes()).for_each(|(to, letter)| *to = letter);
    code
}

/// The slot of `NodeRegistry.isGovernor[account]`.
fn governor_slot(account: Address) -> B256 {
    keccak256((account, IS_GOVERNOR_SLOT).abi_encode())
}

/// The array of nodes: its length in its slot, its elements from the slot's hash on.
fn nodes(validators: &[ValidatorEntry]) -> BTreeMap<B256, B256> {
    let first = U256::from_be_bytes(keccak256(B256::from(NODES_SLOT)).0);
    let mut storage = BTreeMap::from([(B256::from(NODES_SLOT), B256::from(U256::from(validators.len())))]);
    for (index, entry) in validators.iter().enumerate() {
        let slot = first.wrapping_add(U256::from(index * NODE_SLOTS));
        let country = U256::from_be_slice(country_code(entry.jurisdiction).as_slice());
        let active = U256::ONE << (ACCOUNT_BITS + COUNTRY_BITS);
        let head = U256::from_be_slice(entry.account.as_slice()) | (country << ACCOUNT_BITS) | active;
        storage.insert(slot.into(), head.into());
        storage.insert(slot.wrapping_add(U256::ONE).into(), entry.public_key);
    }
    storage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_slots_are_those_of_the_compiler() {
        let path = format!("{}/../../contracts/artifacts/NodeRegistry.json", env!("CARGO_MANIFEST_DIR"));
        let artifact: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let slots = [
            ("_nodes", NODES_SLOT),
            ("isGovernor", IS_GOVERNOR_SLOT),
            ("approvalsNeeded", APPROVALS_NEEDED_SLOT),
            ("_changes", CHANGES_SLOT),
        ];
        for (variable, slot) in slots {
            assert_eq!(artifact["slots"][variable].as_u64().map(U256::from), Some(slot), "{variable}");
        }
    }
}
