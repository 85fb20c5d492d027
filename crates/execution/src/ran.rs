//! A block that has run, for the one that is run above it while this one is hashed (ADR 102).

use crate::{
    ExecutionError,
    overlay::OverlayAccount,
    overlay_accounts::OverlayAccounts,
    read::StateRead,
    root::{UNSETTLED_ROOT, leaf},
    view::View,
};
use alloy_consensus::{
    Header, TrieAccount,
    constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY},
};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, U256, map::B256Map};
use bxp_types::Height;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// What the next block has to know of one that has run: its header as far as it is known, and what it read and wrote.
pub struct Ran {
    pub(crate) header: Header,
    pub(crate) time_ms: u64,
    pub(crate) accounts: OverlayAccounts,
    code: OnceLock<B256Map<Bytes>>,
}

impl Ran {
    pub(crate) const fn new(header: Header, time_ms: u64, accounts: OverlayAccounts) -> Self {
        Self { header, time_ms, accounts, code: OnceLock::new() }
    }

    /// The block's header without its roots and bloom, and without its parent's hash where that one was not known yet.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The block's number.
    #[must_use]
    pub const fn height(&self) -> Height {
        Height(self.header.number)
    }

    /// The block's time in milliseconds since the epoch.
    #[must_use]
    pub const fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Code with this hash that the block has made. It is gathered when it is first asked for, which is seldom.
    fn code(&self, hash: B256) -> Option<&Bytes> {
        let gather = || {
            let made = |account: &OverlayAccount| {
                let now = account.now.as_ref()?;
                let before = account.before.map_or(KECCAK_EMPTY, |before| before.code_hash);
                let code = now.code.as_ref().filter(|_| now.code_hash != before)?;
                Some((now.code_hash, code.original_bytes()))
            };
            self.accounts.into_iter().filter_map(|(_, account)| made(account)).collect()
        };
        self.code.get_or_init(gather).get(&hash)
    }
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ran").field("header", &self.header).finish_non_exhaustive()
    }
}

/// The state after a block that has run and is not hashed. What follows from its hash or its roots is not known: whoever
/// asks for that is told [`ExecutionError::NotSealed`], and it is remembered, since a contract of the machine may make
/// another error of it.
pub(crate) struct AboveRan<'a> {
    block: &'a Ran,
    /// The state before that block.
    before: &'a View,
    was_asked: AtomicBool,
}

impl<'a> AboveRan<'a> {
    pub(crate) const fn new(block: &'a Ran, before: &'a View) -> Self {
        Self { block, before, was_asked: AtomicBool::new(false) }
    }

    fn not_sealed(&self) -> ExecutionError {
        self.was_asked.store(true, Relaxed);
        ExecutionError::NotSealed(self.block.height())
    }
}

impl StateRead for AboveRan<'_> {
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, ExecutionError> {
        // It is about to be told this block's hash (EIP-2935).
        if address == HISTORY_STORAGE_ADDRESS {
            return Err(self.not_sealed());
        }
        let Some(account) = self.block.accounts.get(&address) else { return self.before.account(address) };
        let Some(now) = &account.now else { return Ok(None) };
        let is_settled = account.slots.len() == 0 && !account.wiped;
        let root = match account.before {
            _ if !is_settled => UNSETTLED_ROOT,
            Some(before) => before.storage_root,
            None => EMPTY_ROOT_HASH,
        };
        // Only there is it asked whether slots are stored (EIP-7610).
        if root == UNSETTLED_ROOT && now.nonce == 0 && now.code_hash == KECCAK_EMPTY {
            return Err(self.not_sealed());
        }
        Ok(Some(leaf(now, root)))
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        self.block.accounts.slot(address, slot).map_or_else(|| self.before.slot(address, slot), Ok)
    }

    fn code(&self, hash: B256) -> Result<Bytes, ExecutionError> {
        match self.before.code(hash) {
            Err(ExecutionError::MissingCode(_)) => {
                self.block.code(hash).cloned().ok_or(ExecutionError::MissingCode(hash))
            }
            found => found,
        }
    }

    fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError> {
        if height == self.block.height() {
            return Err(self.not_sealed());
        }
        self.before.block_hash(height)
    }

    fn was_asked_too_early(&self) -> bool {
        self.was_asked.load(Relaxed)
    }
}
