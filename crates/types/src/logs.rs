//! Logs of blocks: what is asked for, and where it stands.

use crate::{StoredBlock, StoredReceipt};
use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};

/// What is asked for: a log's address is one of some addresses, and its topic at each position one of those of the
/// position; none means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    addresses: Alternatives<Address>,
    topics: [Alternatives<B256>; 4],
}

/// Values of which one must be there, ascending, each once, and the bits of each in a bloom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Alternatives<T> {
    values: Vec<T>,
    blooms: Vec<Bloom>,
}

impl<T: Ord + AsRef<[u8]>> Alternatives<T> {
    fn new(values: impl IntoIterator<Item = T>) -> Self {
        let mut values: Vec<T> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        let bloom = |value: &T| Bloom::from(BloomInput::Raw(value.as_ref()));
        let blooms = values.iter().map(bloom).collect();
        Self { values, blooms }
    }

    fn has(&self, value: Option<&T>) -> bool {
        self.values.is_empty() || value.is_some_and(|value| self.values.binary_search(value).is_ok())
    }

    fn may_be_in(&self, bloom: &Bloom) -> bool {
        self.blooms.is_empty() || self.blooms.iter().any(|one| bloom.contains(one))
    }
}

impl LogQuery {
    /// Asks for logs of these addresses, with these topics by position.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = Address>, topics: [Vec<B256>; 4]) -> Self {
        Self { addresses: Alternatives::new(addresses), topics: topics.map(Alternatives::new) }
    }

    /// The addresses, ascending.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses.values
    }

    /// The topics by position, ascending at each.
    pub fn topics(&self) -> impl Iterator<Item = &[B256]> {
        self.topics.iter().map(|topics| topics.values.as_slice())
    }

    /// Whether every log fits.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.addresses.values.is_empty() && self.topics.iter().all(|topics| topics.values.is_empty())
    }

    /// Whether a log of this address fits, by its address alone.
    #[must_use]
    pub fn fits_address(&self, address: &Address) -> bool {
        self.addresses.has(Some(address))
    }

    /// Whether a log with this topic at this position (from 0), or with none there, fits by that alone.
    #[must_use]
    pub fn fits_topic(&self, position: usize, topic: Option<&B256>) -> bool {
        self.topics.get(position).is_none_or(|topics| topics.has(topic))
    }

    /// Whether a log fits.
    #[must_use]
    pub fn fits(&self, log: &Log) -> bool {
        self.fits_address(&log.address)
            && (0..self.topics.len()).all(|position| self.fits_topic(position, log.topics().get(position)))
    }

    /// Whether a block with this bloom (Yellow Paper, 4.4.1) may have a log that fits.
    #[must_use]
    pub fn may_be_in(&self, bloom: &Bloom) -> bool {
        self.addresses.may_be_in(bloom) && self.topics.iter().all(|topics| topics.may_be_in(bloom))
    }
}

/// A log, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    /// Its block's hash.
    pub block_hash: B256,
    /// Its block's time, in seconds since the epoch.
    pub timestamp: u64,
    /// Its transaction's hash.
    pub transaction: B256,
    /// Its transaction's place in the block, from 0.
    pub transaction_index: usize,
    /// Its own place among the block's logs, from 0.
    pub log_index: usize,
    /// The log.
    pub log: Log,
}

impl FoundLog {
    /// The logs of a block that `query` asks for, in their order.
    #[must_use]
    pub fn find(block: &StoredBlock, receipts: &[StoredReceipt], query: &LogQuery) -> Vec<Self> {
        let mut found = Vec::new();
        let mut first_log = 0_usize;
        for (transaction_index, (transaction, receipt)) in block.transactions.iter().zip(receipts).enumerate()
        {
            let logs = receipt.receipt.logs();
            found.extend(logs.iter().enumerate().filter(|(_, log)| query.fits(log)).map(|(at, log)| Self {
                block_hash: block.hash,
                timestamp: block.header.timestamp,
                transaction: *transaction.tx_hash(),
                transaction_index,
                log_index: first_log.saturating_add(at),
                log: log.clone(),
            }));
            first_log = first_log.saturating_add(logs.len());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Bytes, LogData};

    fn log(address: u8, topics: &[u8]) -> Log {
        let topics = topics.iter().copied().map(B256::repeat_byte).collect();
        Log { address: Address::repeat_byte(address), data: LogData::new_unchecked(topics, Bytes::new()) }
    }

    fn query(addresses: &[u8], topics: [&[u8]; 4]) -> LogQuery {
        let topics = topics.map(|topics| topics.iter().copied().map(B256::repeat_byte).collect());
        LogQuery::new(addresses.iter().copied().map(Address::repeat_byte), topics)
    }

    #[test]
    fn a_log_fits_by_address_and_by_each_position() {
        let one = log(1, &[2, 3]);
        for (asked, fits) in [
            (query(&[], [&[], &[], &[], &[]]), true),
            (query(&[9, 1, 5, 1], [&[], &[], &[], &[]]), true),
            (query(&[9, 5], [&[], &[], &[], &[]]), false),
            (query(&[1], [&[7, 2], &[3], &[], &[]]), true),
            (query(&[1], [&[], &[2], &[], &[]]), false),
            (query(&[], [&[], &[], &[2], &[]]), false),
        ] {
            assert_eq!(asked.fits(&one), fits, "{asked:?}");
        }
        assert!(query(&[], [&[], &[], &[], &[]]).is_any() && !query(&[], [&[], &[1], &[], &[]]).is_any());
    }

    #[test]
    fn a_bloom_never_denies_what_is_there() {
        let mut bloom = Bloom::default();
        bloom.accrue_log(&log(1, &[2, 3]));
        assert!(query(&[1, 8], [&[], &[3], &[], &[]]).may_be_in(&bloom));
        assert!(!query(&[8], [&[], &[], &[], &[]]).may_be_in(&bloom));
        assert!(!query(&[1], [&[8], &[], &[], &[]]).may_be_in(&bloom));
        assert!(query(&[], [&[], &[], &[], &[]]).may_be_in(&Bloom::default()));
    }
}
