//! The numbers and times of simulated blocks.

use crate::SimulateError;
use alloy_consensus::Header;
use alloy_primitives::U256;
use alloy_rpc_types_eth::{BlockOverrides, simulate::SimBlock};

/// Blocks of one simulation, those between two named ones included.
const BLOCKS_MAX: u64 = 256;
/// Seconds between blocks whose time is not named.
const SECONDS_BETWEEN: u64 = 12;

const NUMBER_ORDER: i32 = -38_020;
const TIME_ORDER: i32 = -38_021;
const TOO_MANY: i32 = -38_026;

/// Gives every block its number and time, with empty blocks where numbers were left out.
pub(super) fn fill_gaps(base: &Header, blocks: Vec<SimBlock>) -> Result<Vec<SimBlock>, SimulateError> {
    let (mut number, mut time) = (base.number, base.timestamp);
    let mut filled = Vec::new();
    if blocks.len() as u64 > BLOCKS_MAX {
        return Err(too_many());
    }
    for mut block in blocks {
        let mut changes = block.block_overrides.take().unwrap_or_default();
        let wanted = changes.number.map_or(number.saturating_add(1), |number| number.saturating_to());
        if wanted <= number {
            let words = format!("block numbers must be in order: {wanted} <= {number}");
            return Err(SimulateError::Block { code: NUMBER_ORDER, words });
        }
        if wanted - base.number > BLOCKS_MAX {
            return Err(too_many());
        }
        for between in number + 1..wanted {
            time = time.saturating_add(SECONDS_BETWEEN);
            filled.push(SimBlock { block_overrides: Some(at(between, time)), ..SimBlock::default() });
        }
        let at = changes.time.unwrap_or_else(|| time.saturating_add(SECONDS_BETWEEN));
        if at <= time {
            let words = format!("block timestamps must be in order: {at} <= {time}");
            return Err(SimulateError::Block { code: TIME_ORDER, words });
        }
        (number, time) = (wanted, at);
        changes.number = Some(U256::from(number));
        changes.time = Some(time);
        block.block_overrides = Some(changes);
        filled.push(block);
    }
    Ok(filled)
}

fn at(number: u64, time: u64) -> BlockOverrides {
    BlockOverrides { number: Some(U256::from(number)), time: Some(time), ..BlockOverrides::default() }
}

fn too_many() -> SimulateError {
    SimulateError::Block { code: TOO_MANY, words: "too many blocks".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(blocks: Vec<BlockOverrides>) -> Result<Vec<(u64, u64)>, String> {
        let base = Header { number: 10, timestamp: 100, ..Header::default() };
        let block = |changes| SimBlock { block_overrides: Some(changes), ..SimBlock::default() };
        let filled = fill_gaps(&base, blocks.into_iter().map(block).collect());
        let numbers = |block: SimBlock| {
            let changes = block.block_overrides.unwrap();
            (changes.number.unwrap().to(), changes.time.unwrap())
        };
        filled.map(|blocks| blocks.into_iter().map(numbers).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_left_out_become_empty_blocks_and_time_goes_on() {
        let later = BlockOverrides { number: Some(U256::from(13)), ..BlockOverrides::default() };
        let got = filled(vec![BlockOverrides::default(), later]).unwrap();
        assert_eq!(got, [(11, 112), (12, 124), (13, 136)]);
    }

    #[test]
    fn blocks_in_the_wrong_order_and_too_many_are_refused() {
        let numbered =
            |number: u64| BlockOverrides { number: Some(U256::from(number)), ..Default::default() };
        assert_eq!(filled(vec![numbered(10)]).unwrap_err(), "block numbers must be in order: 10 <= 10");
        let early = BlockOverrides { time: Some(100), ..BlockOverrides::default() };
        assert_eq!(filled(vec![early]).unwrap_err(), "block timestamps must be in order: 100 <= 100");
        assert_eq!(filled(vec![numbered(u64::MAX)]).unwrap_err(), "too many blocks");
        assert_eq!(filled(vec![numbered(266)]).unwrap().len(), 256);
    }
}
