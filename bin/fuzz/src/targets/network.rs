//! What peers write to streams.

use bxp_network::fuzz;
use bxp_types::{BlockClass, Jurisdiction};
use bytes::Bytes;

/// The longest frame that is read.
const FRAME_BYTES_MAX: usize = 512;

/// A portion head that is read is written as it was; frames are read to their end.
pub(crate) fn portion(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Some(again) = fuzz::portion_head(&bytes) {
        assert_eq!(again, bytes);
    }
    assert!(fuzz::frames(&bytes, FRAME_BYTES_MAX) <= bytes.len());
}

pub(crate) fn portions() -> Vec<Vec<u8>> {
    let block = |class| bxp_types::SealedBlock {
        cid: bxp_vault::cid_of(b"block").expect("a CID"),
        class,
        bytes: "block".into(),
    };
    let of =
        |blocks: &[bxp_types::SealedBlock]| fuzz::portion_head_of(b"manifest", blocks).unwrap_or_default();
    let home = block(BlockClass::Identity(Jurisdiction::DE));
    vec![of(&[]), of(&[block(BlockClass::Deidentified), home]), b"\0\0\0\x05frame\0\0\0\0".to_vec()]
}
