//! DAG-PB and the part of UnixFS that tells a file's blocks from a folder's: in this form other IPFS peers keep files.
//! This node publishes none of it, and reads it where it was imported.

use crate::bitswap::protobuf::{Field, Fields};
use cid::Cid;

type Outcome<T> = Result<T, &'static str>;

/// A link to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The child.
    pub cid: Cid,
    /// Its name within a folder; empty in a file.
    pub name: String,
}

/// What a node is in UnixFS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, or a part of one: the bytes in the node itself, and those under each link.
    File {
        /// The bytes in the node itself.
        own_bytes: u64,
        /// The bytes under each link, as the node says.
        child_bytes: Vec<u64>,
    },
    /// A folder whose entries are its links.
    Folder,
    /// A part of a large folder, whose entries are found by the hash of their names.
    Shard {
        /// How many places a shard has.
        fanout: u64,
        /// The multicodec of the hash function.
        hash: u64,
    },
    /// Anything else: its links mean what its maker knows.
    Other,
}

/// The links of a node.
///
/// # Errors
/// What is wrong, where the bytes are no DAG-PB.
pub fn links(bytes: &[u8]) -> Outcome<Vec<Cid>> {
    Ok(named_links(bytes)?.into_iter().map(|link| link.cid).collect())
}

/// The links of a node with their names.
///
/// # Errors
/// What is wrong, where the bytes are no DAG-PB.
pub fn named_links(bytes: &[u8]) -> Outcome<Vec<Link>> {
    let mut links = Vec::new();
    for field in Fields::new(bytes) {
        if let (2, Field::Bytes(link)) = field? {
            links.push(read_link(link)?);
        }
    }
    Ok(links)
}

fn read_link(bytes: &[u8]) -> Outcome<Link> {
    let (mut cid, mut name) = (None, String::new());
    for field in Fields::new(bytes) {
        match field? {
            (1, Field::Bytes(hash)) => {
                cid = Some(Cid::try_from(hash).map_err(|_| "a link is not a CID in binary form")?);
            }
            (2, Field::Bytes(text)) => {
                name = String::from_utf8(text.to_vec()).map_err(|_| "a link's name is not UTF-8")?;
            }
            _ => {}
        }
    }
    Ok(Link { cid: cid.ok_or("a link has no CID")?, name })
}

/// What the node is in UnixFS.
///
/// # Errors
/// What is wrong, where the bytes are no DAG-PB.
pub fn kind(bytes: &[u8]) -> Outcome<Kind> {
    for field in Fields::new(bytes) {
        if let (1, Field::Bytes(data)) = field? {
            return read_kind(data);
        }
    }
    Ok(Kind::Other)
}

fn read_kind(data: &[u8]) -> Outcome<Kind> {
    let (mut code, mut own_bytes, mut child_bytes, mut fanout, mut hash) = (None, 0, Vec::new(), 0, 0);
    for field in Fields::new(data) {
        match field? {
            (1, Field::Number(number)) => code = Some(number),
            (2, Field::Bytes(content)) => own_bytes = content.len() as u64,
            (4, Field::Number(size)) => child_bytes.push(size),
            (5, Field::Number(function)) => hash = function,
            (6, Field::Number(places)) => fanout = places,
            _ => {}
        }
    }
    Ok(match code {
        // UnixFS's Raw and File.
        Some(0 | 2) => Kind::File { own_bytes, child_bytes },
        Some(1) => Kind::Folder,
        Some(5) => Kind::Shard { fanout, hash },
        _ => Kind::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Codec, cid_of};
    use proptest::prelude::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    #[test]
    fn links_and_kinds_are_read() {
        let cid = cid_of(Codec::Raw, b"child").unwrap();
        let link = field(2, &[field(1, &cid.to_bytes()), field(2, b"name"), vec![0x18, 5]].concat());
        let folder = [link.clone(), field(1, &[0x08, 1])].concat();
        assert_eq!(named_links(&folder).unwrap(), [Link { cid, name: "name".to_owned() }]);
        assert_eq!(kind(&folder).unwrap(), Kind::Folder);
        let file =
            [link, field(1, &[&[0x08, 2][..], &field(2, b"abc"), &[0x18, 8, 0x20, 5]].concat())].concat();
        assert_eq!(kind(&file).unwrap(), Kind::File { own_bytes: 3, child_bytes: vec![5] });
        let shard = field(1, &[0x08, 5, 0x28, 0x22, 0x30, 0x80, 0x02]);
        assert_eq!(kind(&shard).unwrap(), Kind::Shard { fanout: 256, hash: 0x22 });
        assert_eq!(kind(&[]).unwrap(), Kind::Other);
        assert!(links(&field(2, &field(2, b"no cid"))).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (links(&bytes), kind(&bytes));
        }
    }
}
