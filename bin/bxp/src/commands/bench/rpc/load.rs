//! Preparing a load and sending it.

use super::{Measured, Target, token};
use crate::{client::RpcClient, wallet::Wallet};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, Bytes, TxKind, U64, U256, keccak256};
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::json;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Transactions in one batch.
pub(super) const BATCH: usize = 200;
/// Connections that send at once.
pub(super) const CONNECTIONS: usize = 4;
/// How often it is looked whether all is included.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long inclusion may take after the last submission.
const DRAIN: Duration = Duration::from_secs(120);
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
    senders: Vec<Address>,
    /// The nonce of each sender once everything is included.
    last_nonces: Vec<u64>,
    /// What each connection sends, in batches. An account sends over one connection.
    batches: Vec<Vec<Vec<Bytes>>>,
    total: usize,
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
        let each = total.div_ceil(accounts);
        let mut queues = vec![Vec::new(); CONNECTIONS];
        for nonce in 0..each as u64 {
            for (index, wallet) in wallets.iter().enumerate() {
                let recipient = Address::left_padding_from(&(0x1_0000 + index as u64).to_be_bytes());
                let transaction = match token {
                    None => (recipient, U256::from(1), Bytes::new(), TRANSFER_GAS),
                    Some(token) => (token, U256::ZERO, token::transfer(recipient, U256::from(1)), TOKEN_GAS),
                };
                let (_, raw) = wallet.sign(signed_fields(faucet.chain_id, nonce, transaction));
                queues[index % CONNECTIONS].push(raw);
            }
        }
        Ok(Self {
            kind,
            senders: wallets.iter().map(Wallet::address).collect(),
            last_nonces: vec![each as u64; accounts],
            batches: queues
                .into_iter()
                .map(|queue| queue.chunks(BATCH).map(<[_]>::to_vec).collect())
                .collect(),
            total: each * accounts,
            token,
        })
    }

    /// The token that is sent.
    pub(super) const fn watched_token(&self) -> Option<Address> {
        self.token
    }

    /// One of the senders.
    pub(super) fn first_account(&self) -> Address {
        self.senders[0]
    }

    /// Sends everything and waits until all of it is included.
    pub(super) async fn run(self, target: &Target) -> Result<Measured> {
        let Self { kind, senders, last_nonces, batches, total, .. } = self;
        let started = Instant::now();
        let mut connections = tokio::task::JoinSet::new();
        for (index, batches) in batches.into_iter().enumerate() {
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
        for (sender, nonce) in senders.iter().zip(&last_nonces) {
            wait_for_nonce(&client, *sender, *nonce, started + accepted + DRAIN).await?;
        }
        let seconds = started.elapsed().as_secs_f64();
        Ok(Measured {
            target: target.name.clone(),
            kind,
            transactions: total,
            seconds,
            per_second: total as f64 / seconds,
            accepted_per_second: total as f64 / accepted.as_secs_f64(),
            ratio_to_peer: None,
        })
    }
}

async fn wait_for_nonce(client: &RpcClient, account: Address, nonce: u64, end: Instant) -> Result<()> {
    loop {
        let at: U64 = client.call("eth_getTransactionCount", json!([account, "latest"])).await?;
        if at.to::<u64>() >= nonce {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("{account} is at nonce {at}, not {nonce}, {} s after the last submission", DRAIN.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
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
        let mut nonce = nonce.to::<u64>();
        let mut raw = Vec::new();
        let mut token = None;
        if kind == Kind::Erc20 {
            let creation = TxEip1559 {
                to: TxKind::Create,
                ..signed_fields(
                    self.chain_id,
                    nonce,
                    (Address::ZERO, U256::ZERO, token::creation_code()?, 3_000_000),
                )
            };
            token = Some(account.create(nonce));
            raw.push(self.wallet.sign(creation).1);
            nonce += 1;
        }
        for wallet in wallets {
            let mut fields = vec![(wallet.address(), U256::from(FUNDS_WEI), Bytes::new(), TRANSFER_GAS)];
            if let Some(token) = token {
                fields.push((
                    token,
                    U256::ZERO,
                    token::transfer(wallet.address(), U256::from(TOKENS)),
                    TOKEN_GAS,
                ));
            }
            for one in fields {
                raw.push(self.wallet.sign(signed_fields(self.chain_id, nonce, one)).1);
                nonce += 1;
            }
        }
        for batch in raw.chunks(BATCH) {
            self.client.send_raw_batch(batch.iter()).await?;
        }
        wait_for_nonce(self.client, account, nonce, Instant::now() + DRAIN).await?;
        if let Some(token) = token {
            let code: Bytes = self.client.call("eth_getCode", json!([token, "latest"])).await?;
            ensure!(!code.is_empty(), "the token was not deployed");
        }
        Ok(token)
    }
}
