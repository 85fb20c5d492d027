//! One account's logs in blocks of batch payments: read whole and searched, out of the bytes alone, and at the places that
//! the index knows.
//!
//! ```sh
//! cargo run --release -p bxp-chain --example log_rate -- 100 10000
//! ```
//! The numbers are blocks and logs of each. Every block is asked for a log that it has, in milliseconds of real time.

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction, TxEip1559, TxEnvelope,
    transaction::Recovered,
};
use alloy_primitives::{Address, B256, Bloom, Log, LogData, Signature, U256, keccak256};
use bxp_chain::{ChainError, block_index::BlockIndex, blocks::Blocks};
use bxp_storage::{Durability, Store};
use bxp_types::{FoundLog, Height, LogQuery, NetworkId, StoredBlock, StoredReceipt};
use std::time::{Duration, Instant};

/// Payments of one transaction.
const PAYMENTS: usize = 2_000;
const EMITTER: Address = Address::repeat_byte(0xb4);

fn account(index: usize) -> B256 {
    Address::from_word(keccak256(index.to_be_bytes())).into_word()
}

fn block(number: u64, logs: usize) -> (StoredBlock, Vec<StoredReceipt>) {
    let (mut transactions, mut receipts, mut bloom) = (Vec::new(), Vec::new(), Bloom::default());
    for first in (0..logs).step_by(PAYMENTS) {
        let input: Vec<u8> = (first..first + PAYMENTS).flat_map(|index| account(index).0).collect();
        let transaction = TxEip1559 { nonce: first as u64, input: input.into(), ..TxEip1559::default() };
        let signature = Signature::new(U256::ONE, U256::ONE, false);
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        transactions.push(Recovered::new_unchecked(envelope, EMITTER));
        let paid = (first..first + PAYMENTS).map(|index| Log {
            address: EMITTER,
            data: LogData::new_unchecked(
                vec![keccak256("Transfer"), EMITTER.into_word(), account(index)],
                B256::with_last_byte(1).into(),
            ),
        });
        let receipt = Receipt { status: true.into(), cumulative_gas_used: 1, logs: paid.collect() };
        let receipt = ReceiptWithBloom::from(receipt);
        bloom.accrue_bloom(&receipt.logs_bloom);
        receipts.push(StoredReceipt {
            receipt: ReceiptEnvelope::Eip1559(receipt),
            gas_used: 1,
            contract_address: None,
            effective_gas_price: 1,
        });
    }
    let header = Header { number, logs_bloom: bloom, ..Header::default() };
    (StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 0 }, receipts)
}

/// The mean over all blocks, in milliseconds.
fn measure(
    name: &str,
    heights: u64,
    find: impl Fn(Height) -> Result<Vec<FoundLog>, ChainError>,
) -> Result<(), ChainError> {
    let began = Instant::now();
    for height in (1..=heights).map(Height) {
        assert_eq!(find(height)?.len(), 1, "one log at height {height}");
    }
    println!("{name:<28} {:.3} ms a block", began.elapsed().as_secs_f64() * 1_000.0 / heights as f64);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let heights = arguments.next().transpose()?.unwrap_or(100) as u64;
    let logs = arguments.next().transpose()?.unwrap_or(10_000);
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), NetworkId([1; 32]))?;
    let blocks = Blocks::open(&store)?;
    let index = BlockIndex::open(&store)?;
    let mut indexing = Duration::ZERO;
    // The first block has no logs.
    for number in 0..=heights {
        let (block, receipts) = block(number, if number == 0 { 0 } else { logs });
        let mut batch = store.batch();
        let receipts = blocks.put(&mut batch, &block, &receipts, &[]);
        batch.commit(Durability::Buffered)?;
        let began = Instant::now();
        index.put(&block, &receipts)?;
        index.settle()?;
        indexing += began.elapsed();
    }
    println!("{:<28} {:.3} ms a block", "indexed", indexing.as_secs_f64() * 1_000.0 / heights as f64);
    let missing = || ChainError::Decode { what: "block", reason: "missing".to_owned() };
    let query = LogQuery::new([EMITTER], [vec![], vec![], vec![account(logs / 2)], vec![]]);
    let whole = |height| {
        let block = blocks.block(height)?.ok_or_else(missing)?;
        Ok(FoundLog::find(&block, &blocks.receipts(height)?.ok_or_else(missing)?, &query))
    };
    let bytes = |height| blocks.logs_of_all(height, &query)?.ok_or_else(missing);
    let places = |height| blocks.logs(height, &query, &index)?.ok_or_else(missing);
    for _ in 0..3 {
        measure("decoded whole", heights, whole)?;
        measure("out of the bytes", heights, bytes)?;
        measure("at the places of the index", heights, places)?;
    }
    Ok(())
}
