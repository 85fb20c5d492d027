//! The accounts that a block has met, in memory that blocks hand on to each other (ADR 82).
//!
//! They stand one after the other in the order in which they were met: a table of whole accounts would be spread over ten
//! times the memory that a processor's core has near, and each block would ask the operating system for it anew.

use crate::{hot::HotState, overlay::OverlayAccount, overlay_slots::OverlaySlots};
use alloy_primitives::{
    Address, U256,
    map::{AddressMap, Entry},
};
use std::{mem, sync::Arc};

/// Accounts, and slots of one account, whose memory is kept for the next block; that of more goes back to the system.
const KEPT_MAX: usize = 1 << 16;

/// An account with so many slots, when it needs more room, gets that of the largest account before.
const SLOTS_MANY: usize = 56;

/// Accounts with what a block has done to them.
#[derive(Default)]
pub(crate) struct OverlayAccounts {
    spare: Spare,
    /// Where the memory goes afterwards, if it goes anywhere.
    home: Option<Arc<HotState>>,
}

/// The memory of accounts: empty while it waits for a block.
#[derive(Default)]
pub(crate) struct Spare {
    /// The place of each account.
    places: AddressMap<usize>,
    accounts: Vec<(Address, OverlayAccount)>,
    /// Room for the slots of one account that has many.
    slots: OverlaySlots,
}

impl OverlayAccounts {
    /// No accounts, in the memory that the last block of `home` left there.
    pub(crate) fn recycled(home: &Arc<HotState>) -> Self {
        Self { spare: home.take_spare(), home: Some(Arc::clone(home)) }
    }

    /// Makes room for as many accounts as are likely to be met.
    pub(crate) fn reserve(&mut self, accounts: usize) {
        self.spare.places.reserve(accounts);
        self.spare.accounts.reserve(accounts);
    }

    pub(crate) fn get(&self, address: &Address) -> Option<&OverlayAccount> {
        self.spare.places.get(address).map(|place| &self.spare.accounts[*place].1)
    }

    /// The value of a slot where the block says it: it has met the slot, wiped the storage or made the account.
    pub(crate) fn slot(&self, address: Address, slot: U256) -> Option<U256> {
        let account = self.get(&address)?;
        match account.slots.get(&slot) {
            Some(slot) => Some(slot.now),
            None if account.wiped || account.before.is_none() => Some(U256::ZERO),
            None => None,
        }
    }

    /// The account at `address`, which `read` gives where the block has not met it.
    pub(crate) fn entry<E>(
        &mut self,
        address: Address,
        read: impl FnOnce() -> Result<OverlayAccount, E>,
    ) -> Result<&mut OverlayAccount, E> {
        Ok(self.spare.entry(address, read)?.0)
    }

    /// The same, with room for one slot more.
    pub(crate) fn entry_with_room<E>(
        &mut self,
        address: Address,
        read: impl FnOnce() -> Result<OverlayAccount, E>,
    ) -> Result<&mut OverlayAccount, E> {
        let (account, spare) = self.spare.entry(address, read)?;
        let slots = &mut account.slots;
        if slots.len() == slots.capacity() && slots.len() >= SLOTS_MANY && spare.capacity() > 2 * slots.len()
        {
            spare.take_from(slots);
            mem::swap(slots, spare);
        }
        Ok(account)
    }
}

impl Spare {
    /// The account, and the spare room for slots.
    fn entry<E>(
        &mut self,
        address: Address,
        read: impl FnOnce() -> Result<OverlayAccount, E>,
    ) -> Result<(&mut OverlayAccount, &mut OverlaySlots), E> {
        let Self { places, accounts, slots } = self;
        let place = match places.entry(address) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                let account = read()?;
                accounts.push((address, account));
                *place.insert(accounts.len() - 1)
            }
        };
        Ok((&mut accounts[place].1, slots))
    }

    /// Empties it, and keeps the room of the account with the most slots.
    fn clear(&mut self) {
        self.places.clear();
        for (_, account) in self.accounts.drain(..) {
            if account.slots.capacity() > self.slots.capacity() && account.slots.capacity() <= KEPT_MAX {
                self.slots = account.slots;
            }
        }
        self.slots.clear();
    }
}

impl Drop for OverlayAccounts {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        if self.spare.accounts.capacity() <= KEPT_MAX {
            self.spare.clear();
            home.keep_spare(mem::take(&mut self.spare));
        }
    }
}

impl<'a> IntoIterator for &'a OverlayAccounts {
    type Item = (&'a Address, &'a OverlayAccount);
    type IntoIter = std::iter::Map<
        std::slice::Iter<'a, (Address, OverlayAccount)>,
        fn(&'a (Address, OverlayAccount)) -> (&'a Address, &'a OverlayAccount),
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.spare.accounts.iter().map(|(address, account)| (address, account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay_slots::OverlaySlot;
    use alloy_primitives::B256;

    fn address(number: u64) -> Address {
        Address::left_padding_from(&number.to_be_bytes())
    }

    #[test]
    fn memory_goes_from_block_to_block_and_nothing_in_it() {
        let home = Arc::new(HotState::of(B256::ZERO));
        let unread = || Ok::<_, ()>(OverlayAccount::stored(None));
        for block in 0..3_u64 {
            let mut accounts = OverlayAccounts::recycled(&home);
            assert_eq!(accounts.into_iter().count(), 0);
            assert!(block == 0 || accounts.spare.accounts.capacity() >= 500);
            assert!(block == 0 || accounts.spare.slots.capacity() >= 1000);
            assert_eq!(accounts.spare.slots.len(), 0);
            for number in 0..500 {
                assert!(accounts.get(&address(number)).is_none());
                accounts.entry(address(number), unread).unwrap().wiped = number == block;
            }
            for slot in 0..1000_u64 {
                let now = U256::from(slot + block);
                let account = accounts.entry_with_room(address(7), || Err("it is known")).unwrap();
                assert!(!account.slots.contains(&U256::from(slot)));
                account.slots.insert(U256::from(slot), OverlaySlot { before: U256::ZERO, now });
            }
            let slots = &accounts.get(&address(7)).unwrap().slots;
            assert!(
                (0..1000).all(|slot| slots.get(&U256::from(slot)).unwrap().now == U256::from(slot + block))
            );
            assert!(accounts.get(&address(block)).unwrap().wiped);
            assert_eq!(accounts.into_iter().filter(|(_, account)| account.wiped).count(), 1);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        let mut accounts = OverlayAccounts::default();
        assert!(accounts.entry(address(1), || Err(())).is_err());
        assert!(accounts.get(&address(1)).is_none());
    }
}
