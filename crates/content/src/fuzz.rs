//! What reads streams of peers, folders in shards and rows on disk, without a peer or a store: for the fuzz targets.

use crate::{
    Block, ContentError, Publication,
    bitswap::{Message, wire},
    dag_pb::{self, Kind, Link},
    gateway::shard::{self, Place, Way},
    store::rows::{self, Opened},
};
use bxp_enclave::Enclave;
use bxp_types::{RecordId, SubjectId};
use bytes::Bytes;
use cid::Cid;
use futures::{executor::block_on, io::Cursor};

/// Reads messages of at most `bytes_max` bytes to the end of a stream, or to what is none.
#[must_use]
pub fn messages(stream: &[u8], bytes_max: usize) -> Vec<Message> {
    let (mut stream, mut messages) = (Cursor::new(stream), Vec::new());
    while let Ok(Some(first)) = block_on(wire::first_byte(&mut stream))
        && let Ok((message, _)) = block_on(wire::rest(&mut stream, first, bytes_max))
    {
        messages.push(message);
    }
    messages
}

/// A message as it goes over a stream.
#[must_use]
pub fn frame(message: &Message) -> Vec<u8> {
    wire::frame(message)
}

/// The way of a name through shards, which are nodes of DAG-PB in the order in which it meets them: of each where it leads,
/// and whether that is to another shard.
#[must_use]
pub fn way(name: &str, nodes: &[&[u8]]) -> Vec<(Cid, bool)> {
    let (mut way, mut gone) = (Way::new(name), Vec::new());
    for node in nodes {
        let (Ok(Kind::Shard { fanout, hash }), Ok(links)) = (dag_pb::kind(node), dag_pb::named_links(node))
        else {
            break;
        };
        match way.step(fanout, hash, &links) {
            Place::Shard(cid) => gone.push((cid, true)),
            Place::Entry(cid) => {
                gone.push((cid, false));
                break;
            }
            Place::Nowhere => break,
        }
    }
    gone
}

/// Whether a link of a shard with so many places leads to another shard.
#[must_use]
pub fn is_shard(fanout: u64, link: &Link) -> bool {
    shard::is_shard(fanout, link)
}

/// Reads the row of a publication of `root`.
///
/// # Errors
/// [`ContentError::Damaged`].
pub fn publication(root: Cid, row: &[u8]) -> Result<Publication, ContentError> {
    rows::decode(root, row)
}

/// The row of a publication.
///
/// # Errors
/// [`ContentError::Draft`] where nothing is published for its purpose, or to one of its readers.
pub fn publication_row(publication: &Publication) -> Result<Vec<u8>, ContentError> {
    rows::encode(publication)
}

/// Opens the row of the block `cid`; nothing where its patient's key is gone.
///
/// # Errors
/// [`ContentError::Damaged`], [`ContentError::Enclave`].
pub fn block(enclave: &Enclave, cid: &Cid, row: &[u8]) -> Result<Option<Bytes>, ContentError> {
    Ok(match rows::open(enclave, cid, row)? {
        Opened::Bytes(bytes) => Some(bytes),
        Opened::KeyDestroyed => None,
    })
}

/// The row of a block, under the key of its patient where it has one.
///
/// # Errors
/// [`ContentError::Enclave`].
pub fn block_row(
    enclave: &Enclave,
    block: &Block,
    patient: Option<SubjectId>,
) -> Result<Vec<u8>, ContentError> {
    rows::seal(enclave, block, patient)
}

/// Reads the size of a block.
///
/// # Errors
/// [`ContentError::Damaged`].
pub fn size(row: &[u8]) -> Result<u64, ContentError> {
    rows::size(row)
}

/// Reads whose record a block of a publication holds, if any.
///
/// # Errors
/// [`ContentError::Damaged`].
pub fn record(row: &[u8]) -> Result<Option<RecordId>, ContentError> {
    rows::record(row)
}
