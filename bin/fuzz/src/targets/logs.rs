//! Logs out of the bytes of blocks and receipts, and what tells where those bytes are on the disk.

use alloy_consensus::{Receipt, ReceiptEnvelope, ReceiptWithBloom};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Log, LogData, keccak256};
use bxp_chain::{codec, fuzz};
use bxp_types::{Digest, LogQuery, StoredReceipt};

/// Places of transactions that are asked for where it is not known how many there are.
const PLACES: [u32; 4] = [0, 1, 3, 2];
/// A log's length is in its first bytes, of which so many are read.
const HEAD_BYTES: usize = 9;

/// What is found in bytes is what a whole reading finds, wherever there is one.
pub(crate) fn logs(bytes: &[u8]) {
    read_receipts(bytes);
    read_block(bytes);
}

/// Whether the bytes are receipts.
fn read_receipts(bytes: &[u8]) -> bool {
    let found = fuzz::found(bytes, &LogQuery::default());
    let asked = fuzz::found(bytes, &query());
    let walked = fuzz::walked(bytes);
    for (_, place) in walked.iter().flat_map(|walked| &walked.logs) {
        let head = &bytes[place.start..bytes.len().min(place.start + HEAD_BYTES)];
        assert_eq!(
            fuzz::log_length(head),
            Some(place.len()),
            "a log's length is the one by which it is passed"
        );
    }
    let Ok(receipts) = codec::decode_receipts(bytes) else { return false };
    let walked = walked.expect("receipts are walked through");
    let numbered = (0_u32..).zip(&receipts);
    let logs = numbered.flat_map(|(number, one)| one.receipt.logs().iter().map(move |log| (number, log)));
    let whole: Vec<(u32, Log)> = logs.map(|(number, log)| (number, log.clone())).collect();
    let encoded = whole.iter().map(|(number, log)| (*number, alloy_rlp::encode(log)));
    let there = walked.logs.into_iter().map(|(number, place)| (number, bytes[place].to_vec()));
    assert!(there.eq(encoded), "each log is where it is said to be");
    assert!(walked.contracts.into_iter().eq(receipts.iter().filter_map(|one| one.contract_address)));
    let whole: Vec<Log> = whole.into_iter().map(|(_, log)| log).collect();
    let fitting: Vec<Log> = whole.iter().filter(|log| query().fits(log)).cloned().collect();
    assert_eq!(asked, Some(fitting));
    assert_eq!(found, Some(whole));
    true
}

/// Whether the bytes are a block.
fn read_block(bytes: &[u8]) -> bool {
    let Ok(block) = codec::decode_block(bytes) else {
        let _ = fuzz::sketch(bytes, &PLACES);
        return false;
    };
    let mut hashes: Vec<B256> = block.transactions.iter().map(|one| keccak256(one.encoded_2718())).collect();
    let mut places: Vec<u32> = (0_u32..).take(hashes.len()).collect();
    // There and back.
    hashes.extend_from_within(..);
    places.extend_from_within(..);
    let half = hashes.len() / 2;
    hashes[half..].reverse();
    places[half..].reverse();
    assert_eq!(fuzz::sketch(bytes, &places), Some((block.hash, hashes)));
    true
}

/// Rows that tell where blocks and receipts are: a segment's has one encoding, and the first page of receipts tells the
/// length that their list has.
pub(crate) fn rows(bytes: &[u8]) {
    if let Some(again) = fuzz::segment(bytes) {
        assert_eq!(again, bytes);
    }
    // The bytes begin a page; what follows them does not matter.
    let mut page = bytes.to_vec();
    page.resize(fuzz::PAGE_BYTES, 0);
    let length = fuzz::log_length(&page).filter(|length| *length > fuzz::PAGE_BYTES);
    assert_eq!(fuzz::continued(&page), length);
    page.push(0);
    assert_eq!(fuzz::continued(&page), None, "a row of another length is no first page");
}

fn log(address: u8, topics: u8, data: usize) -> Log {
    let topics = (0..topics).map(B256::repeat_byte).collect();
    Log { address: Address::repeat_byte(address), data: LogData::new_unchecked(topics, vec![7; data].into()) }
}

/// Asks for some of the logs of [`receipts`].
fn query() -> LogQuery {
    let topic = vec![B256::repeat_byte(0), B256::repeat_byte(9)];
    LogQuery::new([Address::repeat_byte(1), Address::repeat_byte(2)], [topic, vec![], vec![], vec![]])
}

fn receipt(logs: Vec<Log>) -> ReceiptWithBloom {
    Receipt { status: true.into(), cumulative_gas_used: 21_000, logs }.into()
}

fn stored(receipt: ReceiptEnvelope, contract_address: Option<Address>) -> StoredReceipt {
    StoredReceipt { receipt, gas_used: 21_000, contract_address, effective_gas_price: 5 }
}

/// Receipts of three types, one of them without logs.
pub(crate) fn receipts() -> Vec<StoredReceipt> {
    let (few, more) = (vec![log(1, 1, 0)], vec![log(1, 4, 33), log(2, 0, 90), log(3, 1, 1)]);
    vec![
        stored(ReceiptEnvelope::Eip1559(receipt(few)), None),
        stored(ReceiptEnvelope::Legacy(receipt(vec![])), Some(Address::repeat_byte(3))),
        stored(ReceiptEnvelope::Eip7702(receipt(more)), None),
    ]
}

/// What the disk has of a block.
pub(crate) fn encoded() -> Vec<Vec<u8>> {
    let alone = [stored(ReceiptEnvelope::Eip2930(receipt(vec![log(2, 2, 300)])), None)];
    vec![
        codec::encode_receipts(&receipts()),
        codec::encode_receipts(&alone),
        codec::encode_receipts(&[]),
        codec::encode_block(&super::chain::sample()),
    ]
}

/// The row of a segment, and how pages of receipts begin.
pub(crate) fn first_rows() -> Vec<Vec<u8>> {
    let page = |data: usize| {
        let receipts = [stored(ReceiptEnvelope::Legacy(receipt(vec![log(1, 1, data)])), None)];
        let mut encoded = codec::encode_receipts(&receipts);
        encoded.truncate(16);
        encoded
    };
    vec![fuzz::segment_of(8_192, 1 << 32, Digest([7; 32])), page(9), page(40_000), page(1 << 20)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_has_is_read() {
        assert!(encoded().iter().all(|seed| read_receipts(seed) || read_block(seed)));
        let rows = first_rows();
        assert!(fuzz::segment(&rows[0]).is_some());
        assert!(fuzz::log_length(&rows[3]).unwrap() > fuzz::PAGE_BYTES);
        let asked = fuzz::found(&encoded()[0], &query()).unwrap();
        assert_eq!(asked.len(), 2, "some of the logs are asked for");
    }
}
