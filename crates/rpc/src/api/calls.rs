//! Calls that change nothing, and estimates of gas.

use super::estimate;
use crate::{context::Context, fault::Fault, select};
use alloy_eips::BlockId;
use alloy_primitives::{Bytes, TxKind, U64};
use alloy_rpc_types_eth::TransactionRequest;
use bxp_types::{CallOutcome, CallRequest, Ledger};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde_json::Value;

/// Calls on the newest state.
#[rpc(server, namespace = "eth")]
trait Calls {
    /// Runs a call and returns what it returned. A revert is error 3 with the revert data. Overrides of state or
    /// block are refused.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
        block_overrides: Option<Value>,
    ) -> Result<Bytes, Fault>;

    /// The gas limit with which the transaction would succeed now, at most 1.5 % above the least.
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
    ) -> Result<U64, Fault>;
}

struct Methods(Context);

#[async_trait]
impl CallsServer for Methods {
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
        block_overrides: Option<Value>,
    ) -> Result<Bytes, Fault> {
        refuse_overrides(state_overrides)?;
        refuse_overrides(block_overrides)?;
        let run = move |ledger: &dyn Ledger| {
            select::require_newest(ledger, block)?;
            let call = call_request(ledger, request)?;
            returned(ledger.call(&call)?).map(|(output, _)| output)
        };
        self.0.run("eth_call", run).await
    }

    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
    ) -> Result<U64, Fault> {
        refuse_overrides(state_overrides)?;
        let run = move |ledger: &dyn Ledger| {
            select::require_newest(ledger, block)?;
            Ok(U64::from(estimate::gas(ledger, request)?))
        };
        self.0.run("eth_estimateGas", run).await
    }
}

fn refuse_overrides(overrides: Option<Value>) -> Result<(), Fault> {
    match overrides {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(fields)) if fields.is_empty() => Ok(()),
        Some(_) => Err(Fault::InvalidParams("overrides of state or block are not supported".to_owned())),
    }
}

/// What a call returned and the gas it used.
pub(super) fn returned(outcome: CallOutcome) -> Result<(Bytes, u64), Fault> {
    match outcome {
        CallOutcome::Success { output, gas_used } => Ok((output, gas_used)),
        CallOutcome::Revert { output, .. } => Err(Fault::Reverted(output)),
        CallOutcome::Halt { reason, .. } if is_out_of_gas(&reason) => {
            Err(Fault::Halted("out of gas".to_owned()))
        }
        CallOutcome::Halt { reason, .. } => Err(Fault::Halted(reason)),
    }
}

/// Whether the EVM's word for a halt means that there was too little gas (`OutOfGas` and its kinds).
pub(super) fn is_out_of_gas(reason: &str) -> bool {
    reason.starts_with("OutOfGas")
}

/// The call that a request of JSON-RPC means.
pub(super) fn call_request(ledger: &dyn Ledger, request: TransactionRequest) -> Result<CallRequest, Fault> {
    let invalid = |words: &str| Err(Fault::InvalidParams(words.to_owned()));
    if request.max_fee_per_blob_gas.is_some()
        || request.blob_versioned_hashes.is_some()
        || request.sidecar.is_some()
    {
        return invalid("transaction type not supported: no blobs");
    }
    let want = ledger.genesis().chain_id;
    if let Some(have) = request.chain_id.filter(|have| *have != want) {
        return invalid(&format!("chainId does not match node's (have={have}, want={want})"));
    }
    let data = match (request.input.input, request.input.data) {
        (Some(input), Some(data)) if input != data => {
            return invalid(
                "both \"data\" and \"input\" are set and not equal; use \"input\" to pass calldata",
            );
        }
        (input, data) => input.or(data).unwrap_or_default(),
    };
    let fees = Fees {
        price: request.gas_price,
        cap: request.max_fee_per_gas,
        tip: request.max_priority_fee_per_gas,
    };
    Ok(CallRequest {
        from: request.from,
        to: request.to.and_then(TxKind::into_to),
        gas: request.gas,
        gas_price: fees.offered(ledger)?,
        value: request.value.unwrap_or_default(),
        data,
    })
}

/// What a request offers for a unit of gas, in wei.
struct Fees {
    price: Option<u128>,
    cap: Option<u128>,
    tip: Option<u128>,
}

impl Fees {
    /// What the call pays for a unit of gas: the price, or the newest block's base fee and the tip up to the cap
    /// (EIP-1559). Calls run as in the newest block.
    fn offered(&self, ledger: &dyn Ledger) -> Result<Option<u128>, Fault> {
        let invalid = |words: String| Err(Fault::InvalidParams(words));
        match (self.price, self.cap, self.tip) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                invalid("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified".to_owned())
            }
            (_, Some(cap), Some(tip)) if tip > cap => {
                invalid(format!("maxFeePerGas ({cap}) < maxPriorityFeePerGas ({tip})"))
            }
            (None, None, None) => Ok(None),
            (Some(price), None, None) => Ok(Some(price)),
            (None, cap, tip) => {
                let base = u128::from(ledger.head().header.base_fee_per_gas.unwrap_or_default());
                let wanted = base.saturating_add(tip.unwrap_or_default());
                Ok(Some(cap.map_or(wanted, |cap| cap.min(wanted))))
            }
        }
    }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
