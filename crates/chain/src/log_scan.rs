//! Logs out of the bytes of blocks and receipts, without decoding what is not asked for (ADR 84).
//!
//! A block of batch payments has ten thousand logs, of which a question for one account's wants one. Here each log's
//! address and topics are compared where they stand, and what does not fit is passed over by its length. Where the index
//! knows the log's place, nothing else is looked at. Of the block, the header is decoded, and the transactions of the
//! found logs are hashed.
//!
//! The bytes are those of [`crate::codec`], which whoever reads a block whole goes through; both ways find the same, as
//! a property test shows.

use crate::ChainError;
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Log, keccak256};
use alloy_rlp::{Decodable, Header as Prefix};
use bxp_types::LogQuery;

const BLOCK: &str = "block";
const RECEIPTS: &str = "receipts";
/// Items of a receipt before its logs: status, gas, bloom (EIP-2718 payloads; Yellow Paper, 4.4.1).
const BEFORE_LOGS: usize = 3;
/// The least first byte of an RLP list, and so of a receipt without a type (EIP-2718).
const LIST: u8 = 0xc0;

/// Where a log stands in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPlace {
    /// Its place among the block's logs, from 0.
    pub(crate) log: u32,
    /// Its transaction's place, from 0.
    pub(crate) transaction: u32,
    /// The byte with which it begins in the block's encoded receipts.
    pub(crate) offset: u32,
}

/// What stands in a block's encoded receipts.
pub(crate) enum Item<'a> {
    /// A log, in its bytes.
    Log(LogPlace, &'a [u8]),
    /// The contract that a transaction made.
    Contract(Address),
}

/// A block of which the header is decoded.
pub(crate) struct Sketch<'a> {
    pub(crate) header: Header,
    pub(crate) hash: B256,
    /// The transactions, each a string of its EIP-2718 bytes.
    transactions: &'a [u8],
    /// Those from the one with the number `next` on.
    rest: &'a [u8],
    next: u32,
}

impl<'a> Sketch<'a> {
    /// Reads the head of a block as the disk has it.
    pub(crate) fn read(mut bytes: &'a [u8]) -> Result<Self, ChainError> {
        let mut record = payload(&mut bytes, true, BLOCK)?;
        let header = Header::decode(&mut record).map_err(|error| ChainError::decode(BLOCK, error))?;
        skip(&mut record, BLOCK)?;
        let transactions = payload(&mut record, true, BLOCK)?;
        Ok(Self { hash: header.hash_slow(), header, transactions, rest: transactions, next: 0 })
    }

    /// Whether the block can have a log that fits, by its header.
    pub(crate) fn may_have(&self, query: &LogQuery) -> bool {
        !self.transactions.is_empty() && query.may_be_in(&self.header.logs_bloom)
    }

    /// The hash of the transaction at `index`. Asked in ascending order, it passes over each transaction once.
    pub(crate) fn transaction_hash(&mut self, index: u32) -> Result<B256, ChainError> {
        if index < self.next {
            (self.rest, self.next) = (self.transactions, 0);
        }
        while self.next < index {
            skip(&mut self.rest, BLOCK)?;
            self.next += 1;
        }
        self.next += 1;
        Ok(keccak256(payload(&mut self.rest, false, BLOCK)?))
    }
}

/// The logs that `query` asks for in a block's encoded receipts, in their order.
pub(crate) fn find(receipts: &[u8], query: &LogQuery) -> Result<Vec<(LogPlace, Log)>, ChainError> {
    let mut found = Vec::new();
    walk(receipts, |item| {
        if let Item::Log(place, bytes) = item {
            found.extend(log_if_fits(bytes, query)?.map(|log| (place, log)));
        }
        Ok(())
    })?;
    Ok(found)
}

/// The log that these bytes are, if it fits.
pub(crate) fn log_if_fits(bytes: &[u8], query: &LogQuery) -> Result<Option<Log>, ChainError> {
    if !fits(bytes, query)? {
        return Ok(None);
    }
    let log = Log::decode(&mut &*bytes).map_err(|error| ChainError::decode(RECEIPTS, error))?;
    Ok(Some(log))
}

/// How many bytes the log has that begins here, of which the first ones are given; nothing where none begins.
pub(crate) fn log_length(bytes: &[u8]) -> Option<usize> {
    const SHORT_LIST_MAX: u8 = 0xf7;
    let (first, rest) = bytes.split_first()?;
    let short = first.checked_sub(LIST)?;
    let Some(of_length) = first.checked_sub(SHORT_LIST_MAX).filter(|bytes| *bytes > 0) else {
        return Some(1 + usize::from(short));
    };
    let length = rest
        .get(..usize::from(of_length))?
        .iter()
        .try_fold(0_usize, |length, byte| length.checked_mul(1 << 8)?.checked_add(usize::from(*byte)));
    length?.checked_add(1 + usize::from(of_length))
}

/// Gives each log and each contract that was made to `each`, in their order.
pub(crate) fn walk(
    receipts: &[u8],
    mut each: impl FnMut(Item<'_>) -> Result<(), ChainError>,
) -> Result<(), ChainError> {
    let base = receipts.as_ptr().addr();
    let mut records = payload(&mut &*receipts, true, RECEIPTS)?;
    let (mut log, mut transaction) = (0, 0);
    while !records.is_empty() {
        let mut record = payload(&mut records, true, RECEIPTS)?;
        let mut logs = logs_of(payload(&mut record, false, RECEIPTS)?)?;
        while !logs.is_empty() {
            let from = logs;
            payload(&mut logs, true, RECEIPTS)?;
            let bytes = &from[..from.len() - logs.len()];
            let offset = u32::try_from(from.as_ptr().addr() - base);
            let offset = offset.map_err(|_| ChainError::decode(RECEIPTS, "more than 4 GiB"))?;
            each(Item::Log(LogPlace { log, transaction, offset }, bytes))?;
            log += 1;
        }
        // The gas that it used.
        skip(&mut record, RECEIPTS)?;
        match payload(&mut record, false, RECEIPTS)? {
            [] => {}
            contract => {
                let contract = Address::try_from(contract);
                let contract = contract.map_err(|_| ChainError::decode(RECEIPTS, "a contract's address"))?;
                each(Item::Contract(contract))?;
            }
        }
        transaction += 1;
    }
    Ok(())
}

/// The logs of a receipt in EIP-2718 bytes, one after the other.
fn logs_of(receipt: &[u8]) -> Result<&[u8], ChainError> {
    let mut rest = match receipt.split_first() {
        Some((first, rest)) if *first < LIST => rest,
        _ => receipt,
    };
    let mut fields = payload(&mut rest, true, RECEIPTS)?;
    for _ in 0..BEFORE_LOGS {
        skip(&mut fields, RECEIPTS)?;
    }
    payload(&mut fields, true, RECEIPTS)
}

/// A log's address, and its topics for [`next_topic`]: what its bytes begin with.
pub(crate) fn address_and_topics(mut log: &[u8]) -> Result<(&[u8], &[u8]), ChainError> {
    let mut fields = payload(&mut log, true, RECEIPTS)?;
    Ok((payload(&mut fields, false, RECEIPTS)?, payload(&mut fields, true, RECEIPTS)?))
}

/// The first of these topics; moves past it.
pub(crate) fn next_topic<'a>(topics: &mut &'a [u8]) -> Result<Option<&'a [u8]>, ChainError> {
    if topics.is_empty() { Ok(None) } else { payload(topics, false, RECEIPTS).map(Some) }
}

/// Whether a log's address and topics are asked for.
fn fits(log: &[u8], query: &LogQuery) -> Result<bool, ChainError> {
    let (address, mut topics) = address_and_topics(log)?;
    let address = Address::try_from(address).map_err(|_| ChainError::decode(RECEIPTS, "a log's address"))?;
    if !query.fits_address(&address) {
        return Ok(false);
    }
    for (position, wanted) in query.topics().enumerate() {
        let topic = next_topic(&mut topics)?;
        if wanted.is_empty() {
            continue;
        }
        let topic = topic.map(B256::try_from).transpose();
        let topic = topic.map_err(|_| ChainError::decode(RECEIPTS, "a log's topic"))?;
        if !query.fits_topic(position, topic.as_ref()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The content of the next item, which is a list or a string; moves past it.
fn payload<'a>(bytes: &mut &'a [u8], is_list: bool, what: &'static str) -> Result<&'a [u8], ChainError> {
    Prefix::decode_bytes(bytes, is_list).map_err(|error| ChainError::decode(what, error))
}

/// Moves past the next item, whatever it is.
fn skip(bytes: &mut &[u8], what: &'static str) -> Result<(), ChainError> {
    let prefix = Prefix::decode(bytes).map_err(|error| ChainError::decode(what, error))?;
    let rest = bytes.get(prefix.payload_length..);
    *bytes = rest.ok_or_else(|| ChainError::decode(what, "an item is longer than what holds it"))?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{codec, proposal::tests::transfer};
    use alloy_consensus::{Receipt, ReceiptEnvelope, ReceiptWithBloom};
    use alloy_primitives::{Bloom, LogData};
    use bxp_types::{FoundLog, StoredBlock, StoredReceipt};
    use proptest::{collection::vec, prelude::*};

    /// Addresses and topics out of few, so that queries hit.
    fn log() -> impl Strategy<Value = Log> {
        let topics = vec((0..4_u8).prop_map(B256::repeat_byte), 0..=4);
        // Some are longer than a page of receipts.
        let data = prop_oneof![20 => vec(any::<u8>(), 0..70), 1 => Just(vec![7; 40_000])];
        (0..3_u8, topics, data).prop_map(|(address, topics, data)| Log {
            address: Address::repeat_byte(address),
            data: LogData::new_unchecked(topics, data.into()),
        })
    }

    pub(crate) fn receipt() -> impl Strategy<Value = StoredReceipt> {
        (vec(log(), 0..8), 0..4_u8, any::<bool>(), any::<u32>()).prop_map(|(logs, kind, status, gas)| {
            let receipt = Receipt { status: status.into(), cumulative_gas_used: u64::from(gas), logs };
            let receipt = ReceiptWithBloom::from(receipt);
            let receipt = match kind {
                0 => ReceiptEnvelope::Legacy(receipt),
                1 => ReceiptEnvelope::Eip2930(receipt),
                2 => ReceiptEnvelope::Eip1559(receipt),
                _ => ReceiptEnvelope::Eip7702(receipt),
            };
            let contract_address = status.then(|| Address::repeat_byte(kind));
            StoredReceipt { receipt, gas_used: u64::from(gas), contract_address, effective_gas_price: 7 }
        })
    }

    pub(crate) fn query() -> impl Strategy<Value = LogQuery> {
        let topics = || vec((0..5_u8).prop_map(B256::repeat_byte), 0..3);
        let addresses = vec((0..4_u8).prop_map(Address::repeat_byte), 0..3);
        (addresses, [topics(), topics(), topics(), topics()])
            .prop_map(|(addresses, topics)| LogQuery::new(addresses, topics))
    }

    pub(crate) fn block(height: u64, receipts: &[StoredReceipt]) -> StoredBlock {
        let mut bloom = Bloom::default();
        receipts.iter().for_each(|one| bloom.accrue_bloom(one.receipt.logs_bloom()));
        let header = Header { number: height, timestamp: 9, logs_bloom: bloom, ..Header::default() };
        let transactions = (0_u64..).take(receipts.len()).map(|nonce| transfer(1, nonce, 1)).collect();
        StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 9_500 }
    }

    proptest! {
        /// Goal: what is found in bytes is what a whole reading finds. Way: blocks of receipts of every type, queries of
        /// several alternatives.
        #[test]
        fn bytes_and_decoded_receipts_give_the_same_logs(
            receipts in vec(receipt(), 0..6),
            queries in vec(query(), 1..8),
        ) {
            let block = block(4, &receipts);
            let (block_bytes, receipt_bytes) = (codec::encode_block(&block), codec::encode_receipts(&receipts));
            let mut sketch = Sketch::read(&block_bytes).unwrap();
            prop_assert_eq!(sketch.hash, block.hash);
            for query in queries {
                let whole = FoundLog::find(&block, &receipts, &query);
                prop_assert!(sketch.may_have(&query) || whole.is_empty());
                let found = find(&receipt_bytes, &query).unwrap().into_iter().map(|(place, log)| FoundLog {
                    block_hash: block.hash,
                    timestamp: block.header.timestamp,
                    transaction: sketch.transaction_hash(place.transaction).unwrap(),
                    transaction_index: place.transaction as usize,
                    log_index: place.log as usize,
                    log,
                });
                prop_assert_eq!(found.collect::<Vec<_>>(), whole);
            }
            let all = receipts.iter().flat_map(|one| one.receipt.logs());
            let (mut places, mut made) = (Vec::new(), Vec::new());
            walk(&receipt_bytes, |item| {
                match item {
                    Item::Log(place, _) => places.push(place),
                    Item::Contract(contract) => made.push(contract),
                }
                Ok(())
            })
            .unwrap();
            let contracts = receipts.iter().filter_map(|one| one.contract_address);
            prop_assert_eq!(made, contracts.collect::<Vec<_>>());
            prop_assert_eq!(places.len(), all.clone().count());
            for (place, log) in places.into_iter().zip(all) {
                let bytes = &receipt_bytes[place.offset as usize..];
                let length = log_length(&bytes[..9.min(bytes.len())]).unwrap();
                let read = log_if_fits(&bytes[..length], &LogQuery::default()).unwrap();
                prop_assert_eq!(read.as_ref(), Some(log));
            }
        }

        #[test]
        fn bytes_that_are_cut_or_changed_never_panic(
            receipts in vec(receipt(), 1..4),
            query in query(),
            place in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let block_bytes = codec::encode_block(&block(4, &receipts));
            let receipt_bytes = codec::encode_receipts(&receipts);
            let mut changed = receipt_bytes.clone();
            changed[place.index(receipt_bytes.len())] = byte;
            let _ = find(&changed, &query);
            let _ = log_length(&changed[place.index(receipt_bytes.len())..]);
            prop_assert!(find(&receipt_bytes[..place.index(receipt_bytes.len())], &query).is_err());
            let mut changed = block_bytes.clone();
            changed[place.index(block_bytes.len())] = byte;
            let _ = Sketch::read(&changed).map(|mut sketch| sketch.transaction_hash(1));
        }
    }
}
