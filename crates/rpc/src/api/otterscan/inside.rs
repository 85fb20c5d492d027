//! What happened inside a transaction.

use crate::{
    api::{debug::traces::replay_transaction, state::code_of},
    context::Context,
    fault::Fault,
    hash::PrefixedHash,
    select,
};
use alloy_eips::BlockId;
use alloy_primitives::{Address, Bytes};
use alloy_rpc_types_trace::{
    geth::{GethDebugTracingOptions, GethTrace},
    otterscan::InternalOperation,
};
use bxp_simulate::{CallEntry, calls_of, internal_operations, trace_transaction};
use bxp_types::Ledger;
use jsonrpsee::{core::async_trait, proc_macros::rpc};

/// The insides of transactions.
#[rpc(server, namespace = "ots")]
trait Inside {
    /// Whether there is code at the address after the block.
    #[method(name = "hasCode")]
    async fn has_code(&self, address: Address, block: Option<BlockId>) -> Result<bool, Fault>;

    /// Value that moved, contracts that were made and destroyed inside of the transaction.
    #[method(name = "getInternalOperations")]
    async fn internal_operations(&self, hash: PrefixedHash) -> Result<Vec<InternalOperation>, Fault>;

    /// All calls of the transaction, in the order in which they began, each with its depth.
    #[method(name = "traceTransaction")]
    async fn trace(&self, hash: PrefixedHash) -> Result<Vec<CallEntry>, Fault>;

    /// The revert data of a transaction that reverted; empty for any other.
    #[method(name = "getTransactionError")]
    async fn transaction_error(&self, hash: PrefixedHash) -> Result<Bytes, Fault>;
}

struct Methods(Context);

#[async_trait]
impl InsideServer for Methods {
    async fn has_code(&self, address: Address, block: Option<BlockId>) -> Result<bool, Fault> {
        let read =
            move |ledger: &dyn Ledger| Ok(!code_of(&*select::state(ledger, block)?.1, address)?.is_empty());
        self.0.run("ots_hasCode", read).await
    }

    async fn internal_operations(&self, hash: PrefixedHash) -> Result<Vec<InternalOperation>, Fault> {
        let spec = self.0.spec();
        let run = move |ledger: &dyn Ledger| {
            replay_transaction(ledger, &spec, hash.0, |replayed, index| {
                Ok(internal_operations(replayed, index)?)
            })
        };
        self.0.run("ots_getInternalOperations", run).await
    }

    async fn trace(&self, hash: PrefixedHash) -> Result<Vec<CallEntry>, Fault> {
        let spec = self.0.spec();
        let run = move |ledger: &dyn Ledger| {
            replay_transaction(ledger, &spec, hash.0, |replayed, index| Ok(calls_of(replayed, index)?))
        };
        self.0.run("ots_traceTransaction", run).await
    }

    async fn transaction_error(&self, hash: PrefixedHash) -> Result<Bytes, Fault> {
        let spec = self.0.spec();
        let run = move |ledger: &dyn Ledger| {
            let options = GethDebugTracingOptions::call_tracer(Default::default());
            let trace = replay_transaction(ledger, &spec, hash.0, |replayed, index| {
                Ok(trace_transaction(replayed, index, &options)?)
            })?;
            Ok(match trace {
                GethTrace::CallTracer(frame) if frame.error.is_some() => frame.output.unwrap_or_default(),
                _ => Bytes::new(),
            })
        };
        self.0.run("ots_getTransactionError", run).await
    }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
