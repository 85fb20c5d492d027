//! The state while a block runs: what is stored, with the block's writes above it.

use crate::{ExecutionError, code_cache::CodeCache, tables::View};
use alloy_consensus::{TrieAccount, constants::KECCAK_EMPTY};
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use bxp_types::Height;
use revm::{
    Database,
    bytecode::Bytecode,
    state::{Account, AccountInfo, EvmState},
};
use std::collections::HashMap;

/// An account that the block has read or written.
pub(crate) struct OverlayAccount {
    /// As it was before the block.
    pub(crate) before: Option<TrieAccount>,
    /// As it is now; none where there is no account.
    pub(crate) now: Option<AccountInfo>,
    /// Slots that the block has read or written.
    pub(crate) slots: HashMap<U256, OverlaySlot>,
}

/// A storage slot that the block has read or written.
#[derive(Clone, Copy)]
pub(crate) struct OverlaySlot {
    /// As it was before the block.
    pub(crate) before: U256,
    /// As it is now.
    pub(crate) now: U256,
}

/// The state that transactions of one block see.
pub(crate) struct Overlay<'a> {
    view: &'a View<'a>,
    code: &'a CodeCache,
    accounts: AddressMap<OverlayAccount>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(view: &'a View<'a>, code: &'a CodeCache) -> Self {
        Self { view, code, accounts: AddressMap::default() }
    }

    /// Takes over what a transaction changed.
    pub(crate) fn apply(&mut self, changes: EvmState) -> Result<(), ExecutionError> {
        for (address, account) in changes {
            if account.is_touched() {
                self.apply_account(address, account)?;
            }
        }
        Ok(())
    }

    fn apply_account(&mut self, address: Address, account: Account) -> Result<(), ExecutionError> {
        let entry = self.entry(address)?;
        if account.is_selfdestructed() {
            // Since EIP-6780 only an account created in the same transaction is destroyed: what it stored was stored
            // in this block.
            entry.now = None;
            entry.slots.values_mut().for_each(|slot| slot.now = U256::ZERO);
            return Ok(());
        }
        for (key, slot) in account.storage {
            let before = OverlaySlot { before: slot.original_value, now: slot.original_value };
            entry.slots.entry(key).or_insert(before).now = slot.present_value;
        }
        // EIP-161: what is touched and empty ceases to be.
        entry.now = (!account.info.is_empty()).then_some(account.info);
        Ok(())
    }

    /// Adds `amount` wei to the balance at `address`.
    pub(crate) fn credit(&mut self, address: Address, amount: U256) -> Result<(), ExecutionError> {
        if amount.is_zero() {
            return Ok(());
        }
        let info = self.entry(address)?.now.get_or_insert_default();
        info.balance = info.balance.checked_add(amount).ok_or(ExecutionError::BalanceOverflow(address))?;
        Ok(())
    }

    /// Whether there is code at `address`.
    pub(crate) fn has_code(&mut self, address: Address) -> Result<bool, ExecutionError> {
        Ok(self.entry(address)?.now.as_ref().is_some_and(|info| info.code_hash != KECCAK_EMPTY))
    }

    /// Everything that was read or written.
    pub(crate) fn into_accounts(self) -> AddressMap<OverlayAccount> {
        self.accounts
    }

    fn entry(&mut self, address: Address) -> Result<&mut OverlayAccount, ExecutionError> {
        if !self.accounts.contains_key(&address) {
            let before = self.view.account(address)?;
            let now = before.as_ref().map(info);
            self.accounts.insert(address, OverlayAccount { before, now, slots: HashMap::new() });
        }
        // The entry has just been made sure of; the error names what would be wrong otherwise.
        self.accounts.get_mut(&address).ok_or(ExecutionError::Malformed { table: "state.accounts" })
    }
}

fn info(account: &TrieAccount) -> AccountInfo {
    let code = (account.code_hash == KECCAK_EMPTY).then(Bytecode::default);
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        code,
        ..AccountInfo::default()
    }
}

impl Database for Overlay<'_> {
    type Error = ExecutionError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionError> {
        Ok(self.entry(address)?.now.clone())
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ExecutionError> {
        // Code that this block created comes with its account and is never asked for by hash.
        self.code.get(code_hash, self.view)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, ExecutionError> {
        let view = self.view;
        let entry = self.entry(address)?;
        if let Some(slot) = entry.slots.get(&index) {
            return Ok(slot.now);
        }
        let value = if entry.before.is_some() { view.slot(address, index)? } else { U256::ZERO };
        entry.slots.insert(index, OverlaySlot { before: value, now: value });
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ExecutionError> {
        Ok(self.view.block_hash(Height(number))?.unwrap_or_default())
    }
}
