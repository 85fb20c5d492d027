//! The least work that a signed transaction takes on a network, and so the most that its cores can commit.

use super::cpu_us;
use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use anyhow::{Context, Result, ensure};
use bxp_execution::{BlockInput, State};
use bxp_storage::{Durability, Store};
use bxp_types::{Genesis, Height, RecoveredTransaction};
use serde::Serialize;

/// Transfers recovered, and executed in blocks, for the measurement.
pub(super) const TRANSFERS: usize = 8_000;
/// Transfers in one block: what a superblock of a busy network holds.
const TRANSFERS_PER_BLOCK: usize = 2_000;

/// What one transaction costs a node, in CPU microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Costs {
    /// Its sender from the signed bytes.
    pub(super) recovery_cpu_us: f64,
    /// Execution, trie and the write of the block to the database, without waiting for the disk.
    pub(super) execution_cpu_us: f64,
}

impl Costs {
    /// Recovers transactions that a network of this genesis takes, and executes them in blocks of `per_block`.
    pub(super) fn measure(genesis: &Genesis, raw: Vec<Bytes>, per_block: usize) -> Result<Self> {
        ensure!(!raw.is_empty(), "there are no transactions to measure the limit with; raise --rate-max");
        let decode = |raw: Bytes| TxEnvelope::decode_2718(&mut raw.as_ref());
        let transactions: Vec<TxEnvelope> =
            raw.into_iter().map(decode).collect::<Result<_, _>>().context("decode an own transaction")?;
        let before = cpu_us()?;
        let recovered: Vec<RecoveredTransaction> = transactions
            .into_iter()
            .map(|transaction| {
                let signer = transaction.recover_signer().context("recover an own transaction")?;
                Ok(RecoveredTransaction::new_unchecked(transaction, signer))
            })
            .collect::<Result<_>>()?;
        let recovery_cpu_us = (cpu_us()? - before) as f64 / recovered.len() as f64;
        let execution_cpu_us = execution_cost(genesis, &recovered, per_block)?;
        Ok(Self { recovery_cpu_us, execution_cpu_us })
    }

    /// Transactions a second on `cores` cores: cores / ((t + 1) recoveries + n executions).
    pub(super) fn bound_per_second(&self, genesis: &Genesis, cores: usize) -> f64 {
        let recoveries = (genesis.fault_bound() + 1) as f64 * self.recovery_cpu_us;
        let executions = genesis.validator_count() as f64 * self.execution_cpu_us;
        cores as f64 * 1e6 / (recoveries + executions)
    }
}

/// Processor cores of this machine.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What one transfer costs, in CPU microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Bound {
    pub(super) cores: usize,
    recovery_cpu_us: f64,
    /// What one core recovers that does nothing else.
    recoveries_per_second_one_core: f64,
    /// `committed_per_second` / the recoveries of one core.
    ratio_to_recoveries: f64,
    /// EVM, trie and the write of the block to the database, without waiting for the disk.
    execution_cpu_us: f64,
    /// cores / ((t + 1) recoveries + n executions).
    bound_per_second: f64,
    /// `committed_per_second` / bound.
    pub(super) ratio_to_bound: f64,
}

/// Measures the bound with transfers that a network of this genesis takes.
pub(super) fn measure(genesis: &Genesis, raw: impl Iterator<Item = Bytes>) -> Result<Bound> {
    let raw: Vec<Bytes> = raw.take(TRANSFERS).collect();
    ensure!(raw.len() == TRANSFERS, "too few transfers to measure with; raise --rate-max");
    let costs = Costs::measure(genesis, raw, TRANSFERS_PER_BLOCK)?;
    let cores = cores();
    Ok(Bound {
        cores,
        recovery_cpu_us: costs.recovery_cpu_us,
        recoveries_per_second_one_core: 1e6 / costs.recovery_cpu_us,
        ratio_to_recoveries: 0.0,
        execution_cpu_us: costs.execution_cpu_us,
        bound_per_second: costs.bound_per_second(genesis, cores),
        ratio_to_bound: 0.0,
    })
}

impl Bound {
    /// How near a run came.
    pub(super) fn reached(mut self, committed_per_second: f64) -> Self {
        self.ratio_to_recoveries = committed_per_second / self.recoveries_per_second_one_core;
        self.ratio_to_bound = committed_per_second / self.bound_per_second;
        self
    }
}

fn execution_cost(genesis: &Genesis, recovered: &[RecoveredTransaction], per_block: usize) -> Result<f64> {
    let folder = tempfile::tempdir().context("make a folder for the measurement")?;
    let store = Store::open(&folder.path().join("store"), genesis.network_id())?;
    let state = State::open(&store, genesis)?;
    let mut parent = state.genesis_block().clone();
    let before = cpu_us()?;
    for transactions in recovered.chunks(per_block) {
        let height = parent.height().next();
        let input = BlockInput {
            height,
            time_ms: genesis.time_ms + height.0 * 1_000,
            mix_hash: keccak256(height.0.to_be_bytes()),
            parent_beacon_root: B256::ZERO,
            beneficiary: genesis.treasury,
            gas_limit: genesis.gas_limit,
            base_fee: bxp_execution::next_base_fee(&parent.header),
            transactions: transactions.to_vec(),
        };
        let executed = state.execute(&parent.header, input)?;
        ensure!(executed.dropped.is_empty(), "own transactions were dropped at height {height}");
        let mut batch = store.batch();
        state.commit(&mut batch, &executed)?;
        batch.commit(Durability::Buffered)?;
        parent = executed.block;
    }
    ensure!(parent.height() > Height(0), "no block was made");
    Ok((cpu_us()? - before) as f64 / recovered.len() as f64)
}
