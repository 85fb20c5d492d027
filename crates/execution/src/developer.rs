//! What a developer's chain does to its state and a network never does: editing accounts, and taking blocks back.

use crate::{
    ExecutionError, Retention, State, StateChanges,
    overlay::{OverlayAccount, OverlaySlot},
    read::StateRead,
    root,
    state::Head,
};
use alloy_primitives::{Address, Bytes, U256, map::AddressMap};
use bxp_storage::{Batch, Store};
use bxp_types::{Genesis, StoredBlock};
use revm::bytecode::Bytecode;

/// What is changed of an account; none leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountEdit {
    /// The balance in wei.
    pub balance: Option<U256>,
    /// The nonce.
    pub nonce: Option<u64>,
    /// The runtime code.
    pub code: Option<Bytes>,
    /// A storage slot and its value.
    pub slot: Option<(U256, U256)>,
}

impl State {
    /// Opens a developer's state in `store`: all past states are kept, and accounts with code may send transactions,
    /// as impersonated contracts do.
    ///
    /// # Errors
    /// As [`State::open_retaining`].
    pub fn open_for_developer(store: &Store, genesis: &Genesis) -> Result<Self, ExecutionError> {
        Self::open_with(store, genesis, Retention::All, true)
    }

    /// Adds an edit of the newest state to `batch`, and gives what it changes. The newest block's header keeps the root
    /// from before it.
    ///
    /// # Errors
    /// [`ExecutionError::Genesis`] for code that cannot be; [`ExecutionError::Storage`], [`ExecutionError::Trie`].
    pub fn amend(
        &self,
        batch: &mut Batch,
        address: Address,
        edit: &AccountEdit,
    ) -> Result<StateChanges, ExecutionError> {
        let view = self.view();
        let mut account = OverlayAccount::stored(view.account(address)?);
        let mut info = account.now.take().unwrap_or_default();
        info.balance = edit.balance.unwrap_or(info.balance);
        info.nonce = edit.nonce.unwrap_or(info.nonce);
        if let Some(code) = &edit.code {
            let code = Bytecode::new_raw_checked(code.clone()).map_err(|_| ExecutionError::Genesis {
                address,
                reason: "its code is a malformed delegation",
            })?;
            info.code_hash = code.hash_slow();
            info.code = Some(code);
        }
        if let Some((slot, value)) = edit.slot {
            let before = view.slot(address, slot)?;
            account.slots.insert(slot, OverlaySlot { before, now: value });
        }
        account.now = Some(info);
        let (state_root, changes) = root::state_root(&view, &AddressMap::from_iter([(address, account)]))?;
        let head = Head { state_root, ..view.head()? };
        self.write(batch, &view, &changes, &head)?;
        self.tables().history.amend(batch, view.snapshot(), head.height, &changes)?;
        Ok(changes)
    }

    /// Adds to `batch` what takes the newest changes back: those of the block above `head`, or of an edit on it.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn undo(
        &self,
        batch: &mut Batch,
        changes: &StateChanges,
        head: &StoredBlock,
    ) -> Result<(), ExecutionError> {
        let view = self.view();
        let newest = view.head()?;
        let back = Head { height: head.height(), hash: head.hash, state_root: head.header.state_root };
        self.write(batch, &view, &changes.reversed(), &back)?;
        if newest.height > back.height {
            self.tables().history.forget(batch, view.snapshot(), newest.height)?;
        }
        Ok(())
    }
}
