//! Changed seeds, for runs that are not guided by coverage.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// Numbers at which length fields and counters go wrong.
const EDGES: [u8; 7] = [0, 1, 0x7f, 0x80, 0xc0, 0xfe, 0xff];
/// The most changes to one input.
const CHANGES_MAX: usize = 6;

/// Makes inputs from seeds; the same number gives the same inputs.
pub struct Mutator {
    random: ChaCha8Rng,
    seeds: Vec<Vec<u8>>,
    bytes_max: usize,
}

impl Mutator {
    /// A mutator of these seeds.
    #[must_use]
    pub fn new(seeds: Vec<Vec<u8>>, bytes_max: usize, number: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(number), seeds, bytes_max }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.seeds.choose(&mut self.random).cloned().unwrap_or_default();
        for _ in 0..self.random.random_range(1..=CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(self.bytes_max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let random = &mut self.random;
        let at = random.random_range(0..=input.len());
        let length = random.random_range(0..=16.min(input.len() - at));
        match random.random_range(0..7) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => input[at] = *EDGES.choose(random).unwrap_or(&0),
            2 => drop(input.drain(at..at + length)),
            3 => input.insert(at, random.random()),
            4 => {
                let copy = input[at..at + length].to_vec();
                let to = random.random_range(0..=input.len());
                input.splice(to..to, copy);
            }
            5 => {
                let other = self.seeds.choose(random).cloned().unwrap_or_default();
                let from = random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.truncate(at),
        }
    }
}
