//! revm alone: the same transactions on the same accounts, in memory, without roots and without a disk.

use super::{
    cpu_us,
    scene::{self, Kind, Scene, TOKEN, TREASURY},
};
use alloy_primitives::U256;
use anyhow::{Result, ensure};
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, bytecode::Bytecode, context::TxEnv,
    database::InMemoryDB, state::AccountInfo,
};

/// CPU microseconds of one ERC-20 transfer.
pub(super) fn measure(scene: &Scene, blocks: usize) -> Result<f64> {
    let mut database = InMemoryDB::default();
    for (address, account) in &scene.genesis.accounts {
        let code = Bytecode::new_raw(account.code.clone());
        let nonce = u64::from(!account.code.is_empty());
        let info = AccountInfo::new(account.balance.0, nonce, code.hash_slow(), code);
        database.insert_account_info(*address, info);
        for (slot, value) in &account.storage {
            database.insert_account_storage(*address, (*slot).into(), (*value).into())?;
        }
    }
    let context = Context::mainnet()
        .modify_cfg_chained(|chain| chain.chain_id = scene::CHAIN_ID)
        .modify_block_chained(|block| {
            block.gas_limit = scene.genesis.gas_limit;
            block.basefee = scene.genesis.base_fee_wei;
            block.beneficiary = TREASURY;
        })
        .with_db(database);
    let mut evm = context.build_mainnet();
    let mut spent = 0;
    for nonce in 0..blocks as u64 {
        let transactions = scene.transactions(Kind::Token, nonce);
        let begun = cpu_us()?;
        for (wallet, transaction) in scene.senders.iter().zip(transactions) {
            let result = evm.transact_commit(TxEnv {
                tx_type: 2,
                caller: wallet.address(),
                gas_limit: transaction.gas_limit,
                gas_price: transaction.max_fee_per_gas,
                gas_priority_fee: Some(transaction.max_priority_fee_per_gas),
                kind: TOKEN.into(),
                value: U256::ZERO,
                data: transaction.input,
                nonce,
                chain_id: Some(scene::CHAIN_ID),
                ..TxEnv::default()
            })?;
            ensure!(result.is_success(), "revm alone runs a transfer of the token: {result:?}");
        }
        spent += cpu_us()? - begun;
    }
    Ok(spent as f64 / (blocks * scene.senders.len()) as f64)
}
