//! A server before a developer's chain: the real executor and the real tries.

use crate::client::{Refusal, Status, answer};
use alloy_primitives::Address;
use bxp_dev_chain::{DevChain, DevConfig, View};
use bxp_execution::ChainSpec;
use bxp_rpc::{NodeInfo, RpcServer, serve};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub(crate) const CHAIN_ID: u64 = 31_337;

/// Init code of a contract that stores calldata's first word in slot 0 and logs it, or, without calldata, returns it.
pub(crate) const STORES: &str =
    "0x602280600b6000396000f33615601657600035806000558060005260206000a1005b60005460005260206000f3";
/// Init code of a contract that reverts with `Error("no")`.
pub(crate) const REVERTS_WITH_REASON: &str =
    "0x602380600b6000396000f36308c379a060e01b60005260206004526002602452616e6f60f01b60445260646000fd";
/// Init code of a contract that never ends.
pub(crate) const SPINS: &str = "0x600480600b6000396000f35b600056";

/// A running server before a developer's chain.
pub(crate) struct DevRig {
    pub(crate) chain: DevChain,
    pub(crate) server: RpcServer,
    http: reqwest::Client,
}

impl DevRig {
    pub(crate) async fn start() -> Self {
        let config = DevConfig { chain_id: CHAIN_ID, contracts: BTreeMap::new(), interval: None };
        let chain = DevChain::start(config).unwrap();
        let info = NodeInfo {
            version: "bxp/v0.1.0/test".to_owned(),
            validator: None,
            status: Arc::<Status>::default(),
            spec: Arc::new(ChainSpec::bxp(CHAIN_ID)),
            developer: Some(Arc::new(chain.clone())),
        };
        let server =
            serve("127.0.0.1:0".parse().unwrap(), Arc::new(View::new(chain.clone())), info).await.unwrap();
        Self { chain, server, http: reqwest::Client::new() }
    }

    pub(crate) async fn try_call(&self, method: &str, params: Value) -> Result<Value, Refusal> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let url = format!("http://{}", self.server.local_addr());
        answer(self.http.post(url).json(&request).send().await.unwrap().json().await.unwrap())
    }

    /// Calls a method that must succeed.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, params).await.unwrap_or_else(|refusal| panic!("{method}: {refusal:?}"))
    }

    /// Calls a method that must fail.
    pub(crate) async fn refused(&self, method: &str, params: Value) -> Refusal {
        self.try_call(method, params).await.unwrap_err()
    }

    /// A developer's account.
    pub(crate) fn account(&self, index: usize) -> Address {
        bxp_types::Developer::accounts(&self.chain)[index]
    }

    /// Sends a transaction of the first account and gives its receipt.
    pub(crate) async fn send(&self, mut request: Value) -> Value {
        request["from"] = json!(self.account(0));
        let hash = self.call("eth_sendTransaction", json!([request])).await;
        self.call("eth_getTransactionReceipt", json!([hash])).await
    }

    /// Deploys init code and gives the contract.
    pub(crate) async fn deploy(&self, init_code: &str) -> Address {
        let receipt = self.send(json!({ "data": init_code })).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
    }
}
