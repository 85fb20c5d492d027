//! Transactions, proposals, blocks and what beside them travels between nodes or lies on their disks.

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use alloy_rlp::Decodable;
use bxp_chain::{
    blocks::Blocks,
    codec,
    proposal::{Proposal, ProposalRules, recover},
    sync::{SyncRequest, SyncResponse},
};
use bxp_storage::{Durability, MemoryDisk, Store};
use bxp_types::{
    Attestation, Certificate, Height, NetworkId, RecoveredTransaction, StoredBlock, TransactionLocation,
    ValidatorIndex,
};
use std::{path::Path, sync::LazyLock};

const CHAIN_ID: u64 = 2018;
const RULES: ProposalRules = ProposalRules { chain_id: CHAIN_ID, bytes_max: 8_192 };

/// The blocks of a node with one certified block.
static BLOCKS: LazyLock<Blocks> = LazyLock::new(one_block);

/// A proposal that is found valid has one encoding, and is read the same when its senders are believed.
pub(crate) fn proposal(bytes: &[u8]) {
    let decided = Proposal::decided(bytes, RULES);
    if let Ok(checked) = Proposal::check(bytes, RULES) {
        assert!(checked.encode() == bytes || checked.encode_with_senders() == bytes, "one encoding");
        assert_eq!(decided.ok(), Some(checked));
    }
}

/// A transaction that is taken has one encoding.
pub(crate) fn transaction(bytes: &[u8]) {
    if let Ok(transaction) = recover(bytes, CHAIN_ID) {
        assert_eq!(transaction.encoded_2718(), bytes);
    }
}

/// What lies on the disk reads back as it was.
pub(crate) fn block(bytes: &[u8]) {
    if let Ok(block) = codec::decode_block(bytes) {
        assert_eq!(codec::encode_block(&block), bytes);
    }
    if let Ok(receipts) = codec::decode_receipts(bytes) {
        assert_eq!(codec::encode_receipts(&receipts), bytes);
    }
    if let Ok(certificate) = codec::decode_certificate(bytes) {
        assert_eq!(codec::encode_certificate(&certificate), bytes);
    }
    if let Ok(attestation) = codec::decode_attestation(bytes) {
        assert_eq!(codec::encode_attestation(&attestation), bytes);
    }
    if let Ok(location) = codec::decode_location(bytes) {
        assert_eq!(codec::encode_location(location), bytes);
    }
    // A peer may name senders; they are recovered all the same.
    if let Ok(block) = codec::decode_block_from_peer(bytes, CHAIN_ID) {
        let again = codec::encode_block_for_peer(&block);
        assert_eq!(codec::decode_block_from_peer(&again, CHAIN_ID).ok(), Some(block));
    }
}

/// Answers to who asks for blocks, and what is asked: a request has one encoding, and its answer is read by who asked.
pub(crate) fn sync(bytes: &[u8]) {
    let _ = SyncResponse::decode(bytes, CHAIN_ID);
    let Ok(answer) = SyncRequest::answer(bytes, &BLOCKS) else { return };
    let request = SyncRequest::decode(&mut &*bytes).expect("what is answered is a request");
    assert_eq!(request.encode(), bytes);
    let answer = SyncResponse::decode(&answer, CHAIN_ID).expect("an own answer is read");
    assert_eq!(answer.certified, Height(1));
    for item in &answer.items {
        assert!(item.certificate.height.0 >= request.from);
        assert_eq!(item.block.is_some(), item.certificate.height.0 > request.has);
    }
}

fn transfer(nonce: u64) -> RecoveredTransaction {
    let key = secp256k1::SecretKey::from_byte_array(&[7; 32]).expect("a key");
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(9)),
        value: U256::from(1),
        ..Default::default()
    };
    let message = secp256k1::Message::from_digest(transaction.signature_hash().0);
    let (id, bytes) = secp256k1::SECP256K1.sign_ecdsa_recoverable(&message, &key).serialize_compact();
    let signature = Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1);
    TxEnvelope::from(transaction.into_signed(signature)).try_into_recovered().expect("an own signature")
}

pub(crate) fn sample() -> StoredBlock {
    let header = Header { number: 1, extra_data: 7_u64.to_be_bytes().into(), ..Header::default() };
    StoredBlock { hash: header.hash_slow(), header, transactions: vec![transfer(0), transfer(1)], time_ms: 7 }
}

fn certificate() -> Certificate {
    let signatures = [(ValidatorIndex(2), [5; 64]), (ValidatorIndex(3), [6; 64])].into();
    Certificate { height: Height(1), block_hash: B256::repeat_byte(3), signatures }
}

fn attestation() -> Attestation {
    Attestation {
        height: Height(1),
        block_hash: B256::repeat_byte(3),
        validator: ValidatorIndex(2),
        signature: [5; 64],
    }
}

pub(crate) fn proposals() -> Vec<Vec<u8>> {
    let proposal = Proposal { time_ms: 5, transactions: vec![transfer(0), transfer(1)] };
    vec![proposal.encode(), proposal.encode_with_senders(), Proposal::default().encode()]
}

pub(crate) fn transactions() -> Vec<Vec<u8>> {
    vec![transfer(0).encoded_2718(), transfer(u64::MAX).encoded_2718()]
}

pub(crate) fn blocks() -> Vec<Vec<u8>> {
    vec![
        codec::encode_block(&sample()),
        codec::encode_block_for_peer(&sample()),
        codec::encode_receipts(&super::logs::receipts()),
        codec::encode_certificate(&certificate()),
        codec::encode_attestation(&attestation()),
        codec::encode_location(TransactionLocation { height: Height(3), index: 4 }).to_vec(),
    ]
}

fn one_block() -> Blocks {
    let disk = MemoryDisk::new(1);
    let store = Store::open_in(&disk, Path::new("/node/chain"), NetworkId([7; 32])).expect("open in memory");
    let blocks = Blocks::open(&store).expect("open in memory");
    let block = sample();
    let certificate = Certificate { height: Height(1), block_hash: block.hash, ..certificate() };
    let mut batch = store.batch();
    blocks.put(&mut batch, &block, &[], &[]);
    blocks.put_certificate(&mut batch, &certificate);
    batch.commit(Durability::Synced).expect("write to memory");
    blocks
}

/// What is asked of a node with one certified block, and what it answers.
pub(crate) fn questions_and_answers() -> Vec<Vec<u8>> {
    let asked = [(1, 0), (1, 1), (2, 1), (u64::MAX, 300)];
    let asked: Vec<_> = asked.map(|(from, has)| SyncRequest { from, has }.encode()).into();
    let answers = asked.iter().filter_map(|request| SyncRequest::answer(request, &BLOCKS).ok());
    answers.chain(asked.iter().cloned()).collect()
}
