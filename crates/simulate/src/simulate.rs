//! `eth_simulateV1`: blocks that follow one another and are not kept, as geth makes them.

mod logs;
mod order;
mod pending;
mod unsigned;

use crate::{
    Deadline, GAS_MAX, SimulateError,
    database::{Database, ReadError, over},
    environment, halted,
    machine::Machine,
    overrides, request, reverted, root,
};
use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxType,
    constants::EMPTY_WITHDRAWALS, proofs,
};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Bloom, Bytes, Log, U256};
use alloy_rpc_types_eth::{
    TransactionRequest,
    simulate::{SimBlock, SimulatePayload},
};
use bxp_execution::{ChainSpec, Fees, Rules};
use bxp_types::{RecoveredTransaction, StateReader, StoredBlock, StoredReceipt};
use logs::LogCollector;
pub use pending::{Pending, PendingState, pending};
use revm::{
    Database as _, DatabaseCommit,
    context_interface::result::{ExecutionResult, ResultAndState},
    primitives::hardfork::SpecId,
};

/// The code of a call that the EVM stopped.
const STOPPED: i32 = -32_015;
/// The code of a call that reverted.
const REVERTED: i32 = 3;
/// The code of a call that needs more gas than its block has left.
const BLOCK_GAS: i32 = -38_015;

/// The chain that simulated blocks go on from.
pub struct SimulatedChain<'a> {
    /// The state after `base`.
    pub view: &'a dyn StateReader,
    /// The newest block that is not simulated.
    pub base: &'a Header,
    /// The rules of its blocks.
    pub spec: &'a ChainSpec,
    /// When the answer has to be there.
    pub deadline: Deadline,
}

impl std::fmt::Debug for SimulatedChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedChain").field("base", &self.base.number).finish_non_exhaustive()
    }
}

/// A simulated block.
#[derive(Clone, Debug)]
pub struct SimulatedBlock {
    /// The block; its transactions are not signed.
    pub block: StoredBlock,
    /// How its calls ended, in order.
    pub calls: Vec<SimulatedCall>,
}

/// How a simulated call ended.
#[derive(Clone, Debug)]
pub struct SimulatedCall {
    /// What it returned.
    pub output: Bytes,
    /// Its logs, with those of moved value where asked for.
    pub logs: Vec<Log>,
    /// Gas used after refunds.
    pub gas_used: u64,
    /// Gas used before refunds.
    pub gas_used_max: u64,
    /// Code, words and data where it failed.
    pub error: Option<(i32, String, Option<Bytes>)>,
}

/// Simulates the blocks of `payload`.
///
/// # Errors
/// [`SimulateError::Block`] for blocks that cannot follow one another, [`SimulateError::Refused`] for a call that
/// cannot begin, [`SimulateError::Timeout`], [`SimulateError::InvalidParams`], [`SimulateError::Ledger`].
pub fn simulate(
    chain: &SimulatedChain<'_>,
    payload: SimulatePayload,
) -> Result<Vec<SimulatedBlock>, SimulateError> {
    let (validation, transfers) = (payload.validation, payload.trace_transfers);
    let blocks = order::fill_gaps(chain.base, payload.block_state_calls)?;
    let mut run = Run { chain, database: over(chain.view), validation, transfers, gas_left: GAS_MAX };
    let mut parent = chain.base.clone();
    let mut simulated = Vec::with_capacity(blocks.len());
    for block in blocks {
        chain.deadline.check()?;
        let block = run.block(&parent, block)?;
        parent = block.block.header.clone();
        simulated.push(block);
    }
    Ok(simulated)
}

struct Run<'c, 'a> {
    chain: &'c SimulatedChain<'a>,
    database: Database<'a>,
    validation: bool,
    transfers: bool,
    /// Gas left for all blocks together.
    gas_left: u64,
}

/// A block that is being simulated.
struct Open {
    machine: Machine,
    header: Header,
    transactions: Vec<RecoveredTransaction>,
    receipts: Vec<StoredReceipt>,
    calls: Vec<SimulatedCall>,
    gas_used: u64,
    blob_gas_used: u64,
    /// What the calls paid for gas, in wei.
    fees: U256,
}

impl<'a> Run<'_, 'a> {
    fn block(&mut self, parent: &Header, block: SimBlock) -> Result<SimulatedBlock, SimulateError> {
        let changes = block.block_overrides.unwrap_or_default();
        let (header, rules) = self.header(parent, &changes);
        let mut machine = Machine::new(self.chain.spec, &header);
        machine.chain.disable_nonce_check = !self.validation;
        machine.chain.disable_eip3607 = true;
        machine.chain.tx_gas_limit_cap = Some(u64::MAX);
        let blob_fee = alloy_rpc_types_eth::BlockOverrides {
            blob_base_fee: changes.blob_base_fee,
            ..Default::default()
        };
        overrides::apply_block(&mut machine, &mut self.database, &blob_fee);
        if let Some(state) = &block.state_overrides {
            overrides::apply_state(&mut machine, &mut self.database, state)?;
        }
        machine.before_transactions(&mut self.database, &header)?;
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
        for call in block.calls {
            self.call(&mut open, call)?;
        }
        self.reward(&rules, &open)?;
        self.close(open, Some(self.chain.deadline))
    }

    /// The block's header, as far as it is known before its calls, and its rules.
    fn header(&self, parent: &Header, changes: &alloy_rpc_types_eth::BlockOverrides) -> (Header, Rules) {
        let number = changes.number.map_or(parent.number + 1, |number| number.saturating_to());
        let timestamp = changes.time.unwrap_or(parent.timestamp);
        // A chain that has been merged stays so, and one that has not goes on by numbers.
        let rules = self.chain.spec.rules(&Header {
            number,
            timestamp,
            difficulty: parent.difficulty,
            ..Header::default()
        });
        let has = |fork| rules.has(fork);
        let difficulty = if has(SpecId::MERGE) { U256::ZERO } else { parent.difficulty };
        let base_fee = has(SpecId::LONDON).then(|| match changes.base_fee {
            Some(fee) => fee.saturating_to(),
            None if self.validation => bxp_execution::next_base_fee(parent),
            None => 0,
        });
        let excess = has(SpecId::CANCUN).then(|| environment::next_excess_blob_gas(&rules.blobs, parent));
        let header = Header {
            parent_hash: parent.hash_slow(),
            beneficiary: changes.coinbase.unwrap_or(parent.beneficiary),
            difficulty: changes.difficulty.unwrap_or(difficulty),
            number,
            gas_limit: changes.gas_limit.unwrap_or(parent.gas_limit),
            timestamp,
            mix_hash: changes.random.unwrap_or_default(),
            base_fee_per_gas: base_fee,
            withdrawals_root: has(SpecId::SHANGHAI).then_some(EMPTY_WITHDRAWALS),
            blob_gas_used: has(SpecId::CANCUN).then_some(0),
            excess_blob_gas: excess,
            parent_beacon_block_root: has(SpecId::CANCUN).then(|| changes.beacon_root.unwrap_or_default()),
            requests_hash: has(SpecId::PRAGUE).then_some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        };
        (header, rules)
    }

    fn call(&mut self, open: &mut Open, mut call: TransactionRequest) -> Result<(), SimulateError> {
        let remaining = open.header.gas_limit.saturating_sub(open.gas_used);
        let asked = call.gas.unwrap_or(remaining);
        if asked > remaining {
            let words = format!("block gas limit reached: remaining: {remaining}, required: {asked}");
            return Err(SimulateError::Block { code: BLOCK_GAS, words });
        }
        call.gas = Some(asked.min(self.gas_left));
        if call.gas_price.is_none() {
            call.max_fee_per_gas.get_or_insert(0);
            call.max_priority_fee_per_gas.get_or_insert(0);
        }
        // A call's defaults touch the machine of this call only.
        let mut machine = open.machine.clone();
        let base_fee = machine.block.basefee;
        let blob_price = machine.block.blob_excess_gas_and_price;
        let transaction = request::transaction(&mut machine, &mut self.database, &call)?;
        machine.block.basefee = base_fee;
        machine.block.blob_excess_gas_and_price = blob_price;
        machine.chain.disable_base_fee = !self.validation && transaction.gas_price == 0;
        let unsigned = unsigned::transaction(&transaction, machine.chain.chain_id);
        let mut collector = LogCollector::new(self.transfers);
        let ran = machine.inspect(&mut self.database, transaction, &mut collector, self.chain.deadline)?;
        let ResultAndState { result, state } = ran;
        self.database.commit(state);
        let gas_used = result.tx_gas_used();
        self.gas_left = self.gas_left.saturating_sub(gas_used);
        open.gas_used = open.gas_used.saturating_add(gas_used);
        open.blob_gas_used = open.blob_gas_used.saturating_add(unsigned.blob_gas_used().unwrap_or_default());
        let receipt = receipt(&unsigned, &result, open);
        let fee = U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.effective_gas_price));
        open.fees = open.fees.saturating_add(fee);
        open.receipts.push(receipt);
        open.transactions.push(unsigned);
        open.calls.push(outcome(result, collector));
        Ok(())
    }

    /// Pays the beneficiary what the block brings: the fees where they gather, or the reward of a miner.
    fn reward(&mut self, rules: &Rules, open: &Open) -> Result<(), SimulateError> {
        let reward = match rules.fees {
            Fees::Treasury => open.fees,
            Fees::Burnt => U256::from(environment::block_reward_wei(rules)),
        };
        if reward.is_zero() {
            return Ok(());
        }
        let beneficiary = open.header.beneficiary;
        let read = self.database.basic(beneficiary).map_err(|ReadError(error)| error)?;
        let mut info = read.unwrap_or_default();
        info.balance = info.balance.saturating_add(reward);
        self.database.insert_account_info(beneficiary, info);
        Ok(())
    }

    /// Completes the block. Its state root takes time that grows with all that has been changed so far, so it is not
    /// begun after `deadline`.
    fn close(&mut self, open: Open, deadline: Option<Deadline>) -> Result<SimulatedBlock, SimulateError> {
        let Open { mut header, transactions, receipts, calls, gas_used, blob_gas_used, .. } = open;
        let envelopes: Vec<_> = receipts.iter().map(|receipt| &receipt.receipt).collect();
        header.gas_used = gas_used;
        header.blob_gas_used = header.blob_gas_used.map(|_| blob_gas_used);
        header.transactions_root = proofs::calculate_transaction_root(&transactions);
        header.receipts_root = proofs::calculate_receipt_root(&envelopes);
        header.logs_bloom =
            envelopes.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
        let changes = root::diff(&self.database)?;
        if let Some(deadline) = deadline {
            deadline.check()?;
        }
        header.state_root = self.chain.view.root_after(&changes)?;
        let hash = header.hash_slow();
        self.database.cache.block_hashes.insert(U256::from(header.number), hash);
        let time_ms = header.timestamp.saturating_mul(1_000);
        Ok(SimulatedBlock { block: StoredBlock { header, hash, transactions, time_ms }, calls })
    }
}

fn receipt(transaction: &RecoveredTransaction, result: &ExecutionResult, open: &Open) -> StoredReceipt {
    let receipt: ReceiptWithBloom = Receipt {
        status: Eip658Value::Eip658(result.is_success()),
        cumulative_gas_used: open.gas_used,
        logs: result.logs().to_vec(),
    }
    .into();
    let envelope = match transaction.tx_type() {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    };
    StoredReceipt {
        receipt: envelope,
        gas_used: result.tx_gas_used(),
        contract_address: result.created_address(),
        effective_gas_price: transaction.effective_gas_price(open.header.base_fee_per_gas),
    }
}

fn outcome(result: ExecutionResult, collector: LogCollector) -> SimulatedCall {
    let gas = *result.gas();
    let (gas_used, gas_used_max) = (gas.tx_gas_used(), gas.total_gas_spent().max(gas.floor_gas()));
    let (output, logs, error) = match result {
        ExecutionResult::Success { output, .. } => (output.into_data(), collector.into_logs(), None),
        ExecutionResult::Revert { output, .. } => {
            (Bytes::new(), Vec::new(), Some((REVERTED, reverted(&output), Some(output))))
        }
        ExecutionResult::Halt { reason, .. } => {
            (Bytes::new(), Vec::new(), Some((STOPPED, halted(&reason), None)))
        }
    };
    SimulatedCall { output, logs, gas_used, gas_used_max, error }
}
