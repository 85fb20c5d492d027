//! `eth_simulateV1`.

use crate::{
    context::{self, Context},
    fault::Fault,
    select, shape,
};
use alloy_eips::BlockId;
use alloy_primitives::{Bytes, U64};
use alloy_rpc_types_eth::{Log, simulate::SimulatePayload};
use bxp_simulate::{SimulateError, SimulatedBlock, SimulatedCall, SimulatedChain, simulate};
use bxp_types::Ledger;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde::Serialize;
use std::sync::Arc;

/// A simulated block with its calls.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SimulatedJson {
    #[serde(flatten)]
    block: shape::PlainBlockJson,
    calls: Vec<CallJson>,
}

/// How a simulated call ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CallJson {
    return_data: Bytes,
    logs: Vec<Log>,
    gas_used: U64,
    max_used_gas: U64,
    status: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorJson>,
}

#[derive(Clone, Debug, Serialize)]
struct ErrorJson {
    message: String,
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
}

/// Simulations.
#[rpc(server, namespace = "eth")]
trait Simulations {
    /// Runs calls in blocks that follow a block and one another, and are not kept: at most 256 blocks and 50 million
    /// gas together.
    #[method(name = "simulateV1")]
    async fn simulate(
        &self,
        payload: SimulatePayload,
        block: Option<BlockId>,
    ) -> Result<Vec<SimulatedJson>, Fault>;
}

struct Methods(Context);

#[async_trait]
impl SimulationsServer for Methods {
    async fn simulate(
        &self,
        payload: SimulatePayload,
        block: Option<BlockId>,
    ) -> Result<Vec<SimulatedJson>, Fault> {
        let (spec, pending) = (self.0.spec(), Arc::clone(&self.0.pending));
        let run = move |ledger: &dyn Ledger| {
            if payload.block_state_calls.is_empty() {
                return Err(Fault::InvalidParams("empty input".to_owned()));
            }
            let full = payload.return_full_transactions;
            let (base, view) = select::state_or_pending(ledger, &pending, block)?;
            let chain = SimulatedChain {
                view: &*view,
                base: &base.header,
                spec: &spec,
                deadline: context::trace_deadline(),
            };
            let blocks = simulate(&chain, payload).map_err(in_simulation)?;
            Ok(blocks.into_iter().map(|block| shaped(block, full)).collect())
        };
        self.0.run("eth_simulateV1", run).await
    }
}

/// A call that cannot begin has a code of its own here.
fn in_simulation(error: SimulateError) -> Fault {
    match error {
        SimulateError::Refused(refused) => {
            SimulateError::Block { code: refused.code, words: refused.to_string() }.into()
        }
        other => other.into(),
    }
}

fn shaped(simulated: SimulatedBlock, full: bool) -> SimulatedJson {
    let SimulatedBlock { block, calls } = simulated;
    let mut log_index = 0;
    let mut shaped = Vec::with_capacity(calls.len());
    for (index, call) in calls.into_iter().enumerate() {
        let hash = block.transactions.get(index).map(|one| *one.tx_hash()).unwrap_or_default();
        let place = |log| {
            let placed = shape::placed(&block, hash, index, log_index, log);
            log_index += 1;
            placed
        };
        let SimulatedCall { output, logs, gas_used, gas_used_max, error } = call;
        shaped.push(CallJson {
            return_data: output,
            logs: logs.into_iter().map(place).collect(),
            gas_used: U64::from(gas_used),
            max_used_gas: U64::from(gas_used_max),
            status: U64::from(error.is_none()),
            error: error.map(|(code, message, data)| ErrorJson { message, code, data }),
        });
    }
    SimulatedJson { block: shape::plain_block(&block, full, None), calls: shaped }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
