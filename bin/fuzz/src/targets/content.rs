//! What IPFS peers send: messages of bitswap and streams of them, CAR files, blocks of DAG-CBOR and DAG-PB.

use bxp_content::{
    Block, Codec,
    bitswap::{Entry, Message, Presence, Received, Wants},
    car::{CarReader, ROOTS_MAX, header, section},
    dag_cbor::{self as cbor, Found},
    dag_pb::{self as pb, Kind},
    fuzz,
};
use bytes::Bytes;
use cid::Cid;
use ipld_core::ipld::Ipld;
use sha2::{Digest as _, Sha256};

/// Segments of a path that an input is asked for, which is more than a real one has.
const SEGMENTS_MAX: usize = 8;
/// The longest message that is read from a stream.
const FRAME_BYTES_MAX: usize = 512;
/// Above the length of every message that is made of one of these, which may be the longer one.
const FRAME_BYTES_ENOUGH: usize = 1 << 20;

/// A message says the same after it was written again, and a block in it has the name of its own bytes. So do the messages of
/// a stream, which is read to its end.
pub(crate) fn message(bytes: &[u8]) {
    let told = fuzz::messages(bytes, FRAME_BYTES_MAX);
    let again: Vec<u8> = told.iter().flat_map(fuzz::frame).collect();
    assert_eq!(fuzz::messages(&again, FRAME_BYTES_ENOUGH), told);
    let Ok(message) = Message::decode(&Bytes::copy_from_slice(bytes)) else { return };
    for block in &message.blocks {
        assert_eq!(block.cid.hash().digest(), Sha256::digest(&block.bytes).as_slice());
    }
    let again = Message::decode(&message.encode().into());
    assert_eq!(again, Ok(message));
}

/// A file that is taken whole is the one that would be written of its blocks.
pub(crate) fn car(bytes: &[u8]) {
    let Ok(mut reader) = CarReader::new(bytes) else { return };
    let roots = reader.roots().to_vec();
    assert!((1..=ROOTS_MAX).contains(&roots.len()));
    let mut written = header(&roots);
    let mut whole = true;
    for block in reader.by_ref() {
        match block {
            Ok(block) => {
                assert!(Block::verify(*block.cid(), block.bytes().clone()).is_ok());
                written.extend(section(&block));
            }
            Err(_) => whole = false,
        }
    }
    assert!(reader.next().is_none(), "it ends after the first error");
    assert!(bytes.starts_with(&written));
    assert!(!whole || bytes == written, "a file has one form");
}

/// A value is taken in its one form, with the links that a library of others finds in it; paths lead to no other.
pub(crate) fn dag_cbor(bytes: &[u8]) {
    let (value, path) = pieces_of(bytes);
    let followed = cbor::follow(value, &path);
    let Ok(links) = cbor::links(value) else { return };
    let known: Ipld = serde_ipld_dagcbor::from_slice(value).expect("what is taken is DAG-CBOR to others too");
    assert_eq!(serde_ipld_dagcbor::to_vec(&known).ok().as_deref(), Some(value), "it has one form");
    let mut expected = Vec::new();
    known.references(&mut expected);
    assert_eq!(links.len(), expected.len());
    assert!(expected.iter().all(|link| links.contains(link)));
    match followed.expect("a path goes through whatever is taken") {
        Found::Link(cid, used) => assert!(links.contains(&cid) && used <= path.len()),
        Found::Value | Found::Missing => {}
    }
    assert_eq!(block_links(Codec::DagCbor, value), Some(links));
}

/// A node's links are the same with and without their names, and what a file says of its size does not matter.
pub(crate) fn dag_pb(bytes: &[u8]) {
    if let Ok(Kind::File { own_bytes, child_bytes }) = pb::kind(bytes) {
        assert!(own_bytes <= bytes.len() as u64 && child_bytes.len() <= bytes.len());
    }
    let Ok(named) = pb::named_links(bytes) else { return };
    let links: Vec<Cid> = named.iter().map(|link| link.cid).collect();
    assert!(named.iter().map(|link| link.name.len()).sum::<usize>() <= bytes.len());
    assert_eq!(pb::links(bytes).as_ref(), Ok(&links));
    assert_eq!(block_links(Codec::DagPb, bytes), Some(links));
}

fn block_links(codec: Codec, bytes: &[u8]) -> Option<Vec<Cid>> {
    let block = Block::new(codec, Bytes::copy_from_slice(bytes)).ok()?;
    Some(block.links().to_vec())
}

/// An input is a value, and the segments of a path behind it.
fn pieces_of(bytes: &[u8]) -> (&[u8], Vec<&str>) {
    let pieces = super::pieces(bytes);
    let Some((value, path)) = pieces.split_first() else { return (bytes, Vec::new()) };
    let path = path.iter().take(SEGMENTS_MAX).filter_map(|segment| std::str::from_utf8(segment).ok());
    (value, path.collect())
}

pub(crate) fn block(bytes: &'static [u8]) -> Block {
    Block::new(Codec::Raw, Bytes::from_static(bytes)).expect("a raw block is any bytes")
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let block = block(b"hello");
    let cid = *block.cid();
    let entries = [
        Wants::Block { send_dont_have: true },
        Wants::Have { send_dont_have: false },
        Wants::Have { send_dont_have: true },
        Wants::Cancel,
    ];
    let wants = Message {
        full: true,
        entries: entries.into_iter().map(|wants| Entry { cid, wants }).collect(),
        ..Message::default()
    };
    let answer = Message {
        blocks: vec![Received { cid, bytes: block.bytes().clone() }],
        presences: vec![(cid, Presence::Have), (cid, Presence::DontHave)],
        ..Message::default()
    };
    // As Kubo names blocks of files: version 0, whose codec is not written.
    let folder = Block::new(Codec::DagPb, node(cid).into()).expect("a node of DAG-PB");
    let old = Cid::new_v0(*folder.cid().hash()).expect("a hash of version 0");
    let oldest = Message {
        blocks: vec![Received { cid: old, bytes: folder.bytes().clone() }],
        presences: vec![(old, Presence::Have)],
        ..Message::default()
    };
    let all = [wants, answer, oldest];
    let streams =
        [fuzz::frame(&all[0]), all.iter().flat_map(fuzz::frame).collect(), fuzz::frame(&Message::default())];
    all.iter().map(Message::encode).chain(streams).collect()
}

pub(crate) fn cars() -> Vec<Vec<u8>> {
    let leaf = block(b"leaf");
    let list = Ipld::List(vec![Ipld::Link(*leaf.cid())]);
    let list = serde_ipld_dagcbor::to_vec(&list).expect("a list is DAG-CBOR");
    let root = Block::new(Codec::DagCbor, list.into()).expect("a block of DAG-CBOR");
    let folder = Block::new(Codec::DagPb, node(*leaf.cid()).into()).expect("a node of DAG-PB");
    let one = [header(&[*leaf.cid()]), section(&leaf)].concat();
    let several = [header(&[*root.cid(), *folder.cid()]), section(&root), section(&leaf), section(&folder)];
    vec![one, several.concat()]
}

pub(crate) fn values() -> Vec<Vec<u8>> {
    let link = Ipld::Link(*block(b"leaf").cid());
    let inner = Ipld::List(vec![Ipld::Integer(7), link, Ipld::Float(1.5), Ipld::Bytes(vec![1; 30])]);
    let map = [("a", inner), ("bb", Ipld::Null), ("ccc", Ipld::Bool(true)), ("d", Ipld::Integer(-300))];
    let map = Ipld::Map(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    let map = serde_ipld_dagcbor::to_vec(&map).expect("a map is DAG-CBOR");
    let with = |path: &[&str]| {
        let path = path.iter().map(|segment| segment.as_bytes());
        super::joined(std::iter::once(map.as_slice()).chain(path))
    };
    vec![with(&[]), with(&["a", "1", "x"]), with(&["ccc"]), with(&["a", "9"])]
}

pub(crate) fn nodes() -> Vec<Vec<u8>> {
    let cid = *block(b"child").cid();
    let file = [field(2, &field(1, &cid.to_bytes())), field(1, &file_data())].concat();
    vec![node(cid), file, field(1, &file_data())]
}

/// A folder with one entry.
fn node(cid: Cid) -> Vec<u8> {
    let link = [field(1, &cid.to_bytes()), field(2, b"name"), vec![0x18, 5]].concat();
    [field(2, &link), field(1, &[0x08, 1])].concat()
}

/// A file of three bytes of its own and five under its link, in UnixFS.
fn file_data() -> Vec<u8> {
    [&[0x08, 2][..], &field(2, b"abc"), &[0x18, 8, 0x20, 5]].concat()
}

/// A field of bytes in Protocol Buffers, below 128 bytes.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("a short field");
    [&[number << 3 | 2, length], bytes].concat()
}
