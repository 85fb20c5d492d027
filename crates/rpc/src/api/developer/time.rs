//! When blocks come, and at what time.

use super::{Bench, number::Number, state::parse};
use crate::fault::Fault;
use alloy_primitives::B256;
use jsonrpsee::{RpcModule, server::RegisterMethodError, types::Params};
use serde_json::Value;
use std::time::Duration;

/// Blocks that one request makes at most.
const BLOCKS_MAX: u64 = 100_000;

pub(super) fn register(module: &mut RpcModule<Bench>) -> Result<(), RegisterMethodError> {
    module.register_blocking_method("evm_mine", |params, bench, _| -> Result<&str, Fault> {
        if let Some(time) = time_of(&params)? {
            bench.developer.set_next_time(time)?;
        }
        bench.developer.mine(1, 1)?;
        Ok("0x0")
    })?;
    module.register_blocking_method("hardhat_mine", |params, bench, _| -> Result<bool, Fault> {
        let (blocks, seconds): (Option<Number>, Option<Number>) = optional(&params)?;
        let blocks = blocks.map_or(1, Number::to_u64);
        if blocks > BLOCKS_MAX {
            return Err(Fault::InvalidParams(format!("mine at most {BLOCKS_MAX} blocks at once")));
        }
        bench.developer.mine(blocks, seconds.map_or(1, Number::to_u64))?;
        Ok(true)
    })?;
    module.register_alias("anvil_mine", "hardhat_mine")?;
    module.register_method("evm_setAutomine", |params, bench, _| -> Result<bool, Fault> {
        let (on,): (bool,) = parse(&params)?;
        bench.developer.set_automine(on);
        Ok(true)
    })?;
    module.register_alias("anvil_setAutomine", "evm_setAutomine")?;
    module.register_method("hardhat_getAutomine", |_, bench, _| bench.developer.automine())?;
    module.register_alias("anvil_getAutomine", "hardhat_getAutomine")?;
    module.register_method("evm_setIntervalMining", |params, bench, _| -> Result<bool, Fault> {
        let (ms,): (Number,) = parse(&params)?;
        let interval = Duration::from_millis(ms.to_u64());
        bench.developer.set_interval((!interval.is_zero()).then_some(interval));
        Ok(true)
    })?;
    module.register_method("anvil_setIntervalMining", |params, bench, _| -> Result<bool, Fault> {
        let (seconds,): (Number,) = parse(&params)?;
        let interval = Duration::from_secs(seconds.to_u64());
        bench.developer.set_interval((!interval.is_zero()).then_some(interval));
        Ok(true)
    })?;
    module.register_method("evm_increaseTime", |params, bench, _| -> Result<u64, Fault> {
        let (seconds,): (Number,) = parse(&params)?;
        Ok(bench.developer.increase_time(seconds.to_u64()))
    })?;
    module.register_alias("anvil_increaseTime", "evm_increaseTime")?;
    module.register_method("evm_setNextBlockTimestamp", |params, bench, _| -> Result<u64, Fault> {
        let (time,): (Number,) = parse(&params)?;
        bench.developer.set_next_time(time.to_u64())?;
        Ok(time.to_u64())
    })?;
    module.register_alias("anvil_setNextBlockTimestamp", "evm_setNextBlockTimestamp")?;
    module.register_method(
        "hardhat_setNextBlockBaseFeePerGas",
        |params, bench, _| -> Result<bool, Fault> {
            let (wei,): (Number,) = parse(&params)?;
            bench.developer.set_next_base_fee(wei.to_u64());
            Ok(true)
        },
    )?;
    module.register_alias("anvil_setNextBlockBaseFeePerGas", "hardhat_setNextBlockBaseFeePerGas")?;
    module.register_method("hardhat_setPrevRandao", |params, bench, _| -> Result<bool, Fault> {
        let (hash,): (B256,) = parse(&params)?;
        bench.developer.set_next_mix_hash(hash);
        Ok(true)
    })?;
    Ok(())
}

/// The time that `evm_mine` may be given: a number, or in an object of options.
fn time_of(params: &Params<'_>) -> Result<Option<u64>, Fault> {
    let values: Vec<Value> = if params.as_str().is_none() { Vec::new() } else { parse(params)? };
    let value = match values.into_iter().next() {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(mut options)) => options.remove("timestamp").unwrap_or_default(),
        Some(value) => value,
    };
    if value.is_null() {
        return Ok(None);
    }
    let number: Number =
        serde_json::from_value(value).map_err(|error| Fault::InvalidParams(error.to_string()))?;
    Ok(Some(number.to_u64()))
}

/// Two parameters, each of which may be missing.
fn optional(params: &Params<'_>) -> Result<(Option<Number>, Option<Number>), Fault> {
    let mut given = params.sequence();
    let mut next =
        || given.optional_next::<Number>().map_err(|error| Fault::InvalidParams(error.message().to_owned()));
    Ok((next()?, next()?))
}
