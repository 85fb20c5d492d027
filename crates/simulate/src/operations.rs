//! What happened inside a transaction, in Otterscan's shapes.

use crate::{Replayed, SimulateError, environment, trace_transaction};
use alloy_primitives::Address;
use alloy_rpc_types_trace::{
    geth::{CallFrame, GethDebugTracingOptions, GethTrace},
    otterscan::{InternalOperation, TraceEntry},
};
use revm_inspectors::otterscan::InternalOperationsInspector;

/// One call of a transaction.
pub type CallEntry = TraceEntry;

/// All calls of the block's transaction at `index`, in the order in which they began.
///
/// # Errors
/// As [`trace_transaction`].
pub fn calls_of(replayed: &Replayed<'_>, index: usize) -> Result<Vec<CallEntry>, SimulateError> {
    let options = GethDebugTracingOptions::call_tracer(Default::default());
    let GethTrace::CallTracer(root) = trace_transaction(replayed, index, &options)? else {
        return Err(SimulateError::Evm("the call tracer gave another trace".to_owned()));
    };
    let mut entries = Vec::new();
    flatten(&mut entries, root);
    Ok(entries)
}

/// Calls are as deep as the EVM allows, 1024, so they are walked without recursion.
fn flatten(entries: &mut Vec<CallEntry>, root: CallFrame) {
    let mut open = vec![(0_u32, root)];
    while let Some((depth, mut frame)) = open.pop() {
        let inner = std::mem::take(&mut frame.calls);
        entries.push(entry(depth, frame));
        open.extend(inner.into_iter().rev().map(|frame| (depth.saturating_add(1), frame)));
    }
}

fn entry(depth: u32, frame: CallFrame) -> CallEntry {
    TraceEntry {
        r#type: frame.typ,
        depth,
        from: frame.from,
        to: frame.to.unwrap_or(Address::ZERO),
        value: frame.value,
        input: frame.input,
        output: frame.output.unwrap_or_default(),
    }
}

/// Value that moved, contracts that were made and destroyed inside of the block's transaction at `index`.
///
/// # Errors
/// As [`trace_transaction`].
pub fn internal_operations(
    replayed: &Replayed<'_>,
    index: usize,
) -> Result<Vec<InternalOperation>, SimulateError> {
    let (machine, mut database, transaction) = replayed.before(index)?;
    let mut inspector = InternalOperationsInspector::default();
    let transaction = environment::transaction(transaction);
    machine.inspect(&mut database, transaction, &mut inspector, replayed.deadline)?;
    Ok(inspector.into_operations())
}
