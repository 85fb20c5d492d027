//! State and blocks as a caller would have them.

use crate::{
    SimulateError,
    database::{Database, ReadError},
    machine::Machine,
    precompiles::is_precompile,
};
use alloy_primitives::{Address, B256, U256, map::B256HashMap};
use alloy_rpc_types_eth::{
    BlockOverrides,
    state::{AccountOverride, StateOverride},
};
use revm::{Database as _, bytecode::Bytecode, context_interface::block::BlobExcessGasAndPrice};

/// Accounts that one request may override, as many as a large block touches.
const ACCOUNTS_MAX: usize = 1_000;
/// Storage slots that one request may override.
const SLOTS_MAX: usize = 20_000;

/// The code of `eth_simulateV1` for a precompile that is moved to where it is.
const MOVED_TO_ITSELF: i32 = -38_022;
/// What a caller would have different.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Accounts.
    pub state: Option<StateOverride>,
    /// The block.
    pub block: Option<BlockOverrides>,
}

/// Changes the accounts in `database`, and the precompiles in `machine`.
pub(crate) fn apply_state(
    machine: &mut Machine,
    database: &mut Database<'_>,
    overrides: &StateOverride,
) -> Result<(), SimulateError> {
    check_size(overrides)?;
    // Moves first, so that the order in which accounts are named does not matter.
    for (address, account) in overrides {
        let there = stands_precompile(machine, address);
        if let Some(target) = account.move_precompile_to {
            if !there {
                return Err(refuse(-32_000, format!("account {address} is not a precompile")));
            }
            if target == *address {
                let words = format!("MovePrecompileToAddress referenced itself in replacement: {address}");
                return Err(refuse(MOVED_TO_ITSELF, words));
            }
            if overrides.contains_key(&target) {
                return Err(refuse(-32_000, format!("account {target} is already overridden")));
            }
            let origin = machine.moves.moved.remove(address).unwrap_or(*address);
            machine.moves.moved.insert(target, origin);
        }
        if there {
            machine.moves.moved.remove(address);
            machine.moves.hidden.insert(*address);
        }
    }
    for (address, account) in overrides {
        apply_account(database, *address, account).map_err(|error| match error {
            Applied::Read(ReadError(error)) => error.into(),
            Applied::Wrong(words) => refuse(-32_602, words),
        })?;
    }
    Ok(())
}

fn refuse(code: i32, words: String) -> SimulateError {
    if code == -32_602 { SimulateError::InvalidParams(words) } else { SimulateError::Block { code, words } }
}

fn stands_precompile(machine: &Machine, address: &Address) -> bool {
    machine.moves.moved.contains_key(address)
        || (is_precompile(&machine.rules, address) && !machine.moves.hidden.contains(address))
}

fn check_size(overrides: &StateOverride) -> Result<(), SimulateError> {
    let slots = |map: &Option<B256HashMap<B256>>| map.as_ref().map_or(0, B256HashMap::len);
    let total: usize =
        overrides.values().map(|account| slots(&account.state) + slots(&account.state_diff)).sum();
    if overrides.len() > ACCOUNTS_MAX || total > SLOTS_MAX {
        return Err(SimulateError::Limit(format!(
            "overrides of {} accounts and {total} slots; at most {ACCOUNTS_MAX} and {SLOTS_MAX}",
            overrides.len()
        )));
    }
    Ok(())
}

enum Applied {
    Read(ReadError),
    Wrong(String),
}

impl From<ReadError> for Applied {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

fn apply_account(
    database: &mut Database<'_>,
    address: Address,
    account: &AccountOverride,
) -> Result<(), Applied> {
    if account.state.is_some() && account.state_diff.is_some() {
        return Err(Applied::Wrong(format!("account {address} has both 'state' and 'stateDiff'")));
    }
    if account.balance.is_some() || account.nonce.is_some() || account.code.is_some() {
        let mut info = database.basic(address)?.unwrap_or_default();
        info.balance = account.balance.unwrap_or(info.balance);
        info.nonce = account.nonce.unwrap_or(info.nonce);
        if let Some(code) = &account.code {
            let code = Bytecode::new_raw_checked(code.clone())
                .map_err(|_| Applied::Wrong(format!("the code of account {address} is malformed")))?;
            info.code_hash = code.hash_slow();
            info.code = Some(code);
        }
        database.insert_account_info(address, info);
    }
    let word = |(key, value): (&B256, &B256)| (U256::from_be_bytes(key.0), U256::from_be_bytes(value.0));
    if let Some(state) = &account.state {
        database.replace_account_storage(address, state.iter().map(word).collect())?;
    }
    for (slot, value) in account.state_diff.iter().flatten().map(word) {
        database.insert_account_storage(address, slot, value)?;
    }
    Ok(())
}

/// Changes the block of a call.
pub(crate) fn apply_block(machine: &mut Machine, database: &mut Database<'_>, overrides: &BlockOverrides) {
    let block = &mut machine.block;
    block.number = overrides.number.unwrap_or(block.number);
    block.difficulty = overrides.difficulty.unwrap_or(block.difficulty);
    block.timestamp = overrides.time.map_or(block.timestamp, U256::from);
    block.gas_limit = overrides.gas_limit.unwrap_or(block.gas_limit);
    block.beneficiary = overrides.coinbase.unwrap_or(block.beneficiary);
    block.prevrandao = overrides.random.or(block.prevrandao);
    block.basefee = overrides.base_fee.map_or(block.basefee, |fee| fee.saturating_to());
    if let Some(fee) = overrides.blob_base_fee {
        block.blob_excess_gas_and_price =
            Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: fee.saturating_to() });
    }
    for (number, hash) in overrides.block_hash.iter().flatten() {
        database.cache.block_hashes.insert(U256::from(*number), *hash);
    }
}
