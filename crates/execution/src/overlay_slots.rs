//! The slots of one account that a block has met.
//!
//! As accounts do, they stand in the order in which they were met, beside a table of places that stays small: a token's
//! slots come in any order, and a table of whole slots would leave the memory that a processor's core has near.

use alloy_primitives::{
    U256,
    map::{Entry, U256Map},
};

/// A storage slot that the block has read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverlaySlot {
    /// As it was before the block.
    pub(crate) before: U256,
    /// As it is now.
    pub(crate) now: U256,
}

/// Slots by their keys.
#[derive(Debug, Default)]
pub(crate) struct OverlaySlots {
    places: U256Map<usize>,
    slots: Vec<(U256, OverlaySlot)>,
}

impl OverlaySlots {
    pub(crate) fn get(&self, key: &U256) -> Option<&OverlaySlot> {
        self.places.get(key).map(|place| &self.slots[*place].1)
    }

    pub(crate) fn contains(&self, key: &U256) -> bool {
        self.places.contains_key(key)
    }

    /// The slot, which `read` gives where the block has not met it.
    pub(crate) fn entry<E>(
        &mut self,
        key: U256,
        read: impl FnOnce() -> Result<OverlaySlot, E>,
    ) -> Result<&mut OverlaySlot, E> {
        let place = match self.places.entry(key) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                let slot = read()?;
                self.slots.push((key, slot));
                *place.insert(self.slots.len() - 1)
            }
        };
        Ok(&mut self.slots[place].1)
    }

    /// Puts a slot in the place of what was known of it.
    pub(crate) fn insert(&mut self, key: U256, slot: OverlaySlot) {
        match self.places.entry(key) {
            Entry::Occupied(place) => self.slots[*place.get()].1 = slot,
            Entry::Vacant(place) => {
                self.slots.push((key, slot));
                place.insert(self.slots.len() - 1);
            }
        }
    }

    /// The slots in the order in which they were met.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (U256, OverlaySlot)> + '_ {
        self.slots.iter().copied()
    }

    /// Empties all slots: they are zero now.
    pub(crate) fn wipe(&mut self) {
        self.slots.iter_mut().for_each(|(_, slot)| slot.now = U256::ZERO);
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many slots there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.places.capacity().min(self.slots.capacity())
    }

    /// Forgets all slots, and keeps their room.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.slots.clear();
    }

    /// Moves all slots of `from` here, where there are none.
    pub(crate) fn take_from(&mut self, from: &mut Self) {
        self.places.extend(from.places.drain());
        self.slots.append(&mut from.slots);
    }
}

impl FromIterator<(U256, OverlaySlot)> for OverlaySlots {
    fn from_iter<I: IntoIterator<Item = (U256, OverlaySlot)>>(slots: I) -> Self {
        let mut all = Self::default();
        slots.into_iter().for_each(|(key, slot)| all.insert(key, slot));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn slots_are_those_of_a_map(steps in prop::collection::vec((0..40_u64, any::<u64>(), any::<bool>()), 0..200)) {
            let (mut slots, mut map) = (OverlaySlots::default(), BTreeMap::new());
            for (key, value, is_set) in steps {
                let (key, slot) = (U256::from(key), OverlaySlot { before: U256::ZERO, now: U256::from(value) });
                if is_set {
                    slots.insert(key, slot);
                    map.insert(key, slot);
                } else {
                    let found = *slots.entry(key, || Ok::<_, ()>(slot)).unwrap();
                    prop_assert_eq!(found, *map.entry(key).or_insert(slot));
                }
            }
            prop_assert!((0..50).map(U256::from).all(|key| slots.get(&key) == map.get(&key)));
            let mut moved = OverlaySlots::default();
            moved.take_from(&mut slots);
            prop_assert_eq!((slots.len(), moved.len()), (0, map.len()));
            prop_assert!((0..50).map(U256::from).all(|key| moved.get(&key) == map.get(&key)));
            prop_assert_eq!(moved.iter().collect::<BTreeMap<_, _>>(), map);
        }
    }
}
