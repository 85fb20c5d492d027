//! What changes have overwritten, as tables have it: each function gives the key of one entry and what it was before.

use crate::tables;
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_trie::{Change, Nibbles};

/// Takes a key, and the value before; none where there was no entry.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

pub(crate) fn account((address, change): &(Address, Change<TrieAccount>), visit: &mut Visit<'_>) {
    visit(address.as_slice(), change.before.map(alloy_rlp::encode).as_deref());
}

pub(crate) fn slot(((address, slot), change): &((Address, U256), Change<U256>), visit: &mut Visit<'_>) {
    let before = change.before.map(|value| U256::to_be_bytes_trimmed_vec(&value));
    visit(&tables::slot_key(*address, *slot), before.as_deref());
}

pub(crate) fn account_node((path, change): &(Nibbles, Change<Bytes>), visit: &mut Visit<'_>) {
    visit(&tables::path_key(&[], path), change.before.as_ref().map(AsRef::as_ref));
}

pub(crate) fn storage_node(((account, path), change): &((B256, Nibbles), Change<Bytes>), visit: &mut Visit<'_>) {
    visit(&tables::path_key(account.as_slice(), path), change.before.as_ref().map(AsRef::as_ref));
}
