//! The transaction that a simulated call stands for: without a signature, as geth has it.

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip4844, TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy,
    transaction::Recovered,
};
use alloy_eips::eip7594::BlobTransactionSidecarVariant;
use alloy_primitives::{Signature, U256};
use bxp_types::RecoveredTransaction;
use revm::{context::TxEnv, context_interface::either::Either};

/// A transaction with the fields of `call` and a signature of zeros.
pub(super) fn transaction(call: &TxEnv, chain_id: u64) -> RecoveredTransaction {
    let none = Signature::new(U256::ZERO, U256::ZERO, false);
    let tip = call.gas_priority_fee.unwrap_or_default();
    let envelope: TxEnvelope = match (call.tx_type, call.kind.to().copied()) {
        (0, _) => TxLegacy {
            chain_id: None,
            nonce: call.nonce,
            gas_price: call.gas_price,
            gas_limit: call.gas_limit,
            to: call.kind,
            value: call.value,
            input: call.data.clone(),
        }
        .into_signed(none)
        .into(),
        (3, Some(to)) => TxEip4844Variant::<BlobTransactionSidecarVariant>::TxEip4844(TxEip4844 {
            chain_id,
            nonce: call.nonce,
            gas_limit: call.gas_limit,
            max_fee_per_gas: call.gas_price,
            max_priority_fee_per_gas: tip,
            to,
            value: call.value,
            access_list: call.access_list.clone(),
            blob_versioned_hashes: call.blob_hashes.clone(),
            max_fee_per_blob_gas: call.max_fee_per_blob_gas,
            input: call.data.clone(),
        })
        .into_signed(none)
        .into(),
        (4, Some(to)) => TxEip7702 {
            chain_id,
            nonce: call.nonce,
            gas_limit: call.gas_limit,
            max_fee_per_gas: call.gas_price,
            max_priority_fee_per_gas: tip,
            to,
            value: call.value,
            access_list: call.access_list.clone(),
            authorization_list: call
                .authorization_list
                .iter()
                .filter_map(|one| match one {
                    Either::Left(signed) => Some(signed.clone()),
                    Either::Right(_) => None,
                })
                .collect(),
            input: call.data.clone(),
        }
        .into_signed(none)
        .into(),
        _ => TxEip1559 {
            chain_id,
            nonce: call.nonce,
            gas_limit: call.gas_limit,
            max_fee_per_gas: call.gas_price,
            max_priority_fee_per_gas: tip,
            to: call.kind,
            value: call.value,
            access_list: call.access_list.clone(),
            input: call.data.clone(),
        }
        .into_signed(none)
        .into(),
    };
    Recovered::new_unchecked(envelope, call.caller)
}
