//! The EVM of one block, over a run's database.

use crate::{
    Deadline, SimulateError,
    database::{Database, ReadError},
    deadline::{Clock, WORDS, Watched},
    environment,
    precompiles::{Moves, Precompiles},
};
use alloy_consensus::Header;
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{Address, Bytes};
use bxp_execution::{ChainSpec, Fees, Rules};
use revm::{
    Context, Database as _, DatabaseCommit, ExecuteEvm, Inspector, SystemCallEvm,
    bytecode::opcode::JUMPDEST,
    context::{BlockEnv, CfgEnv, Evm, Journal, JournalTr, TxEnv},
    context_interface::{
        ContextError, ContextTr,
        result::{EVMError, ExecutionResult, HaltReason, ResultAndState},
    },
    handler::{
        EthFrame, EvmTr, EvmTrError, FrameResult, Handler, evm::FrameTr, instructions::EthInstructions,
        post_execution,
    },
    inspector::{InspectorEvmTr, InspectorHandler, NoOpInspector},
    interpreter::{
        Instruction, InstructionContext, InstructionResult, interpreter::EthInterpreter,
        interpreter_action::FrameInit,
    },
    primitives::hardfork::SpecId,
    state::EvmState,
};
use std::marker::PhantomData;

/// Gas of `JUMPDEST`, in every fork.
const JUMPDEST_GAS: u16 = 1;

/// The context of a run.
pub(crate) type RunContext<'b, 'a> =
    Context<BlockEnv, TxEnv, CfgEnv, &'b mut Database<'a>, Journal<&'b mut Database<'a>>, Clock>;

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

    fn evm<'b, 'a, I>(
        &self,
        database: &'b mut Database<'a>,
        inspector: I,
        clock: Clock,
    ) -> RunEvm<'b, 'a, I> {
        let fork = self.chain.spec;
        let mut context =
            RunContext::new(database, fork).with_cfg(self.chain.clone()).with_block(self.block.clone());
        context.chain = clock;
        let mut instructions = EthInstructions::new_mainnet_with_spec(fork);
        instructions.insert_instruction(
            JUMPDEST,
            Instruction::<EthInterpreter, RunContext<'b, 'a>>::new(jump_destination),
            JUMPDEST_GAS,
        );
        Evm::new_with_inspector(
            context,
            inspector,
            instructions,
            Precompiles::new(&self.rules, self.moves.clone()),
        )
    }

    /// Runs a transaction and gives what it changed, until `deadline` at most; nothing is kept. There is no inspector
    /// that each instruction would pay for: jump destinations and calls look at the clock, and no code runs for long
    /// without them.
    pub(crate) fn run(
        &self,
        database: &mut Database<'_>,
        transaction: TxEnv,
        deadline: Deadline,
    ) -> Result<ResultAndState, SimulateError> {
        let mut evm = self.evm(database, NoOpInspector, Clock::until(deadline));
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
        let mut evm = self.evm(database, Watched::new(inspector, deadline), Clock::default());
        evm.ctx.tx = transaction;
        let result = Payer { fees: self.rules.fees, evm: PhantomData }.inspect_run(&mut evm);
        let state = evm.finalize();
        Ok(ResultAndState::new(result.map_err(|error| self.error(error, &evm.ctx.tx))?, state))
    }

    /// Runs a transaction, until `deadline` at most, and keeps what it changed in `database`.
    pub(crate) fn commit(
        &self,
        database: &mut Database<'_>,
        transaction: TxEnv,
        deadline: Deadline,
    ) -> Result<ExecutionResult, SimulateError> {
        let ran = self.run(database, transaction, deadline)?;
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
        let mut evm = self.evm(database, NoOpInspector, Clock::default());
        let called = evm.system_call(contract, data).map_err(|error| self.error(error, &TxEnv::default()))?;
        drop(evm);
        database.commit(called.state);
        Ok(())
    }

    fn error(&self, error: EVMError<ReadError>, transaction: &TxEnv) -> SimulateError {
        SimulateError::new(error, transaction, self.block.basefee)
    }
}

/// `JUMPDEST`, which also ends a run whose time is over: every loop comes by here.
fn jump_destination(
    context: InstructionContext<'_, RunContext<'_, '_>, EthInterpreter>,
) -> Result<(), InstructionResult> {
    if context.host.chain.is_over() {
        context.host.error = Err(ContextError::Custom(WORDS.to_owned()));
        return Err(InstructionResult::FatalExternalError);
    }
    Ok(())
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
