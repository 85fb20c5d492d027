//! Blocks executed and committed over many accounts, beside what they cannot do without.
//!
//! Times are CPU time of this process: what other programs do on the machine meanwhile does not count.

mod naive;
mod rounds;
mod running;
mod scene;
mod trie;

use super::{cpu_us, thread_cpu_us};
use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable as _};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{B256, Bytes, keccak256};
use anyhow::{Context, Result, ensure};
use bxp_execution::{BlockInput, State};
use bxp_storage::{Durability, Store};
use bxp_types::{RecoveredTransaction, StoredBlock};
use clap::Args;
use rayon::prelude::*;
use running::Running;
use scene::{Kind, Scene};
use serde::Serialize;
use std::time::Instant;
use trie::Tries;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Accounts in the state, all of which hold the token too.
    #[arg(long, default_value_t = 1_000_000)]
    accounts: usize,
    /// Transactions in a block, each of another account.
    #[arg(long, default_value_t = 10_000)]
    transactions: usize,
    /// Blocks of each kind.
    #[arg(long, default_value_t = 3)]
    blocks: usize,
    /// Blocks that ours and revm alone run in turns, and batches with which ours and a plain trie are updated in turns.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Begin without reading the state once: only what blocks have touched is in memory then.
    #[arg(long)]
    cold: bool,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

/// What blocks of one kind cost, in CPU microseconds for a transaction.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Cost {
    /// From the signed bytes to the sender.
    recovery_cpu_us: f64,
    /// Running the transactions: short cuts or EVM, with what they read and change.
    transactions_cpu_us: f64,
    /// Receipts with their blooms, and the three roots.
    roots_cpu_us: f64,
    /// The same in real time, on all cores.
    roots_real_us: f64,
    /// Making the rows of state and history ready.
    rows_cpu_us: f64,
    /// The same in real time, on all cores.
    rows_real_us: f64,
    /// Writing them, by one thread, synced.
    writing_cpu_us: f64,
    /// The rows, the writing, and the database's own threads.
    commit_cpu_us: f64,
    /// What the database's own threads did meanwhile.
    background_cpu_us: f64,
    /// Transactions a second of real time, all three steps one after the other.
    per_second: f64,
}

impl Cost {
    /// From all transactions to one.
    fn divide(&mut self, count: f64) {
        let Self {
            recovery_cpu_us,
            transactions_cpu_us,
            roots_cpu_us,
            roots_real_us,
            rows_cpu_us,
            rows_real_us,
            writing_cpu_us,
            commit_cpu_us,
            background_cpu_us,
            per_second: _,
        } = self;
        let steps = [recovery_cpu_us, transactions_cpu_us, roots_cpu_us, rows_cpu_us, writing_cpu_us];
        let others = [roots_real_us, rows_real_us, commit_cpu_us, background_cpu_us];
        steps.into_iter().chain(others).for_each(|part| *part /= count);
    }

    fn without_recovery(&self) -> f64 {
        self.transactions_cpu_us + self.roots_cpu_us + self.commit_cpu_us
    }
}

#[derive(Debug, Serialize)]
struct Report {
    profile: &'static str,
    accounts: usize,
    transactions: usize,
    blocks: usize,
    /// Whether the state was on disk only when the first block began.
    cold: bool,
    transfers: Cost,
    erc20: Cost,
    mixed: Cost,
    /// (recovery + trie) / (recovery + transactions + roots + commit) of a transfer.
    transfers_ratio_to_bound: f64,
    /// Running ERC-20 transfers alone, beside revm alone.
    erc20_running: Running,
    /// Bare revm / one after the other, in the middle of all rounds: running against running.
    erc20_ratio_to_bare_revm: f64,
    /// (bare revm + trie) / (transactions + roots + commit) of an ERC-20 transfer.
    erc20_ratio_to_bound: f64,
    /// Updating accounts in the trie alone, beside a plain trie.
    tries: Tries,
    /// Updates of accounts a second on one core, in the middle of all rounds.
    trie_updates_per_second: f64,
    naive_trie_updates_per_second: f64,
    /// The plain one / ours, in the middle of all rounds.
    trie_ratio_to_naive: f64,
    /// Memory of all nodes of our trie.
    trie_bytes: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        arguments.transactions.min(arguments.blocks).min(arguments.rounds) > 0
            && arguments.accounts > 2 * arguments.transactions,
        "--accounts must be above twice --transactions, which with --blocks and --rounds is at least 1"
    );
    let scene = Scene::new(arguments.accounts, arguments.transactions)?;
    let mut chain = Chain::open(&scene)?;
    if !arguments.cold {
        chain.read_everything(&scene)?;
    }
    let mut measure = |kind: Kind| -> Result<Cost> {
        let (mut cost, mut seconds) = (Cost::default(), 0.0);
        for _ in 0..arguments.blocks {
            let signed = scene.signed(kind, chain.blocks)?;
            let started = Instant::now();
            chain.block(&signed, &mut cost)?;
            seconds += started.elapsed().as_secs_f64();
        }
        let count = (arguments.blocks * arguments.transactions) as f64;
        cost.per_second = count / seconds;
        cost.divide(count);
        Ok(cost)
    };
    let transfers = measure(Kind::Transfer)?;
    let erc20 = measure(Kind::Token)?;
    let mixed = measure(Kind::Mixed)?;
    let running = running::measure(&chain, &scene, arguments.rounds)?;
    drop(chain);
    let tries = trie::measure(&scene, arguments.rounds)?;
    // A transfer changes two accounts, one of the token an account and two slots.
    let bound = transfers.recovery_cpu_us + 2.0 * tries.ours_cpu_us;
    let erc20_bound = running.bare_revm_cpu_us + 3.0 * tries.ours_cpu_us;
    let report = Report {
        profile: if cfg!(debug_assertions) { "dev" } else { "release" },
        accounts: arguments.accounts,
        transactions: arguments.transactions,
        blocks: arguments.blocks,
        cold: arguments.cold,
        transfers_ratio_to_bound: bound / (transfers.recovery_cpu_us + transfers.without_recovery()),
        erc20_ratio_to_bare_revm: running.ratio,
        erc20_running: running,
        erc20_ratio_to_bound: erc20_bound / erc20.without_recovery(),
        transfers,
        erc20,
        mixed,
        trie_updates_per_second: 1e6 / tries.ours_cpu_us,
        naive_trie_updates_per_second: 1e6 / tries.naive_cpu_us,
        trie_ratio_to_naive: tries.ratio,
        trie_bytes: tries.known_bytes,
        tries,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}

/// The chain that is measured, in a folder that is removed in the end.
struct Chain {
    store: Store,
    state: State,
    head: StoredBlock,
    blocks: u64,
    _folder: tempfile::TempDir,
}

impl Chain {
    fn open(scene: &Scene) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the measurement")?;
        let store = Store::open(&folder.path().join("store"), scene.genesis.network_id())?;
        let state = State::open(&store, &scene.genesis)?;
        let head = state.genesis_block().clone();
        Ok(Self { store, state, head, blocks: 0, _folder: folder })
    }

    /// Reads every account and its balance of the token once, as a node has that runs for long.
    fn read_everything(&self, scene: &Scene) -> Result<()> {
        let state = self.state.newest();
        for address in scene.genesis.accounts.keys() {
            state.account(*address)?;
            state.storage_slot(scene::TOKEN, scene::balance_slot(*address).into())?;
        }
        Ok(())
    }

    fn input(&self, transactions: Vec<RecoveredTransaction>) -> BlockInput {
        let header = &self.head.header;
        let height = self.head.height().next();
        BlockInput {
            height,
            time_ms: self.head.time_ms + 1_000,
            mix_hash: keccak256(height.0.to_be_bytes()),
            parent_beacon_root: B256::ZERO,
            beneficiary: scene::TREASURY,
            gas_limit: header.gas_limit,
            base_fee: bxp_execution::next_base_fee(header),
            transactions,
        }
    }

    fn block(&mut self, signed: &[Bytes], cost: &mut Cost) -> Result<()> {
        let (all_begun, begun) = (cpu_us()?, working_cpu_us()?);
        let transactions = signed.par_iter().map(recover).collect::<Result<Vec<_>>>()?;
        let recovered = working_cpu_us()?;
        let header = &self.head.header;
        let input = self.input(transactions);
        let height = input.height;
        let ran = self.state.run(header, &input)?;
        let (run, sealing) = (working_cpu_us()?, Instant::now());
        let executed = ran.seal(input.transactions, None)?;
        cost.roots_real_us += sealing.elapsed().as_secs_f64() * 1e6;
        let done = working_cpu_us()?;
        ensure!(executed.dropped.is_empty(), "own transactions were dropped at height {height}");
        ensure!(executed.receipts.iter().all(|receipt| receipt.receipt.status()), "own transactions failed");
        let making = Instant::now();
        let rows = self.state.make_ready(&executed)?;
        cost.rows_real_us += making.elapsed().as_secs_f64() * 1e6;
        let (ready, writing) = (working_cpu_us()?, thread_cpu_us()?);
        let mut batch = self.store.batch();
        self.state.commit_ready(&mut batch, &executed, rows)?;
        batch.commit(Durability::Synced)?;
        let written = thread_cpu_us()?;
        let (all, committed) = (cpu_us()?, working_cpu_us()?);
        // The database's own threads write and merge what was committed, beside whatever runs.
        let background = (all - all_begun).saturating_sub(committed - begun);
        cost.recovery_cpu_us += (recovered - begun) as f64;
        cost.transactions_cpu_us += (run - recovered) as f64;
        cost.roots_cpu_us += (done - run) as f64;
        cost.rows_cpu_us += (ready - done) as f64;
        cost.writing_cpu_us += (written - writing) as f64;
        cost.commit_cpu_us += (committed - done + background) as f64;
        cost.background_cpu_us += background as f64;
        self.head = executed.block;
        self.blocks += 1;
        Ok(())
    }
}

/// CPU time of this thread and of those that it hands work to, in microseconds: not of the database's.
fn working_cpu_us() -> Result<u64> {
    let others: u64 = rayon::broadcast(|_| thread_cpu_us()).into_iter().sum::<Result<u64>>()?;
    Ok(thread_cpu_us()? + others)
}

fn recover(raw: &Bytes) -> Result<RecoveredTransaction> {
    let transaction = TxEnvelope::decode_2718(&mut raw.as_ref()).context("decode an own transaction")?;
    let signer = transaction.recover_signer().context("recover an own transaction")?;
    Ok(RecoveredTransaction::new_unchecked(transaction, signer))
}
