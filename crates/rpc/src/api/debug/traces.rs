//! Traces, with geth's tracers.

use crate::{
    context::{self, Context},
    fault::Fault,
    hash::PrefixedHash,
    select,
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::geth::{
    GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace, TraceResult,
};
use bxp_execution::ChainSpec;
use bxp_simulate::{
    Overrides, Question, Replayed, trace_block, trace_call, trace_call_within, trace_transaction,
};
use bxp_types::{Height, Ledger, StoredBlock};
use jsonrpsee::{core::async_trait, proc_macros::rpc};

/// Traces by geth's `callTracer`, `prestateTracer` (with `diffMode`), `4byteTracer`, `flatCallTracer`, `muxTracer`,
/// `noopTracer` and, without a name, the struct logger. They run again what ran, on the state before it, which has to
/// be kept.
#[rpc(server, namespace = "debug")]
trait Traces {
    /// Traces a transaction of a block.
    #[method(name = "traceTransaction")]
    async fn trace_transaction(
        &self,
        hash: PrefixedHash,
        options: Option<GethDebugTracingOptions>,
    ) -> Result<GethTrace, Fault>;

    /// Traces all transactions of the block with this number or tag.
    #[method(name = "traceBlockByNumber")]
    async fn trace_block_by_number(
        &self,
        number: BlockNumberOrTag,
        options: Option<GethDebugTracingOptions>,
    ) -> Result<Vec<TraceResult>, Fault>;

    /// Traces all transactions of the block with this hash.
    #[method(name = "traceBlockByHash")]
    async fn trace_block_by_hash(
        &self,
        hash: B256,
        options: Option<GethDebugTracingOptions>,
    ) -> Result<Vec<TraceResult>, Fault>;

    /// Traces a call on the state after a block, with overrides; with `txIndex`, on the state before the block's
    /// transaction at that index.
    #[method(name = "traceCall")]
    async fn trace_call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> Result<GethTrace, Fault>;
}

struct Methods(Context);

#[async_trait]
impl TracesServer for Methods {
    async fn trace_transaction(
        &self,
        hash: PrefixedHash,
        options: Option<GethDebugTracingOptions>,
    ) -> Result<GethTrace, Fault> {
        let spec = self.0.spec();
        let run = move |ledger: &dyn Ledger| {
            replay_transaction(ledger, &spec, hash.0, |replayed, index| {
                Ok(trace_transaction(replayed, index, &options.unwrap_or_default())?)
            })
        };
        self.0.run("debug_traceTransaction", run).await
    }

    async fn trace_block_by_number(
        &self,
        number: BlockNumberOrTag,
        options: Option<GethDebugTracingOptions>,
    ) -> Result<Vec<TraceResult>, Fault> {
        let spec = self.0.spec();
        let run = move |ledger: &dyn Ledger| {
            let height = select::height(ledger, number);
            let block =
                select::block_at(ledger, height)?.ok_or_else(|| Fault::NoBlock(format!("#{height}")))?;
            traced(ledger, &spec, &block, &options.unwrap_or_default())
        };
        self.0.run("debug_traceBlockByNumber", run).await
    }

    async fn trace_block_by_hash(
        &self,
        hash: B256,
        options: Option<GethDebugTracingOptions>,
    ) -> Result<Vec<TraceResult>, Fault> {
        let spec = self.0.spec();
        let run = move |ledger: &dyn Ledger| {
            let block =
                select::block(ledger, hash.into())?.ok_or_else(|| Fault::NoBlock(hash.to_string()))?;
            traced(ledger, &spec, &block, &options.unwrap_or_default())
        };
        self.0.run("debug_traceBlockByHash", run).await
    }

    async fn trace_call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> Result<GethTrace, Fault> {
        let spec = self.0.spec();
        let run = move |ledger: &dyn Ledger| {
            let options = options.unwrap_or_default();
            let overrides = Overrides { state: options.state_overrides, block: options.block_overrides };
            if let Some(index) = options.tx_index {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let block = select::required(ledger, block)?;
                return replay(ledger, &spec, &block, |replayed| {
                    Ok(trace_call_within(replayed, index, &overrides, &request, &options.tracing_options)?)
                });
            }
            let (block, view) = select::state(ledger, block)?;
            let question = Question {
                view: &*view,
                spec: &spec,
                header: &block.header,
                overrides,
                deadline: context::trace_deadline(),
            };
            Ok(trace_call(&question, &request, &options.tracing_options)?)
        };
        self.0.run("debug_traceCall", run).await
    }
}

fn traced(
    ledger: &dyn Ledger,
    spec: &ChainSpec,
    block: &StoredBlock,
    options: &GethDebugTracingOptions,
) -> Result<Vec<TraceResult>, Fault> {
    replay(ledger, spec, block, |replayed| Ok(trace_block(replayed, options)?))
}

/// Runs `look` on the block of a transaction, set on the state before it, with the transaction's index.
pub(in crate::api) fn replay_transaction<T>(
    ledger: &dyn Ledger,
    spec: &ChainSpec,
    hash: B256,
    look: impl FnOnce(&Replayed<'_>, usize) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let (block, index) =
        super::super::transactions::located(ledger, hash)?.ok_or(Fault::UnknownTransaction)?;
    replay(ledger, spec, &block, |replayed| look(replayed, index))
}

/// Runs `look` on `block`, set on the state before it.
pub(in crate::api) fn replay<T>(
    ledger: &dyn Ledger,
    spec: &ChainSpec,
    block: &StoredBlock,
    look: impl FnOnce(&Replayed<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let parent = block.height().0.checked_sub(1).map(Height).ok_or(Fault::GenesisTrace)?;
    let before = ledger.state(parent)?;
    look(&Replayed { before: &*before, spec, block, deadline: context::trace_deadline() })
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
