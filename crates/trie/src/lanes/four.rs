//! Keccak-f\[1600\] in four lanes of registers of 256 bits.
//!
//! There are 16 such registers, and a lane's state has 25 words. A round therefore goes row by row: five words are read,
//! turned and written to another copy of the state, so that nothing else has to be held meanwhile.

use super::{ROUND_CONSTANTS, State};
use pulp::{NullaryFnOnce, cast, x86::V3};
use std::arch::x86_64::__m256i;

const LANES: usize = 4;

/// Fewer inputs than this are faster one by one.
pub(super) const LANES_USED_MIN: usize = 2;

/// The permutation of each lane.
pub(super) fn permute(processor: V3, state: &mut State<LANES>) {
    processor.vectorize(Permutation(processor, state));
}

struct Permutation<'a>(V3, &'a mut State<LANES>);

impl NullaryFnOnce for Permutation<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self(processor, state) = self;
        let mut one: [__m256i; 25] = std::array::from_fn(|at| cast(state[at]));
        let mut other = one;
        for [even, odd] in ROUND_CONSTANTS.as_chunks::<2>().0 {
            round(processor, &one, &mut other, *even);
            round(processor, &other, &mut one, *odd);
        }
        for (words, word) in state.iter_mut().zip(one) {
            *words = cast(word);
        }
    }
}

#[inline(always)]
fn round(processor: V3, from: &[__m256i; 25], to: &mut [__m256i; 25], constant: u64) {
    let columns = columns(processor, from);
    // Where the words of a row come from, and how far they are turned (FIPS 202, 3.2.3 and 3.2.2).
    macro_rules! row {
        ($y:literal: $($at:literal << $turn:literal),+) => {
            let row = [$(turned::<$turn, { 64 - $turn }>(
                processor,
                processor.avx2._mm256_xor_si256(from[$at], columns[$at % 5]),
            )),+];
            chi(processor, row, to, 5 * $y);
        };
    }
    row!(0: 0 << 0, 6 << 44, 12 << 43, 18 << 21, 24 << 14);
    row!(1: 3 << 28, 9 << 20, 10 << 3, 16 << 45, 22 << 61);
    row!(2: 1 << 1, 7 << 6, 13 << 25, 19 << 8, 20 << 18);
    row!(3: 4 << 27, 5 << 36, 11 << 10, 17 << 15, 23 << 56);
    row!(4: 2 << 62, 8 << 55, 14 << 39, 15 << 41, 21 << 2);
    let constant = processor.avx._mm256_set1_epi64x(constant.cast_signed());
    to[0] = processor.avx2._mm256_xor_si256(to[0], constant);
}

/// What is added to every word of a column (FIPS 202, 3.2.1).
#[inline(always)]
fn columns(processor: V3, from: &[__m256i; 25]) -> [__m256i; 5] {
    let mut parities = [from[0], from[1], from[2], from[3], from[4]];
    for y in 1..5 {
        for x in 0..5 {
            parities[x] = processor.avx2._mm256_xor_si256(parities[x], from[x + 5 * y]);
        }
    }
    let mut columns = parities;
    for (x, column) in columns.iter_mut().enumerate() {
        let right = turned::<1, 63>(processor, parities[(x + 1) % 5]);
        *column = processor.avx2._mm256_xor_si256(parities[(x + 4) % 5], right);
    }
    columns
}

/// FIPS 202, 3.2.4.
#[inline(always)]
fn chi(processor: V3, row: [__m256i; 5], to: &mut [__m256i; 25], at: usize) {
    for x in 0..5 {
        let masked = processor.avx2._mm256_andnot_si256(row[(x + 1) % 5], row[(x + 2) % 5]);
        to[at + x] = processor.avx2._mm256_xor_si256(row[x], masked);
    }
}

/// Each word turned to the left; `RIGHT` is what is missing to 64.
#[inline(always)]
fn turned<const LEFT: i32, const RIGHT: i32>(processor: V3, word: __m256i) -> __m256i {
    let (left, right) =
        (processor.avx2._mm256_slli_epi64::<LEFT>(word), processor.avx2._mm256_srli_epi64::<RIGHT>(word));
    processor.avx2._mm256_or_si256(left, right)
}
