//! Where in a block that occurs which is in it seldom: the value of an index entry.
//!
//! An entry's value is empty, and then it says nothing; or it is the first 4 bytes of the block's hash and, for each log
//! in which the word occurs, its place: its number among the block's logs, its transaction's number, and the byte with
//! which it begins in the encoded receipts (4 bytes BE each). The hash tells the entry of a block that was taken back from
//! that of the one in its place. Entries from before there were places are empty.

use super::{Kind, recipient, word};
use crate::{
    ChainError,
    log_scan::{self, Item, LogPlace},
};
use bxp_types::{Address, B256, StoredBlock};

/// Places that an entry has at most. What occurs more often, such as a token's address in a block of its transfers, is
/// looked for in the whole block.
const PLACES_MAX: usize = 8;

const TAG_BYTES: usize = 4;
const PLACE_BYTES: usize = 12;

/// The beginning of a block's hash.
type Tag = [u8; TAG_BYTES];

/// Where all logs of a block are that fit a query, and perhaps others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    tag: Option<Tag>,
    /// In the order of the logs.
    places: Vec<LogPlace>,
}

impl Places {
    /// Adds what an entry says; false where it does not say it, or of another block.
    pub(super) fn add(&mut self, entry: &[u8]) -> bool {
        let Some((tag, places)) = entry.split_first_chunk::<TAG_BYTES>() else { return false };
        if *self.tag.get_or_insert(*tag) != *tag || places.len() % PLACE_BYTES != 0 {
            return false;
        }
        for place in places.chunks_exact(PLACE_BYTES) {
            let number = |at: usize| {
                let bytes = place.get(at..).and_then(<[u8]>::first_chunk::<4>);
                bytes.map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes))
            };
            self.places.push(LogPlace { log: number(0), transaction: number(4), offset: number(8) });
        }
        true
    }

    /// Each place once, in the order of the logs.
    pub(super) fn sorted(mut self) -> Self {
        self.places.sort_unstable();
        self.places.dedup();
        self
    }

    /// The places, in the order of the logs.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = LogPlace> {
        self.places.iter().copied()
    }

    /// Whether they are of the block with this hash.
    pub(crate) fn are_of(&self, block: B256) -> bool {
        self.tag.is_some_and(|tag| block.starts_with(&tag))
    }
}

/// What occurs in a block with these encoded receipts, ascending, each with the value of its entry.
pub(super) fn entries(block: &StoredBlock, receipts: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, ChainError> {
    let party = |account: &Address| (word(Kind::Party as u8, account.as_slice()), None);
    let mut occurs: Vec<(u64, Option<LogPlace>)> = Vec::new();
    for transaction in &block.transactions {
        occurs.extend([Some(transaction.signer()), recipient(transaction)].iter().flatten().map(party));
    }
    log_scan::walk(receipts, |item| {
        match item {
            Item::Contract(made) => occurs.push(party(&made)),
            Item::Log(place, log) => {
                let (emitter, mut topics) = log_scan::address_and_topics(log)?;
                occurs.push((word(Kind::Emitter as u8, emitter), Some(place)));
                let mut position = Kind::Topic as u8;
                while let Some(topic) = log_scan::next_topic(&mut topics)? {
                    occurs.push((word(position, topic), Some(place)));
                    position = position.saturating_add(1);
                }
            }
        }
        Ok(())
    })?;
    occurs.sort_unstable();
    occurs.dedup();
    let of_word = occurs.chunk_by(|one, next| one.0 == next.0);
    Ok(of_word.filter_map(|found| Some((found.first()?.0, encode(block.hash, found)))).collect())
}

fn encode(block: B256, found: &[(u64, Option<LogPlace>)]) -> Vec<u8> {
    if found.len() > PLACES_MAX || found.iter().any(|(_, place)| place.is_none()) {
        return Vec::new();
    }
    let mut entry = Vec::with_capacity(TAG_BYTES + found.len() * PLACE_BYTES);
    entry.extend_from_slice(&block[..TAG_BYTES]);
    for place in found.iter().filter_map(|(_, place)| *place) {
        for number in [place.log, place.transaction, place.offset] {
            entry.extend_from_slice(&number.to_be_bytes());
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: LogPlace = LogPlace { log: 1, transaction: 2, offset: 0x0304 };

    #[test]
    fn entries_are_pinned_and_read_back() {
        let second = LogPlace { log: 9, ..PLACE };
        let entry = encode(B256::repeat_byte(0xab), &[(7, Some(PLACE)), (7, Some(second))]);
        let hex: String = entry.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "abababab000000010000000200000304000000090000000200000304");
        let mut places = Places::default();
        assert!(places.add(&entry));
        assert!(places.are_of(B256::repeat_byte(0xab)) && !places.are_of(B256::repeat_byte(0xac)));
        assert_eq!(places.iter().collect::<Vec<_>>(), [PLACE, second]);
        let other = encode(B256::repeat_byte(0xcd), &[(7, Some(PLACE))]);
        assert!(!places.add(&other), "of another block");
        assert!(!places.add(&[]) && !places.add(&entry[..10]));
        assert_eq!(encode(B256::ZERO, &[(7, None), (7, Some(PLACE))]), Vec::<u8>::new());
        assert_eq!(encode(B256::ZERO, &[(7, Some(PLACE)); PLACES_MAX + 1]), Vec::<u8>::new());
    }
}
