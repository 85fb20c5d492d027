//! DAG-CBOR, strictly: one value has one encoding, and everything else is refused.
//!
//! The walker reads in place and keeps nothing but the links, so that a hostile block costs no more memory than itself.

use cid::Cid;

/// How deep maps and arrays may nest. Published blocks have two levels; others rarely more than a dozen. Decoders that peers use
/// stop a little deeper, and what is taken here is to be read there.
const DEPTH_MAX: usize = 120;

/// The tag of a link.
const LINK: u64 = 42;

/// Why bytes are not DAG-CBOR is told without what they say.
type Outcome<T> = Result<T, &'static str>;

const CUT: &str = "it ends within a value";
const DEEP: &str = "it nests deeper than 128 levels";

/// The head of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Item<'a> {
    /// A number, a truth value, null, or bytes.
    Scalar,
    Text(&'a str),
    Array(u64),
    Map(u64),
    Link(Cid),
}

/// Where a path through one block ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// At a link, after so many segments.
    Link(Cid, usize),
    /// At a value of this block, with all segments used.
    Value,
    /// Nowhere.
    Missing,
}

/// All links of a block, in the order of their places.
///
/// # Errors
/// What is wrong, where the bytes are not DAG-CBOR in its one form.
pub fn links(bytes: &[u8]) -> Outcome<Vec<Cid>> {
    let mut links = Vec::new();
    let mut reader = Reader { rest: bytes };
    reader.walk(DEPTH_MAX, &mut links)?;
    if reader.rest.is_empty() { Ok(links) } else { Err("bytes follow its value") }
}

/// Follows `segments` through a valid block: keys of maps and indexes of arrays.
///
/// # Errors
/// What is wrong, where the bytes on the way are not DAG-CBOR.
pub fn follow(bytes: &[u8], segments: &[&str]) -> Outcome<Found> {
    let mut reader = Reader { rest: bytes };
    for (used, segment) in segments.iter().enumerate() {
        let inside = match reader.item()? {
            Item::Link(cid) => return Ok(Found::Link(cid, used)),
            Item::Map(entries) => reader.enter_map(entries, segment)?,
            Item::Array(length) => reader.enter_array(length, segment)?,
            Item::Scalar | Item::Text(_) => false,
        };
        if !inside {
            return Ok(Found::Missing);
        }
    }
    Ok(match reader.item()? {
        Item::Link(cid) => Found::Link(cid, segments.len()),
        _ => Found::Value,
    })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Outcome<&'a [u8]> {
        let count = usize::try_from(count).map_err(|_| CUT)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CUT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<const BYTES: usize>(&mut self) -> Outcome<u64> {
        Ok(self.take(BYTES as u64)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A head's major type, its low five bits, and its argument.
    fn head(&mut self) -> Outcome<(u8, u8, u64)> {
        let first = self.number::<1>()? as u8;
        let (major, low) = (first >> 5, first & 0x1f);
        let (argument, least) = match low {
            0..24 => (u64::from(low), 0),
            24 => (self.number::<1>()?, 24),
            25 => (self.number::<2>()?, 1 << 8),
            26 => (self.number::<4>()?, 1 << 16),
            27 => (self.number::<8>()?, 1 << 32),
            _ => return Err("it has a value of indefinite length"),
        };
        if major != 7 && argument < least {
            return Err("a number is longer than it needs to be");
        }
        Ok((major, low, argument))
    }

    fn item(&mut self) -> Outcome<Item<'a>> {
        let (major, low, argument) = self.head()?;
        match major {
            0 | 1 => Ok(Item::Scalar),
            2 => self.take(argument).map(|_| Item::Scalar),
            3 => {
                Ok(Item::Text(std::str::from_utf8(self.take(argument)?).map_err(|_| "a text is not UTF-8")?))
            }
            4 => Ok(Item::Array(argument)),
            5 => Ok(Item::Map(argument)),
            6 if argument == LINK => self.link(),
            6 => Err("it has a tag that is not a link's"),
            _ => match low {
                20..=22 => Ok(Item::Scalar),
                27 if f64::from_bits(argument).is_finite() => Ok(Item::Scalar),
                _ => Err("it has a simple value or a number that DAG-CBOR does not know"),
            },
        }
    }

    fn link(&mut self) -> Outcome<Item<'a>> {
        const WRONG: &str = "a link is not a CID in binary form";
        let (2, _, length) = self.head()? else { return Err(WRONG) };
        let Some((0, binary)) = self.take(length)?.split_first() else { return Err(WRONG) };
        let cid = Cid::try_from(binary).map_err(|_| WRONG)?;
        if cid.to_bytes() == binary { Ok(Item::Link(cid)) } else { Err(WRONG) }
    }

    fn key(&mut self) -> Outcome<&'a str> {
        match self.item()? {
            Item::Text(key) => Ok(key),
            _ => Err("a map's key is not a text"),
        }
    }

    fn walk(&mut self, depth: usize, links: &mut Vec<Cid>) -> Outcome<()> {
        match self.item()? {
            Item::Scalar | Item::Text(_) => {}
            Item::Link(cid) => links.push(cid),
            Item::Array(length) => {
                let inner = depth.checked_sub(1).ok_or(DEEP)?;
                for _ in 0..length {
                    self.walk(inner, links)?;
                }
            }
            Item::Map(entries) => {
                let inner = depth.checked_sub(1).ok_or(DEEP)?;
                let mut previous: Option<&str> = None;
                for _ in 0..entries {
                    let key = self.key()?;
                    if previous.is_some_and(|previous| order(previous) >= order(key)) {
                        return Err("a map's keys are not in order, or one comes twice");
                    }
                    previous = Some(key);
                    self.walk(inner, links)?;
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self) -> Outcome<()> {
        self.walk(DEPTH_MAX, &mut Vec::new())
    }

    fn enter_map(&mut self, entries: u64, wanted: &str) -> Outcome<bool> {
        for _ in 0..entries {
            if self.key()? == wanted {
                return Ok(true);
            }
            self.skip()?;
        }
        Ok(false)
    }

    fn enter_array(&mut self, length: u64, wanted: &str) -> Outcome<bool> {
        let Some(index) = wanted.parse().ok().filter(|index| *index < length) else { return Ok(false) };
        for _ in 0..index {
            self.skip()?;
        }
        Ok(true)
    }
}

/// DAG-CBOR's order of keys: by length, then by bytes.
const fn order(key: &str) -> (usize, &[u8]) {
    (key.len(), key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Codec, cid_of};
    use ipld_core::ipld::Ipld;
    use proptest::prelude::*;

    fn encode(value: &Ipld) -> Vec<u8> {
        serde_ipld_dagcbor::to_vec(value).unwrap()
    }

    fn collect(value: &Ipld, links: &mut Vec<Cid>) {
        match value {
            Ipld::Link(cid) => links.push(*cid),
            Ipld::List(items) => items.iter().for_each(|item| collect(item, links)),
            Ipld::Map(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| order(key));
                entries.into_iter().for_each(|(_, item)| collect(item, links));
            }
            _ => {}
        }
    }

    fn value() -> impl Strategy<Value = Ipld> {
        let leaf = prop_oneof![
            Just(Ipld::Null),
            any::<bool>().prop_map(Ipld::Bool),
            (-(1_i128 << 64)..1 << 64).prop_map(Ipld::Integer),
            (-1e9..1e9).prop_map(Ipld::Float),
            ".{0,40}".prop_map(Ipld::String),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Ipld::Bytes),
            any::<[u8; 4]>().prop_map(|seed| Ipld::Link(cid_of(Codec::Raw, &seed).unwrap())),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Ipld::List),
                proptest::collection::btree_map(".{0,12}", inner, 0..8).prop_map(Ipld::Map),
            ]
        })
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let refused: [(&[u8], &str); 14] = [
            (b"", "it ends"),
            (b"\x82\x01", "it ends"),
            (b"\x18\x17", "longer"),
            (b"\x19\x00\xff", "longer"),
            (b"\x5f\x41a\xff", "indefinite"),
            (b"\xa2\x61b\x01\x61a\x02", "order"),
            (b"\xa2\x61a\x01\x61a\x02", "order"),
            (b"\xa1\x01\x02", "key"),
            (b"\x61\xff", "UTF-8"),
            (b"\xc1\x01", "tag"),
            (b"\xd8\x2a\x41\x00", "CID"),
            (b"\xf9\x3c\x00", "does not know"),
            (b"\xfb\x7f\xf0\0\0\0\0\0\0", "does not know"),
            (b"\x01\x01", "follow"),
        ];
        for (bytes, why) in refused {
            let error = links(bytes).unwrap_err();
            assert!(error.contains(why), "{bytes:?}: {error}");
        }
        let nested = |depth: usize| [vec![0x81; depth], vec![0x01]].concat();
        assert!(links(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(links(&nested(DEPTH_MAX + 1)), Err(DEEP));
        let cid = cid_of(Codec::Raw, b"leaf").unwrap();
        let deep = |around: fn(Ipld) -> Ipld| (0..DEPTH_MAX).fold(Ipld::Link(cid), |inner, _| around(inner));
        for deepest in [
            deep(|inner| Ipld::List(vec![inner])),
            deep(|inner| Ipld::Map([("key".to_owned(), inner)].into())),
        ] {
            let bytes = encode(&deepest);
            assert_eq!(links(&bytes), Ok(vec![cid]));
            let read: Ipld = serde_ipld_dagcbor::from_slice(&bytes).expect("others read it");
            assert_eq!(read, deepest);
        }
        assert_eq!(links(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Err(CUT), "a huge array");
    }

    #[test]
    fn paths_go_through_maps_and_arrays_and_stop_at_links() {
        let cid = cid_of(Codec::Raw, b"leaf").unwrap();
        let inner = Ipld::List(vec![Ipld::Integer(7), Ipld::Link(cid)]);
        let bytes = encode(&Ipld::Map([("a".to_owned(), inner), ("bb".to_owned(), Ipld::Null)].into()));
        let found = |path: &[&str]| follow(&bytes, path).unwrap();
        assert_eq!(found(&[]), Found::Value);
        assert_eq!(found(&["a", "0"]), Found::Value);
        assert_eq!(found(&["bb"]), Found::Value);
        assert_eq!(found(&["a", "1"]), Found::Link(cid, 2));
        assert_eq!(found(&["a", "1", "x", "y"]), Found::Link(cid, 2));
        for missing in [&["c"][..], &["a", "2"], &["a", "-1"], &["a", "0", "x"], &["bb", "x"]] {
            assert_eq!(found(missing), Found::Missing, "{missing:?}");
        }
    }

    proptest! {
        #[test]
        fn what_the_library_writes_is_read_with_the_same_links(value in value()) {
            let mut expected = Vec::new();
            collect(&value, &mut expected);
            prop_assert_eq!(links(&encode(&value)), Ok(expected));
        }

        #[test]
        fn what_is_read_is_canonical_to_the_library_too(
            value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = encode(&value);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if links(&bytes).is_ok() {
                let again: Ipld = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
                prop_assert_eq!(encode(&again), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = links(&bytes);
            let _ = follow(&bytes, &["a", "0"]);
        }
    }
}
