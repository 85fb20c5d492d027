//! Read-only calls.

use crate::{
    DropReason, ExecutionError, State, StateView, TRANSACTION_GAS_MAX, environment,
    evm::{Evm, Outcome},
    read::StateRead,
};
use alloy_consensus::Header;
use alloy_primitives::TxKind;
use bxp_types::{CallOutcome, CallRequest, LedgerError};
use revm::{context::TxEnv, context_interface::result::ExecutionResult};

impl State {
    /// [`StateView::call`] on the newest state.
    ///
    /// # Errors
    /// As [`StateView::call`].
    pub fn call(&self, header: &Header, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        self.newest().call(header, request)
    }
}

impl StateView {
    /// Runs a call on this state as in the block of `header`, and changes nothing.
    ///
    /// The caller may be a contract, and its nonce does not matter. Without a gas price, gas costs nothing and the
    /// base fee is not asked for; the value sent must be there in any case. Gas is bounded by the block's gas limit
    /// and by [`TRANSACTION_GAS_MAX`], whatever was asked.
    ///
    /// # Errors
    /// [`LedgerError::InvalidCall`] when the call cannot begin, in geth's words; [`LedgerError::Storage`].
    pub fn call(&self, header: &Header, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        let cap = request.gas_price.unwrap_or_default();
        match self.run_call(header, request).map_err(|error| LedgerError::Storage(error.to_string()))? {
            Ok(result) => Ok(outcome(result)),
            Err(invalid) => {
                let base = header.base_fee_per_gas.unwrap_or_default();
                Err(LedgerError::InvalidCall(DropReason::new(&invalid, cap, base).to_string()))
            }
        }
    }

    fn run_call(&self, header: &Header, request: &CallRequest) -> Result<Outcome, ExecutionError> {
        let from = request.from.unwrap_or_default();
        let nonce = self.read().account(from)?.map_or(0, |account| account.nonce);
        let spec = self.spec();
        let rules = spec.rules(header);
        let mut chain = environment::chain(spec, &rules);
        chain.disable_nonce_check = true;
        chain.disable_eip3607 = true;
        chain.disable_base_fee = request.gas_price.is_none();
        let gas_max = header.gas_limit.min(TRANSACTION_GAS_MAX);
        let transaction = TxEnv {
            caller: from,
            gas_limit: request.gas.unwrap_or(gas_max).min(gas_max),
            gas_price: request.gas_price.unwrap_or_default(),
            kind: request.to.map_or(TxKind::Create, TxKind::Call),
            value: request.value,
            data: request.data.clone(),
            nonce,
            chain_id: Some(spec.chain_id()),
            ..TxEnv::default()
        };
        Evm::with_chain(self.overlay(), chain, header, &rules).transact(transaction)
    }
}

fn outcome(result: ExecutionResult) -> CallOutcome {
    let gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { output, .. } => {
            CallOutcome::Success { output: output.into_data(), gas_used }
        }
        ExecutionResult::Revert { output, .. } => CallOutcome::Revert { output, gas_used },
        ExecutionResult::Halt { reason, .. } => CallOutcome::Halt { reason: format!("{reason:?}"), gas_used },
    }
}
