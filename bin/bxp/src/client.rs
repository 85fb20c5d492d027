//! Clients of a node: Ethereum JSON-RPC.

use alloy_primitives::{B256, Bytes, U64};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// A JSON-RPC client of one node.
#[derive(Clone, Debug)]
pub(crate) struct RpcClient {
    http: reqwest::Client,
    url: String,
}

impl RpcClient {
    /// A client of the node at `url`.
    pub(crate) fn new(url: &str) -> Self {
        Self { http: reqwest::Client::new(), url: url.to_owned() }
    }

    /// One call; a node's error becomes this call's error, in the node's words.
    pub(crate) async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let response = self.http.post(&self.url).json(&request).send().await;
        let mut response: Value =
            response.with_context(|| format!("ask {} for {method}", self.url))?.json().await?;
        if let Some(error) = response.get("error") {
            bail!("{method}: {}", error["message"].as_str().unwrap_or("unknown error"));
        }
        serde_json::from_value(response["result"].take())
            .with_context(|| format!("understand {method}'s answer"))
    }

    /// The newest block's number.
    pub(crate) async fn block_number(&self) -> Result<u64> {
        let number: U64 = self.call("eth_blockNumber", json!([])).await?;
        Ok(number.to())
    }

    /// The hashes of a block's transactions; nothing where there is no such block yet.
    pub(crate) async fn block_transactions(&self, number: u64) -> Result<Option<Vec<B256>>> {
        #[derive(Deserialize)]
        struct Block {
            transactions: Vec<B256>,
        }
        let params = json!([format!("{number:#x}"), false]);
        let block: Option<Block> = self.call("eth_getBlockByNumber", params).await?;
        Ok(block.map(|block| block.transactions))
    }

    /// Sends transactions in one batch; the first refusal becomes an error.
    pub(crate) async fn send_raw_batch(&self, raw: impl Iterator<Item = &Bytes>) -> Result<()> {
        let requests: Vec<Value> = raw
            .enumerate()
            .map(|(id, raw)| json!({"jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw]}))
            .collect();
        let answers: Vec<Value> = self.http.post(&self.url).json(&requests).send().await?.json().await?;
        if let Some(error) = answers.iter().find_map(|answer| answer.get("error")) {
            bail!("eth_sendRawTransaction: {}", error["message"].as_str().unwrap_or("unknown error"));
        }
        Ok(())
    }

    /// How many peers the node is connected to.
    pub(crate) async fn peer_count(&self) -> Result<usize> {
        let count: U64 = self.call("net_peerCount", json!([])).await?;
        Ok(count.to())
    }
}
