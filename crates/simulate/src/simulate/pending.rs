//! The block that would follow the newest one now: what waits in a pool, executed and not kept.

use super::{Open, Run, SimulatedChain, receipt};
use crate::{GAS_MAX, SimulateError, database::over, environment, machine::Machine, root};
use alloy_consensus::{Transaction as _, TrieAccount, constants::EMPTY_ROOT_HASH};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::BlockOverrides;
use bxp_types::{
    AccountDiff, Height, LedgerError, RecoveredTransaction, StateDiff, StateReader, StoredBlock,
    StoredReceipt,
};
use std::{collections::BTreeMap, sync::Arc};

/// A block that nobody has decided, its receipts, and the state after it.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The block. Its hash, time and state root are those of a guess.
    pub block: Arc<StoredBlock>,
    /// The receipts of its transactions.
    pub receipts: Vec<StoredReceipt>,
    left: StateDiff,
    codes: BTreeMap<B256, Bytes>,
}

/// Executes `waiting` in this order in a block after the newest one, as far as 50 million gas and the chain's deadline
/// allow; what cannot enter is left out, as a proposal's transactions are. `time_s` is the clock's, in seconds.
///
/// # Errors
/// [`SimulateError::Ledger`].
pub fn pending(
    chain: &SimulatedChain<'_>,
    waiting: Vec<RecoveredTransaction>,
    time_s: u64,
) -> Result<Pending, SimulateError> {
    let mut run =
        Run { chain, database: over(chain.view), validation: true, transfers: false, gas_left: GAS_MAX };
    let time = Some(time_s.max(chain.base.timestamp));
    let (header, rules) = run.header(chain.base, &BlockOverrides { time, ..BlockOverrides::default() });
    let machine = Machine::new(chain.spec, &header);
    machine.before_transactions(&mut run.database, &header)?;
    let mut open = Open {
        machine,
        header,
        transactions: Vec::new(),
        receipts: Vec::new(),
        calls: Vec::new(),
        gas_used: 0,
        blob_gas_used: 0,
        fees: U256::ZERO,
    };
    for transaction in waiting {
        if chain.deadline.is_over() {
            break;
        }
        include(&mut run, &mut open, transaction)?;
    }
    run.reward(&rules, &open)?;
    let receipts = open.receipts.clone();
    let block = Arc::new(run.close(open, None)?.block);
    let left = root::diff(&run.database)?;
    let contracts = &run.database.cache.contracts;
    let codes = contracts.iter().map(|(hash, code)| (*hash, code.original_bytes())).collect();
    Ok(Pending { block, receipts, left, codes })
}

fn include(
    run: &mut Run<'_, '_>,
    open: &mut Open,
    transaction: RecoveredTransaction,
) -> Result<(), SimulateError> {
    let room = run.gas_left.min(open.header.gas_limit.saturating_sub(open.gas_used));
    if transaction.gas_limit() > room {
        return Ok(());
    }
    let environment = environment::transaction(&transaction);
    let result = match open.machine.commit(&mut run.database, environment, run.chain.deadline) {
        Ok(result) => result,
        Err(SimulateError::Ledger(error)) => return Err(error.into()),
        Err(_) => return Ok(()),
    };
    let gas_used = result.tx_gas_used();
    run.gas_left = run.gas_left.saturating_sub(gas_used);
    open.gas_used = open.gas_used.saturating_add(gas_used);
    let receipt = receipt(&transaction, &result, open);
    let fee = U256::from(gas_used).saturating_mul(U256::from(receipt.effective_gas_price));
    open.fees = open.fees.saturating_add(fee);
    open.receipts.push(receipt);
    open.transactions.push(transaction);
    Ok(())
}

/// The state after a pending block: what the block left, above the state below it.
pub struct PendingState<'a> {
    /// The block.
    pub pending: Arc<Pending>,
    /// The state after the block's parent.
    pub below: Box<dyn StateReader + 'a>,
}

impl std::fmt::Debug for PendingState<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingState")
            .field("block", &self.pending.block.header.number)
            .finish_non_exhaustive()
    }
}

impl PendingState<'_> {
    fn left(&self, address: Address) -> Option<Option<&AccountDiff>> {
        self.pending.left.accounts.get(&address).map(Option::as_ref)
    }
}

fn no_proofs() -> LedgerError {
    LedgerError::InvalidCall("the pending state has no proofs; ask for the latest block's".to_owned())
}

impl StateReader for PendingState<'_> {
    /// The storage root is that of the state below: nothing but proofs, which are not given, would show it.
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, LedgerError> {
        let Some(left) = self.left(address) else { return self.below.account(address) };
        let Some(left) = left else { return Ok(None) };
        let below = if left.cleared { None } else { self.below.account(address)? };
        Ok(Some(TrieAccount {
            nonce: left.nonce,
            balance: left.balance,
            storage_root: below.map_or(EMPTY_ROOT_HASH, |below| below.storage_root),
            code_hash: left.code_hash,
        }))
    }

    fn code(&self, hash: B256) -> Result<Bytes, LedgerError> {
        match self.pending.codes.get(&hash) {
            Some(code) => Ok(code.clone()),
            None => self.below.code(hash),
        }
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        match self.left(address) {
            None => self.below.slot(address, slot),
            Some(None) => Ok(U256::ZERO),
            Some(Some(left)) => match left.slots.get(&slot) {
                Some(value) => Ok(*value),
                None if left.cleared => Ok(U256::ZERO),
                None => self.below.slot(address, slot),
            },
        }
    }

    fn block_hash(&self, height: Height) -> Result<Option<B256>, LedgerError> {
        if height == self.pending.block.height() {
            return Ok(Some(self.pending.block.hash));
        }
        self.below.block_hash(height)
    }

    fn prove_account(&self, _: Address) -> Result<Vec<Bytes>, LedgerError> {
        Err(no_proofs())
    }

    fn prove_slot(&self, _: Address, _: U256) -> Result<Vec<Bytes>, LedgerError> {
        Err(no_proofs())
    }

    fn root_after(&self, changes: &StateDiff) -> Result<B256, LedgerError> {
        let mut all = self.pending.left.clone();
        for (address, account) in &changes.accounts {
            let before = all.accounts.remove(address).flatten();
            let merged = account.clone().map(|account| above(before, account));
            all.accounts.insert(*address, merged);
        }
        self.below.root_after(&all)
    }
}

/// An account as two runs left it, the second after the first.
fn above(first: Option<AccountDiff>, second: AccountDiff) -> AccountDiff {
    let Some(mut first) = first.filter(|_| !second.cleared) else { return second };
    first.slots.extend(second.slots);
    AccountDiff { slots: first.slots, cleared: first.cleared, ..second }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(nonce: u64, cleared: bool, slots: &[(u64, u64)]) -> AccountDiff {
        let slots = slots.iter().map(|(slot, value)| (U256::from(*slot), U256::from(*value))).collect();
        AccountDiff { nonce, cleared, slots, ..AccountDiff::default() }
    }

    #[test]
    fn the_later_run_counts_and_what_it_cleared_is_gone() {
        let first = diff(1, false, &[(1, 10), (2, 20)]);
        let merged = above(Some(first.clone()), diff(2, false, &[(2, 21)]));
        assert_eq!(merged, diff(2, false, &[(1, 10), (2, 21)]));
        assert_eq!(above(Some(first), diff(2, true, &[(3, 3)])), diff(2, true, &[(3, 3)]));
        let cleared = diff(1, true, &[(1, 10)]);
        assert_eq!(above(Some(cleared), diff(2, false, &[])), diff(2, true, &[(1, 10)]));
        assert_eq!(above(None, diff(2, false, &[(1, 1)])), diff(2, false, &[(1, 1)]));
    }
}
