//! The `debug_trace` family: geth's tracers over what has run, or over a call.

mod steps;

use crate::{
    Deadline, Overrides, Question, Replayed, SimulateError,
    database::Database,
    environment,
    machine::{Machine, RunContext},
    request,
};
use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::geth::{
    GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions, GethTrace, TraceResult,
};
use revm::{
    DatabaseCommit, Inspector,
    context::TxEnv,
    context_interface::{ContextError, ContextTr},
    handler::FrameResult,
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter},
    primitives::{Address, Log, U256},
};
use revm_inspectors::tracing::{
    DebugInspector, DebugInspectorError, TraceLimitBehavior, TraceLimits, TransactionContext,
};
use steps::Steps;

/// The most bytes that one trace records, by estimate.
pub const RECORDED_BYTES_MAX: usize = 64 << 20;
/// Bytes of a recorded call without its input.
const CALL_BYTES: usize = 1_024;
const LIMIT_WORDS: &str =
    "trace byte limit reached: ask for less (no memory, disableStack, disableStorage, limit, another tracer)";

/// Traces the block's transaction at `index`.
///
/// # Errors
/// [`SimulateError::InvalidParams`] for an unknown tracer or index, [`SimulateError::Timeout`],
/// [`SimulateError::Limit`], [`SimulateError::Ledger`].
pub fn trace_transaction(
    replayed: &Replayed<'_>,
    index: usize,
    options: &GethDebugTracingOptions,
) -> Result<GethTrace, SimulateError> {
    let mut tracer = Tracer::new(options)?;
    let (machine, mut database, transaction) = replayed.before(index)?;
    let context = TransactionContext {
        block_hash: Some(replayed.block.hash),
        tx_hash: Some(*transaction.tx_hash()),
        tx_index: Some(index),
    };
    let transaction = environment::transaction(transaction);
    tracer.run(&machine, &mut database, transaction, Some(context), replayed.deadline, false)
}

/// Traces all transactions of the block, in order.
///
/// # Errors
/// As [`trace_transaction`].
pub fn trace_block(
    replayed: &Replayed<'_>,
    options: &GethDebugTracingOptions,
) -> Result<Vec<TraceResult>, SimulateError> {
    let mut tracer = Tracer::new(options)?;
    let (machine, mut database) = replayed.begin()?;
    let mut results = Vec::with_capacity(replayed.block.transactions.len());
    for (index, transaction) in replayed.block.transactions.iter().enumerate() {
        let hash: B256 = *transaction.tx_hash();
        let context = TransactionContext {
            block_hash: Some(replayed.block.hash),
            tx_hash: Some(hash),
            tx_index: Some(index),
        };
        let transaction = environment::transaction(transaction);
        let trace =
            tracer.run(&machine, &mut database, transaction, Some(context), replayed.deadline, true)?;
        results.push(TraceResult::Success { result: trace, tx_hash: Some(hash) });
    }
    Ok(results)
}

/// Traces a call.
///
/// # Errors
/// As [`crate::call`] and [`trace_transaction`].
pub fn trace_call(
    question: &Question<'_>,
    request: &TransactionRequest,
    options: &GethDebugTracingOptions,
) -> Result<GethTrace, SimulateError> {
    let mut tracer = Tracer::new(options)?;
    let (mut machine, mut database) = question.open()?;
    let transaction = request::transaction(&mut machine, &mut database, request)?;
    tracer.run(&machine, &mut database, transaction, None, question.deadline, false)
}

/// Traces a call on the state before the block's transaction at `index`, as in that block.
///
/// # Errors
/// As [`trace_call`]; [`SimulateError::InvalidParams`] for an unknown index.
pub fn trace_call_within(
    replayed: &Replayed<'_>,
    index: usize,
    overrides: &Overrides,
    request: &TransactionRequest,
    options: &GethDebugTracingOptions,
) -> Result<GethTrace, SimulateError> {
    let mut tracer = Tracer::new(options)?;
    let (mut machine, mut database, _) = replayed.before(index)?;
    request::prepare(&mut machine, &mut database, overrides)?;
    let transaction = request::transaction(&mut machine, &mut database, request)?;
    tracer.run(&machine, &mut database, transaction, None, replayed.deadline, false)
}

/// A tracer of geth's with a budget of what it records.
struct Tracer {
    inspector: DebugInspector,
    /// What is recorded of each instruction; none for tracers of calls alone.
    steps: Option<Steps>,
    recorded: usize,
}

impl Tracer {
    fn new(options: &GethDebugTracingOptions) -> Result<Self, SimulateError> {
        let named = options.tracer.as_ref().filter(|tracer| !tracer.as_str().is_empty());
        // The tracer of ERC-7562 records every instruction with stack and memory, whatever the options say.
        if let Some(
            GethDebugTracerType::JsTracer(_)
            | GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::Erc7562Tracer),
        ) = named
        {
            return Err(SimulateError::InvalidParams(
                "unknown tracer; there are callTracer, prestateTracer, 4byteTracer, flatCallTracer, muxTracer, \
                 noopTracer and, without a name, the struct logger"
                    .to_owned(),
            ));
        }
        let inspector = limited(DebugInspector::new(options.clone()).map_err(wrong)?);
        let steps = named.is_none().then(|| Steps::new(&options.config));
        Ok(Self { inspector, steps, recorded: 0 })
    }

    fn run(
        &mut self,
        machine: &Machine,
        database: &mut Database<'_>,
        transaction: TxEnv,
        context: Option<TransactionContext>,
        deadline: Deadline,
        keep: bool,
    ) -> Result<GethTrace, SimulateError> {
        if let Some(steps) = &mut self.steps {
            steps.restart();
        }
        let ran = machine.inspect(database, transaction.clone(), self, deadline)?;
        let trace = self.inspector.get_result(context, &transaction, &machine.block, &ran, database);
        let trace = trace.map_err(|error| match error {
            DebugInspectorError::Database(error) => SimulateError::Ledger(error.0),
            other => SimulateError::Evm(other.to_string()),
        })?;
        self.inspector.fuse().map_err(wrong)?;
        if keep {
            database.commit(ran.state);
        }
        Ok(trace)
    }

    fn record<CTX: ContextTr>(&mut self, bytes: usize, context: &mut CTX) -> bool {
        self.recorded = self.recorded.saturating_add(bytes);
        if self.recorded > RECORDED_BYTES_MAX && context.error().is_ok() {
            *context.error() = Err(ContextError::Custom(LIMIT_WORDS.to_owned()));
        }
        self.recorded > RECORDED_BYTES_MAX
    }
}

/// The same inspector with its own bound on the buffers that it copies. What is charged here is more and comes first.
fn limited(inspector: DebugInspector) -> DebugInspector {
    let limits = TraceLimits::default()
        .set_max_recorded_bytes(Some(RECORDED_BYTES_MAX))
        .set_behavior(TraceLimitBehavior::Halt);
    match inspector {
        DebugInspector::CallTracer(inner, config) => {
            DebugInspector::CallTracer(inner.with_limits(limits), config)
        }
        DebugInspector::FlatCallTracer(inner) => DebugInspector::FlatCallTracer(inner.with_limits(limits)),
        DebugInspector::Default(inner, config) => DebugInspector::Default(inner.with_limits(limits), config),
        other => other,
    }
}

fn wrong(error: DebugInspectorError) -> SimulateError {
    SimulateError::InvalidParams(error.to_string())
}

impl<'b, 'a> Inspector<RunContext<'b, 'a>> for Tracer {
    fn initialize_interp(&mut self, interp: &mut Interpreter, context: &mut RunContext<'b, 'a>) {
        self.inspector.initialize_interp(interp, context);
    }

    fn step(&mut self, interp: &mut Interpreter, context: &mut RunContext<'b, 'a>) {
        // Also where a call or a log has been one too many: a tracer of calls records until the run ends.
        let bytes = self.steps.as_mut().map_or(0, |steps| steps.bytes(interp));
        if self.record(bytes, context) {
            interp.halt_fatal();
            return;
        }
        self.inspector.step(interp, context);
    }

    fn step_end(&mut self, interp: &mut Interpreter, context: &mut RunContext<'b, 'a>) {
        self.inspector.step_end(interp, context);
    }

    fn log(&mut self, context: &mut RunContext<'b, 'a>, log: Log) {
        self.record(CALL_BYTES + log.data.data.len(), context);
        self.inspector.log(context, log);
    }

    fn log_full(&mut self, interp: &mut Interpreter, context: &mut RunContext<'b, 'a>, log: Log) {
        self.record(CALL_BYTES + log.data.data.len(), context);
        self.inspector.log_full(interp, context, log);
    }

    fn frame_start(
        &mut self,
        context: &mut RunContext<'b, 'a>,
        input: &mut FrameInput,
    ) -> Option<FrameResult> {
        let bytes = match input {
            FrameInput::Call(call) => call.input.len(),
            FrameInput::Create(create) => create.init_code().len(),
            FrameInput::Empty => 0,
        };
        self.record(CALL_BYTES + bytes, context);
        self.inspector.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut RunContext<'b, 'a>, input: &FrameInput, result: &mut FrameResult) {
        self.inspector.frame_end(context, input, result);
    }

    fn call(&mut self, context: &mut RunContext<'b, 'a>, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.inspector.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut RunContext<'b, 'a>, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.record(outcome.result.output.len(), context);
        self.inspector.call_end(context, inputs, outcome);
    }

    fn create(
        &mut self,
        context: &mut RunContext<'b, 'a>,
        inputs: &mut CreateInputs,
    ) -> Option<CreateOutcome> {
        self.inspector.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut RunContext<'b, 'a>,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.record(outcome.result.output.len(), context);
        self.inspector.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<RunContext<'b, 'a>>::selfdestruct(&mut self.inspector, contract, target, value);
    }
}
