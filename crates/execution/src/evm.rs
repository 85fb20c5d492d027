//! revm, told that fees are not paid out by each transaction.

use crate::{ExecutionError, environment, overlay::Overlay};
use alloy_consensus::Header;
use revm::{
    Context, ExecuteEvm, MainBuilder, SystemCallEvm,
    context::{BlockEnv, CfgEnv, Journal, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    handler::{FrameResult, Handler, MainnetEvm},
    primitives::{Address, Bytes},
};
use std::marker::PhantomData;

type EvmContext<'a> = Context<BlockEnv, TxEnv, CfgEnv, Overlay<'a>, Journal<Overlay<'a>>, ()>;

/// The EVM over a block's overlay.
pub(crate) struct Evm<'a>(MainnetEvm<EvmContext<'a>>);

/// How a transaction ended that entered the block, or why it cannot enter.
pub(crate) type Outcome = Result<ExecutionResult, InvalidTransaction>;

impl<'a> Evm<'a> {
    /// An EVM for the block that `header` begins.
    pub(crate) fn new(overlay: Overlay<'a>, chain: CfgEnv, header: &Header) -> Self {
        let context = EvmContext::new(overlay, environment::FORK)
            .with_cfg(chain)
            .with_block(environment::block(header));
        Self(context.build_mainnet())
    }

    /// Runs a transaction and keeps what it changes; one that cannot enter changes nothing.
    pub(crate) fn transact(&mut self, transaction: TxEnv) -> Result<Outcome, ExecutionError> {
        self.0.ctx.tx = transaction;
        let result = WithoutReward(PhantomData).run(&mut self.0);
        let changes = self.0.finalize();
        match result {
            Ok(result) => {
                self.overlay().apply(changes)?;
                Ok(Ok(result))
            }
            Err(EVMError::Transaction(invalid)) => Ok(Err(invalid)),
            Err(error) => Err(fatal(error)),
        }
    }

    /// Calls a contract as the system (EIP-2935, EIP-4788) and keeps what it changes.
    pub(crate) fn system_call(&mut self, contract: Address, data: Bytes) -> Result<(), ExecutionError> {
        let called = self.0.system_call(contract, data).map_err(fatal)?;
        self.overlay().apply(called.state)
    }

    pub(crate) fn overlay(&mut self) -> &mut Overlay<'a> {
        &mut self.0.ctx.journaled_state.database
    }

    pub(crate) fn into_overlay(self) -> Overlay<'a> {
        self.0.ctx.journaled_state.database
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

impl<'a> Handler for WithoutReward<MainnetEvm<EvmContext<'a>>> {
    type Evm = MainnetEvm<EvmContext<'a>>;
    type Error = EVMError<ExecutionError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, _: &mut Self::Evm, _: &mut FrameResult) -> Result<(), Self::Error> {
        Ok(())
    }
}
