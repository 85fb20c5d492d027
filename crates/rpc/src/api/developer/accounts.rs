//! Accounts whose keys the node holds, and accounts that it impersonates.

use super::{
    Bench,
    state::parse,
    transaction::{Completion, check, complete},
};
use crate::{context::call_deadline, fault::Fault, select};
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, eip191_hash_message};
use alloy_rpc_types_eth::TransactionRequest;
use bxp_simulate::{Overrides, Question, estimate};
use bxp_types::SubmitError;
use jsonrpsee::{RpcModule, server::RegisterMethodError};

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
    let chain_id = ledger.genesis().chain_id;
    let kind = check(&request, chain_id)?;
    let nonce = match request.nonce {
        Some(nonce) => nonce,
        None => ledger.pending_nonce(from)?,
    };
    let gas_limit = match request.gas {
        Some(gas) => gas,
        None => estimated(bench, &request)?,
    };
    let completion = Completion { chain_id, nonce, gas_limit, base_fee_wei: ledger.next_base_fee() };
    let transaction = complete(kind, request, &completion);
    match bench.developer.send(from, transaction) {
        Err(SubmitError::InvalidSender) => Err(Fault::UnknownAccount),
        sent => Ok(sent?),
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
