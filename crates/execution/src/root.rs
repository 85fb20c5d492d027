//! From a block's overlay to the state root and what is to be written.

use crate::{
    ExecutionError, StateChanges,
    overlay::OverlayAccount,
    read::{AccountTrie, StorageTrie, TrieRead},
};
use alloy_consensus::{TrieAccount, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_trie::{Change, EMPTY_ROOT, Nibbles, keccak256_all};
use rayon::prelude::*;
use revm::state::AccountInfo;

/// The state root after the block whose `accounts` lie above `base`, and the changes that lead there.
pub(crate) fn state_root<'a>(
    base: &dyn TrieRead,
    accounts: impl IntoIterator<Item = (&'a Address, &'a OverlayAccount)>,
) -> Result<(B256, StateChanges), ExecutionError> {
    // Accounts are looked at on all cores, and put together in the order of their addresses, whatever order the EVM met
    // them in.
    let mut accounts: Vec<(Address, &OverlayAccount)> =
        accounts.into_iter().map(|(address, account)| (*address, account)).collect();
    accounts.sort_unstable_by_key(|(address, _)| *address);
    let changed: Vec<Vec<Changed>> = accounts
        .par_chunks(ACCOUNTS_A_TASK)
        .map(|accounts| all_changed(base, accounts))
        .collect::<Result<_, _>>()?;
    let count = changed.iter().map(Vec::len).sum();
    let mut changes = StateChanges { accounts: Vec::with_capacity(count), ..StateChanges::default() };
    let mut leaves = Vec::with_capacity(count);
    for changed in changed.into_iter().flatten() {
        let Changed { address, hashed_address, account, storage } = changed;
        changes.slots.extend(storage.slots.into_iter().map(|(key, change)| ((address, key), change)));
        let nodes = storage.nodes.into_iter().map(|(path, change)| ((hashed_address, path), change));
        changes.storage_nodes.extend(nodes);
        let Some((account, code)) = account else { continue };
        changes.code.extend(code);
        leaves.push((hashed_address, account.after.as_ref().map(alloy_rlp::encode)));
        changes.accounts.push((address, account));
    }
    let trie = AccountTrie(base);
    let update = match base.known_tries() {
        Some(tries) => {
            let mut known = tries.accounts(&trie, bxp_trie::root(&trie)?)?;
            let update = bxp_trie::update_known(&trie, &mut known, leaves)?;
            tries.keep_accounts(known);
            update
        }
        None => bxp_trie::update(&trie, leaves)?,
    };
    changes.account_nodes = update.nodes;
    Ok((update.root, changes))
}

/// Accounts that one task looks at, so that a task is worth handing out.
const ACCOUNTS_A_TASK: usize = 64;

/// Keys of slots that one task hashes.
const SLOTS_A_TASK: usize = 512;

/// What has become of one account.
struct Changed {
    address: Address,
    hashed_address: B256,
    /// The account and its new code; none where only slots were wiped that were there without it.
    account: Option<(Change<TrieAccount>, NewCode)>,
    storage: Storage,
}

/// Code by its hash.
type NewCode = Option<(B256, Bytes)>;

/// What has become of one account's storage.
struct Storage {
    root: B256,
    slots: Vec<(U256, Change<U256>)>,
    nodes: Vec<(Nibbles, Change<Bytes>)>,
}

/// What the block did to those of the accounts that are not as before.
fn all_changed(
    base: &dyn TrieRead,
    accounts: &[(Address, &OverlayAccount)],
) -> Result<Vec<Changed>, ExecutionError> {
    let addresses: Vec<&[u8]> = accounts.iter().map(|(address, _)| address.as_slice()).collect();
    let hashed = keccak256_all(&addresses);
    let mut all = Vec::with_capacity(accounts.len());
    for ((address, account), hashed_address) in accounts.iter().zip(hashed) {
        all.extend(changed(base, *address, hashed_address, account)?);
    }
    Ok(all)
}

/// What the block did to an account; none where it is as before.
fn changed(
    base: &dyn TrieRead,
    address: Address,
    hashed_address: B256,
    account: &OverlayAccount,
) -> Result<Option<Changed>, ExecutionError> {
    let before = settled(base, address, account)?;
    let storage = storage(base, address, hashed_address, account, before)?;
    let after = account.now.as_ref().map(|info| leaf(info, storage.root));
    if after == before {
        let account = None;
        return Ok((!storage.slots.is_empty()).then_some(Changed {
            address,
            hashed_address,
            account,
            storage,
        }));
    }
    let change = (Change { before, after }, new_code(account)?);
    Ok(Some(Changed { address, hashed_address, account: Some(change), storage }))
}

/// Stands for the storage root of an account whose slots the block below has met, while that one is being hashed. No trie
/// has it: that is as unlikely as any other collision of Keccak-256.
pub(crate) const UNSETTLED_ROOT: B256 = B256::repeat_byte(0xff);

/// The account as it was before the block, all of it: `base` knows the roots by now.
fn settled(
    base: &dyn TrieRead,
    address: Address,
    account: &OverlayAccount,
) -> Result<Option<TrieAccount>, ExecutionError> {
    match account.before {
        Some(TrieAccount { storage_root: UNSETTLED_ROOT, .. }) => base.account(address),
        before => Ok(before),
    }
}

/// The account as the trie has it.
pub(crate) const fn leaf(info: &AccountInfo, storage_root: B256) -> TrieAccount {
    TrieAccount { nonce: info.nonce, balance: info.balance, storage_root, code_hash: info.code_hash }
}

fn storage(
    base: &dyn TrieRead,
    address: Address,
    hashed_address: B256,
    account: &OverlayAccount,
    before: Option<TrieAccount>,
) -> Result<Storage, ExecutionError> {
    let root = before.map_or(EMPTY_ROOT, |before| before.storage_root);
    let slots = changed_slots(base, address, account)?;
    if slots.is_empty() {
        return Ok(Storage { root, slots: Vec::new(), nodes: Vec::new() });
    }
    let (mut leaves, mut changes) = (Vec::with_capacity(slots.len()), Vec::with_capacity(slots.len()));
    let hashed_keys = hashed_keys(&slots);
    for ((key, (before, after)), hashed_key) in slots.into_iter().zip(hashed_keys) {
        let value = (!after.is_zero()).then(|| alloy_rlp::encode(after));
        leaves.push((hashed_key, value));
        let present = |value: U256| (!value.is_zero()).then_some(value);
        changes.push((key, Change { before: present(before), after: present(after) }));
    }
    let trie = StorageTrie { state: base, hashed_address };
    let update = match base.known_tries() {
        Some(tries) => {
            let mut known = tries.storage(&trie, hashed_address, root)?;
            let update = bxp_trie::update_known(&trie, &mut known, leaves)?;
            tries.keep_storage(hashed_address, known);
            update
        }
        None => bxp_trie::update(&trie, leaves)?,
    };
    Ok(Storage { root: update.root, slots: changes, nodes: update.nodes })
}

/// A slot with its values before and after the block.
type ChangedSlot = (U256, (U256, U256));

/// The hashes of the slots' keys, on all cores where there are many.
fn hashed_keys(slots: &[ChangedSlot]) -> Vec<B256> {
    let of_task = |slots: &[ChangedSlot]| {
        let keys: Vec<[u8; 32]> = slots.iter().map(|(key, _)| key.to_be_bytes()).collect();
        keccak256_all(&keys.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
    };
    slots.par_chunks(SLOTS_A_TASK).flat_map_iter(of_task).collect()
}

/// The slots that differ from before the block, in order.
fn changed_slots(
    base: &dyn TrieRead,
    address: Address,
    account: &OverlayAccount,
) -> Result<Vec<ChangedSlot>, ExecutionError> {
    let mut slots: Vec<ChangedSlot> =
        account.slots.iter().map(|(key, slot)| (key, (slot.before, slot.now))).collect();
    if account.wiped {
        for key in base.slots(address)? {
            if !account.slots.contains(&key) {
                slots.push((key, (base.slot(address, key)?, U256::ZERO)));
            }
        }
    }
    slots.retain(|(_, (before, after))| before != after);
    slots.sort_unstable_by_key(|(key, _)| *key);
    Ok(slots)
}

/// The account's code, where it is new.
fn new_code(account: &OverlayAccount) -> Result<NewCode, ExecutionError> {
    let before = account.before.map_or(KECCAK_EMPTY, |before| before.code_hash);
    let Some(now) = account.now.as_ref() else { return Ok(None) };
    if now.code_hash == before || now.code_hash == KECCAK_EMPTY {
        return Ok(None);
    }
    let code = now.code.as_ref().ok_or(ExecutionError::MissingCode(now.code_hash))?;
    Ok(Some((now.code_hash, code.original_bytes())))
}
