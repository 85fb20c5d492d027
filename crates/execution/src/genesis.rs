//! Block 0.

use crate::{
    BlockInput, ExecutionError, StateChanges, header,
    overlay::{OverlayAccount, OverlaySlot},
    read::TrieRead,
    root,
};
use alloy_primitives::{Address, B256, Bytes, U256, map::AddressMap};
use bxp_types::{Genesis, GenesisAccount, Height, StoredBlock};
use revm::{bytecode::Bytecode, state::AccountInfo};

/// The genesis state's root, and the changes that make it from nothing. An account with code has nonce 1, as after
/// its creation (EIP-161); one without balance and code does not exist.
pub(crate) fn state(base: &dyn TrieRead, genesis: &Genesis) -> Result<(B256, StateChanges), ExecutionError> {
    let mut supply = U256::ZERO;
    let mut accounts = AddressMap::default();
    for (address, account) in &genesis.accounts {
        let wrong = |reason| ExecutionError::Genesis { address: *address, reason };
        let sum = supply.checked_add(account.balance.0);
        supply = sum.ok_or_else(|| wrong("the balances add up to more than 2^256"))?;
        if account.code.is_empty() && !account.storage.is_empty() {
            return Err(wrong("it has storage but no code"));
        }
        accounts.insert(*address, overlay_account(*address, account)?);
    }
    root::state_root(base, &accounts)
}

fn overlay_account(address: Address, account: &GenesisAccount) -> Result<OverlayAccount, ExecutionError> {
    let code = Bytecode::new_raw_checked(account.code.clone())
        .map_err(|_| ExecutionError::Genesis { address, reason: "its code is a malformed delegation" })?;
    let info = AccountInfo::new(account.balance.0, u64::from(!code.is_empty()), code.hash_slow(), code);
    let slot = |(key, value): (&B256, &B256)| {
        let slot = OverlaySlot { before: U256::ZERO, now: U256::from_be_bytes(value.0) };
        (U256::from_be_bytes(key.0), slot)
    };
    Ok(OverlayAccount {
        before: None,
        now: (!info.is_empty()).then_some(info),
        wiped: false,
        slots: account.storage.iter().map(slot).collect(),
    })
}

/// Block 0 over the genesis state. Its `extraData` is the network's id, so that its hash, and with it every later
/// block's, depends on the whole genesis document.
pub(crate) fn block(genesis: &Genesis, state_root: B256) -> StoredBlock {
    let input = BlockInput {
        height: Height(0),
        time_ms: genesis.time_ms,
        mix_hash: B256::ZERO,
        parent_beacon_root: B256::ZERO,
        beneficiary: genesis.treasury,
        gas_limit: genesis.gas_limit,
        base_fee: genesis.base_fee_wei,
        transactions: Vec::new(),
    };
    let mut header = header::begin(B256::ZERO, &input);
    header.extra_data = Bytes::copy_from_slice(genesis.network_id().as_bytes());
    header.state_root = state_root;
    let hash = header.hash_slow();
    StoredBlock { header, hash, transactions: Vec::new(), time_ms: genesis.time_ms }
}
