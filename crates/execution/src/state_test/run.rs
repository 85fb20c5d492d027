//! One case.

use super::{
    file::{Account, Case, StateTest, Transaction},
    fork,
};
use crate::{
    ChainSpec, ExecutionError, Fees, Rules,
    code_cache::CodeCache,
    environment,
    evm::{Evm, Outcome},
    memory::MemoryState,
    overlay::{Overlay, OverlayAccount, OverlaySlot},
    root,
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702,
};
use alloy_primitives::{Address, B256, TxKind, U256, keccak256, map::AddressMap};
use bxp_types::Height;
use revm::{
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::{either::Either, result::ExecutionResult},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

/// How a case ended.
#[derive(Default)]
pub(crate) struct Ended {
    pub(crate) state_root: Option<B256>,
    pub(crate) error: Option<String>,
}

/// Runs a case and compares.
pub(crate) fn case(test: &StateTest, fork: &str, case: &Case) -> Ended {
    let Some((spec_id, usual)) = fork::named(fork) else {
        let error = Some(format!("the fork {fork} is not known"));
        return Ended { error, ..Ended::default() };
    };
    let blobs = test.config.blob_schedule.get(fork).map_or(usual, |schedule| schedule.params(usual));
    let rules = Rules { fork: spec_id, blobs, fees: Fees::Burnt };
    let ran = run(test, &rules, case)
        .unwrap_or_else(|error| Ran { error: Some(error.to_string()), ..Ran::default() });
    let error = ran.error.or_else(|| {
        let refused = ran.refused.as_deref();
        match (&case.expect_exception, refused) {
            (None, Some(refused)) => Some(format!("the transaction is refused: {refused}")),
            (Some(expected), None) => Some(format!("the transaction enters, expected is {expected}")),
            _ if ran.state_root != case.hash => Some(format!("the state root should be {}", case.hash)),
            _ if ran.logs_hash != case.logs => {
                Some(format!("the logs hash to {}, expected is {}", ran.logs_hash, case.logs))
            }
            _ => None,
        }
    });
    Ended { state_root: Some(ran.state_root), error }
}

#[derive(Default)]
struct Ran {
    state_root: B256,
    logs_hash: B256,
    refused: Option<String>,
    error: Option<String>,
}

fn run(test: &StateTest, rules: &Rules, case: &Case) -> Result<Ran, ExecutionError> {
    let header = header(test, rules)?;
    let (base, code) = (state(test, &header)?, CodeCache::default());
    let chain_id = test.config.chain_id.map_or(1, |id| id.saturating_to());
    let mut chain = environment::chain(&ChainSpec::bxp(chain_id), rules);
    chain.tx_chain_id_check = true;
    let mut evm = Evm::with_chain(Overlay::new(&base, &code), chain, &header, rules);
    let outcome: Result<Outcome, String> = match transaction(&test.transaction, case, chain_id) {
        Ok(transaction) => Ok(evm.transact(transaction)?),
        Err(reason) => Err(reason),
    };
    let (refused, logs) = match outcome {
        Ok(Ok(ExecutionResult::Success { logs, .. })) => (None, logs),
        Ok(Ok(_)) => (None, Vec::new()),
        Ok(Err(invalid)) => (Some(invalid.to_string()), Vec::new()),
        Err(reason) => (Some(reason), Vec::new()),
    };
    if !rules.has(SpecId::SPURIOUS_DRAGON) {
        // The tests' miner gets a reward of nothing, which before EIP-161 makes an account.
        evm.overlay().create(header.beneficiary)?;
    }
    let (state_root, _) = root::state_root(&base, evm.overlay().accounts())?;
    Ok(Ran { state_root, logs_hash: keccak256(alloy_rlp::encode(&logs)), refused, error: None })
}

fn header(test: &StateTest, rules: &Rules) -> Result<Header, ExecutionError> {
    let env = &test.env;
    let merged = rules.has(SpecId::MERGE);
    let difficulty = if merged { U256::ZERO } else { env.current_difficulty };
    let random = env.current_random.unwrap_or(env.current_difficulty);
    Ok(Header {
        beneficiary: env.current_coinbase,
        difficulty,
        number: env.current_number.saturating_to(),
        gas_limit: env.current_gas_limit.saturating_to(),
        timestamp: env.current_timestamp.saturating_to(),
        mix_hash: if merged { B256::from(random) } else { B256::ZERO },
        base_fee_per_gas: rules
            .has(SpecId::LONDON)
            .then(|| env.current_base_fee.map_or(10, |base_fee| base_fee.saturating_to())),
        excess_blob_gas: rules
            .has(SpecId::CANCUN)
            .then(|| env.current_excess_blob_gas.map_or(0, |excess| excess.saturating_to())),
        ..Header::default()
    })
}

/// The state before the transaction. A block's hash is that of its number in decimal.
fn state(test: &StateTest, header: &Header) -> Result<MemoryState, ExecutionError> {
    let mut state = MemoryState::default();
    let mut accounts = AddressMap::default();
    for (address, account) in &test.pre {
        accounts.insert(*address, overlay_account(*address, account)?);
    }
    let (_, changes) = root::state_root(&state, &accounts)?;
    state.apply(changes);
    for number in header.number.saturating_sub(256)..header.number {
        state.block_hashes.insert(Height(number), keccak256(number.to_string()));
    }
    Ok(state)
}

fn overlay_account(address: Address, account: &Account) -> Result<OverlayAccount, ExecutionError> {
    let code = Bytecode::new_raw_checked(account.code.clone())
        .map_err(|_| ExecutionError::Genesis { address, reason: "its code is a malformed delegation" })?;
    let nonce = account.nonce.saturating_to();
    let info = AccountInfo::new(account.balance, nonce, code.hash_slow(), code);
    let slot = |(key, value): (&U256, &U256)| (*key, OverlaySlot { before: U256::ZERO, now: *value });
    let slots = account.storage.iter().map(slot).collect();
    Ok(OverlayAccount { before: None, now: Some(info), wiped: false, slots })
}

/// The variant that `case` names; the error says why it cannot be encoded.
fn transaction(from: &Transaction, case: &Case, chain_id: u64) -> Result<TxEnv, String> {
    let indexes = case.indexes;
    let pick = |what: &str| format!("the case names a {what} that is not there");
    let data = from.data.get(indexes.data).ok_or_else(|| pick("data"))?.clone();
    let gas_limit = from.gas_limit.get(indexes.gas).ok_or_else(|| pick("gas limit"))?;
    let value = from.value.get(indexes.value).ok_or_else(|| pick("value"))?;
    let access_list = from.access_lists.get(indexes.data).cloned().flatten();
    let has_access_list = access_list.is_some();
    let items = access_list.unwrap_or_default().into_iter();
    let items = items.map(|item| AccessListItem { address: item.address, storage_keys: item.storage_keys });
    let tx_type = if from.authorization_list.is_some() {
        4
    } else if from.blob_versioned_hashes.is_some() || from.max_fee_per_blob_gas.is_some() {
        3
    } else if from.max_fee_per_gas.is_some() {
        2
    } else {
        u8::from(has_access_list)
    };
    if tx_type == 4 && from.to.is_none() {
        return Err("a transaction of type 4 creates no contract".to_owned());
    }
    let gas_price =
        from.max_fee_per_gas.or(from.gas_price).map_or(Ok(0), |price| wide("gas price", price.0))?;
    let tip = from.max_priority_fee_per_gas;
    let blob_fee = from.max_fee_per_blob_gas;
    Ok(TxEnv {
        tx_type,
        caller: sender(from)?,
        gas_limit: narrow("gas limit", gas_limit.0)?,
        gas_price,
        kind: from.to.map_or(TxKind::Create, TxKind::Call),
        value: value.0.ok_or("the value has more than 256 bits")?,
        data,
        nonce: narrow("nonce", from.nonce.0)?,
        chain_id: (tx_type > 0).then_some(chain_id),
        access_list: AccessList(items.collect()),
        gas_priority_fee: tip.map(|tip| wide("tip", tip.0)).transpose()?,
        blob_hashes: from.blob_versioned_hashes.clone().unwrap_or_default(),
        max_fee_per_blob_gas: blob_fee.map_or(Ok(0), |fee| wide("blob fee", fee.0))?,
        authorization_list: authorizations(from)?,
    })
}

fn authorizations(
    from: &Transaction,
) -> Result<Vec<Either<eip7702::SignedAuthorization, eip7702::RecoveredAuthorization>>, String> {
    let list = from.authorization_list.iter().flatten();
    list.map(|signed| {
        let authorization = eip7702::Authorization {
            chain_id: signed.chain_id.0.ok_or("a chain id has more than 256 bits")?,
            address: signed.address,
            nonce: narrow("authorization's nonce", signed.nonce.0)?,
        };
        let parity = signed.v.0.and_then(|v| u8::try_from(v).ok()).ok_or("a parity has more than 8 bits")?;
        let (r, s) = signed.r.0.zip(signed.s.0).ok_or("a signature has more than 512 bits")?;
        Ok(Either::Left(eip7702::SignedAuthorization::new_unchecked(authorization, parity, r, s)))
    })
    .collect()
}

fn sender(from: &Transaction) -> Result<Address, String> {
    if let Some(sender) = from.sender {
        return Ok(sender);
    }
    let key = from.secret_key.ok_or("the transaction has neither sender nor key")?;
    let key = secp256k1::SecretKey::from_byte_array(&key.0).map_err(|error| error.to_string())?;
    let public = secp256k1::PublicKey::from_secret_key(secp256k1::SECP256K1, &key);
    Ok(Address::from_raw_public_key(&public.serialize_uncompressed()[1..]))
}

fn narrow(what: &str, number: Option<U256>) -> Result<u64, String> {
    number
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| format!("the {what} has more than 64 bits"))
}

fn wide(what: &str, number: Option<U256>) -> Result<u128, String> {
    number
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| format!("the {what} has more than 128 bits"))
}
