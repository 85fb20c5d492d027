//! revm, told that fees are not paid out by each transaction.

use crate::{
    ChainSpec, ExecutionError, Fees, Rules, environment, overlay::Overlay, precompiles::Precompiles,
    receipts::Ended, shortcut,
};
use alloy_consensus::Header;
use bxp_types::RecoveredTransaction;
use revm::{
    Context, ExecuteEvm, MainBuilder, SystemCallEvm,
    context::{BlockEnv, CfgEnv, Journal, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    handler::{EthFrame, FrameResult, Handler, MainnetHandler, instructions::EthInstructions},
    interpreter::interpreter::EthInterpreter,
    primitives::{Address, Bytes},
};
use std::marker::PhantomData;

type EvmContext<'a> = Context<BlockEnv, TxEnv, CfgEnv, Overlay<'a>, Journal<Overlay<'a>>, ()>;

/// revm with the contracts of the chain's own.
type Machine<'a> = revm::context::Evm<
    EvmContext<'a>,
    (),
    EthInstructions<EthInterpreter, EvmContext<'a>>,
    Precompiles,
    EthFrame<EthInterpreter>,
>;

/// The EVM over a block's overlay.
pub(crate) struct Evm<'a> {
    evm: Machine<'a>,
    fees: Fees,
}

/// How a transaction ended that entered the block, or why it cannot enter.
pub(crate) type Outcome = Result<ExecutionResult, InvalidTransaction>;

impl<'a> Evm<'a> {
    /// An EVM for the block that `header` begins.
    pub(crate) fn new(overlay: Overlay<'a>, spec: &ChainSpec, header: &Header) -> Self {
        let rules = spec.rules(header);
        Self::with_chain(overlay, environment::chain(spec, &rules), header, &rules)
    }

    /// An EVM that is told of another chain than the block's.
    pub(crate) fn with_chain(overlay: Overlay<'a>, chain: CfgEnv, header: &Header, rules: &Rules) -> Self {
        let context = EvmContext::new(overlay, rules.fork)
            .with_cfg(chain)
            .with_block(environment::block(header, rules));
        let evm = context.build_mainnet().with_precompiles(Precompiles::new(rules));
        Self { evm, fees: rules.fees }
    }

    /// Runs a transaction and keeps what it changes; one that cannot enter changes nothing.
    pub(crate) fn transact(&mut self, transaction: TxEnv) -> Result<Outcome, ExecutionError> {
        self.overlay().sends(transaction.caller);
        self.evm.ctx.tx = transaction;
        let result = match self.fees {
            Fees::Treasury => WithoutReward(PhantomData).run(&mut self.evm),
            Fees::Burnt => MainnetHandler::default().run(&mut self.evm),
        };
        let changes = self.evm.finalize();
        match result {
            Ok(result) => {
                self.overlay().apply(changes)?;
                Ok(Ok(result))
            }
            Err(EVMError::Transaction(invalid)) => Ok(Err(invalid)),
            Err(error) => Err(fatal(error)),
        }
    }

    /// Calls a contract as the system (EIP-2935, EIP-4788, EIP-7002, EIP-7251), keeps what it changes and returns how
    /// it ended.
    pub(crate) fn system_call(
        &mut self,
        contract: Address,
        data: Bytes,
    ) -> Result<ExecutionResult, ExecutionError> {
        let called = self.evm.system_call(contract, data).map_err(fatal)?;
        self.overlay().apply(called.state)?;
        Ok(called.result)
    }

    /// Runs a transaction without the EVM where its outcome is plain; see [`shortcut`](crate::shortcut).
    pub(crate) fn take_shortcut(
        &mut self,
        transaction: &RecoveredTransaction,
        base_fee: u64,
    ) -> Result<Option<Ended>, ExecutionError> {
        let overlay = &mut self.evm.ctx.journaled_state.database;
        shortcut::take(overlay, &self.evm.precompiles, transaction, base_fee)
    }

    pub(crate) fn overlay(&mut self) -> &mut Overlay<'a> {
        &mut self.evm.ctx.journaled_state.database
    }
}

fn fatal(error: EVMError<ExecutionError>) -> ExecutionError {
    match error {
        EVMError::Database(error) => error,
        other => ExecutionError::Evm(other.to_string()),
    }
}

/// The mainnet's handler, except that the beneficiary is not paid here: the block pays all fees at once, so that
/// transactions of different senders have no account in common.
struct WithoutReward<EVM>(PhantomData<EVM>);

impl<'a> Handler for WithoutReward<Machine<'a>> {
    type Evm = Machine<'a>;
    type Error = EVMError<ExecutionError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, _: &mut Self::Evm, _: &mut FrameResult) -> Result<(), Self::Error> {
        Ok(())
    }
}
