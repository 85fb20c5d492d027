//! From a block's overlay to the state root and what is to be written.

use crate::{
    ExecutionError, StateChanges,
    overlay::OverlayAccount,
    read::{AccountTrie, StateRead, StorageTrie},
};
use alloy_consensus::{TrieAccount, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, U256, keccak256, map::AddressMap};
use bxp_trie::{Change, EMPTY_ROOT};
use revm::state::AccountInfo;
use std::collections::{BTreeMap, btree_map::Entry};

/// The state root after the block whose `accounts` lie above `base`, and the changes that lead there.
pub(crate) fn state_root(
    base: &dyn StateRead,
    accounts: &AddressMap<OverlayAccount>,
) -> Result<(B256, StateChanges), ExecutionError> {
    // Trie and tables see the accounts in the order of their addresses, whatever order the EVM met them in.
    let accounts: BTreeMap<Address, &OverlayAccount> =
        accounts.iter().map(|(address, account)| (*address, account)).collect();
    let mut changes = StateChanges::default();
    let mut leaves = Vec::new();
    for (address, account) in accounts {
        let hashed_address = keccak256(address);
        let storage_root = storage_root(base, address, hashed_address, account, &mut changes)?;
        let after = account.now.as_ref().map(|info| leaf(info, storage_root));
        let before = account.before;
        if after == before {
            continue;
        }
        add_code(account, &mut changes)?;
        leaves.push((hashed_address, after.as_ref().map(alloy_rlp::encode)));
        changes.accounts.insert(address, Change { before, after });
    }
    let update = bxp_trie::update(&AccountTrie(base), leaves)?;
    changes.account_nodes = update.nodes;
    Ok((update.root, changes))
}

const fn leaf(info: &AccountInfo, storage_root: B256) -> TrieAccount {
    TrieAccount { nonce: info.nonce, balance: info.balance, storage_root, code_hash: info.code_hash }
}

fn storage_root(
    base: &dyn StateRead,
    address: Address,
    hashed_address: B256,
    account: &OverlayAccount,
    changes: &mut StateChanges,
) -> Result<B256, ExecutionError> {
    let slots = changed_slots(base, address, account)?;
    if slots.is_empty() {
        return Ok(account.before.map_or(EMPTY_ROOT, |before| before.storage_root));
    }
    let mut leaves = Vec::with_capacity(slots.len());
    for (key, (before, after)) in slots {
        let value = (!after.is_zero()).then(|| alloy_rlp::encode(after));
        leaves.push((keccak256(key.to_be_bytes::<32>()), value));
        let present = |value: U256| (!value.is_zero()).then_some(value);
        changes.slots.insert((address, key), Change { before: present(before), after: present(after) });
    }
    let update = bxp_trie::update(&StorageTrie { state: base, hashed_address }, leaves)?;
    let nodes = update.nodes.into_iter().map(|(path, change)| ((hashed_address, path), change));
    changes.storage_nodes.extend(nodes);
    Ok(update.root)
}

/// The slots that differ from before the block, with their values before and after it.
fn changed_slots(
    base: &dyn StateRead,
    address: Address,
    account: &OverlayAccount,
) -> Result<BTreeMap<U256, (U256, U256)>, ExecutionError> {
    let mut slots: BTreeMap<U256, (U256, U256)> =
        account.slots.iter().map(|(key, slot)| (*key, (slot.before, slot.now))).collect();
    if account.wiped {
        for key in base.slots(address)? {
            if let Entry::Vacant(unread) = slots.entry(key) {
                unread.insert((base.slot(address, key)?, U256::ZERO));
            }
        }
    }
    slots.retain(|_, (before, after)| before != after);
    Ok(slots)
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
