//! The targets by what they decode.

pub(crate) mod ccda;
pub(crate) mod chain;
pub(crate) mod consensus;
pub(crate) mod content;
pub(crate) mod content_disk;
pub(crate) mod delivery;
pub(crate) mod ethereum;
pub(crate) mod fhir;
pub(crate) mod gateway;
pub(crate) mod hl7v2;
pub(crate) mod keeping;
pub(crate) mod logs;
pub(crate) mod network;
pub(crate) mod rpc;
pub(crate) mod segments;
pub(crate) mod storage;
pub(crate) mod vault;
pub(crate) mod vault_disk;

/// Several pieces of bytes as one input: each with its length in two bytes before it.
pub(crate) fn joined<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        let piece = piece.as_ref();
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&piece[..usize::from(length)]);
    }
    out
}

/// The pieces of an input; the last one may be shorter than it says.
pub(crate) fn pieces(mut input: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        out.push(piece);
        input = rest;
    }
    out
}
