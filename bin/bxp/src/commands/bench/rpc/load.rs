//! Preparing a load and sending it.

use super::{Measured, Target, inclusion, token};
use crate::{client::RpcClient, wallet::Wallet};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, Bytes, TxKind, U64, U256, keccak256};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::json;
use std::{fmt, time::Instant};

/// Transactions in one batch.
pub(super) const BATCH: usize = 200;
/// Connections that send at once.
pub(super) const CONNECTIONS: usize = 4;
/// What each sending account is given, in wei: 5 ether.
const FUNDS_WEI: u64 = 5_000_000_000_000_000_000;
/// What each sending account is given of the token.
const TOKENS: u64 = 1_000_000_000;
const TRANSFER_GAS: u64 = 21_000;
/// More than an ERC-20 transfer to a new holder takes.
const TOKEN_GAS: u64 = 70_000;
const FEE_CAP_WEI: u128 = 100_000_000_000;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// One wei to an account of its own.
    Transfer,
    /// One unit of an OpenZeppelin ERC-20.
    Erc20,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Transfer => "transfers",
            Self::Erc20 => "ERC-20",
        })
    }
}

/// Signed transactions, ready to go.
pub(super) struct Load {
    kind: Kind,
    senders: Vec<Wallet>,
    chain_id: u64,
    /// Transactions of each sender.
    each: u64,
    /// What each connection sends, in batches. An account sends over one connection.
    batches: Vec<Vec<Vec<Bytes>>>,
    token: Option<Address>,
}

impl Load {
    /// Funds accounts, deploys the token where it is needed, and signs.
    pub(super) async fn prepare(target: &Target, kind: Kind, accounts: usize, total: usize) -> Result<Self> {
        let client = RpcClient::new(&target.urls[0]);
        let chain_id: U64 = client.call("eth_chainId", json!([])).await?;
        let faucet = Faucet { client: &client, wallet: Wallet::new(target.key)?, chain_id: chain_id.to() };
        let wallets = (0..accounts)
            .map(|index| Wallet::new(keccak256(format!("bxp bench rpc {kind:?} {index}"))))
            .collect::<Result<Vec<_>>>()?;
        let token = faucet.provide(kind, &wallets).await?;
        let mut load = Self {
            kind,
            senders: wallets,
            chain_id: faucet.chain_id,
            each: total.div_ceil(accounts) as u64,
            batches: Vec::new(),
            token,
        };
        let mut queues = vec![Vec::new(); CONNECTIONS];
        for nonce in 0..load.each {
            for (index, wallet) in load.senders.iter().enumerate() {
                queues[index % CONNECTIONS].push(wallet.sign(load.transaction(index, nonce)).1);
            }
        }
        let batches = queues.into_iter().map(|queue| queue.chunks(BATCH).map(<[_]>::to_vec).collect());
        load.batches = batches.collect();
        Ok(load)
    }

    /// What the sender at `index` sends at `nonce`.
    fn transaction(&self, index: usize, nonce: u64) -> TxEip1559 {
        let recipient = Address::left_padding_from(&(0x1_0000 + index as u64).to_be_bytes());
        let fields = match self.token {
            None => (recipient, U256::from(1), Bytes::new(), TRANSFER_GAS),
            Some(token) => (token, U256::ZERO, token::transfer(recipient, U256::from(1)), TOKEN_GAS),
        };
        signed_fields(self.chain_id, nonce, fields)
    }

    /// The token that is sent.
    pub(super) const fn watched_token(&self) -> Option<Address> {
        self.token
    }

    /// One of the senders.
    pub(super) fn first_account(&self) -> Address {
        self.senders[0].address()
    }

    /// Sends everything and waits until all of it is included.
    pub(super) async fn run(mut self, target: &Target) -> Result<Measured> {
        let started = Instant::now();
        let mut connections = tokio::task::JoinSet::new();
        for (index, batches) in std::mem::take(&mut self.batches).into_iter().enumerate() {
            let client = RpcClient::new(&target.urls[index % target.urls.len()]);
            connections.spawn(async move {
                for batch in batches {
                    client.send_raw_batch(batch.iter()).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(sent) = connections.join_next().await {
            sent.context("a connection panicked")??;
        }
        let accepted = started.elapsed();
        let client = RpcClient::new(&target.urls[0]);
        let (end, mut sent_again) = (Instant::now() + inclusion::WITHIN, 0);
        for (index, sender) in self.senders.iter().enumerate() {
            let sent = |nonce| self.transaction(index, nonce);
            sent_again += inclusion::wait(&client, sender, self.each, end, sent).await?;
        }
        let (seconds, total) = (started.elapsed().as_secs_f64(), self.each as usize * self.senders.len());
        Ok(Measured {
            target: target.name.clone(),
            kind: self.kind,
            transactions: total,
            seconds,
            per_second: total as f64 / seconds,
            accepted_per_second: total as f64 / accepted.as_secs_f64(),
            sent_again,
            ratio_to_peer: None,
        })
    }
}

fn signed_fields(
    chain_id: u64,
    nonce: u64,
    (to, value, input, gas_limit): (Address, U256, Bytes, u64),
) -> TxEip1559 {
    TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: FEE_CAP_WEI,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        value,
        input,
        ..TxEip1559::default()
    }
}

/// Who pays for the preparations.
struct Faucet<'a> {
    client: &'a RpcClient,
    wallet: Wallet,
    chain_id: u64,
}

impl Faucet<'_> {
    /// Gives each wallet what it sends; gives the token where that is one.
    async fn provide(&self, kind: Kind, wallets: &[Wallet]) -> Result<Option<Address>> {
        let account = self.wallet.address();
        let nonce: U64 = self.client.call("eth_getTransactionCount", json!([account, "latest"])).await?;
        let first = nonce.to::<u64>();
        let mut sent: Vec<TxEip1559> = Vec::new();
        let fields = |sent: &Vec<_>, fields| signed_fields(self.chain_id, first + sent.len() as u64, fields);
        let mut token = None;
        if kind == Kind::Erc20 {
            let creation = (Address::ZERO, U256::ZERO, token::creation_code()?, 3_000_000);
            sent.push(TxEip1559 { to: TxKind::Create, ..fields(&sent, creation) });
            token = Some(account.create(first));
        }
        for wallet in wallets {
            let funds = (wallet.address(), U256::from(FUNDS_WEI), Bytes::new(), TRANSFER_GAS);
            sent.push(fields(&sent, funds));
            if let Some(token) = token {
                let call = token::transfer(wallet.address(), U256::from(TOKENS));
                sent.push(fields(&sent, (token, U256::ZERO, call, TOKEN_GAS)));
            }
        }
        let raw: Vec<Bytes> = sent.iter().map(|one| self.wallet.sign(one.clone()).1).collect();
        for batch in raw.chunks(BATCH) {
            self.client.send_raw_batch(batch.iter()).await?;
        }
        let (last, end) = (first + sent.len() as u64, Instant::now() + inclusion::WITHIN);
        inclusion::wait(self.client, &self.wallet, last, end, |nonce| sent[(nonce - first) as usize].clone())
            .await?;
        if let Some(token) = token {
            let code: Bytes = self.client.call("eth_getCode", json!([token, "latest"])).await?;
            ensure!(!code.is_empty(), "the token was not deployed");
        }
        Ok(token)
    }
}
