//! Bitswap's message, as Protocol Buffers:
//!
//! ```text
//! Message { 1: Wantlist { 1: Entry { 1: cid, 2: priority, 3: cancel, 4: wantType, 5: sendDontHave }*, 2: full }
//!           3: Block { 1: prefix, 2: data }*   4: BlockPresence { 1: cid, 2: type }*   5: pendingBytes }
//! ```

use super::protobuf::{Field, Fields, put_bytes, put_number};
use crate::{Block, ContentError, varint};
use bytes::Bytes;
use cid::{Cid, Version, multihash::Multihash};
use sha2::{Digest as _, Sha256};

/// Entries of one message: four times what a peer's wantlist may have. More is no wantlist but an attack.
const ENTRIES_MAX: usize = 4096;
/// Blocks of one message: of 4 MiB, each with its bytes and some around them.
const BLOCKS_MAX: usize = 4096;

const SHA2_256: u64 = 0x12;

/// Why bytes are no message is told without what they say.
type Outcome<T> = Result<T, &'static str>;

/// A peer's want, or the end of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The block that it is about.
    pub cid: Cid,
    /// What of it.
    pub wants: Wants,
}

/// What is said of a CID in a wantlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// The block itself.
    Block {
        /// Word is wanted also where it is not there.
        send_dont_have: bool,
    },
    /// Word whether it is there.
    Have {
        /// Word is wanted also where it is not there.
        send_dont_have: bool,
    },
    /// Nothing any more.
    Cancel,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The entries are the whole wantlist, not a change of it.
    pub full: bool,
    /// Changes of the peer's wantlist.
    pub entries: Vec<Entry>,
    /// Blocks that it sends.
    pub blocks: Vec<Received>,
    /// What it has and has not.
    pub presences: Vec<(Cid, Presence)>,
}

/// A block of a message under the CID that its bytes have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The name that its bytes have.
    pub cid: Cid,
    /// Its content.
    pub bytes: Bytes,
}

/// Whether a block is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and would be sent.
    Have,
    /// It is not there, or not for this peer.
    DontHave,
}

impl Message {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.blocks.is_empty() && self.presences.is_empty()
    }

    /// A message that changes the wantlist at the peer.
    pub(crate) fn of_entries(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// The message's bytes, without the length before them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.entries.is_empty() || self.full {
            let mut wantlist = Vec::new();
            for entry in &self.entries {
                put_bytes(&mut wantlist, 1, &encode_entry(entry));
            }
            put_number(&mut wantlist, 2, self.full.into());
            put_bytes(&mut out, 1, &wantlist);
        }
        for block in &self.blocks {
            let mut field = Vec::with_capacity(block.bytes.len() + 32);
            put_bytes(&mut field, 1, &prefix(&block.cid));
            put_bytes(&mut field, 2, &block.bytes);
            put_bytes(&mut out, 3, &field);
        }
        for (cid, presence) in &self.presences {
            let mut field = Vec::new();
            put_bytes(&mut field, 1, &cid.to_bytes());
            put_number(&mut field, 2, (*presence == Presence::DontHave).into());
            put_bytes(&mut out, 4, &field);
        }
        out
    }

    /// Reads a message from a peer. Blocks get the CID that their bytes have; those under hashes that are not known
    /// here are left out, since nothing here asks for them.
    ///
    /// # Errors
    /// What is wrong, where the bytes are no message.
    pub fn decode(bytes: &Bytes) -> Outcome<Self> {
        let mut message = Self::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, Field::Bytes(wantlist)) => message.read_wantlist(wantlist)?,
                (3, Field::Bytes(block)) => {
                    if message.blocks.len() == BLOCKS_MAX {
                        return Err("it has more blocks than 4096");
                    }
                    message.blocks.extend(read_block(bytes, block)?);
                }
                (4, Field::Bytes(presence)) => {
                    if message.presences.len() == ENTRIES_MAX {
                        return Err("it has more presences than 4096");
                    }
                    message.presences.push(read_presence(presence)?);
                }
                _ => {}
            }
        }
        Ok(message)
    }

    fn read_wantlist(&mut self, bytes: &[u8]) -> Outcome<()> {
        for field in Fields::new(bytes) {
            match field? {
                (1, Field::Bytes(entry)) => {
                    if self.entries.len() == ENTRIES_MAX {
                        return Err("its wantlist has more entries than 4096");
                    }
                    self.entries.push(read_entry(entry)?);
                }
                (2, Field::Number(full)) => self.full = full != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

impl From<&Block> for Received {
    fn from(block: &Block) -> Self {
        Self { cid: *block.cid(), bytes: block.bytes().clone() }
    }
}

impl Received {
    /// The block, if its bytes are of its codec.
    pub(crate) fn verify(self) -> Result<Block, ContentError> {
        Block::verify(self.cid, self.bytes)
    }
}

fn encode_entry(entry: &Entry) -> Vec<u8> {
    let (cancel, kind, send_dont_have) = match entry.wants {
        Wants::Block { send_dont_have } => (false, 0, send_dont_have),
        Wants::Have { send_dont_have } => (false, 1, send_dont_have),
        Wants::Cancel => (true, 0, false),
    };
    let mut out = Vec::new();
    put_bytes(&mut out, 1, &entry.cid.to_bytes());
    put_number(&mut out, 2, 1);
    put_number(&mut out, 3, cancel.into());
    put_number(&mut out, 4, kind);
    put_number(&mut out, 5, send_dont_have.into());
    out
}

fn read_cid(bytes: &[u8]) -> Outcome<Cid> {
    Cid::try_from(bytes).map_err(|_| "it has bytes in the place of a CID")
}

fn read_entry(bytes: &[u8]) -> Outcome<Entry> {
    let (mut cid, mut cancel, mut have, mut send_dont_have) = (None, false, false, false);
    for field in Fields::new(bytes) {
        match field? {
            (1, Field::Bytes(bytes)) => cid = Some(read_cid(bytes)?),
            (3, Field::Number(number)) => cancel = number != 0,
            (4, Field::Number(number)) => have = number == 1,
            (5, Field::Number(number)) => send_dont_have = number != 0,
            _ => {}
        }
    }
    let wants = match (cancel, have) {
        (true, _) => Wants::Cancel,
        (false, true) => Wants::Have { send_dont_have },
        (false, false) => Wants::Block { send_dont_have },
    };
    Ok(Entry { cid: cid.ok_or("an entry has no CID")?, wants })
}

fn read_presence(bytes: &[u8]) -> Outcome<(Cid, Presence)> {
    let (mut cid, mut presence) = (None, Presence::Have);
    for field in Fields::new(bytes) {
        match field? {
            (1, Field::Bytes(bytes)) => cid = Some(read_cid(bytes)?),
            (2, Field::Number(number)) if number != 0 => presence = Presence::DontHave,
            _ => {}
        }
    }
    Ok((cid.ok_or("a presence has no CID")?, presence))
}

fn read_block(message: &Bytes, bytes: &[u8]) -> Outcome<Option<Received>> {
    let (mut prefix, mut data): (&[u8], &[u8]) = (&[], &[]);
    for field in Fields::new(bytes) {
        match field? {
            (1, Field::Bytes(bytes)) => prefix = bytes,
            (2, Field::Bytes(bytes)) => data = bytes,
            _ => {}
        }
    }
    let wrong = |_| "a block's prefix is cut";
    let (version, rest) = varint::take(prefix).map_err(wrong)?;
    let (codec, rest) = varint::take(rest).map_err(wrong)?;
    let (hash, _) = varint::take(rest).map_err(wrong)?;
    if hash != SHA2_256 {
        return Ok(None);
    }
    let digest = Multihash::wrap(SHA2_256, &Sha256::digest(data)).map_err(|_| "a block has no hash")?;
    let version = Version::try_from(version).map_err(|_| "a block's CID has an unknown version")?;
    let cid = Cid::new(version, codec, digest).map_err(|_| "a block's prefix is of no CID")?;
    Ok(Some(Received { cid, bytes: message.slice_ref(data) }))
}

/// A CID without its digest: version, codec, hash function, length of the digest.
fn prefix(cid: &Cid) -> Vec<u8> {
    let mut out = Vec::new();
    varint::put(&mut out, cid.version().into());
    varint::put(&mut out, cid.codec());
    varint::put(&mut out, cid.hash().code());
    varint::put(&mut out, cid.hash().size().into());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, block::cid_of};
    use proptest::prelude::*;

    fn cid() -> Cid {
        cid_of(Codec::Raw, b"hello").unwrap()
    }

    fn sample() -> Message {
        let entry = |wants| Entry { cid: cid(), wants };
        Message {
            full: true,
            entries: vec![
                entry(Wants::Block { send_dont_have: true }),
                entry(Wants::Have { send_dont_have: false }),
                entry(Wants::Cancel),
            ],
            blocks: vec![Received { cid: cid(), bytes: Bytes::from_static(b"hello") }],
            presences: vec![(cid(), Presence::Have), (cid(), Presence::DontHave)],
        }
    }

    #[test]
    fn the_wire_form_is_pinned() {
        let name = cid().to_bytes();
        let named = [&b"\x0a\x24"[..], &name].concat();
        let expected = [
            &b"\x0a\x86\x01"[..],
            b"\x0a\x2a",
            &named,
            b"\x10\x01\x28\x01",
            b"\x0a\x2a",
            &named,
            b"\x10\x01\x20\x01",
            b"\x0a\x2a",
            &named,
            b"\x10\x01\x18\x01",
            b"\x10\x01",
            b"\x1a\x0d\x0a\x04\x01\x55\x12\x20\x12\x05hello",
            b"\x22\x26",
            &named,
            b"\x22\x28",
            &named,
            b"\x10\x01",
        ];
        let bytes = sample().encode();
        assert_eq!(bytes, expected.concat());
        assert_eq!(Message::decode(&bytes.into()).unwrap(), sample());
    }

    #[test]
    fn a_negative_priority_and_unknown_fields_are_read_over() {
        let entry =
            [&b"\x0a\x24"[..], &cid().to_bytes(), b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"].concat();
        let mut wantlist = Vec::new();
        put_bytes(&mut wantlist, 1, &entry);
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, 1, &wantlist);
        put_bytes(&mut bytes, 9, b"later");
        let message = Message::decode(&bytes.into()).unwrap();
        assert_eq!(message.entries, [Entry { cid: cid(), wants: Wants::Block { send_dont_have: false } }]);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let refused = |bytes: &[u8]| Message::decode(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(refused(b"\x0a\x02\x0a"), "a field is cut");
        assert_eq!(refused(b"\x0a\x02\x0a\x00"), "an entry has no CID");
        assert_eq!(refused(b"\x0a\x04\x0a\x02\x0a\x00"), "it has bytes in the place of a CID");
        assert_eq!(refused(b"\x1a\x00"), "a block's prefix is cut");
        assert_eq!(refused(b"\x0b"), "it has a field of an unknown wire type");
        let many = Message::of_entries(vec![Entry { cid: cid(), wants: Wants::Cancel }; ENTRIES_MAX + 1]);
        assert_eq!(refused(&many.encode()), "its wantlist has more entries than 4096");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Message::decode(&bytes.into());
        }

        #[test]
        fn damaged_messages_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = sample().encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(message) = Message::decode(&bytes.into()) {
                for block in message.blocks {
                    // Whatever a peer says, a block has the name of its own bytes.
                    let digest = Sha256::digest(&block.bytes);
                    prop_assert_eq!(block.cid.hash().digest(), digest.as_slice());
                }
            }
        }
    }
}
