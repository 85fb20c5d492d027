//! What the transactions of a block have written, each version apart: the multi-version memory of Block-STM.

use super::scheduler::Version;
use alloy_primitives::{Address, U256, map::HashMap};
use parking_lot::Mutex;
use revm::state::AccountInfo;
use std::hash::Hash;

/// Parts with a lock each, so that workers seldom meet.
const SHARDS: usize = 64;

/// A storage slot.
pub(crate) type Slot = (Address, U256);

/// Who wrote what was read; none for the state before the transactions.
pub(crate) type Origin = Option<Version>;

/// What is found at a place before a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<V> {
    /// No transaction before wrote there.
    Nothing,
    Value(Version, V),
    /// The transaction at this place in the block is expected to write there.
    Expected(usize),
}

/// Values by key, as each transaction leaves them.
struct Versions<K, V>(Vec<Mutex<HashMap<K, Vec<Written<V>>>>>);

/// One transaction's value; none where it is expected to write another.
struct Written<V> {
    version: Version,
    value: Option<V>,
}

impl<K, V> Default for Versions<K, V> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl<K: Hash + Eq + Copy, V: Clone> Versions<K, V> {
    fn with<T>(&self, shard: usize, work: impl FnOnce(&mut HashMap<K, Vec<Written<V>>>) -> T) -> Option<T> {
        self.0.get(shard % SHARDS).map(|shard| work(&mut shard.lock()))
    }

    /// The value at `key` before the transaction at `place`.
    fn read(&self, shard: usize, key: K, place: usize) -> Found<V> {
        let found = self.with(shard, |values| {
            let written = values.get(&key)?;
            let before = written.partition_point(|written| written.version.place < place);
            let last = written.get(before.checked_sub(1)?)?;
            Some(match &last.value {
                Some(value) => Found::Value(last.version, value.clone()),
                None => Found::Expected(last.version.place),
            })
        });
        found.flatten().unwrap_or(Found::Nothing)
    }

    fn write(&self, shard: usize, key: K, version: Version, value: Option<V>) {
        self.with(shard, |values| {
            let written = values.entry(key).or_insert_with(|| Vec::with_capacity(1));
            let at = written.partition_point(|written| written.version.place < version.place);
            match written.get_mut(at) {
                Some(old) if old.version.place == version.place => *old = Written { version, value },
                _ => written.insert(at, Written { version, value }),
            }
        });
    }

    /// Takes away what the transaction at `place` wrote.
    fn remove(&self, shard: usize, key: K, place: usize) {
        self.with(shard, |values| {
            if let Some(written) = values.get_mut(&key) {
                written.retain(|written| written.version.place != place);
            }
        });
    }
}

/// A place in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Location {
    Account(Address),
    Slot(Slot),
}

/// What one execution changes, place by place, in any order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) accounts: Vec<(Address, Option<AccountInfo>)>,
    pub(crate) slots: Vec<(Slot, U256)>,
}

/// Everything that transactions have written and read.
pub(crate) struct Memory {
    accounts: Versions<Address, Option<AccountInfo>>,
    slots: Versions<Slot, U256>,
    transactions: Vec<Mutex<Last>>,
}

/// What the last execution of a transaction did.
#[derive(Default)]
struct Last {
    reads: Vec<(Location, Origin)>,
    /// In order.
    writes: Vec<Location>,
}

impl Memory {
    /// A memory in which each transaction is expected to write where `expected` says.
    pub(crate) fn new(expected: impl ExactSizeIterator<Item = Vec<Address>>) -> Self {
        let (accounts, slots) = (Versions::default(), Versions::default());
        let mut transactions = Vec::with_capacity(expected.len());
        for (place, mut addresses) in expected.enumerate() {
            addresses.sort_unstable();
            addresses.dedup();
            let version = Version { place, incarnation: 0 };
            for address in &addresses {
                accounts.write(account_shard(address), *address, version, None);
            }
            let writes = addresses.into_iter().map(Location::Account).collect();
            transactions.push(Mutex::new(Last { reads: Vec::new(), writes }));
        }
        Self { accounts, slots, transactions }
    }

    /// The account before the transaction at `place`.
    pub(crate) fn account(&self, address: Address, place: usize) -> Found<Option<AccountInfo>> {
        self.accounts.read(account_shard(&address), address, place)
    }

    /// The slot before the transaction at `place`.
    pub(crate) fn slot(&self, slot: Slot, place: usize) -> Found<U256> {
        self.slots.read(slot_shard(&slot), slot, place)
    }

    /// Takes over what an execution read and wrote, in place of the one before it; true where it wrote elsewhere than
    /// that one.
    pub(crate) fn record(&self, version: Version, reads: Vec<(Location, Origin)>, written: Output) -> bool {
        let Some(last) = self.transactions.get(version.place) else { return false };
        let mut writes = Vec::with_capacity(written.accounts.len() + written.slots.len());
        for (address, value) in written.accounts {
            writes.push(Location::Account(address));
            self.accounts.write(account_shard(&address), address, version, Some(value));
        }
        for (slot, value) in written.slots {
            writes.push(Location::Slot(slot));
            self.slots.write(slot_shard(&slot), slot, version, Some(value));
        }
        writes.sort_unstable();
        let mut last = last.lock();
        let is_in = |writes: &[Location], location: &Location| writes.binary_search(location).is_ok();
        let elsewhere = writes.iter().any(|location| !is_in(&last.writes, location));
        for location in last.writes.iter().filter(|location| !is_in(&writes, location)) {
            match location {
                Location::Account(address) => {
                    self.accounts.remove(account_shard(address), *address, version.place);
                }
                Location::Slot(slot) => self.slots.remove(slot_shard(slot), *slot, version.place),
            }
        }
        *last = Last { reads, writes };
        elsewhere
    }

    /// Whether what the last execution of the transaction at `place` read is still so.
    pub(crate) fn is_valid(&self, place: usize) -> bool {
        let Some(last) = self.transactions.get(place) else { return false };
        last.lock().reads.iter().all(|(location, origin)| match location {
            Location::Account(address) => is_origin(&self.account(*address, place), *origin),
            Location::Slot(slot) => is_origin(&self.slot(*slot, place), *origin),
        })
    }

    /// Says of what the last execution of the transaction at `place` wrote that it will be written again.
    pub(crate) fn expect_again(&self, version: Version) {
        let Some(last) = self.transactions.get(version.place) else { return };
        for location in &last.lock().writes {
            match location {
                Location::Account(address) => {
                    self.accounts.write(account_shard(address), *address, version, None);
                }
                Location::Slot(slot) => self.slots.write(slot_shard(slot), *slot, version, None),
            }
        }
    }
}

fn is_origin<V>(found: &Found<V>, origin: Origin) -> bool {
    match found {
        Found::Nothing => origin.is_none(),
        Found::Value(version, _) => origin == Some(*version),
        Found::Expected(_) => false,
    }
}

fn account_shard(address: &Address) -> usize {
    usize::from(address.0[19])
}

fn slot_shard((address, slot): &Slot) -> usize {
    usize::from(address.0[19] ^ slot.byte(0))
}
