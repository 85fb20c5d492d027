//! Genesis files, files of blocks, proofs of the state, calldata of batch payments.

use super::{chain, joined, pieces};
use alloy_consensus::{Block, BlockBody, Header, TxEnvelope};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use bxp_execution::{EthereumBlock, EthereumGenesis, payment_count};
use bxp_trie::{Nibbles, prove, verify_proof};
use bxp_types::Genesis;
use std::collections::BTreeMap;

/// A genesis file of ours, or of another Ethereum chain, is read or refused.
pub(crate) fn genesis(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(genesis) = Genesis::from_json(text)
    {
        let _ = (genesis.check(), genesis.network_id());
    }
    if let Ok(genesis) = EthereumGenesis::from_json(bytes) {
        let _ = genesis.spec();
    }
}

/// Blocks that are read are read the same when they are written again, and block 0 is none of them.
pub(crate) fn chain_file(bytes: &[u8]) {
    let Ok(blocks) = EthereumBlock::read_all(bytes) else { return };
    assert!(blocks.iter().all(|block| block.header.number > 0), "block 0 is passed over");
    let again: Vec<u8> = blocks.iter().flat_map(encoded).collect();
    assert_eq!(EthereumBlock::read_all(&again).ok(), Some(blocks));
}

fn encoded(block: &EthereumBlock) -> Vec<u8> {
    let transactions: Vec<TxEnvelope> = block.transactions.iter().map(|one| one.inner().clone()).collect();
    let withdrawals = block.withdrawals.clone().map(Withdrawals::new);
    let body = BlockBody { transactions, ommers: block.ommers.clone(), withdrawals };
    alloy_rlp::encode(Block { header: block.header.clone(), body })
}

/// Any nodes for any key: a proof holds for what is in the trie alone.
pub(crate) fn proof(bytes: &[u8]) {
    let (root, _, keys) = sample();
    let parts = pieces(bytes);
    let Some((key, nodes)) = parts.split_first() else { return };
    let key = if let Ok(key) = <[u8; 32]>::try_from(*key) { B256::from(key) } else { keys[0] };
    let nodes: Vec<Bytes> = nodes.iter().map(|node| Bytes::copy_from_slice(node)).collect();
    if let Ok(value) = verify_proof(root, key, &nodes) {
        let expected = keys.iter().position(|known| *known == key).map(value_of);
        assert_eq!(value, expected, "a proof of what is not so");
    }
}

/// Calldata that is taken is taken for one value alone.
pub(crate) fn payments(bytes: &[u8]) {
    let (value, calldata) = bytes.split_at(bytes.len().min(16));
    let value = U256::from_be_slice(value);
    if let Some(count) = payment_count(calldata, value) {
        assert!(count > 0 && count <= calldata.len() / 32);
        assert_eq!(payment_count(calldata, value + U256::from(1)), None);
    }
}

fn value_of(number: usize) -> Vec<u8> {
    vec![u8::try_from(number).unwrap_or(0) + 1; 40]
}

fn sample() -> (B256, BTreeMap<Nibbles, Bytes>, Vec<B256>) {
    let keys: Vec<B256> = (0..12_u8).map(|number| keccak256([number])).collect();
    let changes = keys.iter().enumerate().map(|(number, key)| (*key, Some(value_of(number)))).collect();
    let update = bxp_trie::update(&BTreeMap::new(), changes).expect("a trie in memory");
    let nodes = update.nodes.into_iter().filter_map(|(path, change)| Some((path, change.after?)));
    (update.root, nodes.collect(), keys)
}

pub(crate) fn files() -> Vec<Vec<u8>> {
    let ours = r#"{"chain_id":2018,"time_ms":1800000000000,"gas_limit":600000000,"base_fee_wei":1000000000,
        "treasury":"0x0000000000000000000000000000000000000001","validators":[{"name":"star","jurisdiction":"US",
        "public_key":"0x5866666666666666666666666666666666666666666666666666666666666666",
        "sealing_key":"0x0000000000000000000000000000000000000000000000000000000000000009",
        "account":"0x0000000000000000000000000000000000000002","p2p_address":"127.0.0.1:1"}],
        "accounts":{"0x0000000000000000000000000000000000000003":{"balance":"0x1"}}}"#;
    let ethereum = r#"{"config":{"chainId":1,"homesteadBlock":0,"shanghaiTime":5,"terminalTotalDifficulty":0},"nonce":"0x0",
        "timestamp":"0x0","extraData":"0x00","gasLimit":"0x1000000","difficulty":"0x0","baseFeePerGas":"0x7",
        "mixHash":"0x0000000000000000000000000000000000000000000000000000000000000000",
        "coinbase":"0x0000000000000000000000000000000000000000",
        "alloc":{"0x0000000000000000000000000000000000000001":{"balance":"0x1","code":"0x60","nonce":"0x1"}}}"#;
    vec![ours.into(), ethereum.into()]
}

/// Block 0, a block with transactions and an ommer, and one with a withdrawal.
pub(crate) fn chain_files() -> Vec<Vec<u8>> {
    let block = |number, base_fee_per_gas| EthereumBlock {
        header: Header { number, base_fee_per_gas, ..Header::default() },
        transactions: Vec::new(),
        ommers: Vec::new(),
        withdrawals: None,
    };
    let transactions = chain::sample().transactions;
    let early = EthereumBlock { transactions, ommers: vec![block(0, None).header], ..block(1, None) };
    let withdrawal = Withdrawal { index: 1, validator_index: 2, address: Address::repeat_byte(3), amount: 4 };
    let mut late = EthereumBlock { withdrawals: Some(vec![withdrawal]), ..block(2, Some(7)) };
    late.header.withdrawals_root = Some(B256::repeat_byte(5));
    let [first, early, late] = [block(0, None), early, late].map(|block| encoded(&block));
    vec![[first, early.clone(), late.clone()].concat(), early, late]
}

pub(crate) fn proofs() -> Vec<Vec<u8>> {
    let (_, trie, keys) = sample();
    let of = |key: B256| {
        let proof = prove(&trie, key).expect("a trie in memory");
        joined([key.to_vec()].into_iter().chain(proof.into_iter().map(|node| node.to_vec())))
    };
    vec![of(keys[0]), of(keys[5]), of(B256::repeat_byte(3))]
}

pub(crate) fn calls() -> Vec<Vec<u8>> {
    let word = |number: usize| U256::from(number).to_be_bytes::<32>();
    let call = |selector: [u8; 4], amount: &[u8]| {
        let packed = [&[7; 20], amount].concat();
        let mut value = [0; 16];
        value[15] = 9;
        let padding = vec![0; packed.len().next_multiple_of(32) - packed.len()];
        [&value[..], &selector[..], &word(32), &word(packed.len()), &packed, &padding].concat()
    };
    let amount = |bytes: usize| [vec![0; bytes - 1], vec![9]].concat();
    vec![call([0x52, 0xa9, 0x18, 0x07], &amount(12)), call([0x8e, 0x80, 0x56, 0x24], &amount(16))]
}
