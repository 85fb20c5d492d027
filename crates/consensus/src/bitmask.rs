//! A set of validators, or of the binary instances that carry their numbers: one bit each.

use bxp_types::ValidatorIndex;

use crate::config::VALIDATORS_MAX;

/// One bit for each validator. Bit `k` is bit `k % 8` of byte `k / 8`, on the wire as in memory. Knows how many are set, and
/// takes no memory of its own before one is: a height has thousands of them, and most stay empty.
#[derive(Clone, Debug)]
pub struct Bitmask {
    length: u16,
    count: u16,
    /// All of the bytes, or none before the first bit.
    bytes: Vec<u8>,
}

/// The bytes of any mask without a bit.
static CLEAR: [u8; VALIDATORS_MAX.div_ceil(8) as usize] = [0; VALIDATORS_MAX.div_ceil(8) as usize];

impl Bitmask {
    /// `length` bits, all clear. No network has more than [`VALIDATORS_MAX`], and a mask no more bits.
    #[must_use]
    pub fn new(length: u16) -> Self {
        Self { length: length.min(VALIDATORS_MAX), count: 0, bytes: Vec::new() }
    }

    /// Bytes that `length` bits take.
    #[must_use]
    pub fn byte_length(length: u16) -> usize {
        usize::from(length).div_ceil(8)
    }

    /// Reads `length` bits. `None` if the size is wrong or a bit beyond `length` is set: there is one encoding only.
    #[must_use]
    pub fn from_bytes(length: u16, bytes: &[u8]) -> Option<Self> {
        let padding = Self::byte_length(length) * 8 - usize::from(length);
        let clean = bytes.last().is_none_or(|last| padding == 0 || last >> (8 - padding) == 0);
        if length > VALIDATORS_MAX || bytes.len() != Self::byte_length(length) || !clean {
            return None;
        }
        let count = bytes.iter().map(|byte| byte.count_ones() as u16).sum();
        Some(Self { length, count, bytes: if count == 0 { Vec::new() } else { bytes.to_vec() } })
    }

    /// The bits as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        if self.bytes.is_empty() {
            return CLEAR.get(..Self::byte_length(self.length)).unwrap_or(&CLEAR);
        }
        &self.bytes
    }

    /// Number of bits, set or not.
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of bits set.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// Number of bits set here or in `other`.
    pub(crate) fn count_with(&self, other: &Self) -> usize {
        if other.is_empty() {
            return self.count();
        }
        let both = self.as_bytes().iter().zip(other.as_bytes());
        both.map(|(here, there)| (here | there).count_ones() as usize).sum()
    }

    /// Whether the bit of `index` is set; false beyond the length.
    #[must_use]
    pub fn contains(&self, index: ValidatorIndex) -> bool {
        let (byte, bit) = position(index);
        self.bytes.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    /// Sets the bit of `index`. Returns whether it was clear; an index beyond the length changes nothing.
    pub fn insert(&mut self, index: ValidatorIndex) -> bool {
        if index.0 >= self.length || self.contains(index) {
            return false;
        }
        if self.bytes.is_empty() {
            self.bytes = vec![0; Self::byte_length(self.length)];
        }
        let (byte, bit) = position(index);
        if let Some(byte) = self.bytes.get_mut(byte) {
            *byte |= bit;
            self.count += 1;
        }
        true
    }

    /// Clears the bit of `index`. Returns whether it was set.
    pub fn remove(&mut self, index: ValidatorIndex) -> bool {
        let was_set = self.contains(index);
        let (byte, bit) = position(index);
        if was_set && let Some(byte) = self.bytes.get_mut(byte) {
            *byte &= !bit;
            self.count -= 1;
        }
        was_set
    }

    /// Clears all bits.
    pub fn clear(&mut self) {
        *self = Self::new(self.length);
    }

    /// The validators whose bits are set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ValidatorIndex> + '_ {
        ones(&self.bytes)
    }

    /// The validators whose bits are set here or in `other`, ascending.
    pub(crate) fn iter_with<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = ValidatorIndex> + 'a {
        let bytes = self.as_bytes().iter().zip(other.as_bytes()).map(|(here, there)| here | there);
        (0..).zip(bytes).flat_map(|(byte, bits)| bits_of(byte, bits))
    }
}

impl PartialEq for Bitmask {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Bitmask {}

fn ones(bytes: &[u8]) -> impl Iterator<Item = ValidatorIndex> + '_ {
    (0..).zip(bytes).flat_map(|(byte, bits)| bits_of(byte, *bits))
}

/// The indices of the bits of byte number `byte`.
fn bits_of(byte: u16, mut bits: u8) -> impl Iterator<Item = ValidatorIndex> {
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros() as u16;
        bits &= bits.checked_sub(1)?;
        Some(ValidatorIndex(byte * 8 + bit))
    })
}

/// Byte and bit of an index.
fn position(index: ValidatorIndex) -> (usize, u8) {
    (usize::from(index.0 / 8), 1 << (index.0 % 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_validator_once_and_none_beyond_the_length() {
        let mut mask = Bitmask::new(10);
        assert!(mask.is_empty());
        assert!(mask.insert(ValidatorIndex(9)));
        assert!(!mask.insert(ValidatorIndex(9)));
        assert!(!mask.insert(ValidatorIndex(10)));
        assert!(!mask.contains(ValidatorIndex(10)));
        assert!(mask.insert(ValidatorIndex(0)));
        assert_eq!(mask.iter().collect::<Vec<_>>(), [ValidatorIndex(0), ValidatorIndex(9)]);
        assert_eq!(mask.count(), 2);
        assert!(mask.remove(ValidatorIndex(0)) && !mask.remove(ValidatorIndex(0)));
        assert_eq!(mask.as_bytes(), [0, 2]);
        assert!(mask.remove(ValidatorIndex(9)) && mask.is_empty());
        assert_eq!((mask.as_bytes(), &mask), (&[0, 0][..], &Bitmask::new(10)), "as one that never had a bit");
    }

    #[test]
    fn two_masks_count_and_list_what_is_in_either() {
        let of = |indices: &[u16]| {
            let mut mask = Bitmask::new(300);
            indices.iter().for_each(|index| assert!(mask.insert(ValidatorIndex(*index))));
            mask
        };
        let (left, right, none) = (of(&[0, 7, 8, 299]), of(&[7, 9]), of(&[]));
        assert_eq!(left.iter_with(&right).map(|index| index.0).collect::<Vec<_>>(), [0, 7, 8, 9, 299]);
        assert_eq!((left.count_with(&right), right.count_with(&left)), (5, 5));
        assert_eq!((left.count_with(&none), none.count_with(&left)), (4, 4));
        assert_eq!(none.iter_with(&left).count(), 4);
        assert_eq!(Bitmask::from_bytes(300, left.as_bytes()), Some(left));
    }

    #[test]
    fn refuses_bytes_that_are_not_canonical() {
        assert!(Bitmask::from_bytes(4, &[0x0f]).is_some());
        assert!(Bitmask::from_bytes(4, &[0x10]).is_none(), "a bit beyond the length");
        assert!(Bitmask::from_bytes(4, &[]).is_none());
        assert!(Bitmask::from_bytes(4, &[0, 0]).is_none());
        assert!(Bitmask::from_bytes(8, &[0xff]).is_some());
        assert!(Bitmask::from_bytes(0, &[]).is_some());
    }
}
