//! The system contracts' part of the state of block 0.

use crate::{ConsentRegistry, DataMarket, PAYMENTS, RecordRegistry, payments::PAYMENTS_CODE};
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::SolValue;
use bxp_types::GenesisAccount;
use std::collections::BTreeMap;

/// Where `RecordRegistry` stands.
pub const RECORD_REGISTRY: Address = address!("000000000000000000000000000000000000b001");
/// Where `ConsentRegistry` stands.
pub const CONSENT_REGISTRY: Address = address!("000000000000000000000000000000000000b002");
/// Where `DataMarket` stands.
pub const DATA_MARKET: Address = address!("000000000000000000000000000000000000b003");

/// Slot of the mapping `RecordRegistry.authorised`.
const AUTHORISED_SLOT: U256 = U256::ZERO;
/// Slot of `DataMarket.treasury`.
const TREASURY_SLOT: B256 = B256::ZERO;
const TRUE: B256 = B256::with_last_byte(1);

/// The storage slot of `RecordRegistry.authorised[account]`: keccak256(account padded to 32 bytes, slot 0).
#[must_use]
pub fn authorised_slot(account: Address) -> B256 {
    keccak256((account, AUTHORISED_SLOT).abi_encode())
}

/// The accounts of the system contracts in block 0. `holders` may anchor record batches and answer data requests;
/// `treasury` receives the fee share of every settlement and must not be the zero address, which the contracts refuse.
#[must_use]
pub fn genesis_accounts(
    holders: impl IntoIterator<Item = Address>,
    treasury: Address,
) -> BTreeMap<Address, GenesisAccount> {
    let contract =
        |code: &Bytes, storage| GenesisAccount { code: code.clone(), storage, ..Default::default() };
    let authorised = holders.into_iter().map(|holder| (authorised_slot(holder), TRUE)).collect();
    let treasury = BTreeMap::from([(TREASURY_SLOT, treasury.into_word())]);
    BTreeMap::from([
        (RECORD_REGISTRY, contract(&RecordRegistry::DEPLOYED_BYTECODE, authorised)),
        (CONSENT_REGISTRY, contract(&ConsentRegistry::DEPLOYED_BYTECODE, BTreeMap::new())),
        (DATA_MARKET, contract(&DataMarket::DEPLOYED_BYTECODE, treasury)),
        (PAYMENTS, contract(&PAYMENTS_CODE, BTreeMap::new())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slots that the compiler reported, from the committed artifact.
    fn compiled_slot(contract: &str, variable: &str) -> Option<u64> {
        let path = format!("{}/../../contracts/artifacts/{contract}.json", env!("CARGO_MANIFEST_DIR"));
        let artifact: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        artifact["slots"][variable].as_u64()
    }

    #[test]
    fn seeded_slots_are_those_of_the_compiler() {
        assert_eq!(compiled_slot("RecordRegistry", "authorised").map(U256::from), Some(AUTHORISED_SLOT));
        let treasury = compiled_slot("DataMarket", "treasury").map(|slot| B256::from(U256::from(slot)));
        assert_eq!(treasury, Some(TREASURY_SLOT));
    }

    #[test]
    fn genesis_seeds_the_holders_and_the_treasury() {
        let (star, dawn, treasury) =
            (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let accounts = genesis_accounts([star, dawn], treasury);
        assert_eq!(accounts.len(), 4);
        assert!(accounts.values().all(|account| !account.code.is_empty()));
        let registry = &accounts[&RECORD_REGISTRY];
        assert_eq!(registry.storage.len(), 2);
        assert_eq!(registry.storage[&authorised_slot(dawn)], TRUE);
        assert_eq!(accounts[&PAYMENTS].code, PAYMENTS_CODE);
        assert_eq!(accounts[&DATA_MARKET].storage[&TREASURY_SLOT], treasury.into_word());
    }
}
