//! Running ERC-20 transfers beside revm alone on the same accounts, round by round.

use super::{
    Chain,
    rounds::{Ratios, Rounds},
    scene::{Kind, Scene},
};
use crate::commands::bench::{cpu_us, thread_cpu_us};
use anyhow::{Result, ensure};
use bxp_execution::{BareRevm, BareTransactions};
use serde::Serialize;
use std::time::Instant;

/// What running costs in the middle of all rounds, in CPU microseconds for a transaction.
#[derive(Debug, Serialize)]
pub(super) struct Running {
    pub(super) rounds: usize,
    /// revm alone, on one thread.
    pub(super) bare_revm_cpu_us: f64,
    /// Ours on one thread.
    pub(super) one_by_one_cpu_us: f64,
    /// Transactions a second of real time.
    pub(super) one_by_one_per_second: f64,
    pub(super) threads: usize,
    /// Ours on all threads.
    pub(super) parallel_cpu_us: f64,
    pub(super) parallel_per_second: f64,
    /// Bare revm / one by one, of each round, in order of size: the lowest, the one in the middle, the highest.
    pub(super) ratio_lowest: f64,
    pub(super) ratio: f64,
    pub(super) ratio_highest: f64,
}

/// Costs of the rounds.
#[derive(Default)]
struct Measured {
    bare_cpu_us: Rounds,
    one_cpu_us: Rounds,
    one_seconds: Rounds,
    parallel_cpu_us: Rounds,
    parallel_seconds: Rounds,
}

/// Runs `rounds` blocks of ERC-20 transfers each way. Nothing of ours is kept; revm alone keeps what it changes.
pub(super) fn measure(chain: &Chain, scene: &Scene, rounds: usize) -> Result<Running> {
    let mut bare_revm = BareRevm::new(&scene.genesis)?;
    let mut measured = Measured::default();
    // The round before the first is not counted: it makes code and data known to the processor.
    for round in 0..=rounds as u64 {
        let input = chain.input(scene.unsigned(Kind::Token, chain.blocks, round));
        let mut bare = Some(BareTransactions::new(&scene.unsigned(Kind::Token, round, round)));
        let (header, mut gas) = (&chain.head.header, Vec::new());
        // Who comes second finds caches as the other left them, so each is first in half of the rounds.
        let bare_first = round % 2 == 0;
        for is_bare in [bare_first, !bare_first] {
            let (begun, started) = (thread_cpu_us()?, Instant::now());
            if let Some(transactions) = bare.take_if(|_| is_bare) {
                gas.push(bare_revm.run(transactions)?);
                measured.bare_cpu_us.push((thread_cpu_us()? - begun) as f64);
            } else {
                let ran = chain.state.run_one_by_one(header, &input)?;
                measured.one_cpu_us.push((thread_cpu_us()? - begun) as f64);
                measured.one_seconds.push(started.elapsed().as_secs_f64());
                gas.push(ran.gas_used());
            }
        }
        let (begun, started) = (cpu_us()?, Instant::now());
        let ran = chain.state.run_in_parallel(header, &input)?;
        measured.parallel_seconds.push(started.elapsed().as_secs_f64());
        measured.parallel_cpu_us.push((cpu_us()? - begun) as f64);
        let gas_used = ran.gas_used();
        ensure!(ran.is_parallel() && gas.iter().all(|gas| *gas == gas_used), "all ways use the same gas");
    }
    Ok(measured.summed_up(scene.senders.len(), rounds))
}

impl Measured {
    fn summed_up(&self, transactions: usize, rounds: usize) -> Running {
        let of_transaction = |rounds: &Rounds| rounds.median() / transactions as f64;
        let Ratios { lowest, middle, highest } = self.bare_cpu_us.over(&self.one_cpu_us);
        Running {
            rounds,
            bare_revm_cpu_us: of_transaction(&self.bare_cpu_us),
            one_by_one_cpu_us: of_transaction(&self.one_cpu_us),
            one_by_one_per_second: 1.0 / of_transaction(&self.one_seconds),
            threads: rayon::current_num_threads(),
            parallel_cpu_us: of_transaction(&self.parallel_cpu_us),
            parallel_per_second: 1.0 / of_transaction(&self.parallel_seconds),
            ratio_lowest: lowest,
            ratio: middle,
            ratio_highest: highest,
        }
    }
}
