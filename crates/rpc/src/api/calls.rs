//! Calls that change nothing: results, estimates of gas, access lists.

use crate::{
    context::{self, Context},
    fault::Fault,
    select,
};
use alloy_eips::{BlockId, eip2930::AccessList};
use alloy_primitives::{Bytes, U64};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use bxp_simulate::{Overrides, Question, access_list, call, estimate};
use bxp_types::Ledger;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde::Serialize;
use std::sync::Arc;

/// An access list and how the transaction runs with it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessListJson {
    access_list: AccessList,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gas_used: U64,
}

/// Calls on the state after a block, as in that block, with overrides of accounts and of the block.
#[rpc(server, namespace = "eth")]
trait Calls {
    /// Runs a call and returns what it returned. A revert is error 3 with the revert data.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<BlockOverrides>,
    ) -> Result<Bytes, Fault>;

    /// The gas limit with which the transaction would succeed now, at most 1.5 % above the least.
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<BlockOverrides>,
    ) -> Result<U64, Fault>;

    /// What the transaction reads beside sender, callee and precompiles (EIP-2930), and the gas that it uses then.
    #[method(name = "createAccessList")]
    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
    ) -> Result<AccessListJson, Fault>;
}

struct Methods(Context);

impl Methods {
    async fn ask<T: Send + 'static>(
        &self,
        method: &'static str,
        block: Option<BlockId>,
        overrides: Overrides,
        answer: impl FnOnce(&Question<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (spec, pending) = (self.0.spec(), Arc::clone(&self.0.pending));
        let run = move |ledger: &dyn Ledger| {
            let (block, view) = select::state_or_pending(ledger, &pending, block)?;
            answer(&Question {
                view: &*view,
                spec: &spec,
                header: &block.header,
                overrides,
                deadline: context::call_deadline(),
            })
        };
        self.0.run(method, run).await
    }
}

#[async_trait]
impl CallsServer for Methods {
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state: Option<StateOverride>,
        block_overrides: Option<BlockOverrides>,
    ) -> Result<Bytes, Fault> {
        let overrides = Overrides { state, block: block_overrides };
        self.ask("eth_call", block, overrides, move |question| Ok(call(question, &request)?.returned()?))
            .await
    }

    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state: Option<StateOverride>,
        block_overrides: Option<BlockOverrides>,
    ) -> Result<U64, Fault> {
        let overrides = Overrides { state, block: block_overrides };
        let answer = move |question: &Question<'_>| Ok(U64::from(estimate(question, &request)?));
        self.ask("eth_estimateGas", block, overrides, answer).await
    }

    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state: Option<StateOverride>,
    ) -> Result<AccessListJson, Fault> {
        let answer = move |question: &Question<'_>| {
            let found = access_list(question, &request)?;
            let gas_used = U64::from(found.gas_used);
            Ok(AccessListJson { access_list: found.list, error: found.error, gas_used })
        };
        self.ask("eth_createAccessList", block, Overrides { state, block: None }, answer).await
    }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
