//! Clients of a node: Ethereum JSON-RPC.

use crate::wallet::Wallet;
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256};
use alloy_sol_types::{SolCall, SolEvent};
use anyhow::{Context, Result, bail, ensure};
use bxp_market::ContractCall;
use bxp_types::Amount;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a node has for an answer: more than any method may take, so that a node that hangs is named.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long a node may wait for a receipt (EIP-7966); many blocks, so that a busy network is none of the user's errors.
const RECEIPT_WAIT_MS: u64 = 20_000;

/// A log as JSON-RPC gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcLog {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    pub(crate) block_number: U64,
}

/// A receipt as JSON-RPC gives it, as far as it is looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcReceipt {
    pub(crate) transaction_hash: B256,
    pub(crate) block_number: U64,
    pub(crate) status: U64,
    pub(crate) gas_used: U64,
    pub(crate) effective_gas_price: U256,
    pub(crate) logs: Vec<RpcLog>,
}

impl RpcReceipt {
    /// What the transaction's gas cost.
    pub(crate) fn fee(&self) -> Amount {
        Amount(self.effective_gas_price.saturating_mul(U256::from(self.gas_used)))
    }
}

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
        let mut response =
            self.post(&request).await.with_context(|| format!("ask {} for {method}", self.url))?;
        if let Some(error) = response.get("error") {
            bail!("{method}: {}", explain(error));
        }
        serde_json::from_value(response["result"].take())
            .with_context(|| format!("understand {method}'s answer"))
    }

    async fn post(&self, request: &impl Serialize) -> reqwest::Result<Value> {
        self.http.post(&self.url).timeout(ANSWER_WITHIN).json(request).send().await?.json().await
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
        let sent = || format!("send {} transactions to {}", requests.len(), self.url);
        let answers = self.post(&requests).await.with_context(sent)?;
        if let Some(error) = answers.get("error") {
            bail!("eth_sendRawTransaction: {}", explain(error));
        }
        let answers = answers.as_array().with_context(sent)?;
        if let Some(error) = answers.iter().find_map(|answer| answer.get("error")) {
            bail!("eth_sendRawTransaction: {}", explain(error));
        }
        Ok(())
    }

    /// A read-only contract call.
    pub(crate) async fn read<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return> {
        let params = json!([{"to": to, "data": Bytes::from(call.abi_encode())}, "latest"]);
        let output: Bytes = self.call("eth_call", params).await?;
        C::abi_decode_returns(&output).with_context(|| format!("decode the answer of {}", C::SIGNATURE))
    }

    /// An account's balance.
    pub(crate) async fn balance(&self, account: Address) -> Result<Amount> {
        Ok(Amount(self.call("eth_getBalance", json!([account, "latest"])).await?))
    }

    /// The newest block's time in seconds since the epoch.
    pub(crate) async fn block_time(&self) -> Result<u64> {
        #[derive(Deserialize)]
        struct Block {
            timestamp: U64,
        }
        let block: Block = self.call("eth_getBlockByNumber", json!(["latest", false])).await?;
        Ok(block.timestamp.to())
    }

    /// The logs of event `E` that a contract has written.
    pub(crate) async fn events<E: SolEvent>(&self, contract: Address) -> Result<Vec<(u64, E)>> {
        let filter = json!([{"address": contract, "topics": [E::SIGNATURE_HASH], "fromBlock": "0x0"}]);
        let logs: Vec<RpcLog> = self.call("eth_getLogs", filter).await?;
        let decode = |log: RpcLog| {
            let event = E::decode_raw_log(log.topics, &log.data).context("decode a contract's event")?;
            Ok((log.block_number.to(), event))
        };
        logs.into_iter().map(decode).collect()
    }

    /// Signs a contract call as `wallet`, sends it and waits until it is final.
    pub(crate) async fn transact(&self, wallet: &Wallet, call: ContractCall) -> Result<RpcReceipt> {
        let request =
            json!({"from": wallet.address(), "to": call.to, "value": call.value, "data": call.data});
        let gas: U64 = self.call("eth_estimateGas", json!([request])).await?;
        self.transact_with_gas(wallet, call, gas.to::<u64>().saturating_mul(5) / 4).await
    }

    /// As [`Self::transact`], with a gas limit instead of an estimate.
    pub(crate) async fn transact_with_gas(
        &self,
        wallet: &Wallet,
        call: ContractCall,
        gas_limit: u64,
    ) -> Result<RpcReceipt> {
        let nonce: U64 = self.call("eth_getTransactionCount", json!([wallet.address(), "pending"])).await?;
        let price: U256 = self.call("eth_gasPrice", json!([])).await?;
        let chain_id: U64 = self.call("eth_chainId", json!([])).await?;
        let (_, raw) = wallet.sign(TxEip1559 {
            chain_id: chain_id.to(),
            nonce: nonce.to(),
            gas_limit,
            max_fee_per_gas: price.saturating_to::<u128>().saturating_mul(2).saturating_add(1_000_000_000),
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(call.to),
            value: call.value,
            input: call.data,
            ..TxEip1559::default()
        });
        let receipt: RpcReceipt =
            self.call("eth_sendRawTransactionSync", json!([raw, RECEIPT_WAIT_MS])).await?;
        ensure!(receipt.status == U64::from(1), "transaction {} was reverted", receipt.transaction_hash);
        Ok(receipt)
    }

    /// How many peers the node is connected to.
    pub(crate) async fn peer_count(&self) -> Result<usize> {
        let count: U64 = self.call("net_peerCount", json!([])).await?;
        Ok(count.to())
    }
}

/// A node's error in its words, and what a system contract means by its revert.
fn explain(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or("unknown error");
    let data = error["data"].as_str().and_then(|data| data.parse::<Bytes>().ok()).unwrap_or_default();
    match bxp_contracts::explain_revert(&data) {
        Some(explained) => format!("{message}: {explained}"),
        None => message.to_owned(),
    }
}
