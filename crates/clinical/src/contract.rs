//! Views of the contracts that stand in genesis.

use crate::ClinicalError;
use alloy_sol_types::SolCall;
use bxp_types::{Address, CallOutcome, CallRequest, Ledger};

/// Calls a view of the contract at `contract`.
///
/// # Errors
/// [`ClinicalError::Ledger`]; [`ClinicalError::Contract`] where no contract of that kind stands there.
pub(crate) fn view<C: SolCall>(
    ledger: &dyn Ledger,
    contract: Address,
    call: &C,
) -> Result<C::Return, ClinicalError> {
    let unexpected = || ClinicalError::Contract { contract, function: C::SIGNATURE };
    let request =
        CallRequest { to: Some(contract), data: call.abi_encode().into(), ..CallRequest::default() };
    match ledger.call(&request)? {
        CallOutcome::Success { output, .. } => C::abi_decode_returns(&output).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}
