//! The contracts that are part of the machine: Ethereum's, and batch payments on networks of BXP.

use crate::{
    Fees, Rules,
    payments::{self, NEW_ACCOUNT_GAS, PAYMENT_GAS, PAYMENTS, Refusal},
};
use alloy_primitives::{Address, Bytes, map::AddressSet};
use revm::{
    context_interface::{Cfg, ContextTr, JournalTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, CallScheme, CallValue, Gas, InstructionResult, InterpreterResult},
    primitives::hardfork::SpecId,
};

/// The contracts of one block's rules.
#[derive(Clone, Debug)]
pub struct Precompiles {
    ethereum: EthPrecompiles,
    /// Whether [`PAYMENTS`] is one.
    payments: bool,
    warm: AddressSet,
}

impl Precompiles {
    /// The contracts of the block that `rules` are of.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let (ethereum, payments) = (EthPrecompiles::new(rules.fork), rules.fees == Fees::Treasury);
        let mut warm = ethereum.warm_addresses().clone();
        if payments {
            warm.insert(PAYMENTS);
        }
        Self { ethereum, payments, warm }
    }

    /// Where the contracts stand.
    #[must_use]
    pub const fn addresses(&self) -> &AddressSet {
        &self.warm
    }

    /// Whether one of the contracts is at `address`.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.warm.contains(address)
    }
}

impl<C: ContextTr<Cfg: Cfg<Spec = SpecId>>> PrecompileProvider<C> for Precompiles {
    type Output = InterpreterResult;

    /// The fork is that of the rules and does not change.
    fn set_spec(&mut self, _: SpecId) -> bool {
        false
    }

    fn run(&mut self, context: &mut C, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        if self.payments && inputs.bytecode_address == PAYMENTS {
            return pay(context, inputs).map(Some);
        }
        self.ethereum.run(context, inputs)
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }
}

/// Pays. The call has moved the value to the contract already; if this ends badly, the EVM takes all of it back.
fn pay<C: ContextTr>(context: &mut C, inputs: &CallInputs) -> Result<InterpreterResult, String> {
    let mut gas = Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit, inputs.reservoir);
    let plain = inputs.scheme == CallScheme::Call && inputs.target_address == PAYMENTS && !inputs.is_static;
    let value = match inputs.value {
        CallValue::Transfer(value) if plain => value,
        _ => return Ok(refused(Refusal::Kind, gas)),
    };
    let calldata = inputs.input.as_bytes(context).to_vec();
    let payments = match payments::read(&calldata, value) {
        Ok(payments) => payments,
        Err(refusal) => return Ok(refused(refusal, gas)),
    };
    let count = u64::try_from(payments.len()).unwrap_or(u64::MAX);
    if !gas.record_regular_cost(count.saturating_mul(PAYMENT_GAS)) {
        return Ok(out_of_gas(gas));
    }
    for payment in &payments {
        let journal = context.journal_mut();
        let account = journal.load_account(payment.to).map_err(|error| error.to_string())?;
        if account.data.is_empty() && !gas.record_regular_cost(NEW_ACCOUNT_GAS) {
            return Ok(out_of_gas(gas));
        }
        let failed =
            journal.transfer(PAYMENTS, payment.to, payment.amount).map_err(|error| error.to_string())?;
        if let Some(failed) = failed {
            gas.spend_all();
            return Ok(InterpreterResult::new(failed.into(), Bytes::new(), gas));
        }
        journal.log(payments::log(inputs.caller, payment));
    }
    Ok(InterpreterResult::new(InstructionResult::Return, Bytes::new(), gas))
}

fn refused(refusal: Refusal, gas: Gas) -> InterpreterResult {
    InterpreterResult::new(InstructionResult::Revert, refusal.encoded(), gas)
}

fn out_of_gas(mut gas: Gas) -> InterpreterResult {
    gas.spend_all();
    InterpreterResult::new(InstructionResult::PrecompileOOG, Bytes::new(), gas)
}
