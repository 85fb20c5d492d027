//! What of the newest state was read or written last, in memory.
//!
//! Everything here is named by the root of the state that it belongs to: the root says what every account and slot is, so
//! a reader of a state with that root cannot be told of another, whatever is committed, fails to be or is taken back
//! meanwhile. A reader of the state before that one, on which a block may still be run, is told what the newest block has
//! not changed. A reader of any other state is told nothing and asks the database.

use crate::{
    StateChanges,
    known_tries::KnownTries,
    overlay_accounts::{OverlayAccounts, Spare},
};
use alloy_consensus::{
    TrieAccount,
    constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY},
};
use alloy_primitives::{Address, B256, U256, map::HashMap};
use parking_lot::{Mutex, MutexGuard};
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Parts with a lock each, so that readers on several threads seldom meet.
const SHARDS: usize = 16;

/// Accounts, and slots, in one shard: as many as a table of 131,072 places takes. Where a million accounts are in use, all
/// of them stay: with all shards full, some 170 MB of accounts and 200 MB of slots.
const SHARD_ENTRIES_MAX: usize = 114_688;

/// What a sweep of a full shard has to make room for at least.
const SWEPT_ENTRIES_MIN: usize = SHARD_ENTRIES_MAX / 4;

/// Accounts and slots of the newest state, and its tries.
#[derive(Default)]
pub(crate) struct HotState {
    shards: [Mutex<Shard>; SHARDS],
    tries: KnownTries,
    /// The memory of the accounts of the block before.
    spare: Mutex<Spare>,
}

#[derive(Default)]
struct Shard {
    root: B256,
    /// The root of the state that the newest block was made on.
    before: B256,
    /// How often the state has moved on.
    moves: u32,
    accounts: Entries<AccountKey, HotAccount>,
    slots: Entries<SlotKey, U256>,
}

/// The address of an account, hashed as numbers: bytes take several times as long.
#[derive(Clone, Copy, PartialEq, Eq)]
struct AccountKey(Address);

impl Hash for AccountKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, rest @ ..] = self.0.into_array();
        state.write_u32(u32::from_ne_bytes([a, b, c, d]));
        state.write_u128(u128::from_ne_bytes(rest));
    }
}

/// A slot of an account, hashed in the same way.
#[derive(Clone, Copy, PartialEq, Eq)]
struct SlotKey(AccountKey, U256);

impl Hash for SlotKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.as_limbs().iter().for_each(|limb| state.write_u64(*limb));
    }
}

/// An account as it is kept: nearly all have neither code nor storage, and take half the room.
#[derive(Clone)]
enum HotAccount {
    Absent,
    Plain { nonce: u64, balance: U256 },
    Contract(Box<TrieAccount>),
}

impl From<Option<TrieAccount>> for HotAccount {
    fn from(account: Option<TrieAccount>) -> Self {
        match account {
            None => Self::Absent,
            Some(TrieAccount { nonce, balance, storage_root: EMPTY_ROOT_HASH, code_hash: KECCAK_EMPTY }) => {
                Self::Plain { nonce, balance }
            }
            Some(account) => Self::Contract(Box::new(account)),
        }
    }
}

impl From<HotAccount> for Option<TrieAccount> {
    fn from(account: HotAccount) -> Self {
        match account {
            HotAccount::Absent => None,
            HotAccount::Plain { nonce, balance } => {
                Some(TrieAccount { nonce, balance, storage_root: EMPTY_ROOT_HASH, code_hash: KECCAK_EMPTY })
            }
            HotAccount::Contract(account) => Some(*account),
        }
    }
}

impl Shard {
    /// Which entries belong to the state with this root, if any can.
    fn belonging(&self, root: B256) -> Option<Belonging> {
        if self.root == root {
            Some(Belonging::All)
        } else {
            (self.before == root).then_some(Belonging::OlderThan(self.moves))
        }
    }

    fn clear(&mut self) {
        self.accounts = Entries::default();
        self.slots = Entries::default();
    }
}

/// Entries in one table, so that whoever asks looks once. When it is full, those that nobody has read since they were put
/// there, or since the last time, go.
struct Entries<K, V>(HashMap<K, Entry<V>>);

struct Entry<V> {
    value: V,
    is_used: bool,
    /// After how many moves of the state the value was put here.
    moves: u32,
}

/// Entries that belong to a state.
#[derive(Clone, Copy)]
enum Belonging {
    All,
    /// Those that were there before the last of so many moves, which it has not changed: others may be of that move.
    OlderThan(u32),
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Eq + Hash, V: Clone> Entries<K, V> {
    fn get(&mut self, key: &K, belonging: Belonging) -> Option<V> {
        let entry = self.0.get_mut(key)?;
        if let Belonging::OlderThan(moves) = belonging
            && entry.moves == moves
        {
            return None;
        }
        if !entry.is_used {
            entry.is_used = true;
        }
        Some(entry.value.clone())
    }

    fn put(&mut self, key: K, value: V, moves: u32) {
        if let Some(entry) = self.0.get_mut(&key) {
            (entry.value, entry.moves) = (value, moves);
            return;
        }
        if self.0.len() >= SHARD_ENTRIES_MAX {
            self.sweep();
        }
        self.0.insert(key, Entry { value, is_used: false, moves });
    }

    /// Makes room. What stays moves to a new table: one with holes would grow.
    fn sweep(&mut self) {
        let used = self.0.values().filter(|entry| entry.is_used).count();
        // Where more are in use than there is room for, any of them may go.
        let is_crowded = used > SHARD_ENTRIES_MAX - SWEPT_ENTRIES_MIN;
        let mut stays = false;
        let old = std::mem::replace(
            &mut self.0,
            HashMap::with_capacity_and_hasher(SHARD_ENTRIES_MAX, Default::default()),
        );
        self.0.extend(
            old.into_iter()
                .filter(|(_, entry)| {
                    stays = !stays;
                    entry.is_used && (stays || !is_crowded)
                })
                .map(|(key, entry)| (key, Entry { is_used: false, ..entry })),
        );
    }
}

impl HotState {
    /// Nothing, of the state with this root.
    pub(crate) fn of(root: B256) -> Self {
        let hot = Self::default();
        for shard in &hot.shards {
            shard.lock().root = root;
        }
        hot
    }

    /// Goes from the state with root `before` to the one with root `after`, to which `changes` lead. What belongs to
    /// another state than `before` is forgotten.
    pub(crate) fn advance(&self, before: B256, after: B256, changes: &StateChanges) {
        // All locks are held, in their order, so that nobody finds the new root over an old entry.
        let mut shards: Vec<MutexGuard<'_, Shard>> = self.shards.iter().map(Mutex::lock).collect();
        for shard in &mut shards {
            if shard.root != before {
                shard.clear();
            }
            (shard.before, shard.root, shard.moves) = (before, after, shard.moves.wrapping_add(1));
        }
        for (address, change) in &changes.accounts {
            if let Some(shard) = shards.get_mut(place(*address)) {
                let moves = shard.moves;
                shard.accounts.put(AccountKey(*address), change.after.into(), moves);
            }
        }
        for (key, change) in &changes.slots {
            if let Some(shard) = shards.get_mut(slot_place(key.0, key.1)) {
                let (key, value) = (SlotKey(AccountKey(key.0), key.1), change.after.unwrap_or_default());
                let moves = shard.moves;
                shard.slots.put(key, value, moves);
            }
        }
    }

    /// The memory that [`HotState::keep_spare`] was given last.
    pub(crate) fn take_spare(&self) -> Spare {
        std::mem::take(&mut self.spare.lock())
    }

    /// Keeps memory for the next block.
    pub(crate) fn keep_spare(&self, spare: Spare) {
        *self.spare.lock() = spare;
    }

    /// What `find` finds in a shard among what belongs to the state with this root.
    fn known<T>(
        &self,
        root: B256,
        place: usize,
        find: impl FnOnce(&mut Shard, Belonging) -> Option<T>,
    ) -> Option<T> {
        let mut shard = self.shards.get(place)?.lock();
        let belonging = shard.belonging(root)?;
        find(&mut shard, belonging)
    }

    /// The shard, where it is of the state with this root.
    fn shard(&self, root: B256, place: usize) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(place).map(Mutex::lock).filter(|shard| shard.root == root)
    }
}

/// The shard of an account.
fn place(address: Address) -> usize {
    usize::from(address.0[19]) % SHARDS
}

/// The shard of a slot: a token's slots are spread over all of them.
fn slot_place(address: Address, slot: U256) -> usize {
    usize::from(address.0[19] ^ slot.byte(0)) % SHARDS
}

/// The part of [`HotState`] that belongs to one state, if any does.
#[derive(Clone)]
pub(crate) struct HotView {
    hot: Arc<HotState>,
    root: B256,
}

impl HotView {
    pub(crate) const fn new(hot: Arc<HotState>, root: B256) -> Self {
        Self { hot, root }
    }

    /// The part that belongs to the state with this root.
    pub(crate) fn of(&self, root: B256) -> Self {
        Self::new(Arc::clone(&self.hot), root)
    }

    /// No accounts of a block, in the memory of those of the block before.
    pub(crate) fn overlay_accounts(&self) -> OverlayAccounts {
        OverlayAccounts::recycled(&self.hot)
    }

    /// What is known of tries.
    pub(crate) fn tries(&self) -> &KnownTries {
        &self.hot.tries
    }

    /// The account at `address`, from memory or by `read`.
    pub(crate) fn account<E>(
        &self,
        address: Address,
        read: impl FnOnce() -> Result<Option<TrieAccount>, E>,
    ) -> Result<Option<TrieAccount>, E> {
        let (key, place) = (AccountKey(address), place(address));
        let known = self.hot.known(self.root, place, |shard, which| shard.accounts.get(&key, which));
        if let Some(known) = known {
            return Ok(known.into());
        }
        let account = read()?;
        if let Some(mut shard) = self.hot.shard(self.root, place) {
            // Whether the newest block has changed it is not known.
            let moves = shard.moves;
            shard.accounts.put(key, account.into(), moves);
        }
        Ok(account)
    }

    /// The value of a slot, from memory or by `read`.
    pub(crate) fn slot<E>(
        &self,
        address: Address,
        slot: U256,
        read: impl FnOnce() -> Result<U256, E>,
    ) -> Result<U256, E> {
        let (key, place) = (SlotKey(AccountKey(address), slot), slot_place(address, slot));
        let known = self.hot.known(self.root, place, |shard, which| shard.slots.get(&key, which));
        if let Some(known) = known {
            return Ok(known);
        }
        let value = read()?;
        if let Some(mut shard) = self.hot.shard(self.root, place) {
            let moves = shard.moves;
            shard.slots.put(key, value, moves);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_trie::Change;

    const ALICE: Address = Address::repeat_byte(0xa1);

    fn root(number: u8) -> B256 {
        B256::repeat_byte(number)
    }

    fn slot_becomes(value: u64) -> StateChanges {
        let change = Change { before: None, after: Some(U256::from(value)) };
        StateChanges { slots: vec![((ALICE, U256::ONE), change)], ..StateChanges::default() }
    }

    /// What the view of `root` is told of the slot; 0 where it had to read.
    fn told(hot: &Arc<HotState>, root: B256) -> U256 {
        let view = HotView::new(Arc::clone(hot), root);
        let unread: Result<U256, ()> = view.slot(ALICE, U256::ONE, || Err(()));
        unread.unwrap_or_default()
    }

    #[test]
    fn each_state_is_told_only_of_itself() {
        let hot = Arc::new(HotState::of(root(0)));
        let begun = HotView::new(Arc::clone(&hot), root(0));
        assert_eq!(begun.slot(ALICE, U256::ONE, || Ok::<_, ()>(U256::from(5))), Ok(U256::from(5)));
        assert_eq!(told(&hot, root(0)), U256::from(5), "what is read before the first block is kept");
        hot.advance(root(0), root(1), &slot_becomes(10));
        assert_eq!((told(&hot, root(1)), told(&hot, root(2))), (U256::from(10), U256::ZERO));
        hot.advance(root(1), root(2), &slot_becomes(20));
        assert_eq!((told(&hot, root(1)), told(&hot, root(2))), (U256::ZERO, U256::from(20)), "changed since");
        // A reader of the old state leaves nothing for those of the new one.
        let old = HotView::new(Arc::clone(&hot), root(1));
        assert_eq!(old.slot(ALICE, U256::ONE, || Ok::<_, ()>(U256::from(10))), Ok(U256::from(10)));
        assert_eq!(told(&hot, root(2)), U256::from(20));
        // After a commit that never came to be, what is known belongs to no state that anybody can read.
        hot.advance(root(1), root(3), &StateChanges::default());
        assert_eq!((told(&hot, root(2)), told(&hot, root(3))), (U256::ZERO, U256::ZERO));
    }

    #[test]
    fn the_state_before_is_told_what_the_newest_block_left_alone() {
        let hot = Arc::new(HotState::of(root(0)));
        let [old, new] = [root(0), root(1)].map(|root| HotView::new(Arc::clone(&hot), root));
        let read = |view: &HotView, slot: u64, value: u64| {
            view.slot(ALICE, U256::from(slot), || Ok::<_, ()>(U256::from(value)))
        };
        assert_eq!((read(&old, 1, 5), read(&old, 2, 6)), (Ok(U256::from(5)), Ok(U256::from(6))));
        hot.advance(root(0), root(1), &slot_becomes(10));
        assert_eq!(read(&old, 2, 0), Ok(U256::from(6)), "it was not changed");
        assert_eq!((read(&old, 1, 5), read(&new, 1, 0)), (Ok(U256::from(5)), Ok(U256::from(10))));
        // Whoever reads the new state cannot say what was before.
        assert_eq!((read(&new, 3, 8), read(&old, 3, 7)), (Ok(U256::from(8)), Ok(U256::from(7))));
        assert_eq!(read(&new, 3, 0), Ok(U256::from(8)));
        // Two blocks back, nothing is told.
        hot.advance(root(1), root(2), &StateChanges::default());
        assert_eq!(
            (read(&old, 2, 1), read(&new, 2, 0), read(&new, 3, 0)),
            (Ok(U256::from(1)), Ok(U256::from(6)), Ok(U256::from(8)))
        );
    }

    #[test]
    fn accounts_are_kept_as_they_are() {
        let plain = TrieAccount { nonce: 7, balance: U256::from(9), ..TrieAccount::default() };
        let stored = TrieAccount { storage_root: root(1), ..plain };
        let coded = TrieAccount { code_hash: root(2), ..plain };
        for account in [None, Some(plain), Some(stored), Some(coded), Some(TrieAccount::default())] {
            assert_eq!(Option::<TrieAccount>::from(HotAccount::from(account)), account);
        }
    }

    #[test]
    fn entries_are_bounded_and_those_in_use_stay() {
        let mut entries = Entries::default();
        entries.put(0, 0, 0);
        for key in 1..5 * SHARD_ENTRIES_MAX {
            entries.put(key, key, 0);
            assert_eq!(entries.get(&0, Belonging::All), Some(0));
            assert!(entries.0.len() <= SHARD_ENTRIES_MAX);
        }
        assert_eq!(entries.get(&1, Belonging::All), None);
    }

    #[test]
    fn a_full_table_makes_room_where_all_is_in_use() {
        let mut entries = Entries::default();
        for key in 0..SHARD_ENTRIES_MAX {
            entries.put(key, key, 0);
            assert_eq!(entries.get(&key, Belonging::All), Some(key));
        }
        entries.put(SHARD_ENTRIES_MAX, 0, 0);
        assert_eq!(entries.0.len(), SHARD_ENTRIES_MAX / 2 + 1);
        assert!(entries.0.capacity() < 2 * SHARD_ENTRIES_MAX);
        assert_eq!(entries.get(&SHARD_ENTRIES_MAX, Belonging::All), Some(0));
    }
}
