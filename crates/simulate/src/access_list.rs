//! `eth_createAccessList`: what a transaction reads beside sender, callee and precompiles (EIP-2930).

use crate::{Called, Question, SimulateError, halted, request::transaction, reverted};
use alloy_eips::eip2930::AccessList;
use alloy_rpc_types_eth::TransactionRequest;
use revm_inspectors::access_list::AccessListInspector;

/// Rounds until the list no longer changes; a list can make a transaction take another way, which changes the list.
const ROUNDS_MAX: usize = 16;

/// The list, and how the transaction runs with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessListFound {
    /// Addresses and slots.
    pub list: AccessList,
    /// Gas used with the list.
    pub gas_used: u64,
    /// Why it fails even so, in geth's words.
    pub error: Option<String>,
}

/// Finds the access list of `request`.
///
/// # Errors
/// As [`crate::call`]; [`SimulateError::Timeout`].
pub fn access_list(
    question: &Question<'_>,
    request: &TransactionRequest,
) -> Result<AccessListFound, SimulateError> {
    let (mut machine, mut database) = question.open()?;
    let mut transaction = transaction(&mut machine, &mut database, request)?;
    transaction.tx_type = transaction.tx_type.max(1);
    for _ in 0..ROUNDS_MAX {
        let mut inspector = AccessListInspector::new(transaction.access_list.clone());
        let ran = machine.inspect(&mut database, transaction.clone(), &mut inspector, question.deadline)?;
        let list = inspector.into_access_list();
        if list == transaction.access_list {
            return Ok(found(list, ran.result.into()));
        }
        transaction.access_list = list;
    }
    let ran = machine.run(&mut database, transaction.clone(), question.deadline)?;
    Ok(found(transaction.access_list, ran.result.into()))
}

fn found(list: AccessList, called: Called) -> AccessListFound {
    let (gas_used, error) = match called {
        Called::Success { gas_used, .. } => (gas_used, None),
        Called::Revert { output, gas_used } => (gas_used, Some(reverted(&output))),
        Called::Halt { reason, gas_used } => (gas_used, Some(halted(&reason))),
    };
    AccessListFound { list, gas_used, error }
}
