//! Batch payments over all nodes of a fresh network, as fast as it takes them: one signature pays many accounts
//! (`docs/payments.md`).
//!
//! At the end the balances of recipients are held against what was submitted, so that a payment that a block has without
//! having been made does not count.

mod book;
mod report;

use super::{
    bound::{self, Costs},
    children_cpu_us,
    counters::{self, PROPOSALS_DECIDED, RECOVERIES},
    submission::{self, Load, Options, Queues},
};
use crate::{
    client::RpcClient,
    devnet::{Devnet, RunningDevnet},
    wallet::Wallet,
};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Bytes, keccak256};
use anyhow::{Context, Result, ensure};
use book::Book;
use bxp_contracts::{PAYMENTS, payments};
use bxp_execution::PAYMENT_GAS;
use bxp_types::Genesis;
use clap::Args;
use report::{Measured, Report};
use std::time::Duration;

/// Transactions in one JSON-RPC batch. One of 2,000 payments is 128 KB of hexadecimal digits.
const BATCH: usize = 10;
/// How long after the last submission what is under way may still become final.
const DRAIN: Duration = Duration::from_secs(60);
/// Payments that are executed to measure their cost.
const MEASURED: usize = 60_000;
/// Payments in one block then: what a superblock of a busy network holds.
const MEASURED_PER_BLOCK: usize = 20_000;
/// Gas of a payment's calldata and of a transaction, beside [`PAYMENT_GAS`]; more than they take.
const CALLDATA_GAS: u64 = 512;
const TRANSACTION_GAS: u64 = 30_000;
/// What one transaction's gas allows to pay at most (EIP-7825).
const PAYMENTS_MAX: u16 = 2_000;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    load: Load,
    /// Payments of one transaction.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=i64::from(PAYMENTS_MAX)))]
    payments_a_transaction: u16,
    /// Accounts that pay, spread over the nodes.
    #[arg(long, default_value_t = 64)]
    payers: usize,
    /// Accounts that are paid in turn; all of them are in genesis.
    #[arg(long, default_value_t = 20_000)]
    recipients: usize,
    /// Transactions under way at each node at most.
    #[arg(long, default_value_t = 40)]
    in_flight: usize,
    /// Batches of ten transactions under way at each node at most.
    #[arg(long, default_value_t = 4)]
    streams: usize,
    /// The most payments a second to sign for before the run.
    #[arg(long, default_value_t = 50_000)]
    rate_max: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    check(&arguments)?;
    let wallets = (0..arguments.payers).map(payer).collect::<Result<Vec<_>>>()?;
    let mut book = Book::new(arguments.recipients, usize::from(arguments.payments_a_transaction));
    let mut plan = arguments.load.plan();
    plan.extra_accounts = wallets.iter().map(Wallet::address).chain(book.recipients()).collect();
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &plan)?;
    let genesis = devnet.genesis.clone();
    let queues = sign_all(&wallets, &genesis, &mut book, &arguments)?;
    let costs = measure(&genesis, &queues, &arguments)?;
    let mut network = RunningDevnet::start(devnet).await?;
    let options = Options {
        seconds: arguments.load.seconds,
        drain: DRAIN,
        in_flight: arguments.in_flight,
        batch: BATCH.min(arguments.in_flight),
    };
    let submitted = submission::run(&network, queues, &options).await;
    let counted = counters::read(&network, [RECOVERIES, PROPOSALS_DECIDED]).await;
    let checked = match &submitted {
        Ok(submitted) => book.check(&first_client(&network)?, &genesis, &submitted.hashes).await,
        Err(_) => Ok(0),
    };
    network.stop().await?;
    let (submitted, [recoveries, proposals]) = (submitted?, counted?);
    let waiting = submitted.hashes.len() - submitted.committed();
    ensure!(
        waiting == 0,
        "{waiting} of {} transactions were not final {} s after the last was sent; lower --in-flight",
        submitted.hashes.len(),
        DRAIN.as_secs()
    );
    let measured = Measured {
        recipients_checked: checked?,
        nodes_cpu_us: children_cpu_us()?,
        recoveries,
        proposals,
        bound_per_second: costs.bound_per_second(&genesis, bound::cores()),
        costs,
    };
    Report::new(&arguments, &submitted, &measured).print(arguments.load.json)
}

fn check(arguments: &Arguments) -> Result<()> {
    let least = [
        arguments.load.seconds,
        arguments.rate_max,
        arguments.payers as u64,
        arguments.recipients as u64,
        arguments.in_flight as u64,
        arguments.streams as u64,
    ];
    ensure!(
        least.into_iter().min() > Some(0),
        "--seconds, --rate-max, --payers, --recipients, --in-flight and --streams must be at least 1"
    );
    Ok(())
}

fn payer(index: usize) -> Result<Wallet> {
    Wallet::new(keccak256(format!("bxp bench payer {index}")))
}

fn first_client(network: &RunningDevnet) -> Result<RpcClient> {
    Ok(RpcClient::new(&network.addresses().next().context("a network has a node")?.rpc))
}

/// Signs for the whole run, each payer's transactions in the order of their nonces.
fn sign_all(wallets: &[Wallet], genesis: &Genesis, book: &mut Book, arguments: &Arguments) -> Result<Queues> {
    let each = u64::from(arguments.payments_a_transaction);
    let total = usize::try_from((arguments.load.seconds * arguments.rate_max).div_ceil(each))?;
    let mut queues = Queues::new(usize::from(arguments.load.validators), arguments.streams);
    for nonce in 0..total.div_ceil(wallets.len()) {
        for (index, wallet) in wallets.iter().enumerate() {
            let (first, paid) = book.next();
            let call = payments::pay(&paid)?;
            let signed = wallet.sign(TxEip1559 {
                chain_id: genesis.chain_id,
                nonce: nonce as u64,
                gas_limit: TRANSACTION_GAS + each * (PAYMENT_GAS + CALLDATA_GAS),
                max_fee_per_gas: 1_000_000_000_000,
                max_priority_fee_per_gas: 1,
                to: PAYMENTS.into(),
                value: call.value,
                input: call.calldata,
                ..TxEip1559::default()
            });
            book.note(signed.0, first);
            queues.push(index, signed);
        }
    }
    Ok(queues)
}

/// What these very transactions cost.
fn measure(genesis: &Genesis, queues: &Queues, arguments: &Arguments) -> Result<Costs> {
    let transactions = |payments: usize| payments.div_ceil(usize::from(arguments.payments_a_transaction));
    let measured: Vec<Bytes> = queues.first(transactions(MEASURED)).take(transactions(MEASURED)).collect();
    Costs::measure(genesis, measured, transactions(MEASURED_PER_BLOCK))
}
