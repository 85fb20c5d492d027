//! What changes have overwritten, as tables have it.

use crate::{history::Kind, tables};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_trie::{Change, Nibbles};
use std::borrow::Cow;

/// One changed entry of a table.
pub(crate) trait Overwritten: Sync {
    const KIND: Kind;

    /// Its key in the table.
    fn key(&self) -> Cow<'_, [u8]>;

    /// Its value before; none where there was no entry.
    fn before(&self) -> Option<Cow<'_, [u8]>>;
}

impl Overwritten for (Address, Change<TrieAccount>) {
    const KIND: Kind = Kind::Account;

    fn key(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0.as_slice())
    }

    fn before(&self) -> Option<Cow<'_, [u8]>> {
        self.1.before.map(|account| Cow::Owned(alloy_rlp::encode(account)))
    }
}

impl Overwritten for ((Address, U256), Change<U256>) {
    const KIND: Kind = Kind::Slot;

    fn key(&self) -> Cow<'_, [u8]> {
        let (address, slot) = self.0;
        Cow::Owned(tables::slot_key(address, slot))
    }

    fn before(&self) -> Option<Cow<'_, [u8]>> {
        self.1.before.map(|value| Cow::Owned(U256::to_be_bytes_trimmed_vec(&value)))
    }
}

impl Overwritten for (Nibbles, Change<Bytes>) {
    const KIND: Kind = Kind::AccountNode;

    fn key(&self) -> Cow<'_, [u8]> {
        Cow::Owned(tables::path_key(&[], &self.0))
    }

    fn before(&self) -> Option<Cow<'_, [u8]>> {
        self.1.before.as_ref().map(|node| Cow::Borrowed(node.as_ref()))
    }
}

impl Overwritten for ((B256, Nibbles), Change<Bytes>) {
    const KIND: Kind = Kind::StorageNode;

    fn key(&self) -> Cow<'_, [u8]> {
        let (account, path) = &self.0;
        Cow::Owned(tables::path_key(account.as_slice(), path))
    }

    fn before(&self) -> Option<Cow<'_, [u8]>> {
        self.1.before.as_ref().map(|node| Cow::Borrowed(node.as_ref()))
    }
}
