//! Transactions of a block on many threads, with the result of one after the other: Block-STM (ADR 55).
//!
//! Each transaction is executed on what those before it in the block have written so far, without waiting for them, and
//! notes what it read. It is valid if that is still so when all before it are done; else it is executed again. What comes
//! out is what each gives and changes, in order, as if they had run one after the other.
//!
//! Who sends a transaction, and who gets a plain transfer, is known before: they are expected to be written, and
//! whoever meets what is expected waits for it, so that the chain of nonces of one account is never guessed at. Fees are
//! in no transaction's way: the block gathers them (ADR 13).
//!
//! Where too much has to be done again, it is given up, and the block runs one after the other.

mod memory;
mod scheduler;
mod versioned;

use crate::{
    ChainSpec, PAYMENTS,
    evm::Evm,
    run::{Block, Effect},
};
use alloy_consensus::{Header, Transaction};
use alloy_primitives::Address;
use bxp_types::RecoveredTransaction;
use memory::Memory;
use parking_lot::Mutex;
use scheduler::{Scheduler, Task, Version};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
pub(crate) use versioned::Base;
use versioned::{Stop, Versioned};

/// With fewer threads, keeping versions costs nearly what the others give: with two, a block takes twice as long as one
/// after the other.
const THREADS_MIN: usize = 8;

/// Fewer calls of contracts than this are done sooner than threads are woken.
const CALLS_MIN: usize = 32;

/// One transaction in so many has to be a call: plain transfers cost less than to keep their versions.
const CALLS_SHARE: usize = 4;

/// Executions for nothing that a block is allowed beside this share of its transactions.
const WASTED_AT_LEAST: usize = 16;
const WASTED_SHARE: usize = 2;

/// Executions that met what they had to wait for, for each transaction: they end early, and cost little.
const WAITS_A_TRANSACTION: usize = 4;

/// Whether threads are likely to help with these transactions.
pub(crate) fn is_worthwhile(transactions: &[RecoveredTransaction], threads: usize) -> bool {
    if threads < THREADS_MIN || transactions.len() < CALLS_MIN {
        return false;
    }
    let calls = transactions.iter().filter(|transaction| is_call(transaction)).count();
    calls >= CALLS_MIN && calls * CALLS_SHARE >= transactions.len()
}

/// Whether a transaction is likely to run code.
fn is_call(transaction: &RecoveredTransaction) -> bool {
    match transaction.kind().to() {
        None => true,
        Some(to) => !transaction.input().is_empty() && *to != PAYMENTS,
    }
}

/// The accounts that a transaction is sure to write, if it enters.
fn expected(transaction: &RecoveredTransaction) -> Vec<Address> {
    let mut addresses = vec![transaction.signer()];
    if !transaction.value().is_zero() && transaction.input().is_empty() {
        addresses.extend(transaction.kind().to());
    }
    addresses
}

/// What the transactions are executed in.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) base: Base<'a>,
    pub(crate) spec: &'a ChainSpec,
    pub(crate) header: &'a Header,
    pub(crate) block: Block,
    /// Whether to give up where too much has to be done again.
    pub(crate) gives_up: bool,
}

/// What each of the transactions gives and changes where all of them find gas in the block, in their order; none where it
/// is better, or necessary, to run them one after the other. Takes all threads of the pool that it is called in.
pub(crate) fn effects(
    surroundings: Surroundings<'_>,
    transactions: &[RecoveredTransaction],
) -> Option<Vec<Effect>> {
    let shared = Shared {
        surroundings,
        transactions,
        memory: Memory::new(transactions.iter().map(expected)),
        scheduler: Scheduler::new(transactions.len()),
        effects: transactions.iter().map(|_| Mutex::default()).collect(),
        wasted: AtomicUsize::new(0),
        waits: AtomicUsize::new(0),
    };
    rayon::scope(|scope| {
        for _ in 1..rayon::current_num_threads() {
            scope.spawn(|_| shared.work());
        }
        shared.work();
    });
    if shared.scheduler.is_halted() {
        return None;
    }
    shared.effects.into_iter().map(Mutex::into_inner).collect()
}

/// What all workers have in common.
struct Shared<'a> {
    surroundings: Surroundings<'a>,
    transactions: &'a [RecoveredTransaction],
    memory: Memory,
    scheduler: Scheduler,
    effects: Vec<Mutex<Option<Effect>>>,
    wasted: AtomicUsize,
    waits: AtomicUsize,
}

impl Shared<'_> {
    /// Takes tasks until there are none.
    fn work(&self) {
        if self.scheduler.is_done() {
            return;
        }
        let Surroundings { base, spec, header, .. } = self.surroundings;
        let mut evm = Evm::new(Versioned::new(base, &self.memory), spec, header);
        let mut task = None;
        while !self.scheduler.is_done() {
            task = match task.or_else(|| self.scheduler.next()) {
                Some(Task::Execute(version)) => self.execute(&mut evm, version),
                Some(Task::Validate(version)) => self.validate(version),
                None => {
                    std::thread::yield_now();
                    None
                }
            };
        }
    }

    fn execute(&self, evm: &mut Evm<Versioned<'_>>, version: Version) -> Option<Task> {
        let transaction = self.transactions.get(version.place)?;
        loop {
            evm.state().begin(version.place);
            let effect = match self.surroundings.block.check(transaction) {
                Ok(()) => self.surroundings.block.effect(evm, transaction),
                Err(reason) => Ok(Err(reason)),
            };
            match (evm.state().stop(), effect) {
                (Some(Stop::Blocked(blocking)), _) => {
                    self.count(&self.waits, WAITS_A_TRANSACTION * self.transactions.len());
                    if self.scheduler.wait_for(version.place, blocking) || self.scheduler.is_done() {
                        return None;
                    }
                }
                (None, Ok(effect)) => {
                    let writes = effect.as_ref().ok().map(|(_, writes)| writes);
                    let wrote_elsewhere = evm.state().record(version, writes);
                    if let Some(place) = self.effects.get(version.place) {
                        *place.lock() = Some(effect);
                    }
                    return self.scheduler.executed(version, wrote_elsewhere);
                }
                // What is wrong with the state itself, running one after the other will say.
                (Some(Stop::Unusual), _) | (None, Err(_)) => {
                    self.scheduler.halt();
                    return None;
                }
            }
        }
    }

    fn validate(&self, version: Version) -> Option<Task> {
        let is_aborted = !self.memory.is_valid(version.place) && self.scheduler.try_abort(version);
        if is_aborted {
            self.memory.expect_again(version);
            self.count(&self.wasted, WASTED_AT_LEAST + self.transactions.len() / WASTED_SHARE);
        }
        self.scheduler.validated(version.place, is_aborted)
    }

    /// Counts what was for nothing, and gives up where it is too much.
    fn count(&self, counter: &AtomicUsize, most: usize) {
        if counter.fetch_add(1, Relaxed) >= most && self.surroundings.gives_up {
            self.scheduler.halt();
        }
    }
}
