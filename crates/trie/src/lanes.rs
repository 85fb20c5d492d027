//! Keccak-256 of many inputs at once: eight side by side, where the processor has registers of 512 bits (AVX-512).
//!
//! One input after the other takes 3.5 times as long for a permutation. Registers of 256 bits hold too little of the state
//! to gain anything, so other processors hash one by one.

use alloy_primitives::{B256, keccak256};

/// Inputs side by side.
const LANES: usize = 8;

/// Fewer inputs than this are faster one by one.
const LANES_USED_MIN: usize = 3;

/// Bytes that a permutation takes in (FIPS 202: 1,600 bits less twice the digest's).
const RATE_BYTES: usize = 136;
const WORD_BYTES: usize = 8;

/// Inputs of more permutations than this are rare, and hashed one by one. A full branch takes four.
const PERMUTATIONS_MAX: usize = 4;

/// The Keccak-256 hash of each of `inputs`, in their order.
#[must_use]
pub fn keccak256_all(inputs: &[&[u8]]) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; inputs.len()];
    let mut waiting: [Group; PERMUTATIONS_MAX] = Default::default();
    for (place, input) in inputs.iter().enumerate() {
        // The padding takes a byte at the least.
        match waiting.get_mut(input.len() / RATE_BYTES) {
            Some(group) if wide::is_there() => {
                group.places[group.length] = place;
                group.length += 1;
                if group.length == LANES {
                    group.hash(inputs, &mut hashes);
                }
            }
            _ => hashes[place] = keccak256(input),
        }
    }
    for group in &mut waiting {
        group.hash(inputs, &mut hashes);
    }
    hashes
}

/// Inputs that take equally many permutations and wait for others.
#[derive(Default)]
struct Group {
    places: [usize; LANES],
    length: usize,
}

impl Group {
    fn hash(&mut self, inputs: &[&[u8]], hashes: &mut [B256]) {
        let places = &self.places[..self.length];
        let lanes = if places.len() < LANES_USED_MIN { None } else { wide::hash(places, inputs) };
        match lanes {
            Some(lanes) => places.iter().zip(lanes).for_each(|(place, hash)| hashes[*place] = hash),
            None => places.iter().for_each(|place| hashes[*place] = keccak256(inputs[*place])),
        }
        self.length = 0;
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{LANES, RATE_BYTES, WORD_BYTES};
    use alloy_primitives::B256;
    use pulp::{NullaryFnOnce, x86::V4};

    /// The 25 words of each lane's state, word by word.
    type State = [[u64; LANES]; 25];

    /// FIPS 202, 3.2.5.
    const ROUND_CONSTANTS: [u64; 24] = [
        0x0000_0000_0000_0001,
        0x0000_0000_0000_8082,
        0x8000_0000_0000_808a,
        0x8000_0000_8000_8000,
        0x0000_0000_0000_808b,
        0x0000_0000_8000_0001,
        0x8000_0000_8000_8081,
        0x8000_0000_0000_8009,
        0x0000_0000_0000_008a,
        0x0000_0000_0000_0088,
        0x0000_0000_8000_8009,
        0x0000_0000_8000_000a,
        0x0000_0000_8000_808b,
        0x8000_0000_0000_008b,
        0x8000_0000_0000_8089,
        0x8000_0000_0000_8003,
        0x8000_0000_0000_8002,
        0x8000_0000_0000_0080,
        0x0000_0000_0000_800a,
        0x8000_0000_8000_000a,
        0x8000_0000_8000_8081,
        0x8000_0000_0000_8080,
        0x0000_0000_8000_0001,
        0x8000_0000_8000_8008,
    ];

    /// FIPS 202, 3.2.2: how far the word at x + 5y is turned.
    const TURNS: [u32; 25] =
        [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

    pub(super) fn is_there() -> bool {
        V4::try_new().is_some()
    }

    /// The hashes of the inputs at `places`, all of which take equally many permutations.
    pub(super) fn hash(places: &[usize], inputs: &[&[u8]]) -> Option<[B256; LANES]> {
        let processor = V4::try_new()?;
        let mut state: State = [[0; LANES]; 25];
        let permutations = inputs[*places.first()?].len() / RATE_BYTES + 1;
        for permutation in 0..permutations {
            for (lane, place) in places.iter().enumerate() {
                let rest = inputs[*place].get(permutation * RATE_BYTES..).unwrap_or_default();
                match rest.first_chunk::<RATE_BYTES>() {
                    Some(block) => absorb(&mut state, lane, block),
                    None => absorb(&mut state, lane, &padded(rest)),
                }
            }
            processor.vectorize(Permutation(&mut state));
        }
        let mut hashes = [B256::ZERO; LANES];
        for (lane, hash) in hashes.iter_mut().enumerate() {
            for (bytes, word) in hash.chunks_exact_mut(WORD_BYTES).zip(&state) {
                bytes.copy_from_slice(&word[lane].to_le_bytes());
            }
        }
        Some(hashes)
    }

    /// The last block of an input, of which `rest` is left (Keccak's own padding, as Ethereum has it).
    fn padded(rest: &[u8]) -> [u8; RATE_BYTES] {
        let mut block = [0; RATE_BYTES];
        block[..rest.len()].copy_from_slice(rest);
        block[rest.len()] = 0x01;
        block[RATE_BYTES - 1] |= 0x80;
        block
    }

    fn absorb(state: &mut State, lane: usize, block: &[u8; RATE_BYTES]) {
        for (word, bytes) in state.iter_mut().zip(block.as_chunks::<WORD_BYTES>().0) {
            word[lane] ^= u64::from_le_bytes(*bytes);
        }
    }

    /// Keccak-f\[1600\] of all lanes.
    struct Permutation<'a>(&'a mut State);

    impl NullaryFnOnce for Permutation<'_> {
        type Output = ();

        /// Written so that each step over all lanes is one instruction, or few.
        #[inline(always)]
        fn call(self) {
            let state = self.0;
            for constant in ROUND_CONSTANTS {
                let mut columns = [[0; LANES]; 5];
                for (x, column) in columns.iter_mut().enumerate() {
                    for lane in 0..LANES {
                        column[lane] = state[x][lane]
                            ^ state[x + 5][lane]
                            ^ state[x + 10][lane]
                            ^ state[x + 15][lane]
                            ^ state[x + 20][lane];
                    }
                }
                let mut turned: State = [[0; LANES]; 25];
                for x in 0..5 {
                    let (left, right) = (columns[(x + 4) % 5], columns[(x + 1) % 5]);
                    for y in 0..5 {
                        let (from, to) = (x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5));
                        for lane in 0..LANES {
                            let word = state[from][lane] ^ left[lane] ^ right[lane].rotate_left(1);
                            turned[to][lane] = word.rotate_left(TURNS[from]);
                        }
                    }
                }
                for y in 0..5 {
                    for x in 0..5 {
                        let (one, next, after) =
                            (turned[x + 5 * y], turned[(x + 1) % 5 + 5 * y], turned[(x + 2) % 5 + 5 * y]);
                        for lane in 0..LANES {
                            state[x + 5 * y][lane] = one[lane] ^ (!next[lane] & after[lane]);
                        }
                    }
                }
                for word in &mut state[0] {
                    *word ^= constant;
                }
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod wide {
    use super::LANES;
    use alloy_primitives::B256;

    pub(super) const fn is_there() -> bool {
        false
    }

    pub(super) const fn hash(_: &[usize], _: &[&[u8]]) -> Option<[B256; LANES]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alone(inputs: &[Vec<u8>]) -> Vec<B256> {
        inputs.iter().map(keccak256).collect()
    }

    fn together(inputs: &[Vec<u8>]) -> Vec<B256> {
        keccak256_all(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    #[test]
    fn every_length_up_to_six_permutations_hashes_as_it_does_alone() {
        for length in 0..6 * RATE_BYTES {
            let inputs: Vec<Vec<u8>> = (0..LANES as u8).map(|lane| vec![lane ^ 0x5a; length]).collect();
            assert_eq!(together(&inputs), alone(&inputs), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_inputs_hash_as_they_do_alone(
            inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..40),
        ) {
            prop_assert_eq!(together(&inputs), alone(&inputs));
        }
    }
}
