//! Certified blocks from a peer, for a node that fell behind or lacks certificates.

use crate::{ChainError, blocks::Blocks, codec};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use bxp_types::{Bytes, Certificate, Height, StoredBlock};

/// The most blocks of one answer, and so of one import.
pub const BLOCKS_MAX: u64 = 256;
/// Bytes after which an answer ends.
const BYTES_MAX: usize = 8 << 20;

/// "Give me certified blocks from this height on."
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SyncRequest {
    /// The first height wanted.
    pub from: u64,
    /// Up to here the certificates are enough, since the asker has the blocks.
    pub has: u64,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Item {
    block: Bytes,
    certificate: Bytes,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Wire {
    certified: u64,
    items: Vec<Item>,
}

/// One height of an answer. Nothing in it has been verified.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncItem {
    /// The block, unless the asker has it.
    pub block: Option<StoredBlock>,
    /// Its certificate.
    pub certificate: Certificate,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncResponse {
    /// How far the answering node has certificates.
    pub certified: Height,
    /// Consecutive heights from the asked one on.
    pub items: Vec<SyncItem>,
}

impl SyncRequest {
    /// RLP of the two heights.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        alloy_rlp::encode(self)
    }

    /// Answers from the node's own blocks.
    ///
    /// # Errors
    /// [`ChainError`] when the request does not decode or the disk fails.
    pub fn answer(request: &[u8], blocks: &Blocks) -> Result<Vec<u8>, ChainError> {
        let request: Self = codec::decode("sync request", request)?;
        let certified = blocks.certified()?.0;
        let (mut items, mut bytes) = (Vec::new(), 0);
        for height in (request.from.max(1)..=certified).take(BLOCKS_MAX as usize).map(Height) {
            let Some(certificate) = blocks.certificate(height)? else { break };
            let block = if height.0 > request.has {
                let Some(block) = blocks.block(height)? else { break };
                codec::encode_block_for_peer(&block)
            } else {
                Vec::new()
            };
            bytes += block.len();
            items.push(Item {
                block: block.into(),
                certificate: codec::encode_certificate(&certificate).into(),
            });
            if bytes > BYTES_MAX {
                break;
            }
        }
        Ok(alloy_rlp::encode(Wire { certified, items }))
    }
}

impl SyncResponse {
    /// Reads an answer, recovering the senders of its transactions.
    ///
    /// # Errors
    /// [`ChainError::Decode`].
    pub fn decode(bytes: &[u8], chain_id: u64) -> Result<Self, ChainError> {
        let wire: Wire = codec::decode("sync answer", bytes)?;
        if wire.items.len() as u64 > BLOCKS_MAX {
            return Err(ChainError::decode("sync answer", "more blocks than agreed"));
        }
        let read = |item: Item| {
            let block = match item.block.is_empty() {
                true => None,
                false => Some(codec::decode_block_from_peer(&item.block, chain_id)?),
            };
            Ok(SyncItem { block, certificate: codec::decode_certificate(&item.certificate)? })
        };
        let items = wire.items.into_iter().map(read).collect::<Result<_, ChainError>>()?;
        Ok(Self { certified: Height(wire.certified), items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Header;
    use bxp_storage::{Durability, Store};
    use bxp_types::{NetworkId, ValidatorIndex};

    #[test]
    fn an_answer_holds_certified_blocks_from_the_asked_height_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), NetworkId([1; 32])).unwrap();
        let blocks = Blocks::open(&store).unwrap();
        let mut batch = store.batch();
        for number in 0..5_u64 {
            let header = Header { number, ..Default::default() };
            let block = StoredBlock { hash: header.hash_slow(), header, transactions: vec![], time_ms: 0 };
            blocks.put(&mut batch, &block, &[], &[]);
            if (1..4).contains(&number) {
                let signatures = [(ValidatorIndex(0), [1; 64])].into();
                let certificate = Certificate { height: Height(number), block_hash: block.hash, signatures };
                blocks.put_certificate(&mut batch, &certificate);
            }
        }
        batch.commit(Durability::Buffered).unwrap();
        let ask = |from, has| {
            let bytes = SyncRequest::answer(&SyncRequest { from, has }.encode(), &blocks).unwrap();
            SyncResponse::decode(&bytes, 1).unwrap()
        };
        let answer = ask(2, 2);
        assert_eq!(answer.certified, Height(3));
        let heights: Vec<_> =
            answer.items.iter().map(|item| (item.certificate.height.0, item.block.is_some())).collect();
        assert_eq!(heights, [(2, false), (3, true)]);
        assert!(ask(4, 4).items.is_empty());
        assert_eq!(ask(0, 0).items.len(), 3);
        assert!(SyncRequest::answer(b"junk", &blocks).is_err());
    }
}
