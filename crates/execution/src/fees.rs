//! The price of gas.

use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};

/// The base fee in wei of the block after `parent`, by EIP-1559 with Ethereum's parameters: half of the gas limit is
/// the target, and the fee moves by at most an eighth a block. A base fee of zero, which only genesis can choose, stays
/// zero: EIP-1559 would raise it to a few wei under load, from where it never comes back.
#[must_use]
pub fn next_base_fee(parent: &Header) -> u64 {
    let base_fee = parent.base_fee_per_gas.unwrap_or_default();
    if base_fee == 0 {
        return 0;
    }
    calc_next_block_base_fee(parent.gas_used, parent.gas_limit, base_fee, BaseFeeParams::ethereum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_fee_follows_the_use_of_gas() {
        for (used, next) in [(0, 875), (500, 1000), (1000, 1125)] {
            let parent =
                Header { gas_used: used, gas_limit: 1000, base_fee_per_gas: Some(1000), ..Header::default() };
            assert_eq!(next_base_fee(&parent), next, "{used} of 1000 gas used");
        }
    }

    #[test]
    fn zero_stays_zero_and_nothing_else_becomes_zero() {
        let after = |base_fee, used| {
            let parent = Header {
                gas_used: used,
                gas_limit: 1000,
                base_fee_per_gas: Some(base_fee),
                ..Header::default()
            };
            next_base_fee(&parent)
        };
        assert_eq!((after(0, 0), after(0, 500), after(0, 1000)), (0, 0, 0));
        assert!((1..100).all(|base_fee| after(base_fee, 0) > 0));
    }
}
