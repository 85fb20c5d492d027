//! What a call asks, made into a transaction of the EVM, with geth's defaults.

use crate::{
    Deadline, GAS_MAX, Overrides, SimulateError,
    database::{Database, ReadError, over},
    machine::Machine,
    overrides,
};
use alloy_consensus::Header;
use alloy_primitives::{Bytes, TxKind};
use alloy_rpc_types_eth::TransactionRequest;
use bxp_execution::ChainSpec;
use bxp_types::StateReader;
use revm::{
    Database as _,
    context::TxEnv,
    context_interface::{block::BlobExcessGasAndPrice, either::Either},
};

/// Where a call runs: on a state, as in a block, with overrides.
pub struct Question<'a> {
    /// The state.
    pub view: &'a dyn StateReader,
    /// The rules of the chain.
    pub spec: &'a ChainSpec,
    /// The block.
    pub header: &'a Header,
    /// What is different.
    pub overrides: Overrides,
    /// When the answer has to be there.
    pub deadline: Deadline,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<'a> Question<'a> {
    /// The machine and the database of the question, for runs that need not be valid transactions: neither nonce nor
    /// sender's code matters, and gas may exceed what a transaction or block may use.
    pub(crate) fn open(&self) -> Result<(Machine, Database<'a>), SimulateError> {
        let mut machine = Machine::new(self.spec, self.header);
        let mut database = over(self.view);
        prepare(&mut machine, &mut database, &self.overrides)?;
        Ok((machine, database))
    }
}

/// Makes a machine and a database ready for a run that need not be a valid transaction, with what is different.
pub(crate) fn prepare(
    machine: &mut Machine,
    database: &mut Database<'_>,
    different: &Overrides,
) -> Result<(), SimulateError> {
    let chain = &mut machine.chain;
    chain.disable_nonce_check = true;
    chain.disable_eip3607 = true;
    chain.disable_block_gas_limit = true;
    chain.tx_gas_limit_cap = Some(u64::MAX);
    if let Some(block) = &different.block {
        overrides::apply_block(machine, database, block);
    }
    if let Some(state) = &different.state {
        overrides::apply_state(machine, database, state)?;
    }
    Ok(())
}

/// The calldata or init code of a request.
pub(crate) fn input(request: &TransactionRequest) -> Result<Bytes, SimulateError> {
    match (&request.input.input, &request.input.data) {
        (Some(input), Some(data)) if input != data => Err(SimulateError::InvalidParams(
            "both \"data\" and \"input\" are set and not equal; use \"input\" to pass calldata".to_owned(),
        )),
        (input, data) => Ok(input.as_ref().or(data.as_ref()).cloned().unwrap_or_default()),
    }
}

/// Checks what makes no sense in any block.
pub(crate) fn check(request: &TransactionRequest, chain_id: u64) -> Result<(), SimulateError> {
    let invalid = |words: String| Err(SimulateError::InvalidParams(words));
    if let Some(have) = request.chain_id.filter(|have| *have != chain_id) {
        return invalid(format!("chainId does not match node's (have={have}, want={chain_id})"));
    }
    let (cap, tip) = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
    if request.gas_price.is_some() && (cap.is_some() || tip.is_some()) {
        return invalid("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified".to_owned());
    }
    match (cap, tip) {
        (Some(cap), Some(tip)) if tip > cap => {
            invalid(format!("maxFeePerGas ({cap}) < maxPriorityFeePerGas ({tip})"))
        }
        _ => Ok(()),
    }
}

/// The transaction that `request` means in a call. Without a price, gas costs nothing and the base fee is zero, as in
/// geth, so that nothing but the value has to be in the sender's account.
pub(crate) fn transaction(
    machine: &mut Machine,
    database: &mut Database<'_>,
    request: &TransactionRequest,
) -> Result<TxEnv, SimulateError> {
    check(request, machine.chain.chain_id)?;
    let caller = request.from.unwrap_or_default();
    let nonce = match request.nonce {
        Some(nonce) => nonce,
        None => database.basic(caller).map_err(|ReadError(error)| error)?.map_or(0, |info| info.nonce),
    };
    let transaction = TxEnv {
        tx_type: transaction_type(request),
        caller,
        gas_limit: request.gas.unwrap_or(GAS_MAX).min(GAS_MAX),
        gas_price: request.gas_price.or(request.max_fee_per_gas).unwrap_or_else(|| {
            // A tip without a cap is capped by itself and the base fee.
            request.max_priority_fee_per_gas.map_or(0, |tip| tip.saturating_add(machine.block.basefee.into()))
        }),
        gas_priority_fee: request.max_priority_fee_per_gas.or_else(|| request.max_fee_per_gas.map(|_| 0)),
        kind: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        data: input(request)?,
        nonce,
        chain_id: Some(machine.chain.chain_id),
        access_list: request.access_list.clone().unwrap_or_default(),
        blob_hashes: request.blob_versioned_hashes.clone().unwrap_or_default(),
        max_fee_per_blob_gas: request.max_fee_per_blob_gas.unwrap_or_default(),
        authorization_list: request.authorization_list.iter().flatten().cloned().map(Either::Left).collect(),
    };
    if transaction.gas_price == 0 {
        machine.block.basefee = 0;
        machine.chain.disable_base_fee = true;
    }
    if transaction.max_fee_per_blob_gas == 0 && !transaction.blob_hashes.is_empty() {
        machine.block.blob_excess_gas_and_price =
            Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 0 });
    }
    Ok(transaction)
}

/// The EIP-2718 type that a request's fields ask for.
pub(crate) fn transaction_type(request: &TransactionRequest) -> u8 {
    if request.authorization_list.is_some() {
        4
    } else if request.blob_versioned_hashes.is_some() {
        3
    } else if request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some() {
        2
    } else if request.access_list.is_some() {
        1
    } else {
        0
    }
}
