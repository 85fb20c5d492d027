//! A set of validators, or of the binary instances that carry their numbers: one bit each.

use bxp_types::ValidatorIndex;

/// One bit for each validator. Bit `k` is bit `k % 8` of byte `k / 8`, on the wire as in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitmask {
    length: u16,
    bytes: Vec<u8>,
}

impl Bitmask {
    /// `length` bits, all clear.
    #[must_use]
    pub fn new(length: u16) -> Self {
        Self { length, bytes: vec![0; Self::byte_length(length)] }
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
        (bytes.len() == Self::byte_length(length) && clean).then(|| Self { length, bytes: bytes.to_vec() })
    }

    /// The bits as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of bits, set or not.
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// Whether no bit is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }

    /// Number of bits set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
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
        let (byte, bit) = position(index);
        if let Some(byte) = self.bytes.get_mut(byte) {
            *byte |= bit;
        }
        true
    }

    /// Clears the bit of `index`. Returns whether it was set.
    pub fn remove(&mut self, index: ValidatorIndex) -> bool {
        let was_set = self.contains(index);
        let (byte, bit) = position(index);
        if let Some(byte) = self.bytes.get_mut(byte) {
            *byte &= !bit;
        }
        was_set
    }

    /// Clears all bits.
    pub fn clear(&mut self) {
        self.bytes.fill(0);
    }

    /// The validators whose bits are set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = ValidatorIndex> + '_ {
        (0..self.length).map(ValidatorIndex).filter(|index| self.contains(*index))
    }
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
