//! `eth_estimateGas`: the least gas limit with which a transaction succeeds, found by running it.
//!
//! Gas used is not enough: refunds come back only at the end, and a call gets at most 63/64 of its caller's gas
//! (EIP-150). So the limit is searched for, as geth does it.

use crate::{
    Called, Question, SimulateError,
    database::{Database, ReadError},
    halted,
    machine::Machine,
    request::transaction,
};
use alloy_primitives::{TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use bxp_execution::TRANSACTION_GAS_MAX;
use revm::{
    Database as _, context::TxEnv, context_interface::result::HaltReason, primitives::hardfork::SpecId,
};

/// The gas of a transaction that only moves value.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value lends its callee (EIP-150).
const CALL_STIPEND: u64 = 2_300;
/// The search ends when its bounds are within 15 of 1000 of each other.
const TOLERANCE_PER_MILLE: u64 = 15;
/// Halving a 64-bit range takes at most this many steps.
const STEPS_MAX: u32 = 64;

/// Estimates the gas limit of `request`: enough, and at most 1.5 % above the least.
///
/// # Errors
/// [`SimulateError::Reverted`] and the like where no gas helps, [`SimulateError::GasAllowance`] where more would,
/// [`SimulateError::Timeout`].
pub fn estimate(question: &Question<'_>, request: &TransactionRequest) -> Result<u64, SimulateError> {
    let (mut machine, mut database) = question.open()?;
    let transaction = transaction(&mut machine, &mut database, request)?;
    let asked = request.gas.filter(|gas| *gas >= TRANSFER_GAS);
    let ceiling = ceiling(&machine, &mut database, &transaction, asked)?;
    let mut search = Search { question, machine, database, transaction };
    if search.is_plain_transfer()? && search.enough(TRANSFER_GAS)? {
        return Ok(TRANSFER_GAS);
    }
    let (used, refunded) = match search.run(ceiling)? {
        Called::Success { gas_used, gas_refunded, .. } => (gas_used, gas_refunded),
        Called::Revert { output, .. } => return Err(SimulateError::Reverted(output)),
        Called::Halt { reason: HaltReason::OutOfGas(_), .. } => {
            return Err(SimulateError::GasAllowance(ceiling));
        }
        Called::Halt { reason, .. } => return Err(SimulateError::Halted(halted(&reason))),
    };
    search.least(used, refunded, ceiling)
}

/// The most gas the transaction can have: what it asks for, what a transaction may have (EIP-7825), what a block has,
/// what its sender can pay.
fn ceiling(
    machine: &Machine,
    database: &mut Database<'_>,
    transaction: &TxEnv,
    asked: Option<u64>,
) -> Result<u64, SimulateError> {
    let mut most = asked.unwrap_or(machine.block.gas_limit).min(crate::GAS_MAX);
    if machine.chain.spec.is_enabled_in(SpecId::OSAKA) {
        most = most.min(TRANSACTION_GAS_MAX);
    }
    if transaction.gas_price == 0 {
        return Ok(most);
    }
    let balance = database.basic(transaction.caller).map_err(|ReadError(error)| error)?;
    let balance = balance.map_or(U256::ZERO, |info| info.balance);
    let left = balance.checked_sub(transaction.value).ok_or(SimulateError::InsufficientFunds)?;
    let payable = left.checked_div(U256::from(transaction.gas_price)).unwrap_or(U256::MAX);
    Ok(most.min(payable.saturating_to()))
}

struct Search<'q, 'a> {
    question: &'q Question<'a>,
    machine: Machine,
    database: Database<'a>,
    transaction: TxEnv,
}

impl Search<'_, '_> {
    fn run(&mut self, gas: u64) -> Result<Called, SimulateError> {
        let deadline = self.question.deadline;
        deadline.check()?;
        self.transaction.gas_limit = gas;
        Ok(self.machine.run(&mut self.database, self.transaction.clone(), deadline)?.result.into())
    }

    /// Whether the transaction succeeds with `gas`.
    fn enough(&mut self, gas: u64) -> Result<bool, SimulateError> {
        match self.run(gas) {
            Ok(called) => Ok(matches!(called, Called::Success { .. })),
            Err(error) if error.lacks_gas() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_plain_transfer(&mut self) -> Result<bool, SimulateError> {
        let transaction = &self.transaction;
        let TxKind::Call(to) = transaction.kind else { return Ok(false) };
        if !transaction.data.is_empty()
            || !transaction.access_list.0.is_empty()
            || !transaction.authorization_list.is_empty()
        {
            return Ok(false);
        }
        let account = self.database.basic(to).map_err(|ReadError(error)| error)?;
        Ok(account.is_none_or(|account| account.is_empty_code_hash()))
    }

    /// The least limit that is enough, up to the tolerance; `ceiling` is.
    fn least(&mut self, used: u64, refunded: u64, ceiling: u64) -> Result<u64, SimulateError> {
        // Most transactions get by with just what they used.
        if used <= ceiling && self.enough(used)? {
            return Ok(used);
        }
        let (mut low, mut high) = (used, ceiling);
        let likely = used.saturating_add(refunded).saturating_add(CALL_STIPEND).saturating_mul(64) / 63;
        if likely < high {
            if self.enough(likely)? { high = likely } else { low = likely }
        }
        for _ in 0..STEPS_MAX {
            let width = high.saturating_sub(low);
            if width <= 1 || width.saturating_mul(1000) < high.saturating_mul(TOLERANCE_PER_MILLE) {
                break;
            }
            // Most limits are near the low end, so the middle is kept from running far ahead of it.
            let middle = (low + width / 2).min(low.saturating_mul(2));
            if self.enough(middle)? { high = middle } else { low = middle }
        }
        Ok(high)
    }
}
