//! From a block's overlay to the state root and what is to be written.

use crate::{
    ExecutionError, StateChanges,
    overlay::{OverlayAccount, OverlaySlot},
    tables::View,
};
use alloy_consensus::{TrieAccount, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, U256, keccak256, map::AddressMap};
use bxp_trie::EMPTY_ROOT;
use revm::state::AccountInfo;
use std::collections::BTreeMap;

/// The state root after the block whose `accounts` lie above `view`, and the changes that lead there.
pub(crate) fn state_root(
    view: &View<'_>,
    accounts: AddressMap<OverlayAccount>,
) -> Result<(B256, StateChanges), ExecutionError> {
    // Trie and tables see the accounts in the order of their addresses, whatever order the EVM met them in.
    let accounts: BTreeMap<Address, OverlayAccount> = accounts.into_iter().collect();
    let mut changes = StateChanges::default();
    let mut leaves = Vec::new();
    for (address, account) in accounts {
        let hashed_address = keccak256(address);
        let storage_root = storage_root(view, address, hashed_address, &account, &mut changes)?;
        let now = account.now.as_ref().map(|info| leaf(info, storage_root));
        if now == account.before {
            continue;
        }
        add_code(&account, &mut changes)?;
        leaves.push((hashed_address, now.as_ref().map(alloy_rlp::encode)));
        changes.accounts.insert(address, now);
    }
    let update = bxp_trie::update(&view.account_trie(), leaves)?;
    changes.account_nodes = update.nodes;
    Ok((update.root, changes))
}

const fn leaf(info: &AccountInfo, storage_root: B256) -> TrieAccount {
    TrieAccount { nonce: info.nonce, balance: info.balance, storage_root, code_hash: info.code_hash }
}

fn storage_root(
    view: &View<'_>,
    address: Address,
    hashed_address: B256,
    account: &OverlayAccount,
    changes: &mut StateChanges,
) -> Result<B256, ExecutionError> {
    let changed = |slot: &&OverlaySlot| slot.before != slot.now;
    if !account.slots.values().any(|slot| changed(&slot)) {
        return Ok(account.before.map_or(EMPTY_ROOT, |before| before.storage_root));
    }
    let mut leaves = Vec::new();
    let slots: BTreeMap<U256, OverlaySlot> = account.slots.iter().map(|(key, slot)| (*key, *slot)).collect();
    for (key, slot) in slots.iter().filter(|(_, slot)| changed(slot)) {
        let value = (!slot.now.is_zero()).then(|| alloy_rlp::encode(slot.now));
        leaves.push((keccak256(key.to_be_bytes::<32>()), value));
        changes.slots.insert((address, *key), slot.now);
    }
    let update = bxp_trie::update(&view.storage_trie(hashed_address), leaves)?;
    let nodes = update.nodes.into_iter().map(|(path, node)| ((hashed_address, path), node));
    changes.storage_nodes.extend(nodes);
    Ok(update.root)
}

fn add_code(account: &OverlayAccount, changes: &mut StateChanges) -> Result<(), ExecutionError> {
    let before = account.before.map_or(KECCAK_EMPTY, |before| before.code_hash);
    let Some(now) = account.now.as_ref() else { return Ok(()) };
    if now.code_hash != before && now.code_hash != KECCAK_EMPTY {
        let code = now.code.as_ref().ok_or(ExecutionError::MissingCode(now.code_hash))?;
        changes.code.insert(now.code_hash, code.original_bytes());
    }
    Ok(())
}
