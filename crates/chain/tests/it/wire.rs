//! The formats of blocks, receipts, certificates and sync, on disk and between nodes: pinned bytes.
//!
//! They are written by hand after the rules of RLP. The byte before a string of fewer than 56 bytes is 0x80 and its length,
//! before such a list it is 0xc0 and its length; before longer ones it is 0xb7 or 0xf7 and the number of bytes that
//! the length takes, which follow. A number is the string of its bytes without zeros in front, and a single byte
//! below 0x80 stands for itself. What another format describes, a header of Ethereum, is left to its library.

use alloy_consensus::{Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::hex;
use alloy_rlp::Decodable;
use bxp_chain::{
    blocks::Blocks,
    codec,
    proposal::recover,
    sync::{SyncItem, SyncRequest, SyncResponse},
};
use bxp_storage::{Durability, Store};
use bxp_types::{
    Address, Attestation, B256, Certificate, Height, NetworkId, RecoveredTransaction, StoredBlock,
    StoredReceipt, TransactionLocation, ValidatorIndex,
};

const CHAIN_ID: u64 = 2018;

/// A transaction of type 2 (EIP-1559), of 42 bytes.
const FIRST: &str = concat!(
    "02",                                         // its type
    "e8",                                         // a list of 40 bytes
    "8207e2",                                     // chain 2018
    "80",                                         // nonce 0
    "01",                                         // a tip of 1 wei
    "843b9aca01",                                 // at most 1,000,000,001 wei
    "825208",                                     // 21,000 gas
    "940909090909090909090909090909090909090909", // to whom
    "01",                                         // a value of 1 wei
    "80",                                         // no data
    "c0",                                         // no access list
    "80",                                         // y parity 0
    "01",                                         // r = 1, which is on the curve
    "02",                                         // s = 2
);
/// The same with nonce 5 and s = 3.
const SECOND: &str = "02e88207e20501843b9aca018252089409090909090909090909090909090909090909090180c0800103";

fn transaction(raw: &str, sender: u8) -> RecoveredTransaction {
    let raw = hex::decode(raw).unwrap();
    let envelope = TxEnvelope::decode_2718(&mut raw.as_slice()).unwrap();
    RecoveredTransaction::new_unchecked(envelope, Address::repeat_byte(sender))
}

fn block() -> StoredBlock {
    let header = Header { number: 4, timestamp: 9, base_fee_per_gas: Some(7), ..Default::default() };
    let transactions = vec![transaction(FIRST, 0x51), transaction(SECOND, 0x52)];
    StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 9_500 }
}

/// The bytes of [`block`] in hexadecimal: a list that begins with `head`, and the addresses in `senders`.
fn block_bytes(head: &str, senders: &str) -> String {
    let header = hex::encode(alloy_rlp::encode(&block().header));
    [
        head, &header,  // 497 bytes
        "82251c", // 9,500 ms
        "f856",   // the transactions: a list of 86 bytes
        "aa",     // a string of 42 bytes
        FIRST,    // as above
        "aa",     // a string of 42 bytes
        SECOND,   // as above
        senders,
    ]
    .concat()
}

#[test]
fn a_block_on_disk_is_pinned() {
    let block = block();
    let senders = [
        "ea", // a list of 42 bytes
        "94", // an address
        &"51".repeat(20),
        "94", // an address
        &"52".repeat(20),
    ];
    let bytes = codec::encode_block(&block);
    // A list of 631 bytes.
    assert_eq!(hex::encode(&bytes), block_bytes("f90277", &senders.concat()));
    assert_eq!(codec::decode_block(&bytes).unwrap(), block, "senders are as they stand there");
}

#[test]
fn a_block_for_a_peer_is_pinned() {
    let block = block();
    let bytes = codec::encode_block_for_peer(&block);
    // A list of 589 bytes, and an empty one.
    assert_eq!(hex::encode(&bytes), block_bytes("f9024d", "c0"));
    let recovered = block.transactions.iter().map(|sent| recover(&sent.encoded_2718(), CHAIN_ID).unwrap());
    let read = StoredBlock { transactions: recovered.collect(), ..block.clone() };
    assert_eq!(codec::decode_block_from_peer(&bytes, CHAIN_ID).unwrap(), read, "senders are recovered");
}

#[test]
fn receipts_are_pinned() {
    let stored = |cumulative_gas_used, gas_used, contract_address, effective_gas_price| {
        let receipt = Receipt { status: true.into(), cumulative_gas_used, logs: vec![] };
        StoredReceipt {
            receipt: ReceiptEnvelope::Eip1559(ReceiptWithBloom::from(receipt)),
            gas_used,
            contract_address,
            effective_gas_price,
        }
    };
    let receipts = [
        stored(21_000, 21_000, Some(Address::repeat_byte(3)), 1_000_000_000),
        stored(42_000, 21_001, None, 5),
    ];
    // As Ethereum has it: type 2, a list of 264 bytes, success, all gas so far, a bloom of 256 bytes, no logs.
    let receipt =
        |cumulative: &str| ["02", "f90108", "01", cumulative, "b90100", &"00".repeat(256), "c0"].concat();
    let expected = [
        "f90246", // a list of 582 bytes
        "f9012c", // the first: a list of 300 bytes
        "b9010c", // a string of 268 bytes
        &receipt("825208"),
        "825208", // 21,000 gas of its own
        "94",     // the contract that it made
        &"03".repeat(20),
        "843b9aca00", // 1,000,000,000 wei for a unit of gas
        "f90114",     // the second: a list of 276 bytes
        "b9010c",     // a string of 268 bytes
        &receipt("82a410"),
        "825209", // 21,001 gas of its own
        "80",     // no contract
        "05",     // 5 wei for a unit of gas
    ];
    let bytes = codec::encode_receipts(&receipts);
    assert_eq!(hex::encode(&bytes), expected.concat());
    assert_eq!(codec::decode_receipts(&bytes).unwrap(), receipts);
}

#[test]
fn a_certificate_is_pinned() {
    let certificate = Certificate {
        height: Height(0x0102),
        block_hash: B256::repeat_byte(0x11),
        signatures: [(ValidatorIndex(0x0103), [2; 64]), (ValidatorIndex(0), [1; 64])].into(),
    };
    let expected = [
        "f8b2",   // a list of 178 bytes
        "820102", // the height
        "a0",     // the block's hash: 32 bytes
        &"11".repeat(32),
        "f88c", // the signatures: a list of 140 bytes
        "f843", // a list of 67 bytes
        "80",   // validator 0
        "b840", // a string of 64 bytes
        &"01".repeat(64),
        "f845",   // a list of 69 bytes
        "820103", // validator 259
        "b840",   // a string of 64 bytes
        &"02".repeat(64),
    ];
    let bytes = codec::encode_certificate(&certificate);
    assert_eq!(hex::encode(&bytes), expected.concat());
    assert_eq!(codec::decode_certificate(&bytes).unwrap(), certificate);
}

#[test]
fn an_attestation_is_pinned() {
    let attestation = Attestation {
        height: Height(0x0102),
        block_hash: B256::repeat_byte(0x11),
        validator: ValidatorIndex(0x0304),
        signature: [7; 64],
    };
    let expected = [
        "0000000000000102", // the height, 8 bytes
        &"11".repeat(32),   // the block's hash
        "0304",             // the validator, 2 bytes
        &"07".repeat(64),   // the signature
    ];
    let bytes = codec::encode_attestation(&attestation);
    assert_eq!(hex::encode(&bytes), expected.concat());
    assert_eq!(codec::decode_attestation(&bytes).unwrap(), attestation);
}

#[test]
fn a_location_is_pinned() {
    let location = TransactionLocation { height: Height(0x0102), index: 0x0304 };
    let expected = [
        "0000000000000102", // the height, 8 bytes
        "00000304",         // the index, 4 bytes
    ];
    let bytes = codec::encode_location(location);
    assert_eq!(hex::encode(bytes), expected.concat());
    assert_eq!(codec::decode_location(&bytes).unwrap(), location);
}

#[test]
fn a_request_of_sync_is_pinned() {
    let request = SyncRequest { from: 2, has: 0x0102 };
    let expected = [
        "c4",     // a list of 4 bytes
        "02",     // the first height wanted
        "820102", // the last height that the asker has
    ];
    let bytes = request.encode();
    assert_eq!(hex::encode(&bytes), expected.concat());
    assert_eq!(SyncRequest::decode(&mut bytes.as_slice()), Ok(request));
}

/// A node that has blocks 2 and 3 with certificates answers one that has block 2 without.
#[test]
fn an_answer_of_sync_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), NetworkId([1; 32])).unwrap();
    let blocks = Blocks::open(&store).unwrap();
    let block = |number| {
        let header = Header { number, ..Default::default() };
        StoredBlock { hash: header.hash_slow(), header, transactions: vec![], time_ms: 0 }
    };
    let certificate = |block: &StoredBlock| Certificate {
        height: block.height(),
        block_hash: block.hash,
        signatures: [(ValidatorIndex(0), [1; 64])].into(),
    };
    let (second, third) = (block(2), block(3));
    let mut batch = store.batch();
    for block in [&second, &third] {
        blocks.put(&mut batch, block, &[], &[]);
        blocks.put_certificate(&mut batch, &certificate(block));
    }
    batch.commit(Durability::Buffered).unwrap();
    let answer = SyncRequest::answer(&SyncRequest { from: 2, has: 2 }.encode(), &blocks).unwrap();
    let certified = |block: &StoredBlock| hex::encode(codec::encode_certificate(&certificate(block)));
    let expected = [
        "f902dd",            // a list of 733 bytes
        "03",                // certificates are here up to height 3
        "f902d9",            // the heights: a list of 729 bytes
        "f86e",              // height 2: a list of 110 bytes
        "80",                // no block, since the asker has it
        "b86b",              // a string of 107 bytes
        &certified(&second), // a certificate as above
        "f90266",            // height 3: a list of 614 bytes
        "b901f6",            // a string of 502 bytes
        &hex::encode(codec::encode_block_for_peer(&third)),
        "b86b", // a string of 107 bytes
        &certified(&third),
    ];
    assert_eq!(hex::encode(&answer), expected.concat());
    let items = vec![
        SyncItem { block: None, certificate: certificate(&second) },
        SyncItem { certificate: certificate(&third), block: Some(third) },
    ];
    let read = SyncResponse { certified: Height(3), items };
    assert_eq!(SyncResponse::decode(&answer, CHAIN_ID).unwrap(), read);
}
