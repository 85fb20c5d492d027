//! A genesis file in geth's format: the schedule of forks, block 0 and its state.

use crate::{
    ChainSpec, ExecutionError, StateChanges,
    chain_spec::Schedule,
    overlay::{OverlayAccount, OverlaySlot},
    read::TrieRead,
    root,
};
use alloy_consensus::{Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{
    eip1559::INITIAL_BASE_FEE,
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7685::EMPTY_REQUESTS_HASH,
    eip7840::{BLOB_BASE_COST, BlobParams},
};
use alloy_primitives::{Address, B64, B256, Bytes, U256, map::AddressMap};
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId, state::AccountInfo};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A genesis file. Fields that decide nothing here are passed over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EthereumGenesis {
    config: Config,
    #[serde(default)]
    nonce: U256,
    #[serde(default)]
    timestamp: U256,
    #[serde(default)]
    extra_data: Bytes,
    gas_limit: U256,
    #[serde(default)]
    difficulty: U256,
    #[serde(default)]
    mix_hash: B256,
    #[serde(default)]
    coinbase: Address,
    base_fee_per_gas: Option<U256>,
    excess_blob_gas: Option<U256>,
    blob_gas_used: Option<U256>,
    alloc: BTreeMap<Address, Account>,
}

/// Forks by the number, or the time in seconds, of their first block.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    chain_id: u64,
    homestead_block: Option<u64>,
    #[serde(rename = "eip150Block")]
    tangerine_block: Option<u64>,
    #[serde(rename = "eip158Block")]
    spurious_block: Option<u64>,
    byzantium_block: Option<u64>,
    constantinople_block: Option<u64>,
    petersburg_block: Option<u64>,
    istanbul_block: Option<u64>,
    muir_glacier_block: Option<u64>,
    berlin_block: Option<u64>,
    london_block: Option<u64>,
    arrow_glacier_block: Option<u64>,
    gray_glacier_block: Option<u64>,
    dao_fork_support: bool,
    shanghai_time: Option<u64>,
    cancun_time: Option<u64>,
    prague_time: Option<u64>,
    osaka_time: Option<u64>,
    bpo1_time: Option<u64>,
    bpo2_time: Option<u64>,
    bpo3_time: Option<u64>,
    bpo4_time: Option<u64>,
    bpo5_time: Option<u64>,
    amsterdam_time: Option<u64>,
    terminal_total_difficulty: Option<serde_json::Number>,
    deposit_contract_address: Option<Address>,
    blob_schedule: BTreeMap<String, BlobParams>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Account {
    balance: U256,
    nonce: U256,
    code: Bytes,
    storage: BTreeMap<U256, U256>,
}

impl EthereumGenesis {
    /// Reads a genesis file.
    ///
    /// # Errors
    /// [`ExecutionError::EthereumGenesis`] says what is wrong with it.
    pub fn from_json(json: &[u8]) -> Result<Self, ExecutionError> {
        let genesis: Self = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        if genesis.config.dao_fork_support {
            return Err(wrong("it supports the DAO fork, whose irregular change this machine does not make"));
        }
        Ok(genesis)
    }

    /// The EIP-155 chain id.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.config.chain_id
    }

    /// The rules of the chain.
    ///
    /// # Errors
    /// [`ExecutionError::EthereumGenesis`].
    pub fn spec(&self) -> Result<ChainSpec, ExecutionError> {
        let config = &self.config;
        let by_number = ascending([
            (config.homestead_block, SpecId::HOMESTEAD),
            (config.tangerine_block, SpecId::TANGERINE),
            (config.spurious_block, SpecId::SPURIOUS_DRAGON),
            (config.byzantium_block, SpecId::BYZANTIUM),
            (config.constantinople_block, SpecId::PETERSBURG),
            (config.petersburg_block, SpecId::PETERSBURG),
            (config.istanbul_block, SpecId::ISTANBUL),
            (config.berlin_block, SpecId::BERLIN),
            (config.london_block, SpecId::LONDON),
        ]);
        let by_time = ascending([
            (config.shanghai_time, SpecId::SHANGHAI),
            (config.cancun_time, SpecId::CANCUN),
            (config.prague_time, SpecId::PRAGUE),
            (config.osaka_time, SpecId::OSAKA),
            (config.amsterdam_time, SpecId::AMSTERDAM),
        ]);
        // EIP-649, EIP-1234, EIP-2384, EIP-3554, EIP-4345, EIP-5133.
        let bomb_delays = ascending([
            (config.byzantium_block, 3_000_000),
            (config.constantinople_block, 5_000_000),
            (config.muir_glacier_block, 9_000_000),
            (config.london_block, 9_700_000),
            (config.arrow_glacier_block, 10_700_000),
            (config.gray_glacier_block, 11_400_000),
        ]);
        let terminal = config.terminal_total_difficulty.as_ref().map(|number| {
            let number = number.to_string();
            number.parse().map_err(|_| wrong(format!("terminalTotalDifficulty {number} is no whole number")))
        });
        let schedule = Schedule {
            by_number,
            by_time,
            blobs: self.blobs(),
            bomb_delays,
            terminal_total_difficulty: terminal.transpose()?,
            deposit_contract: config.deposit_contract_address,
        };
        Ok(ChainSpec { chain_id: config.chain_id, schedule: Some(schedule), any_sender: false })
    }

    /// The limits on blobs, by the time from which they hold: those of the file, or else those of the fork.
    fn blobs(&self) -> Vec<(u64, BlobParams)> {
        let config = &self.config;
        let known = [
            ("cancun", config.cancun_time, Some(BlobParams::cancun())),
            ("prague", config.prague_time, Some(BlobParams::prague())),
            ("osaka", config.osaka_time, Some(BlobParams::osaka())),
            ("bpo1", config.bpo1_time, Some(BlobParams::bpo1())),
            ("bpo2", config.bpo2_time, Some(BlobParams::bpo2())),
            ("bpo3", config.bpo3_time, None),
            ("bpo4", config.bpo4_time, None),
            ("bpo5", config.bpo5_time, None),
            ("amsterdam", config.amsterdam_time, None),
        ];
        let limits = known.map(|(name, time, usual)| {
            let params = config.blob_schedule.get(name).copied().or(usual)?;
            let since_osaka = config.osaka_time.zip(time).is_some_and(|(osaka, time)| time >= osaka);
            // EIP-7594 and EIP-7918 bind from Osaka on, whatever the file's three numbers are.
            let params = if since_osaka {
                params.with_max_blobs_per_tx(MAX_BLOBS_PER_TX_FUSAKA).with_blob_base_cost(BLOB_BASE_COST)
            } else {
                params
            };
            Some((time?, params))
        });
        limits.into_iter().flatten().collect()
    }

    /// Block 0 over a state with this root.
    pub(crate) fn header(&self, state_root: B256) -> Result<Header, ExecutionError> {
        let spec = self.spec()?;
        let (number, timestamp) = (0, small("timestamp", self.timestamp)?);
        let fork = spec.fork_at(number, timestamp);
        let has = |since: SpecId| fork.is_enabled_in(since);
        let or = |field: Option<U256>, usual: u64| {
            field.map_or(Ok(usual), |value| small("a header's field", value))
        };
        Ok(Header {
            beneficiary: self.coinbase,
            state_root,
            difficulty: self.difficulty,
            gas_limit: small("gasLimit", self.gas_limit)?,
            timestamp,
            extra_data: self.extra_data.clone(),
            mix_hash: self.mix_hash,
            nonce: B64::from(small("nonce", self.nonce)?),
            base_fee_per_gas: has(SpecId::LONDON)
                .then(|| or(self.base_fee_per_gas, INITIAL_BASE_FEE))
                .transpose()?,
            withdrawals_root: has(SpecId::SHANGHAI).then_some(EMPTY_WITHDRAWALS),
            blob_gas_used: has(SpecId::CANCUN).then(|| or(self.blob_gas_used, 0)).transpose()?,
            excess_blob_gas: has(SpecId::CANCUN).then(|| or(self.excess_blob_gas, 0)).transpose()?,
            parent_beacon_block_root: has(SpecId::CANCUN).then_some(B256::ZERO),
            requests_hash: has(SpecId::PRAGUE).then_some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        })
    }

    /// The genesis state's root, and the changes that make it from nothing. Every account of the file exists, also one
    /// that is empty.
    pub(crate) fn state(&self, base: &dyn TrieRead) -> Result<(B256, StateChanges), ExecutionError> {
        let mut accounts = AddressMap::default();
        for (address, account) in &self.alloc {
            accounts.insert(*address, account.overlay(*address)?);
        }
        root::state_root(base, &accounts)
    }
}

impl Account {
    fn overlay(&self, address: Address) -> Result<OverlayAccount, ExecutionError> {
        let code = Bytecode::new_raw_checked(self.code.clone())
            .map_err(|_| ExecutionError::Genesis { address, reason: "its code is a malformed delegation" })?;
        let info = AccountInfo::new(self.balance, small("a nonce", self.nonce)?, code.hash_slow(), code);
        let slot = |(key, value): (&U256, &U256)| (*key, OverlaySlot { before: U256::ZERO, now: *value });
        let slots = self.storage.iter().map(slot).collect();
        Ok(OverlayAccount { before: None, now: Some(info), wiped: false, slots })
    }
}

/// What is scheduled at all, in the order in which it comes; of several at once, the last counts.
fn ascending<T, const N: usize>(scheduled: [(Option<u64>, T); N]) -> Vec<(u64, T)> {
    let mut all: Vec<_> = scheduled.into_iter().filter_map(|(at, what)| Some((at?, what))).collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

fn small(field: &str, value: U256) -> Result<u64, ExecutionError> {
    value.try_into().map_err(|_| wrong(format!("{field} is above 2^64")))
}

fn wrong(reason: impl Into<String>) -> ExecutionError {
    ExecutionError::EthereumGenesis { reason: reason.into() }
}
