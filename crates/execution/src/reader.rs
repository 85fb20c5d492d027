//! [`StateReader`] for [`StateView`]: how upper rooms read a state.

use crate::{
    ExecutionError, StateView,
    overlay::{OverlayAccount, OverlaySlot},
    read::StateRead,
    root,
};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256, map::AddressMap};
use bxp_types::{AccountDiff, Height, LedgerError, StateDiff, StateReader};
use revm::{bytecode::Bytecode, state::AccountInfo};

impl From<ExecutionError> for LedgerError {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::NotRetained { height, oldest, .. } => {
                Self::StateNotKept { asked: height, oldest }
            }
            other => Self::Storage(other.to_string()),
        }
    }
}

impl StateReader for StateView {
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, LedgerError> {
        Ok(self.read().account(address)?)
    }

    fn code(&self, hash: B256) -> Result<Bytes, LedgerError> {
        Ok(self.read().code(hash)?)
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        Ok(self.read().slot(address, slot)?)
    }

    fn block_hash(&self, height: Height) -> Result<Option<B256>, LedgerError> {
        Ok(self.read().block_hash(height)?)
    }

    fn prove_account(&self, address: Address) -> Result<Vec<Bytes>, LedgerError> {
        Ok(self.prove_account(address)?)
    }

    fn prove_slot(&self, address: Address, slot: U256) -> Result<Vec<Bytes>, LedgerError> {
        Ok(self.prove_slot(address, slot)?)
    }

    fn root_after(&self, changes: &StateDiff) -> Result<B256, LedgerError> {
        // What a simulation gives must not displace what is known of the states that blocks are made on.
        let base = &self.read().clone().cold();
        let mut accounts = AddressMap::default();
        for (address, account) in &changes.accounts {
            accounts.insert(*address, overlaid(base, *address, account.as_ref())?);
        }
        Ok(root::state_root(base, &accounts)?.0)
    }
}

/// An account as a run left it, above the state. Its code need not be known: only its hash stands in the trie.
fn overlaid(
    base: &dyn StateRead,
    address: Address,
    account: Option<&AccountDiff>,
) -> Result<OverlayAccount, ExecutionError> {
    let before = base.account(address)?;
    let mut overlay = OverlayAccount::stored(before);
    let Some(account) = account else {
        overlay.now = None;
        overlay.wipe();
        return Ok(overlay);
    };
    if account.cleared {
        overlay.wipe();
    }
    for (slot, value) in &account.slots {
        let before = base.slot(address, *slot)?;
        overlay.slots.insert(*slot, OverlaySlot { before, now: *value });
    }
    overlay.now = Some(AccountInfo {
        nonce: account.nonce,
        balance: account.balance,
        code_hash: account.code_hash,
        code: Some(Bytecode::default()),
        ..AccountInfo::default()
    });
    Ok(overlay)
}
