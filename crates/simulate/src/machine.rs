//! The EVM of one block, over a run's database.

use crate::{
    Deadline, SimulateError,
    database::{Database, ReadError},
    deadline::Watched,
    environment,
    precompiles::{Moves, Precompiles},
};
use alloy_consensus::Header;
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{Address, Bytes};
use bxp_execution::{ChainSpec, Fees, Rules};
use revm::{
    Context, Database as _, DatabaseCommit, ExecuteEvm, Inspector, SystemCallEvm,
    context::{BlockEnv, CfgEnv, Evm, Journal, JournalTr, TxEnv},
    context_interface::{
        ContextTr,
        result::{EVMError, ExecutionResult, HaltReason, ResultAndState},
    },
    handler::{
        EthFrame, EvmTr, EvmTrError, FrameResult, Handler, evm::FrameTr, instructions::EthInstructions,
        post_execution,
    },
    inspector::{InspectorEvmTr, InspectorHandler, NoOpInspector},
    interpreter::{interpreter::EthInterpreter, interpreter_action::FrameInit},
    primitives::hardfork::SpecId,
    state::EvmState,
};
use std::marker::PhantomData;

/// The context of a run.
pub(crate) type RunContext<'b, 'a> =
    Context<BlockEnv, TxEnv, CfgEnv, &'b mut Database<'a>, Journal<&'b mut Database<'a>>, ()>;

type RunEvm<'b, 'a, I> = Evm<
    RunContext<'b, 'a>,
    I,
    EthInstructions<EthInterpreter, RunContext<'b, 'a>>,
    Precompiles,
    EthFrame<EthInterpreter>,
>;

/// What a run stands in: chain, block, precompiles, and who is paid.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) chain: CfgEnv,
    pub(crate) block: BlockEnv,
    pub(crate) moves: Moves,
    pub(crate) rules: Rules,
}

impl Machine {
    /// The machine of the block with this header.
    pub(crate) fn new(spec: &ChainSpec, header: &Header) -> Self {
        let rules = spec.rules(header);
        Self {
            chain: environment::chain(spec, &rules),
            block: environment::block(header, &rules),
            moves: Moves::default(),
            rules,
        }
    }

    fn evm<'b, 'a, I>(&self, database: &'b mut Database<'a>, inspector: I) -> RunEvm<'b, 'a, I> {
        let fork = self.chain.spec;
        let context =
            RunContext::new(database, fork).with_cfg(self.chain.clone()).with_block(self.block.clone());
        Evm::new_with_inspector(
            context,
            inspector,
            EthInstructions::new_mainnet_with_spec(fork),
            Precompiles::new(&self.rules, self.moves.clone()),
        )
    }

    /// Runs a transaction and gives what it changed; nothing is kept. Gas alone bounds the time.
    pub(crate) fn run(
        &self,
        database: &mut Database<'_>,
        transaction: TxEnv,
    ) -> Result<ResultAndState, SimulateError> {
        let mut evm = self.evm(database, NoOpInspector);
        evm.ctx.tx = transaction;
        let result = Payer { fees: self.rules.fees, evm: PhantomData }.run(&mut evm);
        let state = evm.finalize();
        Ok(ResultAndState::new(result.map_err(|error| self.error(error, &evm.ctx.tx))?, state))
    }

    /// Runs a transaction under an inspector, until `deadline` at most.
    pub(crate) fn inspect<'b, 'a, I>(
        &self,
        database: &'b mut Database<'a>,
        transaction: TxEnv,
        inspector: &mut I,
        deadline: Deadline,
    ) -> Result<ResultAndState, SimulateError>
    where
        I: Inspector<RunContext<'b, 'a>>,
    {
        let mut evm = self.evm(database, Watched::new(inspector, deadline));
        evm.ctx.tx = transaction;
        let result = Payer { fees: self.rules.fees, evm: PhantomData }.inspect_run(&mut evm);
        let state = evm.finalize();
        Ok(ResultAndState::new(result.map_err(|error| self.error(error, &evm.ctx.tx))?, state))
    }

    /// Runs a transaction and keeps what it changed in `database`.
    pub(crate) fn commit(
        &self,
        database: &mut Database<'_>,
        transaction: TxEnv,
    ) -> Result<ExecutionResult, SimulateError> {
        let ran = self.run(database, transaction)?;
        database.commit(ran.state);
        Ok(ran.result)
    }

    /// What the chain itself calls before the first transaction of a block (EIP-2935, EIP-4788).
    pub(crate) fn before_transactions(
        &self,
        database: &mut Database<'_>,
        header: &Header,
    ) -> Result<(), SimulateError> {
        if self.chain.spec.is_enabled_in(SpecId::CANCUN) {
            let root = header.parent_beacon_block_root.unwrap_or_default();
            self.system_call(database, BEACON_ROOTS_ADDRESS, root.into())?;
        }
        if self.chain.spec.is_enabled_in(SpecId::PRAGUE) {
            self.system_call(database, HISTORY_STORAGE_ADDRESS, header.parent_hash.into())?;
        }
        Ok(())
    }

    fn system_call(
        &self,
        database: &mut Database<'_>,
        contract: Address,
        data: Bytes,
    ) -> Result<(), SimulateError> {
        let account = database.basic(contract).map_err(|ReadError(error)| error)?;
        if account.is_none_or(|account| account.is_empty_code_hash()) {
            return Ok(());
        }
        let mut evm = self.evm(database, NoOpInspector);
        let called = evm.system_call(contract, data).map_err(|error| self.error(error, &TxEnv::default()))?;
        drop(evm);
        database.commit(called.state);
        Ok(())
    }

    fn error(&self, error: EVMError<ReadError>, transaction: &TxEnv) -> SimulateError {
        SimulateError::new(error, transaction, self.block.basefee)
    }
}

/// The mainnet's handler; whether it pays the beneficiary is as the chain has it.
struct Payer<EVM> {
    fees: Fees,
    evm: PhantomData<EVM>,
}

impl<EVM> Handler for Payer<EVM>
where
    EVM: EvmTr<
            Context: ContextTr<Journal: JournalTr<State = EvmState>>,
            Frame: FrameTr<FrameResult = FrameResult, FrameInit = FrameInit>,
        >,
    EVMError<ReadError>: EvmTrError<EVM>,
{
    type Evm = EVM;
    type Error = EVMError<ReadError>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut EVM, result: &mut FrameResult) -> Result<(), Self::Error> {
        match self.fees {
            Fees::Treasury => Ok(()),
            Fees::Burnt => post_execution::reward_beneficiary(evm.ctx(), result.gas()).map_err(From::from),
        }
    }
}

impl<EVM> InspectorHandler for Payer<EVM>
where
    EVM: InspectorEvmTr<
            Context: ContextTr<Journal: JournalTr<State = EvmState>>,
            Frame = EthFrame<EthInterpreter>,
            Inspector: Inspector<<EVM as EvmTr>::Context, EthInterpreter>,
        >,
    EVMError<ReadError>: EvmTrError<EVM>,
{
    type IT = EthInterpreter;
}
