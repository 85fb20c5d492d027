//! Accounts whose keys the node holds, and accounts that it impersonates.

use super::{Bench, state::parse};
use crate::{context::call_deadline, fault::Fault, select};
use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy, TypedTransaction};
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, TxKind, eip191_hash_message};
use alloy_rpc_types_eth::TransactionRequest;
use bxp_simulate::{Overrides, Question, estimate};
use bxp_types::{Ledger, SubmitError};
use jsonrpsee::{RpcModule, server::RegisterMethodError};

/// The tip of a transaction that names no fee, in wei.
const TIP_WEI: u128 = 1_000_000_000;

pub(super) fn register(module: &mut RpcModule<Bench>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_accounts", |_, bench, _| bench.developer.accounts())?;
    module.register_method("eth_sign", |params, bench, _| -> Result<Bytes, Fault> {
        let (account, message): (Address, Bytes) = parse(&params)?;
        sign(bench, account, &message)
    })?;
    module.register_method("personal_sign", |params, bench, _| -> Result<Bytes, Fault> {
        let (message, account): (Bytes, Address) = parse(&params)?;
        sign(bench, account, &message)
    })?;
    module.register_blocking_method("eth_sendTransaction", |params, bench, _| -> Result<B256, Fault> {
        let (request,): (TransactionRequest,) = parse(&params)?;
        send(&bench, request)
    })?;
    for (hardhat, anvil, on) in [
        ("hardhat_impersonateAccount", "anvil_impersonateAccount", true),
        ("hardhat_stopImpersonatingAccount", "anvil_stopImpersonatingAccount", false),
    ] {
        module.register_method(hardhat, move |params, bench, _| -> Result<bool, Fault> {
            let (account,): (Address,) = parse(&params)?;
            bench.developer.impersonate(account, on);
            Ok(true)
        })?;
        module.register_alias(anvil, hardhat)?;
    }
    module.register_method("anvil_autoImpersonateAccount", |params, bench, _| -> Result<bool, Fault> {
        let (on,): (bool,) = parse(&params)?;
        bench.developer.impersonate_all(on);
        Ok(true)
    })?;
    module.register_method("hardhat_dropTransaction", |params, bench, _| -> Result<bool, Fault> {
        let (hash,): (B256,) = parse(&params)?;
        Ok(bench.developer.drop_transaction(hash))
    })?;
    module.register_alias("anvil_dropTransaction", "hardhat_dropTransaction")?;
    Ok(())
}

/// Signs a message as EIP-191 has it.
fn sign(bench: &Bench, account: Address, message: &[u8]) -> Result<Bytes, Fault> {
    let signature = bench.developer.sign(account, eip191_hash_message(message));
    Ok(signature.ok_or(Fault::UnknownAccount)?.as_bytes().into())
}

/// Completes a transaction as wallets do, and sends it.
fn send(bench: &Bench, request: TransactionRequest) -> Result<B256, Fault> {
    let from = request.from.ok_or_else(|| Fault::InvalidParams("\"from\" is missing".to_owned()))?;
    let ledger = &*bench.context.ledger;
    check(&request, ledger.genesis().chain_id)?;
    let nonce = match request.nonce {
        Some(nonce) => nonce,
        None => ledger.pending_nonce(from)?,
    };
    let gas = match request.gas {
        Some(gas) => gas,
        None => estimated(bench, &request)?,
    };
    let transaction = complete(ledger, request, nonce, gas)?;
    match bench.developer.send(from, transaction) {
        Err(SubmitError::InvalidSender) => Err(Fault::UnknownAccount),
        sent => Ok(sent?),
    }
}

/// Refuses what the transaction could not have, rather than send it without.
fn check(request: &TransactionRequest, chain_id: u64) -> Result<(), Fault> {
    let invalid = |words: &str| Err(Fault::InvalidParams(words.to_owned()));
    if let Some(have) = request.chain_id.filter(|have| *have != chain_id) {
        return invalid(&format!("chainId does not match node's (have={have}, want={chain_id})"));
    }
    let dynamic = request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && dynamic {
        return invalid("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified");
    }
    let called = matches!(request.to, Some(TxKind::Call(_)));
    if request.authorization_list.is_some() && (request.gas_price.is_some() || !called) {
        return invalid("an authorizationList needs \"to\", and maxFeePerGas instead of gasPrice");
    }
    if request.blob_versioned_hashes.is_some() || request.max_fee_per_blob_gas.is_some() {
        return invalid("transaction type not supported: the chain takes no blobs");
    }
    match (&request.input.input, &request.input.data) {
        (Some(input), Some(data)) if input != data => {
            invalid("both \"data\" and \"input\" are set and not equal; use \"input\" to pass calldata")
        }
        _ => Ok(()),
    }
}

fn estimated(bench: &Bench, request: &TransactionRequest) -> Result<u64, Fault> {
    let spec = bench.context.spec();
    let (block, view) = select::state(&*bench.context.ledger, None::<BlockId>)?;
    let question = Question {
        view: &*view,
        spec: &spec,
        header: &block.header,
        overrides: Overrides::default(),
        deadline: call_deadline(),
    };
    Ok(estimate(&question, request)?)
}

fn complete(
    ledger: &dyn Ledger,
    request: TransactionRequest,
    nonce: u64,
    gas_limit: u64,
) -> Result<TypedTransaction, Fault> {
    let chain_id = ledger.genesis().chain_id;
    let to = request.to.unwrap_or(TxKind::Create);
    let value = request.value.unwrap_or_default();
    let input = request.input.input.or(request.input.data).unwrap_or_default();
    if let Some(gas_price) = request.gas_price {
        return Ok(match request.access_list {
            Some(access_list) => {
                TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input }.into()
            }
            None => {
                let chain_id = Some(chain_id);
                TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }.into()
            }
        });
    }
    let access_list = request.access_list.unwrap_or_default();
    let max_priority_fee_per_gas = request
        .max_priority_fee_per_gas
        .unwrap_or_else(|| request.max_fee_per_gas.map_or(TIP_WEI, |cap| cap.min(TIP_WEI)));
    // Twice the base fee holds for six full blocks.
    let max_fee_per_gas = request.max_fee_per_gas.unwrap_or_else(|| {
        u128::from(ledger.next_base_fee()).saturating_mul(2).saturating_add(max_priority_fee_per_gas)
    });
    match (request.authorization_list, to) {
        (Some(authorization_list), TxKind::Call(to)) => Ok(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list,
            input,
        }
        .into()),
        _ => Ok(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            input,
        }
        .into()),
    }
}
