//! Which rules hold in which block.

use crate::FORK;
use alloy_consensus::Header;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{Address, U256};
use revm::primitives::hardfork::SpecId;

/// The rules of a chain, block by block.
///
/// A network of BXP has one set of rules from genesis on ([`ChainSpec::bxp`]). The schedule of an Ethereum chain is read
/// from its genesis file, so that its blocks can be executed by the same machine and held against what Ethereum says
/// they give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    pub(crate) chain_id: u64,
    /// None for a network of BXP.
    pub(crate) schedule: Option<Schedule>,
    /// Whether accounts with code may send transactions: on a developer's chain, which impersonates them.
    pub(crate) any_sender: bool,
}

/// When an Ethereum chain changes its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Forks by the number of their first block, ascending.
    pub(crate) by_number: Vec<(u64, SpecId)>,
    /// Forks by the time of their first block in seconds, ascending.
    pub(crate) by_time: Vec<(u64, SpecId)>,
    /// Limits on blobs by the time from which they hold, ascending.
    pub(crate) blobs: Vec<(u64, BlobParams)>,
    /// By first block, ascending: how many blocks the difficulty's exponential part is set back.
    pub(crate) bomb_delays: Vec<(u64, u64)>,
    /// The total difficulty from which on blocks have none.
    pub(crate) terminal_total_difficulty: Option<U256>,
    /// Whose logs are deposit requests (EIP-6110).
    pub(crate) deposit_contract: Option<Address>,
}

/// The rules of one block.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The fork that the EVM runs.
    pub fork: SpecId,
    /// The limits and the price rule of blobs.
    pub blobs: BlobParams,
    /// Who is paid for gas.
    pub fees: Fees,
}

/// What becomes of the fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fees {
    /// Base fee and tips gather and go to the beneficiary at the end of the block (ADR 13).
    Treasury,
    /// Ethereum: each transaction pays its tip to the beneficiary, and the base fee is burnt (EIP-1559).
    Burnt,
}

impl ChainSpec {
    /// A network of BXP: [`FORK`] from block 0 on.
    #[must_use]
    pub const fn bxp(chain_id: u64) -> Self {
        Self { chain_id, schedule: None, any_sender: false }
    }

    /// The EIP-155 chain id.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The rules of the block that `header` begins: only its number, time and difficulty are read.
    #[must_use]
    pub fn rules(&self, header: &Header) -> Rules {
        let Some(schedule) = &self.schedule else {
            return Rules { fork: FORK, blobs: BlobParams::osaka(), fees: Fees::Treasury };
        };
        let fork = if header.difficulty.is_zero() {
            newest(&schedule.by_time, header.timestamp).unwrap_or(SpecId::MERGE)
        } else {
            newest(&schedule.by_number, header.number).unwrap_or(SpecId::FRONTIER)
        };
        let blobs = schedule.blobs.iter().take_while(|(from, _)| *from <= header.timestamp).last();
        Rules { fork, blobs: blobs.map_or_else(BlobParams::cancun, |(_, blobs)| *blobs), fees: Fees::Burnt }
    }
}

impl ChainSpec {
    /// The fork that number and time alone give: what decides over the fields of block 0.
    pub(crate) fn fork_at(&self, number: u64, time: u64) -> SpecId {
        self.schedule.as_ref().map_or(FORK, |schedule| {
            let by_number = || newest(&schedule.by_number, number).unwrap_or(SpecId::FRONTIER);
            newest(&schedule.by_time, time).unwrap_or_else(by_number)
        })
    }
}

/// The last of what has begun at `at`.
fn newest(forks: &[(u64, SpecId)], at: u64) -> Option<SpecId> {
    forks.iter().take_while(|(from, _)| *from <= at).last().map(|(_, fork)| *fork)
}

impl Rules {
    /// Whether the rules of `fork` hold.
    #[must_use]
    pub const fn has(&self, fork: SpecId) -> bool {
        self.fork.is_enabled_in(fork)
    }
}
