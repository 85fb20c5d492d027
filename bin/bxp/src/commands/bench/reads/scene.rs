//! What is read: accounts of genesis, a token that some of them hold, and logs of batch payments.

use super::super::rpc::token;
use crate::{client::RpcClient, wallet::Wallet};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, Bytes, TxKind, U64, U256, keccak256};
use anyhow::{Context, Result, bail};
use bxp_contracts::{PAYMENTS, payments};
use serde_json::json;
use std::time::{Duration, Instant};

/// Payments of one transaction: about as many as its gas allows (EIP-7825).
pub(super) const PAYMENTS_AT_ONCE: usize = 2_000;
/// More than they take, to accounts that exist.
const PAYMENTS_GAS: u64 = 16_000_000;
/// Accounts that hold the token.
const HOLDERS: usize = 1_000;
/// Accounts that write beside readers.
const WRITERS: usize = 100;
const TOKEN_GAS: u64 = 70_000;
const BATCH: usize = 100;
const FEE_CAP_WEI: u128 = 1_000_000_000_000;
/// How long what was sent may take until it is in a block.
const INCLUDED_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Accounts to read, and who pays.
pub(super) struct Scene {
    pub(super) accounts: Vec<Address>,
    pub(super) token: Address,
    pub(super) writers: Vec<Wallet>,
    payer: Wallet,
}

impl Scene {
    /// Names the accounts.
    pub(super) fn plan(accounts: usize) -> Result<Self> {
        let name = |index| Address::from_word(keccak256(format!("bxp bench reads account {index}")));
        let writer = |index| Wallet::new(keccak256(format!("bxp bench reads writer {index}")));
        Ok(Self {
            accounts: (0..accounts).map(name).collect(),
            token: Address::ZERO,
            writers: (0..WRITERS).map(writer).collect::<Result<_>>()?,
            payer: Wallet::new(keccak256("bxp bench reads payer"))?,
        })
    }

    /// Accounts that genesis has to fund.
    pub(super) fn funded(&self) -> Vec<Address> {
        let wallets = self.writers.iter().chain([&self.payer]).map(Wallet::address);
        self.accounts.iter().copied().chain(wallets).collect()
    }

    /// The accounts that hold the token.
    pub(super) fn holders(&self) -> &[Address] {
        &self.accounts[..self.accounts.len().min(HOLDERS)]
    }

    /// A client with a connection of its own.
    pub(super) fn client(&self, url: &str) -> RpcClient {
        RpcClient::new(url)
    }

    /// Deploys the token, gives it out, and writes at least `logs` logs, `payments_a_block` batches of payments in one
    /// block; says how many logs.
    pub(super) async fn fill(
        mut self,
        url: &str,
        logs: usize,
        payments_a_block: usize,
    ) -> Result<(Self, usize)> {
        let client = self.client(url);
        let chain_id: U64 = client.call("eth_chainId", json!([])).await?;
        let mut sender = Sender { client, wallet: &self.payer, chain_id: chain_id.to(), nonce: 0 };
        let token = self.payer.address().create(0);
        let mut first = vec![sender.sign(TxKind::Create, U256::ZERO, token::creation_code()?, 3_000_000)];
        for holder in self.holders() {
            let call = token::transfer(*holder, U256::from(1_000));
            first.push(sender.sign(token.into(), U256::ZERO, call, TOKEN_GAS));
        }
        for batch in first.chunks(BATCH) {
            sender.client.send_raw_batch(batch.iter()).await?;
        }
        sender.until_included().await?;
        let mut written = 0;
        let mut people = self.accounts.iter().cycle();
        while written < logs {
            let mut batch = Vec::with_capacity(payments_a_block);
            for _ in 0..payments_a_block {
                let paid: Vec<_> =
                    people.by_ref().take(PAYMENTS_AT_ONCE).map(|to| (*to, U256::from(1))).collect();
                let call = payments::pay(&paid)?;
                batch.push(sender.sign(PAYMENTS.into(), call.value, call.calldata, PAYMENTS_GAS));
                written += paid.len();
            }
            sender.client.send_raw_batch(batch.iter()).await?;
            sender.until_included().await?;
        }
        self.token = token;
        Ok((self, written))
    }
}

/// Sends transactions of one account.
struct Sender<'a> {
    client: RpcClient,
    wallet: &'a Wallet,
    chain_id: u64,
    nonce: u64,
}

impl Sender<'_> {
    fn sign(&mut self, to: TxKind, value: U256, input: Bytes, gas_limit: u64) -> Bytes {
        let nonce = self.nonce;
        self.nonce += 1;
        let (_, raw) = self.wallet.sign(TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: FEE_CAP_WEI,
            max_priority_fee_per_gas: 1,
            to,
            value,
            input,
            ..TxEip1559::default()
        });
        raw
    }

    async fn until_included(&self) -> Result<()> {
        let end = Instant::now() + INCLUDED_WITHIN;
        let account = self.wallet.address();
        while Instant::now() < end {
            let at: U64 = self.client.call("eth_getTransactionCount", json!([account, "latest"])).await?;
            if at.to::<u64>() >= self.nonce {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("transactions of {account} are not in blocks within {} s", INCLUDED_WITHIN.as_secs())
    }
}

/// Signs `total` transfers of the writers, in the order in which they are to be sent.
pub(super) async fn transfers(client: &RpcClient, writers: &[Wallet], total: usize) -> Result<Vec<Bytes>> {
    let chain_id: U64 = client.call("eth_chainId", json!([])).await.context("prepare transfers")?;
    let rounds = total.div_ceil(writers.len()) as u64;
    let mut signed = Vec::with_capacity(total);
    for nonce in 0..rounds {
        for wallet in writers {
            let transfer = TxEip1559 {
                chain_id: chain_id.to(),
                nonce,
                gas_limit: 21_000,
                max_fee_per_gas: FEE_CAP_WEI,
                max_priority_fee_per_gas: 1,
                to: wallet.address().create(0).into(),
                value: U256::from(1),
                ..TxEip1559::default()
            };
            signed.push(wallet.sign(transfer).1);
        }
    }
    signed.truncate(total);
    Ok(signed)
}
