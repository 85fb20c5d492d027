//! Seeded draws: integers only, so that every machine draws the same.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A stream of draws that depends on a seed and a stream number alone.
pub(super) struct Draw(ChaCha20Rng);

impl Draw {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self(random)
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn between(&mut self, least: i32, most: i32) -> i32 {
        let span = u64::from(most.abs_diff(least)) + 1;
        // The bias of a 64-bit draw over a span of 32 bits is below one in four billion.
        let offset = self.0.next_u64() % span;
        least.saturating_add(i32::try_from(offset).unwrap_or(0))
    }

    /// Around `middle`: the mean of three draws within `spread` on each side.
    pub(super) fn around(&mut self, middle: i32, spread: i32) -> i32 {
        (0..3).map(|_| self.between(middle - spread, middle + spread)).sum::<i32>() / 3
    }

    /// True in `percent` of 100 draws.
    pub(super) fn chance(&mut self, percent: u8) -> bool {
        self.between(0, 99) < i32::from(percent)
    }

    /// One of `list`.
    pub(super) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let last = i32::try_from(list.len()).unwrap_or(1) - 1;
        list[usize::try_from(self.between(0, last)).unwrap_or(0)]
    }

    /// An index of `weights`, as often as its weight says.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut left = self.0.next_u64() % total.max(1);
        for (index, &weight) in weights.iter().enumerate() {
            if left < u64::from(weight) {
                return index;
            }
            left -= u64::from(weight);
        }
        0
    }

    /// `count` decimal digits.
    pub(super) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.between(0, 9)).unwrap_or(0))).collect()
    }

    /// A version 4 UUID (RFC 9562).
    pub(super) fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let text = hex::encode(bytes);
        [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
    }
}
