//! The chain's precompiles, with those moved or hidden that an override says so of.

use crate::deadline::{Clock, WORDS};
use bxp_execution::{Precompiles as Builtin, Rules};
use revm::{
    context::Cfg,
    context_interface::ContextTr,
    handler::PrecompileProvider,
    interpreter::{CallInputs, InterpreterResult},
    primitives::{Address, AddressSet, hardfork::SpecId},
};
use std::collections::{BTreeMap, BTreeSet};

/// Which precompiles do not stand where they belong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    /// Precompiles by the address that they have been moved to.
    pub(crate) moved: BTreeMap<Address, Address>,
    /// Addresses whose precompile is gone.
    pub(crate) hidden: BTreeSet<Address>,
}

/// The precompiles of a run.
#[derive(Clone, Debug)]
pub(crate) struct Precompiles {
    builtin: Builtin,
    moves: Moves,
    /// Where they belong, whatever has been moved: as in geth, an override changes no gas.
    warm: AddressSet,
}

impl Precompiles {
    pub(crate) fn new(rules: &Rules, moves: Moves) -> Self {
        let builtin = Builtin::new(rules);
        let warm = builtin.addresses().clone();
        Self { builtin, moves, warm }
    }
}

/// Whether there is a precompile at `address` by these rules.
pub(crate) fn is_precompile(rules: &Rules, address: &Address) -> bool {
    Builtin::new(rules).contains(address)
}

impl<CTX> PrecompileProvider<CTX> for Precompiles
where
    CTX: ContextTr<Cfg: Cfg<Spec = SpecId>, Chain = Clock>,
{
    type Output = InterpreterResult;

    /// The fork is that of the rules and does not change.
    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<CTX>::set_spec(&mut self.builtin, spec)
    }

    /// Asked at every call, whoever is called.
    fn run(&mut self, context: &mut CTX, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        if context.chain_mut().is_over() {
            return Err(WORDS.to_owned());
        }
        if let Some(origin) = self.moves.moved.get(&inputs.bytecode_address) {
            let inputs = CallInputs { bytecode_address: *origin, ..inputs.clone() };
            return self.builtin.run(context, &inputs);
        }
        if self.moves.hidden.contains(&inputs.bytecode_address) {
            return Ok(None);
        }
        self.builtin.run(context, inputs)
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }
}
