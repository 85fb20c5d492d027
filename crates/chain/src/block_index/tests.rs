//! The index over small chains, in memory and in its table.

use super::*;
use crate::bulk::BULK_MIN;
use alloy_consensus::{Header, Receipt, ReceiptEnvelope, ReceiptWithBloom};
use alloy_primitives::{Log, LogData};
use bxp_storage::Durability;
use bxp_types::{B256, NetworkId, StoredReceipt};

fn address(seed: u8) -> Address {
    Address::repeat_byte(seed)
}

/// A block whose one transaction logs once for each pair of emitter and topic.
fn block(height: u64, logs: &[(u8, u8)]) -> (StoredBlock, Vec<StoredReceipt>) {
    let logs = logs.iter().map(|(emitter, topic)| Log {
        address: address(*emitter),
        data: LogData::new_unchecked(vec![B256::repeat_byte(*topic)], Default::default()),
    });
    let receipt = Receipt { status: true.into(), cumulative_gas_used: 1, logs: logs.collect() };
    let receipt = StoredReceipt {
        receipt: ReceiptEnvelope::Eip1559(ReceiptWithBloom::from(receipt)),
        gas_used: 1,
        contract_address: None,
        effective_gas_price: 1,
    };
    let header = Header { number: height, ..Header::default() };
    let transactions = vec![crate::proposal::tests::transfer(1, height, 1)];
    let block = StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 0 };
    (block, vec![receipt])
}

fn index(blocks: &[&[(u8, u8)]]) -> (tempfile::TempDir, BlockIndex) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), NetworkId([1; 32])).unwrap();
    let index = BlockIndex::open(&store).unwrap();
    for (height, logs) in (0_u64..).zip(blocks) {
        let (block, receipts) = block(height, logs);
        index.put(&block, &codec::encode_receipts(&receipts)).unwrap();
    }
    (folder, index)
}

fn find(
    index: &BlockIndex,
    emitters: &[u8],
    topics: &[u8],
    range: (u64, u64),
    max: usize,
) -> (Vec<u64>, Option<u64>) {
    let topics = topics.iter().copied().map(B256::repeat_byte).collect();
    let query = LogQuery::new(emitters.iter().copied().map(address), [topics, vec![], vec![], vec![]]);
    let (found, known) = index.logs(&query, Height(range.0), Height(range.1), max).unwrap();
    (found.into_iter().map(|height| height.0).collect(), known.map(|height| height.0))
}

#[test]
fn blocks_are_found_by_emitter_and_topic() {
    let (_folder, index) = index(&[&[], &[(1, 7)], &[(2, 7)], &[(1, 8), (2, 9)], &[(1, 7)]]);
    assert_eq!(find(&index, &[1], &[], (0, 9), 99), (vec![1, 3, 4], Some(4)));
    assert_eq!(find(&index, &[1], &[7], (0, 9), 99), (vec![1, 4], Some(4)));
    assert_eq!(find(&index, &[], &[7, 9], (2, 3), 99), (vec![2, 3], Some(3)));
    assert_eq!(find(&index, &[1], &[], (0, 9), 2), (vec![1, 3], Some(3)));
    assert_eq!(find(&index, &[5], &[], (0, 9), 99), (vec![], Some(4)));
    assert_eq!(find(&index, &[], &[], (0, 9), 99), (vec![], None), "no index for what asks for all");
    assert_eq!(find(&index, &[1], &[], (7, 9), 99), (vec![], None), "not indexed yet");
}

/// Some of it in the table, the rest in memory; and what comes after going back.
#[test]
fn what_is_stored_and_what_is_gathered_are_one_index() {
    let (folder, index) = index(&[&[], &[(1, 7)], &[(2, 7)], &[(1, 8)]]);
    index.move_to_table(Height(2)).unwrap();
    assert_eq!(index.gathered.read().stored, Some(Height(2)));
    assert_eq!(find(&index, &[1], &[], (0, 9), 99), (vec![1, 3], Some(3)));
    assert_eq!(find(&index, &[1, 2], &[], (2, 9), 99), (vec![2, 3], Some(3)));
    let sender = crate::proposal::tests::transfer(1, 0, 1).signer();
    let all = |newest_first| index.account(sender, Height(0), Height(9), newest_first, 99).unwrap();
    assert_eq!(all(false), [0, 1, 2, 3].map(Height));
    assert_eq!(all(true), [3, 2, 1, 0].map(Height));
    // Many at once take the other way into the table.
    for word in 0..BULK_MIN as u64 {
        index.gathered.write().entries.insert(key(word, Height(3)), Vec::new());
    }
    index.move_to_table(Height(3)).unwrap();
    assert!(index.gathered.read().entries.is_empty());
    assert_eq!(all(true), [3, 2, 1, 0].map(Height));
    let mut batch = index.store.batch();
    index.go_back(&mut batch, Height(1));
    batch.commit(Durability::Buffered).unwrap();
    assert_eq!((index.indexed(), all(false)), (Some(Height(1)), [0, 1].map(Height).to_vec()));
    let (second, receipts) = block(2, &[(1, 9)]);
    index.put(&second, &codec::encode_receipts(&receipts)).unwrap();
    assert_eq!(find(&index, &[1], &[9], (0, 9), 99), (vec![2], Some(2)));
    let again = BlockIndex::open(&index.store).unwrap();
    assert_eq!(again.indexed(), Some(Height(1)), "what was gathered is read from the blocks again");
    drop(folder);
}

#[test]
fn an_accounts_blocks_come_in_either_order() {
    let (_folder, index) = index(&[&[], &[], &[]]);
    let sender = crate::proposal::tests::transfer(1, 0, 1).signer();
    let blocks = |newest_first, max| index.account(sender, Height(0), Height(9), newest_first, max).unwrap();
    assert_eq!(blocks(true, 2), [Height(2), Height(1)]);
    assert_eq!(blocks(false, 2), [Height(0), Height(1)]);
    assert_eq!(index.account(address(0x55), Height(0), Height(9), true, 9).unwrap(), []);
}

#[test]
fn words_are_pinned() {
    assert_eq!(word(1, &[]), 0x517c_c1b7_2722_0a95);
    assert_ne!(word(1, address(1).as_slice()), word(2, address(1).as_slice()));
    assert_eq!(key(1, Height(2)), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
}
