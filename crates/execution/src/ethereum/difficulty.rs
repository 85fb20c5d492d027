//! The difficulty of a mined block (yellow paper, section 4.3.4, with EIP-2, EIP-100 and the delays of the bomb).

use crate::{ChainSpec, Rules};
use alloy_consensus::{Header, constants::EMPTY_OMMER_ROOT_HASH};
use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;

const LEAST: U256 = U256::from_limbs([131_072, 0, 0, 0]);
const PARTS: U256 = U256::from_limbs([2048, 0, 0, 0]);
const STEPS_DOWN_MAX: u64 = 99;
const BOMB_PERIOD_BLOCKS: u64 = 100_000;

/// The difficulty of the block with this number and time (seconds) after `parent`.
pub(crate) fn difficulty(spec: &ChainSpec, rules: &Rules, parent: &Header, number: u64, time: u64) -> U256 {
    let elapsed = time.saturating_sub(parent.timestamp);
    let part = parent.difficulty / PARTS;
    let (up, down) = if rules.has(SpecId::BYZANTIUM) {
        let up = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 };
        (up, elapsed / 9)
    } else if rules.has(SpecId::HOMESTEAD) {
        (1, elapsed / 10)
    } else {
        (1, if elapsed < 13 { 0 } else { 2 })
    };
    let change = part * U256::from(up.max(down) - up.min(down)).min(U256::from(STEPS_DOWN_MAX));
    let adjusted =
        if up >= down { parent.difficulty + change } else { parent.difficulty.saturating_sub(change) };
    adjusted.max(LEAST) + bomb(spec, number)
}

/// The exponential part, set back by the delay that holds at `number`.
fn bomb(spec: &ChainSpec, number: u64) -> U256 {
    let delays = spec.schedule.as_ref().map(|schedule| schedule.bomb_delays.as_slice()).unwrap_or_default();
    let delay = delays.iter().take_while(|(from, _)| *from <= number).last().map_or(0, |(_, delay)| *delay);
    let period = number.saturating_sub(delay) / BOMB_PERIOD_BLOCKS;
    match period.checked_sub(2) {
        Some(exponent) => U256::ONE << exponent.min(255),
        None => U256::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of Ethereum's main network.
    #[test]
    fn mined_blocks_have_their_difficulty() {
        let spec = ChainSpec::bxp(1);
        let check = |fork, parent: (u64, u64, u64), block: (u64, u64), expected: u64| {
            let rules = Rules { fork, ..spec.rules(&Header::default()) };
            let parent = Header {
                number: parent.0,
                timestamp: parent.1,
                difficulty: U256::from(parent.2),
                ..Header::default()
            };
            assert_eq!(difficulty(&spec, &rules, &parent, block.0, block.1), U256::from(expected));
        };
        // Block 1, 26 million seconds of 1970 after genesis, and block 2, 28 seconds later.
        check(SpecId::FRONTIER, (0, 0, 17_179_869_184), (1, 1_438_269_988), 17_171_480_576);
        check(SpecId::FRONTIER, (1, 1_438_269_988, 17_171_480_576), (2, 1_438_270_017), 17_163_096_064);
    }
}
