//! The state while a block runs: what is stored, with the block's writes above it.

use crate::{
    ExecutionError, code_cache::CodeCache, evm::BlockState, overlay_accounts::OverlayAccounts,
    overlay_slots::OverlaySlots, read::StateRead,
};
use alloy_consensus::{
    TrieAccount,
    constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY},
};
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use bxp_types::Height;
use revm::{
    Database,
    bytecode::Bytecode,
    state::{Account, AccountInfo, EvmState},
};

pub(crate) use crate::overlay_slots::OverlaySlot;

/// An account that the block has read or written.
pub(crate) struct OverlayAccount {
    /// As it was before the block.
    pub(crate) before: Option<TrieAccount>,
    /// As it is now; none where there is no account.
    pub(crate) now: Option<AccountInfo>,
    /// Whether everything that was stored before the block is gone, also what `slots` does not name: only before
    /// EIP-6780 could an account with stored slots be destroyed.
    pub(crate) wiped: bool,
    /// Slots that the block has read or written.
    pub(crate) slots: OverlaySlots,
}

impl OverlayAccount {
    /// An account as it is stored.
    pub(crate) fn stored(before: Option<TrieAccount>) -> Self {
        let now = before.as_ref().map(info);
        Self { before, now, wiped: false, slots: OverlaySlots::default() }
    }

    /// Whether slots are stored at an account without code and nonce, which only a genesis file can bring about. No
    /// contract may be created there (EIP-7610).
    pub(crate) fn is_taken(&self) -> bool {
        let stored = !self.wiped && self.before.is_some_and(|before| before.storage_root != EMPTY_ROOT_HASH);
        let bare = |info: &AccountInfo| info.nonce == 0 && info.code_hash == KECCAK_EMPTY;
        stored && self.now.as_ref().is_some_and(bare)
    }

    /// The account as the EVM is told of it. revm asks nonce and code before it creates a contract, and not the storage:
    /// a taken account has a nonce for it, which nothing but a transaction of its own could see.
    fn told(&self) -> Option<AccountInfo> {
        let mut info = self.now.clone()?;
        if self.is_taken() {
            info.nonce = TAKEN_NONCE;
        }
        Some(info)
    }

    /// Empties the storage.
    pub(crate) fn wipe(&mut self) {
        self.wiped = self.before.is_some_and(|before| before.storage_root != EMPTY_ROOT_HASH);
        self.slots.wipe();
    }
}

/// The nonce that stands for stored slots.
const TAKEN_NONCE: u64 = 1;

/// The state that transactions of one block see.
pub(crate) struct Overlay<'a> {
    base: &'a dyn StateRead,
    code: &'a CodeCache,
    accounts: OverlayAccounts,
    /// Who sends the transaction that runs; nobody can create a contract there.
    sender: Option<Address>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(base: &'a dyn StateRead, code: &'a CodeCache) -> Self {
        Self::within(OverlayAccounts::default(), base, code)
    }

    /// The same in the memory of `accounts`, of which there are none yet.
    pub(crate) fn within(accounts: OverlayAccounts, base: &'a dyn StateRead, code: &'a CodeCache) -> Self {
        Self { base, code, accounts, sender: None }
    }

    /// Makes room for as many accounts as are likely to be touched.
    pub(crate) fn reserve(&mut self, accounts: usize) {
        self.accounts.reserve(accounts);
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
        let (base, is_sender) = (self.base, self.sender == Some(address));
        let entry = self.entry(address)?;
        let taken = !is_sender && entry.is_taken();
        if account.is_selfdestructed() {
            entry.now = None;
            entry.wipe();
            return Ok(());
        }
        let created = account.is_created();
        if created {
            entry.wipe();
        }
        for (key, slot) in account.storage {
            let is_wiped = entry.wiped;
            // What the EVM calls original is the value before the transaction, which is that before the block where the
            // block has not touched the slot, unless it has wiped it.
            let met = || {
                let before = if is_wiped { base.slot(address, key)? } else { slot.original_value };
                Ok::<_, ExecutionError>(OverlaySlot { before, now: slot.present_value })
            };
            entry.slots.entry(key, met)?.now = slot.present_value;
        }
        let mut info = account.info;
        if taken && info.nonce == TAKEN_NONCE {
            info.nonce = 0;
        }
        // EIP-161: what is touched and empty ceases to be. Before it, revm says of such an account that it is created.
        entry.now = (created || !info.is_empty()).then_some(info);
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

    /// Makes accounts what a short cut has found that they become.
    pub(crate) fn apply_plain(&mut self, accounts: AddressMap<AccountInfo>) -> Result<(), ExecutionError> {
        for (address, account) in accounts {
            self.entry(address)?.now = Some(account);
        }
        Ok(())
    }

    /// Makes sure that there is an account at `address`, if only an empty one: before EIP-161 to touch was to create.
    pub(crate) fn create(&mut self, address: Address) -> Result<(), ExecutionError> {
        self.entry(address)?.now.get_or_insert_default();
        Ok(())
    }

    /// Whether there is code at `address`.
    pub(crate) fn has_code(&mut self, address: Address) -> Result<bool, ExecutionError> {
        Ok(self.entry(address)?.now.as_ref().is_some_and(|info| info.code_hash != KECCAK_EMPTY))
    }

    /// Everything that was read or written.
    pub(crate) const fn accounts(&self) -> &OverlayAccounts {
        &self.accounts
    }

    /// The same, when the block has ended.
    pub(crate) fn into_accounts(self) -> OverlayAccounts {
        self.accounts
    }

    fn entry(&mut self, address: Address) -> Result<&mut OverlayAccount, ExecutionError> {
        let base = self.base;
        self.accounts.entry(address, || stored(base, address))
    }

    /// The same, with room for one slot more.
    fn entry_with_room(&mut self, address: Address) -> Result<&mut OverlayAccount, ExecutionError> {
        let base = self.base;
        self.accounts.entry_with_room(address, || stored(base, address))
    }
}

fn stored(base: &dyn StateRead, address: Address) -> Result<OverlayAccount, ExecutionError> {
    Ok(OverlayAccount::stored(base.account(address)?))
}

/// What the EVM is told of a stored account; code comes when it is asked for.
pub(crate) fn info(account: &TrieAccount) -> AccountInfo {
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
        let is_sender = self.sender == Some(address);
        let entry = self.entry(address)?;
        Ok(if is_sender { entry.now.clone() } else { entry.told() })
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ExecutionError> {
        // Code that this block created comes with its account and is never asked for by hash.
        self.code.get(code_hash, self.base)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, ExecutionError> {
        let base = self.base;
        let entry = self.entry_with_room(address)?;
        let (is_wiped, is_there) = (entry.wiped, entry.before.is_some());
        if is_wiped {
            return Ok(entry.slots.get(&index).map_or(U256::ZERO, |slot| slot.now));
        }
        let met = || {
            let value = if is_there { base.slot(address, index)? } else { U256::ZERO };
            Ok::<_, ExecutionError>(OverlaySlot { before: value, now: value })
        };
        Ok(entry.slots.entry(index, met)?.now)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ExecutionError> {
        Ok(self.base.block_hash(Height(number))?.unwrap_or_default())
    }
}

impl BlockState for Overlay<'_> {
    fn sends(&mut self, sender: Address) {
        self.sender = Some(sender);
    }

    fn account(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionError> {
        Ok(self.entry(address)?.now.clone())
    }
}
