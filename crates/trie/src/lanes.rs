//! Keccak-256 of many inputs at once, side by side in the lanes of wide registers: eight where the processor has registers of
//! 512 bits (AVX-512), four where it has those of 256 (AVX2).

#[cfg(target_arch = "x86_64")]
mod eight;
#[cfg(target_arch = "x86_64")]
mod four;

use alloy_primitives::{B256, keccak256};

/// Bytes that a permutation takes in (FIPS 202: 1,600 bits less twice the digest's).
const RATE_BYTES: usize = 136;
const WORD_BYTES: usize = 8;
const RATE_WORDS: usize = RATE_BYTES / WORD_BYTES;

/// The 25 words of each lane's state, word by word.
type State<const LANES: usize> = [[u64; LANES]; 25];

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

/// The Keccak-256 hash of each of `inputs`, in their order.
#[must_use]
pub fn keccak256_all(inputs: &[&[u8]]) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; inputs.len()];
    keccak256_into(inputs, &mut hashes);
    hashes
}

/// Writes the Keccak-256 hash of each of `inputs` to its place in `hashes`.
pub(crate) fn keccak256_into(inputs: &[&[u8]], hashes: &mut [B256]) {
    #[cfg(target_arch = "x86_64")]
    if inputs.len() >= four::LANES_USED_MIN {
        use pulp::x86::{V3, V4};
        if let Some(processor) = V4::try_new() {
            return hash(inputs, hashes, eight::LANES_USED_MIN, |state| eight::permute(processor, state));
        }
        if let Some(processor) = V3::try_new() {
            return hash(inputs, hashes, four::LANES_USED_MIN, |state| four::permute(processor, state));
        }
    }
    one_by_one(inputs, hashes);
}

fn one_by_one(inputs: &[&[u8]], hashes: &mut [B256]) {
    inputs.iter().zip(hashes).for_each(|(input, hash)| *hash = keccak256(input));
}

/// What a lane works on.
struct Lane<'a> {
    /// Which input it is.
    place: usize,
    /// What has not been taken in of it.
    rest: &'a [u8],
    is_begun: bool,
    is_done: bool,
}

/// Hashes in lanes. One whose input is done takes the next, so that inputs need not be of one length. Fewer inputs than
/// `used_min` are hashed one by one, which is faster.
fn hash<const LANES: usize>(
    inputs: &[&[u8]],
    hashes: &mut [B256],
    used_min: usize,
    permute: impl Fn(&mut State<LANES>),
) {
    let mut state = [[0; LANES]; 25];
    let mut lanes = [const { None }; LANES];
    let mut waiting = inputs.iter().enumerate();
    loop {
        for lane in lanes.iter_mut().filter(|lane| lane.is_none()) {
            let next = waiting.next();
            *lane = next.map(|(place, rest)| Lane { place, rest, is_begun: false, is_done: false });
        }
        if lanes.iter().flatten().count() < used_min && !lanes.iter().flatten().any(|lane| lane.is_begun) {
            let left = lanes.iter().flatten();
            return left.for_each(|lane| hashes[lane.place] = keccak256(inputs[lane.place]));
        }
        for (at, lane) in lanes.iter_mut().enumerate() {
            if let Some(lane) = lane {
                lane.absorb(at, &mut state);
            }
        }
        permute(&mut state);
        for (at, lane) in lanes.iter_mut().enumerate() {
            if let Some(done) = lane.take_if(|lane| lane.is_done) {
                let words = hashes[done.place].chunks_exact_mut(WORD_BYTES).zip(&state);
                words.for_each(|(bytes, word)| bytes.copy_from_slice(&word[at].to_le_bytes()));
            }
        }
    }
}

impl Lane<'_> {
    /// Takes the next block of the input in.
    fn absorb<const LANES: usize>(&mut self, lane: usize, state: &mut State<LANES>) {
        let padded;
        let block = match self.rest.split_first_chunk() {
            Some((block, rest)) => {
                self.rest = rest;
                block
            }
            None => {
                self.is_done = true;
                padded = self::padded(self.rest);
                &padded
            }
        };
        let words = block.as_chunks::<WORD_BYTES>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        if std::mem::replace(&mut self.is_begun, true) {
            state.iter_mut().zip(words).for_each(|(state, word)| state[lane] ^= word);
        } else {
            // What the input before has left is not taken over.
            state.iter_mut().zip(words).for_each(|(state, word)| state[lane] = word);
            state[RATE_WORDS..].iter_mut().for_each(|state| state[lane] = 0);
        }
    }
}

/// The last block of an input, of which `rest` is left (Keccak's own padding, as Ethereum has it).
fn padded(rest: &[u8]) -> [u8; RATE_BYTES] {
    let mut block = [0; RATE_BYTES];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x01;
    block[RATE_BYTES - 1] |= 0x80;
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The hashes as the program makes them, and with each number of lanes that a processor may have, whatever this one has.
    fn check(inputs: &[Vec<u8>]) {
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let alone: Vec<B256> = inputs.iter().map(keccak256).collect();
        assert_eq!(keccak256_all(&inputs), alone);
        #[cfg(target_arch = "x86_64")]
        for used_min in [1, eight::LANES_USED_MIN] {
            let mut hashes = vec![B256::ZERO; inputs.len()];
            hash(&inputs, &mut hashes, used_min, eight::permute_anywhere);
            assert_eq!(hashes, alone, "in eight lanes, from {used_min} on");
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(processor) = pulp::x86::V3::try_new() {
            let mut hashes = vec![B256::ZERO; inputs.len()];
            hash(&inputs, &mut hashes, 1, |state| four::permute(processor, state));
            assert_eq!(hashes, alone, "in four lanes");
        }
    }

    #[test]
    fn every_length_up_to_six_permutations_hashes_as_it_does_alone() {
        for length in 0..6 * RATE_BYTES {
            check(&(0..9).map(|lane| vec![lane ^ 0x5a; length]).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn any_inputs_hash_as_they_do_alone(
            inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 0..40),
        ) {
            check(&inputs);
        }
    }
}
