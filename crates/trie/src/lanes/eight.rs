//! Keccak-f\[1600\] in eight lanes of registers of 512 bits.

use super::{ROUND_CONSTANTS, State};
use pulp::{NullaryFnOnce, x86::V4};

const LANES: usize = 8;

/// Fewer inputs than this are faster one by one.
pub(super) const LANES_USED_MIN: usize = 3;

/// FIPS 202, 3.2.2: how far the word at x + 5y is turned.
const TURNS: [u32; 25] =
    [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14];

/// The permutation of each lane.
pub(super) fn permute(processor: V4, state: &mut State<LANES>) {
    processor.vectorize(Permutation(state));
}

/// The same by a processor that need not have such registers.
#[cfg(test)]
pub(super) fn permute_anywhere(state: &mut State<LANES>) {
    Permutation(state).call();
}

struct Permutation<'a>(&'a mut State<LANES>);

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
            let mut turned: State<LANES> = [[0; LANES]; 25];
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
