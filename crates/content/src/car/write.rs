//! Writing CAR files.

use crate::{Block, varint};
use cid::Cid;

/// The file's beginning: the length and the DAG-CBOR map `{"roots": [links], "version": 1}`.
#[must_use]
pub fn header(roots: &[Cid]) -> Vec<u8> {
    let map = header_map(roots);
    let mut out = Vec::with_capacity(map.len() + varint::BYTES_MAX);
    varint::put(&mut out, map.len() as u64);
    out.extend_from_slice(&map);
    out
}

/// One block: the length of what follows, the CID, the bytes.
#[must_use]
pub fn section(block: &Block) -> Vec<u8> {
    let cid = block.cid().to_bytes();
    let length = cid.len() + block.bytes().len();
    let mut out = Vec::with_capacity(length + varint::BYTES_MAX);
    varint::put(&mut out, length as u64);
    out.extend_from_slice(&cid);
    out.extend_from_slice(block.bytes());
    out
}

/// There is one way to write the header's map in DAG-CBOR, which is this one.
pub(super) fn header_map(roots: &[Cid]) -> Vec<u8> {
    let mut map = b"\xa2\x65roots".to_vec();
    put_head(&mut map, 0x80, roots.len());
    for root in roots {
        let binary = root.to_bytes();
        map.extend_from_slice(b"\xd8\x2a");
        put_head(&mut map, 0x40, binary.len() + 1);
        map.push(0);
        map.extend_from_slice(&binary);
    }
    map.extend_from_slice(b"\x67version\x01");
    map
}

/// A head of DAG-CBOR in its shortest form. Counts here are far below 2^16.
fn put_head(out: &mut Vec<u8>, major: u8, argument: usize) {
    match (u8::try_from(argument), u16::try_from(argument)) {
        (Ok(small @ 0..24), _) => out.push(major | small),
        (Ok(byte), _) => out.extend_from_slice(&[major | 24, byte]),
        (_, Ok(two)) => {
            out.push(major | 25);
            out.extend_from_slice(&two.to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&(argument as u64).to_be_bytes());
        }
    }
}
