//! Running a block.

use crate::{
    BlockInput, DropReason, ExecutedBlock, ExecutionError, State, TRANSACTION_GAS_MAX, environment,
    evm::Evm,
    header,
    overlay::Overlay,
    receipts::{self, Ended},
    root, system_calls,
};
use alloy_consensus::{Eip658Value, Header, Transaction, TxType, proofs};
use alloy_primitives::{B256, U256};
use bxp_types::{RecoveredTransaction, StoredBlock, StoredReceipt};

impl State {
    /// Runs `input` on the block that `parent` heads, whose state must be the stored one. Nothing is written.
    ///
    /// Transactions run in the order given. One that cannot enter is dropped with its reason; the block goes on.
    /// Equal blocks on equal states give equal results on every node.
    ///
    /// # Errors
    /// [`ExecutionError::NotOnHead`] when `parent` is not the newest block or `input.height` not the one above;
    /// [`ExecutionError::Storage`], [`ExecutionError::Trie`] and the like when the stored state cannot be read.
    pub fn execute(&self, parent: &Header, input: BlockInput) -> Result<ExecutedBlock, ExecutionError> {
        self.run_block(parent, input, Way::ShortestFirst)
    }

    /// As [`State::execute`], with every transaction through the EVM: what the short cuts are held against.
    ///
    /// # Errors
    /// As [`State::execute`].
    pub fn execute_in_evm(
        &self,
        parent: &Header,
        input: BlockInput,
    ) -> Result<ExecutedBlock, ExecutionError> {
        self.run_block(parent, input, Way::EvmOnly)
    }

    fn run_block(
        &self,
        parent: &Header,
        input: BlockInput,
        way: Way,
    ) -> Result<ExecutedBlock, ExecutionError> {
        let parent_hash = parent.hash_slow();
        let view = self.view();
        self.check_on_head(&view, parent_hash, input.height)?;
        let mut header = header::begin(parent_hash, &input);
        let overlay = Overlay::new(&view, self.code_cache());
        let mut run = Run::new(Evm::new(overlay, self.spec(), &header), self, &header);
        system_calls::before_transactions(&mut run.evm, &header, &self.spec().rules(&header))?;
        for transaction in input.transactions {
            run.transact(transaction, way)?;
        }
        run.evm.overlay().credit(header.beneficiary, run.fees)?;

        let Run { mut evm, gas_used, included, receipts, dropped, .. } = run;
        let accounts = evm.overlay().accounts();
        // The three roots have nothing in common but the cores.
        let (state, (transactions_root, (receipts_root, logs_bloom))) = rayon::join(
            || root::state_root(&view, accounts),
            || {
                rayon::join(
                    || proofs::calculate_transaction_root(&included),
                    || (receipts::root(&receipts), receipts::bloom(&receipts)),
                )
            },
        );
        let (state_root, changes) = state?;
        header.state_root = state_root;
        header.transactions_root = transactions_root;
        header.receipts_root = receipts_root;
        header.logs_bloom = logs_bloom;
        header.gas_used = gas_used;
        let hash = header.hash_slow();
        let block = StoredBlock { header, hash, transactions: included, time_ms: input.time_ms };
        Ok(ExecutedBlock { block, receipts, dropped, changes })
    }
}

/// How transactions are run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Without the EVM where the outcome is plain.
    ShortestFirst,
    EvmOnly,
}

/// A block that is being run.
struct Run<'a> {
    evm: Evm<'a>,
    chain_id: u64,
    gas_limit: u64,
    base_fee: u64,
    gas_used: u64,
    fees: U256,
    included: Vec<RecoveredTransaction>,
    receipts: Vec<StoredReceipt>,
    dropped: Vec<(B256, DropReason)>,
}

impl<'a> Run<'a> {
    fn new(evm: Evm<'a>, state: &State, header: &Header) -> Self {
        Self {
            evm,
            chain_id: state.spec().chain_id(),
            gas_limit: header.gas_limit,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            gas_used: 0,
            fees: U256::ZERO,
            included: Vec::new(),
            receipts: Vec::new(),
            dropped: Vec::new(),
        }
    }

    fn transact(&mut self, transaction: RecoveredTransaction, way: Way) -> Result<(), ExecutionError> {
        let outcome = match self.check(&transaction) {
            Ok(()) => self.run(&transaction, way)?,
            Err(reason) => Err(reason),
        };
        match outcome {
            Ok(ended) => {
                self.gas_used = self.gas_used.saturating_add(ended.gas_used);
                let (status, base_fee) = (Eip658Value::Eip658(ended.success), Some(self.base_fee));
                let receipt = receipts::receipt(&transaction, ended, status, self.gas_used, base_fee);
                // Below 2^64 x 2^128, and every fee was in its sender's balance: the sum does not overflow.
                let fee = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
                self.fees = self.fees.saturating_add(fee);
                self.receipts.push(receipt);
                self.included.push(transaction);
            }
            Err(reason) => self.dropped.push((*transaction.tx_hash(), reason)),
        }
        Ok(())
    }

    fn run(
        &mut self,
        transaction: &RecoveredTransaction,
        way: Way,
    ) -> Result<Result<Ended, DropReason>, ExecutionError> {
        if way == Way::ShortestFirst
            && let Some(ended) = self.evm.take_shortcut(transaction, self.base_fee)?
        {
            return Ok(Ok(ended));
        }
        let outcome = self.evm.transact(environment::transaction(transaction))?;
        let dropped = |invalid| DropReason::new(&invalid, transaction.max_fee_per_gas(), self.base_fee);
        Ok(outcome.map(Ended::from).map_err(dropped))
    }

    /// What is checked before the EVM looks at a transaction.
    fn check(&self, transaction: &RecoveredTransaction) -> Result<(), DropReason> {
        if transaction.tx_type() == TxType::Eip4844 {
            return Err(DropReason::UnsupportedType);
        }
        let (have, want) = (transaction.chain_id().unwrap_or_default(), self.chain_id);
        if have != want {
            return Err(DropReason::WrongChain { have, want });
        }
        let (left, want) = (self.gas_limit.saturating_sub(self.gas_used), transaction.gas_limit());
        if want > left && want <= TRANSACTION_GAS_MAX {
            return Err(DropReason::BlockGas { left, want });
        }
        Ok(())
    }
}
