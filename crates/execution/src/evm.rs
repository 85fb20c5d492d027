//! revm, told that fees are not paid out by each transaction.

use crate::{
    ChainSpec, ExecutionError, Fees, Rules, environment,
    overlay::Overlay,
    precompiles::Precompiles,
    shortcut::{self, Plain},
};
use alloy_consensus::Header;
use bxp_types::RecoveredTransaction;
use revm::{
    Context, Database, ExecuteEvm, MainBuilder, SystemCallEvm,
    context::{BlockEnv, CfgEnv, Journal, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction},
    handler::{EthFrame, FrameResult, Handler, MainnetHandler, instructions::EthInstructions},
    interpreter::interpreter::EthInterpreter,
    primitives::{Address, Bytes},
    state::{AccountInfo, EvmState},
};
use std::marker::PhantomData;

/// The state as the next transaction of a block sees it.
pub(crate) trait BlockState: Database<Error = ExecutionError> {
    /// Says who sends the next transaction; nobody can create a contract there.
    fn sends(&mut self, sender: Address);

    /// The account at `address` as it is, which is not always what the EVM is told of it; none where there is none.
    fn account(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionError>;
}

type EvmContext<S> = Context<BlockEnv, TxEnv, CfgEnv, S, Journal<S>, ()>;

/// revm with the contracts of the chain's own.
type Machine<S> = revm::context::Evm<
    EvmContext<S>,
    (),
    EthInstructions<EthInterpreter, EvmContext<S>>,
    Precompiles,
    EthFrame<EthInterpreter>,
>;

/// The EVM for the transactions of one block.
pub(crate) struct Evm<S: BlockState> {
    evm: Machine<S>,
    fees: Fees,
}

/// The EVM over a block's overlay.
pub(crate) type OverlayEvm<'a> = Evm<Overlay<'a>>;

/// How a transaction ended that entered the block, or why it cannot enter.
pub(crate) type Outcome = Result<ExecutionResult, InvalidTransaction>;

impl<S: BlockState> Evm<S> {
    /// An EVM for the block that `header` begins.
    pub(crate) fn new(state: S, spec: &ChainSpec, header: &Header) -> Self {
        let rules = spec.rules(header);
        Self::with_chain(state, environment::chain(spec, &rules), header, &rules)
    }

    /// An EVM that is told of another chain than the block's.
    pub(crate) fn with_chain(state: S, chain: CfgEnv, header: &Header, rules: &Rules) -> Self {
        let context =
            EvmContext::new(state, rules.fork).with_cfg(chain).with_block(environment::block(header, rules));
        let evm = context.build_mainnet().with_precompiles(Precompiles::new(rules));
        Self { evm, fees: rules.fees }
    }

    /// Runs a transaction, and returns with its outcome what it changes, which is not kept; one that cannot enter changes
    /// nothing.
    pub(crate) fn run(&mut self, transaction: TxEnv) -> Result<(Outcome, EvmState), ExecutionError> {
        self.state().sends(transaction.caller);
        self.evm.ctx.tx = transaction;
        let result = match self.fees {
            Fees::Treasury => WithoutReward(PhantomData).run(&mut self.evm),
            Fees::Burnt => MainnetHandler::default().run(&mut self.evm),
        };
        let changes = self.evm.finalize();
        match result {
            Ok(result) => Ok((Ok(result), changes)),
            Err(EVMError::Transaction(invalid)) => Ok((Err(invalid), EvmState::default())),
            Err(error) => Err(fatal(error)),
        }
    }

    /// What a transaction gives without the EVM, where that is plain; see [`shortcut`](crate::shortcut). Nothing is kept.
    pub(crate) fn shortcut(
        &mut self,
        transaction: &RecoveredTransaction,
        base_fee: u64,
    ) -> Result<Option<Plain>, ExecutionError> {
        let state = &mut self.evm.ctx.journaled_state.database;
        shortcut::plan(state, &self.evm.precompiles, transaction, base_fee)
    }

    pub(crate) const fn state(&mut self) -> &mut S {
        &mut self.evm.ctx.journaled_state.database
    }
}

impl<'a> OverlayEvm<'a> {
    /// Runs a transaction and keeps what it changes; one that cannot enter changes nothing.
    pub(crate) fn transact(&mut self, transaction: TxEnv) -> Result<Outcome, ExecutionError> {
        let (outcome, changes) = self.run(transaction)?;
        self.overlay().apply(changes)?;
        Ok(outcome)
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

    pub(crate) const fn overlay(&mut self) -> &mut Overlay<'a> {
        self.state()
    }

    /// The block's state, when no transaction follows.
    pub(crate) fn into_overlay(self) -> Overlay<'a> {
        self.evm.ctx.journaled_state.database
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

impl<S: BlockState> Handler for WithoutReward<Machine<S>> {
    type Evm = Machine<S>;
    type Error = EVMError<ExecutionError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, _: &mut Self::Evm, _: &mut FrameResult) -> Result<(), Self::Error> {
        Ok(())
    }
}
