//! What a run left in its database, as a difference to the state below it.

use crate::{SimulateError, database::Database};
use alloy_consensus::constants::KECCAK_EMPTY;
use bxp_types::{AccountDiff, StateDiff};
use revm::database::AccountState;

/// The difference between `database` and the view below it. Empty accounts are gone (EIP-161).
pub(crate) fn diff(database: &Database<'_>) -> Result<StateDiff, SimulateError> {
    let mut diff = StateDiff::default();
    for (address, account) in &database.cache.accounts {
        let before = database.db.0.account(*address)?;
        let info = &account.info;
        let gone = account.account_state == AccountState::NotExisting || info.is_empty();
        if gone {
            if before.is_some() {
                diff.accounts.insert(*address, None);
            }
            continue;
        }
        let cleared = account.account_state == AccountState::StorageCleared;
        let mut slots = std::collections::BTreeMap::new();
        for (slot, value) in &account.storage {
            if cleared || before.is_none() || database.db.0.slot(*address, *slot)? != *value {
                slots.insert(*slot, *value);
            }
        }
        let code_hash = if info.code_hash.is_zero() { KECCAK_EMPTY } else { info.code_hash };
        let same = before.as_ref().is_some_and(|before| {
            (before.nonce, before.balance, before.code_hash) == (info.nonce, info.balance, code_hash)
        });
        if same && slots.is_empty() && !cleared {
            continue;
        }
        let account = AccountDiff { nonce: info.nonce, balance: info.balance, code_hash, cleared, slots };
        diff.accounts.insert(*address, Some(account));
    }
    Ok(diff)
}
