//! Names that are asked for with every element of every resource: one probe of a table, one comparison.

/// Values by name. A table is made once, of names that the program itself has; what is asked for may be anything.
#[derive(Debug)]
pub(crate) struct Lookup<T> {
    /// Places in `entries`, from 1; 0 is free.
    slots: Vec<u32>,
    entries: Vec<(Box<str>, T)>,
}

impl<T> Default for Lookup<T> {
    fn default() -> Self {
        Self { slots: vec![0], entries: Vec::new() }
    }
}

impl<T> Lookup<T> {
    /// A table of these. Of a name that comes twice the first counts.
    pub(crate) fn new(entries: impl IntoIterator<Item = (Box<str>, T)>) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        // Mostly free, so that a name which is not there is seldom compared with one that is.
        let mut slots = vec![0; entries.len().saturating_mul(4).next_power_of_two()];
        for (place, (name, _)) in entries.iter().enumerate() {
            let mut slot = first_slot(name.as_bytes(), slots.len());
            while slots[slot] != 0 {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = u32::try_from(place).map_or(0, |place| place.saturating_add(1));
        }
        Self { slots, entries }
    }

    /// The value of `name`, and its place among the entries.
    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<(usize, &T)> {
        let mut slot = first_slot(name, self.slots.len());
        loop {
            let place = self.slots[slot].checked_sub(1)? as usize;
            let (known, value) = self.entries.get(place)?;
            if known.as_bytes() == name {
                return Some((place, value));
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    #[inline]
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// The value at a place among the entries.
    #[inline]
    pub(crate) fn value(&self, place: usize) -> Option<&T> {
        self.entries.get(place).map(|(_, value)| value)
    }

    /// All names, in the order in which they were given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| &**name)
    }
}

/// Names alone, for a table that is only asked whether it has one.
pub(crate) fn names_alone(names: impl IntoIterator<Item = String>) -> impl Iterator<Item = (Box<str>, ())> {
    names.into_iter().map(|name| (name.into_boxed_str(), ()))
}

/// Where the search for a name begins: mixed from its length and both its ends, in which names of one list differ.
#[inline]
fn first_slot(bytes: &[u8], slots: usize) -> usize {
    let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(head), Some(tail)) => {
                (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)))
            }
            _ => bytes.iter().fold((0, 0), |(head, _), byte| ((head << 8) | u64::from(*byte), 0)),
        },
    };
    let mixed = (head ^ (bytes.len() as u64).rotate_left(56)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ tail.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(23);
    let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The high bits depend on all others. `slots` is a power of two, and one has no bits to choose from.
    usize::try_from(mixed >> 40).unwrap_or(0) & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_others_are_not() {
        let names: Vec<String> =
            (0..500).map(|number| format!("http://terminology.example/{number}/x{}", number % 7)).collect();
        let short = ["", "a", "b", "id", "url", "code", "codes", "coding", "display", "displays"];
        let all = names.iter().map(String::as_str).chain(short);
        let lookup = Lookup::new(all.clone().enumerate().map(|(number, name)| (name.into(), number)));
        for (number, name) in all.enumerate() {
            assert_eq!(lookup.get(name.as_bytes()), Some((number, &number)), "{name}");
            assert!(!lookup.contains(format!("{name}.").as_bytes()), "{name}");
        }
        assert_eq!(lookup.names().count(), 510);
        assert!(!Lookup::<()>::default().contains(b"") && !Lookup::<()>::new([]).contains(b"x"));
    }

    #[test]
    fn of_a_name_that_comes_twice_the_first_counts() {
        assert_eq!(Lookup::new([("x".into(), 1), ("x".into(), 2)]).get(b"x"), Some((0, &1)));
    }
}
