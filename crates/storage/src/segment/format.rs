//! The bytes of a segment. Integers are little-endian.
//!
//! ```text
//! file    = header | group* | index | trailer
//! header  = magic "BXPSEG" | version u16 (1) | network id (32) | chain id u64 | first u64 | count u32 | parts u32
//! group   = one zstd frame of: length u32 of each part of each record, record by record |
//!           part 0 of each record | part 1 of each record | ...
//! index   = (offset u64 | packed u32 | unpacked u32 | records u32 | crc32c of the frame u32), for each group
//! trailer = offset of the index u64 | groups u32 | crc32c of header, index and the two before u32 |
//!           SHA-256 of all bytes before (32)
//! ```

use bxp_types::{NetworkId, fields::take};

pub(super) const HEADER_BYTES: usize = 64;
pub(super) const ENTRY_BYTES: usize = 24;
pub(super) const TRAILER_BYTES: usize = 48;
/// Records in a group at most.
pub(super) const GROUP_RECORDS_MAX: usize = 128;
/// Unpacked bytes after which a group ends: what has to be unpacked to read one small record.
pub(super) const GROUP_BYTES: usize = 128 << 10;
/// The longest record, all parts together (256 MiB), as of the write-ahead log.
pub(super) const RECORD_BYTES_MAX: usize = crate::RECORD_BYTES_MAX;
/// What a group may have unpacked: it ends with the record that fills it.
pub(super) const UNPACKED_BYTES_MAX: usize = GROUP_BYTES + RECORD_BYTES_MAX + GROUP_RECORDS_MAX * 64;

const MAGIC_AND_VERSION: [u8; 8] = *b"BXPSEG\x01\x00";

/// What a segment holds, and of which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// The network.
    pub network: NetworkId,
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The number of the first record.
    pub first: u64,
    /// How many records there are.
    pub count: u32,
    /// Parts of each record.
    pub parts: u32,
}

/// Where a group lies, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) offset: u64,
    pub(super) packed: u32,
    pub(super) unpacked: u32,
    pub(super) records: u32,
    pub(super) crc: u32,
}

/// The last bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) index_offset: u64,
    pub(super) groups: u32,
    pub(super) crc: u32,
    pub(super) sha256: [u8; 32],
}

impl SegmentHead {
    pub(super) fn encode(&self) -> Vec<u8> {
        [
            MAGIC_AND_VERSION.as_slice(),
            &self.network.0,
            &self.chain_id.to_le_bytes(),
            &self.first.to_le_bytes(),
            &self.count.to_le_bytes(),
            &self.parts.to_le_bytes(),
        ]
        .concat()
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        if take::<8>(&mut bytes)? != MAGIC_AND_VERSION {
            return None;
        }
        Some(Self {
            network: NetworkId(take(&mut bytes)?),
            chain_id: u64::from_le_bytes(take(&mut bytes)?),
            first: u64::from_le_bytes(take(&mut bytes)?),
            count: u32::from_le_bytes(take(&mut bytes)?),
            parts: u32::from_le_bytes(take(&mut bytes)?),
        })
    }
}

impl Group {
    pub(super) fn encode(&self) -> Vec<u8> {
        let numbers = [self.packed, self.unpacked, self.records, self.crc].map(u32::to_le_bytes);
        [self.offset.to_le_bytes().as_slice(), &numbers.concat()].concat()
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        Some(Self {
            offset: u64::from_le_bytes(take(&mut bytes)?),
            packed: u32::from_le_bytes(take(&mut bytes)?),
            unpacked: u32::from_le_bytes(take(&mut bytes)?),
            records: u32::from_le_bytes(take(&mut bytes)?),
            crc: u32::from_le_bytes(take(&mut bytes)?),
        })
    }
}

impl Trailer {
    /// The trailer without its hash, which covers it.
    pub(super) fn encode_before_hash(&self) -> Vec<u8> {
        [self.index_offset.to_le_bytes().as_slice(), &self.groups.to_le_bytes(), &self.crc.to_le_bytes()]
            .concat()
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        Some(Self {
            index_offset: u64::from_le_bytes(take(&mut bytes)?),
            groups: u32::from_le_bytes(take(&mut bytes)?),
            crc: u32::from_le_bytes(take(&mut bytes)?),
            sha256: take(&mut bytes)?,
        })
    }
}

/// The checksum over what is not in a group.
pub(super) fn frame_crc(header: &[u8], index: &[u8], index_offset: u64, groups: u32) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(header), index);
    let crc = crc32c::crc32c_append(crc, &index_offset.to_le_bytes());
    crc32c::crc32c_append(crc, &groups.to_le_bytes())
}

/// The parts of the records of an unpacked group, record by record; nothing when it is none.
pub(super) fn split(unpacked: &bytes::Bytes, records: usize, parts: usize) -> Option<Vec<bytes::Bytes>> {
    let lengths_bytes = records.checked_mul(parts)?.checked_mul(4)?;
    let lengths = unpacked.get(..lengths_bytes)?.chunks_exact(4);
    let lengths: Vec<usize> = lengths
        .map(|length| length.try_into().map(u32::from_le_bytes))
        .map(|length| usize::try_from(length.ok()?).ok())
        .collect::<Option<_>>()?;
    let mut split = vec![bytes::Bytes::new(); lengths.len()];
    let mut at = lengths_bytes;
    for part in 0..parts {
        for place in (part..lengths.len()).step_by(parts) {
            let end = at.checked_add(*lengths.get(place)?)?;
            if end > unpacked.len() {
                return None;
            }
            *split.get_mut(place)? = unpacked.slice(at..end);
            at = end;
        }
    }
    (at == unpacked.len()).then_some(split)
}
