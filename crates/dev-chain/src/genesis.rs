//! Block 0 of a developer's chain.

use crate::DevAccount;
use alloy_primitives::{Address, B256, Bytes, address, bytes};
use bxp_types::{Amount, Genesis, GenesisAccount, Jurisdiction, ValidatorEntry};

/// Where the deterministic deployer stands that Foundry's scripts and others deploy through (CREATE2).
const DEPLOYER: Address = address!("4e59b44847b379578588920ca78fbf26c0b4956c");
const DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
/// Where fees go: nobody holds the key.
pub const TREASURY: Address = Address::new(*b"BXP fee treasury...\0");
/// The gas limit of a block; no transaction takes more than 2^24 of it (EIP-7825).
const GAS_LIMIT: u64 = 60_000_000;
const BASE_FEE_WEI: u64 = 1_000_000_000;
/// Every account begins with this.
const BALANCE_BXM: u64 = 10_000;

/// The document: the accounts with their balances, and `contracts` beside them.
pub(crate) fn document(
    chain_id: u64,
    time_ms: u64,
    accounts: &[DevAccount],
    contracts: impl IntoIterator<Item = (Address, GenesisAccount)>,
) -> Genesis {
    let funded = accounts.iter().map(|account| {
        let balance = Amount::from_bxm(BALANCE_BXM);
        (account.address, GenesisAccount { balance, ..GenesisAccount::default() })
    });
    let deployer = GenesisAccount { code: DEPLOYER_CODE, ..GenesisAccount::default() };
    Genesis {
        chain_id,
        time_ms,
        gas_limit: GAS_LIMIT,
        base_fee_wei: BASE_FEE_WEI,
        treasury: TREASURY,
        // The chain has no consensus, and nothing verifies by this key.
        validators: vec![ValidatorEntry {
            name: "developer".to_owned(),
            jurisdiction: Jurisdiction::US,
            public_key: B256::ZERO,
            sealing_key: B256::ZERO,
            account: Address::ZERO,
            p2p_address: "127.0.0.1:0".to_owned(),
        }],
        accounts: funded.chain(contracts).chain([(DEPLOYER, deployer)]).collect(),
        identity_copies: std::collections::BTreeMap::new(),
    }
}
