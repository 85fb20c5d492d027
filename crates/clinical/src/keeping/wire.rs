//! What nodes say to each other about copies.
//!
//! Request: `version (1) || kind (1)`, then by kind
//! - 1, who holds: `directory's digest (32)`, then record ids of 16 bytes each;
//! - 2, copies wanted: record ids of 16 bytes each;
//! - 3, a part of a statement: DAG-CBOR (`vault/src/statement.rs`).
//!
//! A good answer (`answer.rs`) has for each record of kind 1 a byte, `1` where it is held and `0` where not, of kind 2
//! `length (u16 BE) || wrapped keys`, without keys where none are given, and of kind 3 nothing.

use crate::answer::{DONE, malformed, read};
use bxp_types::{Digest, RecordId};
use bytes::Bytes;

const VERSION: u8 = 1;
const HOLDS: u8 = 1;
const COPIES: u8 = 2;
const STATEMENT: u8 = 3;
/// Records of one request: answers stay far below what one frame of the network carries.
pub(crate) const RECORDS_MAX: usize = 512;

/// A request of one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Which of these the other keeps and holds, by the directory of this digest.
    Holds { digest: Digest, records: Vec<RecordId> },
    /// The keys of these, for the copies that placement gives to who asks.
    Copies { records: Vec<RecordId> },
    /// A part of a statement.
    Statement(Bytes),
}

impl Request {
    pub(crate) fn encode(&self) -> Bytes {
        let ids = |records: &[RecordId]| records.iter().flat_map(|record| record.0).collect::<Vec<u8>>();
        match self {
            Self::Holds { digest, records } => {
                [&[VERSION, HOLDS], digest.0.as_slice(), &ids(records)].concat().into()
            }
            Self::Copies { records } => [&[VERSION, COPIES], ids(records).as_slice()].concat().into(),
            Self::Statement(statement) => [&[VERSION, STATEMENT], statement.as_ref()].concat().into(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let ids = |bytes: &[u8]| match bytes.as_chunks::<16>() {
            (records, []) if records.len() <= RECORDS_MAX => {
                Some(records.iter().copied().map(RecordId).collect::<Vec<_>>())
            }
            _ => None,
        };
        match bytes {
            [VERSION, HOLDS, rest @ ..] => {
                let (digest, rest) = rest.split_first_chunk::<32>()?;
                Some(Self::Holds { digest: Digest(*digest), records: ids(rest)? })
            }
            [VERSION, COPIES, rest @ ..] => Some(Self::Copies { records: ids(rest)? }),
            [VERSION, STATEMENT, rest @ ..] => Some(Self::Statement(Bytes::copy_from_slice(rest))),
            _ => None,
        }
    }
}

pub(crate) fn holds(held: &[bool]) -> Bytes {
    std::iter::once(DONE).chain(held.iter().map(|held| u8::from(*held))).collect::<Vec<u8>>().into()
}

pub(crate) fn copies(keys: &[Option<Bytes>]) -> Bytes {
    let mut out = vec![DONE];
    for keys in keys {
        let keys = keys.as_deref().unwrap_or_default();
        // What does not fit its length is not given; two keys take some 150 bytes.
        let keys = if keys.len() > usize::from(u16::MAX) { &[] } else { keys };
        let length = u16::try_from(keys.len()).unwrap_or_default();
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(keys);
    }
    out.into()
}

pub(crate) const fn done() -> Bytes {
    Bytes::from_static(&[DONE])
}

pub(crate) fn read_holds(answer: &[u8], count: usize) -> Result<Vec<bool>, String> {
    let held = read(answer)?;
    if held.len() == count { Ok(held.iter().map(|held| *held == 1).collect()) } else { Err(malformed()) }
}

pub(crate) fn read_copies(answer: &[u8], count: usize) -> Result<Vec<Option<Vec<u8>>>, String> {
    let mut rest = read(answer)?;
    let mut copies = Vec::with_capacity(count);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let parted = after.split_at_checked(usize::from(u16::from_be_bytes(*length)));
        let (keys, after) = parted.filter(|_| copies.len() < count).ok_or_else(malformed)?;
        copies.push((!keys.is_empty()).then(|| keys.to_vec()));
        rest = after;
    }
    if rest.is_empty() && copies.len() == count { Ok(copies) } else { Err(malformed()) }
}

pub(crate) fn read_done(answer: &[u8]) -> Result<(), String> {
    if read(answer)?.is_empty() { Ok(()) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::refused;
    use proptest::prelude::*;

    #[test]
    fn the_wire_form_is_pinned() {
        let records = vec![RecordId([7; 16]), RecordId([8; 16])];
        let ids = format!("{}{}", "07".repeat(16), "08".repeat(16));
        let holds_request = Request::Holds { digest: Digest([9; 32]), records: records.clone() };
        let copies_request = Request::Copies { records };
        let statement = Request::Statement(Bytes::from_static(&[1, 2]));
        for (request, expected) in [
            (holds_request, format!("0101{}{ids}", "09".repeat(32))),
            (copies_request, format!("0102{ids}")),
            (statement, "01030102".to_owned()),
        ] {
            assert_eq!(hex::encode(request.encode()), expected);
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
        assert_eq!(hex::encode(holds(&[true, false])), "000100");
        assert_eq!(
            hex::encode(copies(&[None, Some(Bytes::from_static(&[5]))])),
            "0000000001 05".replace(' ', "")
        );
    }

    #[test]
    fn answers_are_whole() {
        assert_eq!(read_holds(&holds(&[true, false]), 2), Ok(vec![true, false]));
        assert!(read_holds(&holds(&[true]), 2).is_err());
        let keys = [Some(Bytes::from_static(&[5, 6])), None];
        assert_eq!(read_copies(&copies(&keys), 2), Ok(vec![Some(vec![5, 6]), None]));
        assert!(read_copies(&copies(&keys), 1).is_err() && read_copies(&copies(&keys), 3).is_err());
        assert!(read_copies(&copies(&keys)[..3], 2).is_err());
        assert_eq!(read_done(&done()), Ok(()));
        assert_eq!(read_done(&refused("not\nnow")), Err("notnow".to_owned()));
        assert!(Request::decode(&[&[1, 2], [0; 16 * (RECORDS_MAX + 1)].as_slice()].concat()).is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), count in 0_usize..4) {
            if let Some(request) = Request::decode(&bytes) {
                prop_assert_eq!(request.encode().to_vec(), bytes.clone());
            }
            let _ = (read_holds(&bytes, count), read_copies(&bytes, count), read_done(&bytes));
        }
    }
}
