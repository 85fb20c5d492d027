//! Editing the state, and taking the past back.

use super::{Bench, number::Number};
use crate::fault::Fault;
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_types::Edit;
use jsonrpsee::{RpcModule, server::RegisterMethodError, types::Params};
use serde_json::{Value, json};

/// Edits by the name of the method, of which there is one for each tool.
type ReadEdit = fn(&Params<'_>) -> Result<(Address, Edit), Fault>;

const EDITS: [(&str, &str, ReadEdit); 4] = [
    ("hardhat_setBalance", "anvil_setBalance", |params| {
        let (account, balance): (Address, Number) = parse(params)?;
        Ok((account, Edit::Balance(balance.0)))
    }),
    ("hardhat_setNonce", "anvil_setNonce", |params| {
        let (account, nonce): (Address, Number) = parse(params)?;
        Ok((account, Edit::Nonce(nonce.to_u64())))
    }),
    ("hardhat_setCode", "anvil_setCode", |params| {
        let (account, code): (Address, Bytes) = parse(params)?;
        Ok((account, Edit::Code(code)))
    }),
    ("hardhat_setStorageAt", "anvil_setStorageAt", |params| {
        let (account, slot, value): (Address, Number, B256) = parse(params)?;
        Ok((account, Edit::Slot(slot.0, U256::from_be_bytes(value.0))))
    }),
];

pub(super) fn parse<T: serde::de::DeserializeOwned>(params: &Params<'_>) -> Result<T, Fault> {
    params.parse().map_err(|error| Fault::InvalidParams(error.message().to_owned()))
}

pub(super) fn register(module: &mut RpcModule<Bench>) -> Result<(), RegisterMethodError> {
    for (hardhat, anvil, read) in EDITS {
        module.register_blocking_method(hardhat, move |params, bench, _| -> Result<bool, Fault> {
            let (account, edit) = read(&params)?;
            bench.developer.edit(account, edit)?;
            Ok(true)
        })?;
        module.register_alias(anvil, hardhat)?;
    }
    module.register_method("evm_snapshot", |_, bench, _| format!("{:#x}", bench.developer.snapshot()))?;
    module.register_alias("anvil_snapshot", "evm_snapshot")?;
    module.register_blocking_method("evm_revert", |params, bench, _| -> Result<bool, Fault> {
        let (snapshot,): (Number,) = parse(&params)?;
        Ok(bench.developer.revert(snapshot.to_u64())?)
    })?;
    module.register_alias("anvil_revert", "evm_revert")?;
    module.register_blocking_method("hardhat_reset", |params, bench, _| -> Result<bool, Fault> {
        refuse_forking(&params)?;
        bench.developer.reset()?;
        Ok(true)
    })?;
    module.register_alias("anvil_reset", "hardhat_reset")?;
    module.register_method("hardhat_metadata", |_, bench, _| metadata(bench))?;
    module.register_alias("anvil_metadata", "hardhat_metadata")?;
    Ok(())
}

/// The chain starts from a genesis of its own; who asks for the state of another one has to be told.
fn refuse_forking(params: &Params<'_>) -> Result<(), Fault> {
    let values: Vec<Value> = if params.as_str().is_none() { Vec::new() } else { parse(params)? };
    let forking = values.iter().filter_map(|value| value.get("forking")).any(|forking| !forking.is_null());
    if forking {
        return Err(Fault::InvalidParams(
            "this chain cannot fork another one; reset it without \"forking\"".to_owned(),
        ));
    }
    Ok(())
}

fn metadata(bench: &Bench) -> Value {
    let head = bench.context.ledger.head();
    json!({
        "clientVersion": bench.context.info.version,
        "chainId": bench.context.ledger.genesis().chain_id,
        "latestBlockNumber": head.header.number,
        "latestBlockHash": head.hash,
    })
}
