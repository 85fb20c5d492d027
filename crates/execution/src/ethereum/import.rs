//! Executing a block of an Ethereum chain.

use super::{Ancestry, header, requests, rewards};
use crate::{
    ChainSpec, DropReason, ExecutedBlock, ExecutionError, Rules, State, VerifyError, environment,
    evm::{Evm, OverlayEvm},
    overlay::Overlay,
    read::TrieRead,
    receipts::{self, Ended},
    root, system_calls,
    verify::Comparison,
};
use alloy_consensus::{Eip658Value, Header, Transaction, proofs};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, U256};
use bxp_types::{RecoveredTransaction, StoredBlock, StoredReceipt};
use revm::primitives::hardfork::SpecId;
use std::sync::Arc;

/// A block of an Ethereum chain with all of its body.
#[derive(Clone, Debug, PartialEq)]
pub struct EthereumBlock {
    /// The header.
    pub header: Header,
    /// The transactions, each with the sender that its signature gives.
    pub transactions: Vec<RecoveredTransaction>,
    /// Headers of blocks that were mined beside the chain; none after the merge.
    pub ommers: Vec<Header>,
    /// What the beacon chain releases; absent before Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

impl State {
    /// Runs `block` of an Ethereum chain on the block that `parent` heads, whose state must be the stored one, and
    /// compares everything with what its header says. `total_difficulty` is the parent's, `ancestry` that of the block,
    /// which goes on with the block where it is what its header says. Nothing is written.
    ///
    /// # Errors
    /// [`VerifyError::Mismatch`] names the first field that differs, [`VerifyError::Included`] the first transaction
    /// that cannot enter; [`VerifyError::Execution`] when the stored state cannot be read.
    pub fn import(
        &self,
        parent: &Header,
        total_difficulty: U256,
        ancestry: &mut Ancestry,
        block: &EthereumBlock,
    ) -> Result<ExecutedBlock, VerifyError> {
        let header = &block.header;
        let view = self.view();
        self.check_on_head(&view, header.parent_hash, bxp_types::Height(header.number))?;
        let spec = self.spec();
        let rules = spec.rules(header);
        let terminal = spec.schedule.as_ref().and_then(|schedule| schedule.terminal_total_difficulty);
        let merged = terminal.is_some_and(|terminal| total_difficulty >= terminal);
        header::check(spec, &rules, parent, block, merged)?;
        ancestry.check(block)?;
        let overlay = Overlay::new(&view, self.code_cache());
        let mut run =
            Run { evm: Evm::new(overlay, spec, header), base: &view, rules, gas_used: 0, receipts: vec![] };
        run.block(block, spec)?;
        let (state_root, changes) = run.state_root()?;
        compare(block, &run, state_root)?;
        ancestry.add(block);
        let stored = StoredBlock {
            header: header.clone(),
            hash: header.hash_slow(),
            transactions: block.transactions.clone(),
            time_ms: header.timestamp.saturating_mul(1000),
        };
        Ok(ExecutedBlock {
            block: stored,
            receipts: run.receipts,
            dropped: Vec::new(),
            changes: Arc::new(changes),
        })
    }
}

/// A block that is being run.
struct Run<'a> {
    evm: OverlayEvm<'a>,
    base: &'a dyn TrieRead,
    rules: Rules,
    gas_used: u64,
    receipts: Vec<StoredReceipt>,
}

impl Run<'_> {
    fn block(&mut self, block: &EthereumBlock, spec: &ChainSpec) -> Result<(), VerifyError> {
        let header = &block.header;
        system_calls::before_transactions(&mut self.evm, header, &self.rules)?;
        for transaction in &block.transactions {
            self.transact(header, transaction)?;
        }
        if !self.rules.has(SpecId::MERGE) {
            rewards::pay_miners(self.evm.overlay(), &self.rules, header, &block.ommers)?;
        }
        rewards::withdraw(self.evm.overlay(), block.withdrawals.as_deref().unwrap_or_default())?;
        if self.rules.has(SpecId::PRAGUE) {
            let contract = spec.schedule.as_ref().and_then(|schedule| schedule.deposit_contract);
            let hash = requests::requests_hash(&mut self.evm, &self.receipts, contract)?;
            let found = header.requests_hash.unwrap_or_default();
            let equal = Comparison(header.number);
            match hash {
                Ok(hash) => equal.check("requestsHash", hash, found)?,
                Err(reason) => equal.require("requestsHash", false, reason, found)?,
            }
        }
        Ok(())
    }

    fn transact(&mut self, header: &Header, transaction: &RecoveredTransaction) -> Result<(), VerifyError> {
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let (left, want) = (header.gas_limit.saturating_sub(self.gas_used), transaction.gas_limit());
        let outcome = if want > left {
            Err(DropReason::BlockGas { left, want })
        } else {
            self.evm
                .transact(environment::transaction(transaction))?
                .map_err(|invalid| DropReason::new(&invalid, transaction.max_fee_per_gas(), base_fee))
        };
        let result = outcome.map_err(|reason| VerifyError::Included {
            height: bxp_types::Height(header.number),
            transaction: *transaction.tx_hash(),
            reason,
        })?;
        let ended = Ended::from(result);
        self.gas_used = self.gas_used.saturating_add(ended.gas_used);
        // Before Byzantium (EIP-658) a receipt has the state root after its transaction instead of a status.
        let root = if self.rules.has(SpecId::BYZANTIUM) { None } else { Some(self.state_root()?.0) };
        let status = root.map_or(Eip658Value::Eip658(ended.success), Eip658Value::PostState);
        let base_fee = header.base_fee_per_gas;
        self.receipts.push(receipts::receipt(transaction, ended, status, self.gas_used, base_fee));
        Ok(())
    }

    fn state_root(&mut self) -> Result<(B256, crate::StateChanges), ExecutionError> {
        root::state_root(self.base, self.evm.overlay().accounts())
    }
}

fn compare(block: &EthereumBlock, run: &Run<'_>, state_root: B256) -> Result<(), VerifyError> {
    let header = &block.header;
    let equal = Comparison(header.number);
    equal.check("gasUsed", run.gas_used, header.gas_used)?;
    let transactions_root = proofs::calculate_transaction_root(&block.transactions);
    equal.check("transactionsRoot", transactions_root, header.transactions_root)?;
    equal.check("receiptsRoot", receipts::root(&run.receipts), header.receipts_root)?;
    equal.check("stateRoot", state_root, header.state_root)?;
    equal.check("logsBloom", receipts::bloom(&run.receipts), header.logs_bloom)
}
