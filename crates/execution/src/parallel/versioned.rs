//! The state as one transaction of a block sees it that is executed before those before it are known to be done.

use super::{
    memory::{Found, Location, Memory, Origin, Output},
    scheduler::Version,
};
use crate::{
    ExecutionError,
    code_cache::CodeCache,
    evm::BlockState,
    overlay::{self, OverlayAccount},
    overlay_accounts::OverlayAccounts,
    read::StateRead,
    run::Writes,
};
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use bxp_types::Height;
use revm::{
    Database,
    bytecode::Bytecode,
    state::{Account, AccountInfo},
};

/// The state before the first transaction.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) stored: &'a dyn StateRead,
    /// What the block itself has changed already.
    pub(crate) changed: &'a OverlayAccounts,
    pub(crate) code: &'a CodeCache,
}

/// Why an execution did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has to do with what the transaction at this place will write.
    Blocked(usize),
    /// It has to do with an account of which the EVM is not told the truth (EIP-7610): this way of executing does not
    /// know them.
    Unusual,
}

/// The state before one transaction, which notes what is read.
pub(crate) struct Versioned<'a> {
    base: Base<'a>,
    memory: &'a Memory,
    place: usize,
    reads: Vec<(Location, Origin)>,
    /// Accounts as they were told.
    told: AddressMap<Option<AccountInfo>>,
    stop: Option<Stop>,
}

impl<'a> Versioned<'a> {
    pub(crate) fn new(base: Base<'a>, memory: &'a Memory) -> Self {
        let (reads, told) = (Vec::new(), AddressMap::default());
        Self { base, memory, place: 0, reads, told, stop: None }
    }

    /// Turns to the transaction at `place`.
    pub(crate) fn begin(&mut self, place: usize) {
        self.place = place;
        self.reads.clear();
        self.told.clear();
        self.stop = None;
    }

    /// Why the execution stopped, if it did.
    pub(crate) const fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// What the transaction read.
    pub(crate) fn take_reads(&mut self) -> Vec<(Location, Origin)> {
        std::mem::take(&mut self.reads)
    }

    /// What the transaction changes, of all that it touched.
    pub(crate) fn output(&self, writes: &Writes) -> Output {
        let mut output = Output::default();
        match writes {
            Writes::Plain(accounts) => {
                for (address, account) in accounts {
                    self.write_account(*address, Some(account), &mut output);
                }
            }
            Writes::Evm(changes) => {
                for (address, account) in changes.iter().filter(|(_, account)| account.is_touched()) {
                    self.write_touched(*address, account, &mut output);
                }
            }
        }
        output
    }

    /// As [`Overlay::apply`](crate::overlay::Overlay::apply) under EIP-6780, by which nothing is destroyed but what its
    /// transaction has made.
    fn write_touched(&self, address: Address, account: &Account, output: &mut Output) {
        if account.is_selfdestructed() {
            self.write_account(address, None, output);
            return;
        }
        let is_there = account.is_created() || !account.info.is_empty();
        self.write_account(address, is_there.then_some(&account.info), output);
        let changed = account.storage.iter().filter(|(_, slot)| slot.is_changed());
        output.slots.extend(changed.map(|(key, slot)| ((address, *key), slot.present_value)));
    }

    fn write_account(&self, address: Address, account: Option<&AccountInfo>, output: &mut Output) {
        let told = self.told.get(&address).and_then(Option::as_ref);
        if told != account {
            output.accounts.push((address, account.cloned()));
        }
    }

    fn stopped(&mut self, stop: Stop) -> ExecutionError {
        self.stop = Some(stop);
        ExecutionError::Evm("an execution ahead of its turn is given up".to_owned())
    }
}

impl Base<'_> {
    fn account(&self, address: Address) -> Result<OverlayAccountView, ExecutionError> {
        Ok(match self.changed.get(&address) {
            Some(account) => OverlayAccountView { now: account.now.clone(), is_taken: account.is_taken() },
            None => {
                let stored = self.stored.account(address)?;
                let is_taken = stored.is_some() && OverlayAccount::stored(stored).is_taken();
                OverlayAccountView { now: stored.as_ref().map(overlay::info), is_taken }
            }
        })
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        self.changed.slot(address, slot).map_or_else(|| self.stored.slot(address, slot), Ok)
    }
}

/// An account before the first transaction.
struct OverlayAccountView {
    now: Option<AccountInfo>,
    is_taken: bool,
}

impl BlockState for Versioned<'_> {
    fn sends(&mut self, _: Address) {}

    fn account(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionError> {
        if let Some(told) = self.told.get(&address) {
            return Ok(told.clone());
        }
        let (origin, account) = match self.memory.account(address, self.place) {
            Found::Value(version, account) => (Some(version), account),
            Found::Expected(place) => return Err(self.stopped(Stop::Blocked(place))),
            Found::Nothing => {
                let OverlayAccountView { now, is_taken } = self.base.account(address)?;
                if is_taken {
                    return Err(self.stopped(Stop::Unusual));
                }
                (None, now)
            }
        };
        self.reads.push((Location::Account(address), origin));
        self.told.insert(address, account.clone());
        Ok(account)
    }
}

impl Database for Versioned<'_> {
    type Error = ExecutionError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionError> {
        self.account(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ExecutionError> {
        self.base.code.get(code_hash, self.base.stored)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, ExecutionError> {
        let (origin, value) = match self.memory.slot((address, index), self.place) {
            Found::Value(version, value) => (Some(version), value),
            Found::Expected(place) => return Err(self.stopped(Stop::Blocked(place))),
            Found::Nothing => (None, self.base.slot(address, index)?),
        };
        self.reads.push((Location::Slot((address, index)), origin));
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ExecutionError> {
        Ok(self.base.stored.block_hash(Height(number))?.unwrap_or_default())
    }
}

/// The version that executes, for [`Memory::record`].
impl Versioned<'_> {
    pub(crate) fn record(&mut self, version: Version, writes: Option<&Writes>) -> bool {
        let output = writes.map(|writes| self.output(writes)).unwrap_or_default();
        let reads = self.take_reads();
        self.memory.record(version, reads, output)
    }
}
