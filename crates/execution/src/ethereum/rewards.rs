//! What a mined block pays, and what withdrawals bring.

use crate::{ExecutionError, Rules, overlay::Overlay};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;

const WEI_PER_ETHER: u128 = 1_000_000_000_000_000_000;

/// Pays the miner of the block and those of its ommers (yellow paper, section 11.3; EIP-649, EIP-1234).
pub(crate) fn pay_miners(
    overlay: &mut Overlay<'_>,
    rules: &Rules,
    header: &Header,
    ommers: &[Header],
) -> Result<(), ExecutionError> {
    let ether = if rules.has(SpecId::PETERSBURG) {
        2
    } else if rules.has(SpecId::BYZANTIUM) {
        3
    } else {
        5
    };
    let reward = U256::from(ether * WEI_PER_ETHER);
    let mut miner = reward;
    for ommer in ommers {
        // Six generations at most, which the header's check has seen to.
        let distance = U256::from(header.number.saturating_sub(ommer.number));
        let share = reward * U256::from(8).saturating_sub(distance) / U256::from(8);
        overlay.credit(ommer.beneficiary, share)?;
        miner += reward / U256::from(32);
    }
    overlay.credit(header.beneficiary, miner)
}

/// Credits what the beacon chain releases (EIP-4895).
pub(crate) fn withdraw(overlay: &mut Overlay<'_>, withdrawals: &[Withdrawal]) -> Result<(), ExecutionError> {
    const WEI_PER_GWEI: u64 = 1_000_000_000;
    for withdrawal in withdrawals {
        let amount = U256::from(withdrawal.amount) * U256::from(WEI_PER_GWEI);
        overlay.credit(withdrawal.address, amount)?;
    }
    Ok(())
}
