//! What the EVM is told of the chain, the block and the transaction.

use crate::{ChainSpec, Rules};
use alloy_consensus::{Header, Transaction};
use alloy_primitives::U256;
use bxp_types::RecoveredTransaction;
use revm::{
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::{block::BlobExcessGasAndPrice, either::Either},
    primitives::{eip7825, hardfork::SpecId},
};

/// The rules of every block of a BXP network from genesis on.
pub const FORK: SpecId = SpecId::OSAKA;

/// The most gas of one transaction (EIP-7825).
pub const TRANSACTION_GAS_MAX: u64 = eip7825::TX_GAS_LIMIT_CAP;

/// The chain in the block that `rules` are of.
#[must_use]
pub fn chain(spec: &ChainSpec, rules: &Rules) -> CfgEnv {
    let mut chain = CfgEnv::new_with_spec(rules.fork).with_chain_id(spec.chain_id());
    chain.disable_eip3607 = spec.any_sender;
    if rules.has(SpecId::CANCUN) {
        chain.max_blobs_per_tx = Some(rules.blobs.max_blobs_per_tx);
        chain.blob_base_fee_update_fraction = u64::try_from(rules.blobs.update_fraction).ok();
    }
    chain
}

/// The environment of the block that `header` begins; roots, bloom and gas used need not be there yet.
#[must_use]
pub fn block(header: &Header, rules: &Rules) -> BlockEnv {
    let blobs = header.excess_blob_gas.map(|excess_blob_gas| BlobExcessGasAndPrice {
        excess_blob_gas,
        blob_gasprice: rules.blobs.calc_blob_fee(excess_blob_gas),
    });
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: header.difficulty,
        prevrandao: rules.has(SpecId::MERGE).then_some(header.mix_hash),
        blob_excess_gas_and_price: blobs,
        ..BlockEnv::default()
    }
}

/// A signed transaction as the EVM takes it.
#[must_use]
pub fn transaction(transaction: &RecoveredTransaction) -> TxEnv {
    let authorizations = transaction.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: transaction.tx_type() as u8,
        caller: transaction.signer(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: transaction.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: transaction.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
    }
}
