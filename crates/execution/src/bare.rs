//! revm alone: what running blocks is measured against.
//!
//! It stands in this crate so that it is compiled exactly as our own running is, in every profile.

use crate::{ExecutionError, FORK, environment};
use bxp_types::{Genesis, RecoveredTransaction};
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, MainnetEvm, bytecode::Bytecode,
    context::TxEnv, database::InMemoryDB, handler::MainnetContext, state::AccountInfo,
};

/// revm as its authors build it, over its own maps of accounts and slots in memory. It pays the beneficiary and keeps what
/// transactions change; there are no system calls, receipts, roots or disk.
pub struct BareRevm {
    evm: MainnetEvm<MainnetContext<InMemoryDB>>,
}

/// Transactions as revm takes them.
pub struct BareTransactions(Vec<TxEnv>);

impl BareTransactions {
    /// Makes them ahead, so that revm alone is not charged with it.
    #[must_use]
    pub fn new(transactions: &[RecoveredTransaction]) -> Self {
        Self(transactions.iter().map(environment::transaction).collect())
    }
}

impl BareRevm {
    /// revm over the accounts, slots and code of a genesis document.
    ///
    /// # Errors
    /// [`ExecutionError::Evm`] where its database refuses a slot.
    pub fn new(genesis: &Genesis) -> Result<Self, ExecutionError> {
        let mut database = InMemoryDB::default();
        for (address, account) in &genesis.accounts {
            let code = Bytecode::new_raw(account.code.clone());
            let nonce = u64::from(!account.code.is_empty());
            let info = AccountInfo::new(account.balance.0, nonce, code.hash_slow(), code);
            database.insert_account_info(*address, info);
            for (slot, value) in &account.storage {
                let kept = database.insert_account_storage(*address, (*slot).into(), (*value).into());
                kept.map_err(|error| ExecutionError::Evm(error.to_string()))?;
            }
        }
        let context = Context::mainnet()
            .modify_cfg_chained(|chain| {
                chain.chain_id = genesis.chain_id;
                chain.set_spec_and_mainnet_gas_params(FORK);
            })
            .modify_block_chained(|block| {
                block.gas_limit = genesis.gas_limit;
                block.basefee = genesis.base_fee_wei;
                block.beneficiary = genesis.treasury;
            })
            .with_db(database);
        Ok(Self { evm: context.build_mainnet() })
    }

    /// Runs transactions one after the other and keeps what they change; the gas that they used.
    ///
    /// # Errors
    /// [`ExecutionError::Evm`] for a transaction that cannot enter.
    pub fn run(&mut self, transactions: BareTransactions) -> Result<u64, ExecutionError> {
        let mut gas_used = 0;
        for transaction in transactions.0 {
            let result = self.evm.transact_commit(transaction);
            gas_used += result.map_err(|error| ExecutionError::Evm(error.to_string()))?.tx_gas_used();
        }
        Ok(gas_used)
    }
}

impl std::fmt::Debug for BareRevm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BareRevm").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for BareTransactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BareTransactions").field("count", &self.0.len()).finish()
    }
}
