//! The wire format, which is also that of the log: compact, canonical, bounded.
//!
//! ```text
//! message  = version (1) kind (1) height (8) payload
//! INIT     = body
//! VOTES    = section+            at most 64, ascending by (tag, round)
//!   ECHO, READY              = tag (1) mask digest (32) for each bit of the mask
//!   EST, COORD, AUX, DECIDED = tag (1) round (4) zeros-mask ones-mask
//!   INVALID                  = as ECHO
//! FETCH    = proposer (2) digest (32)
//! BODY     = proposer (2) body
//! PULL     = mask of the bodies held
//! ```
//! Numbers are big endian, a mask takes ceil(n / 8) bytes. Every message has one encoding only: no empty section, no
//! bit beyond n, nothing after the end. Decoding allocates no more than a small multiple of the input.

use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::bitmask::Bitmask;
use crate::digests::Digests;
use crate::votes::{Kind, Masks, Votes};

/// The first byte of every message.
pub const VERSION: u8 = 1;
/// The most sections one VOTES message holds.
pub const SECTIONS_MAX: usize = 64;
/// Bytes before the payload.
const HEADER_BYTES: usize = 10;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end early.
    #[error("read message: it ends early")]
    Short,
    /// Bytes follow the end.
    #[error("read message: bytes follow its end")]
    Trailing,
    /// The version is not [`VERSION`].
    #[error("read message: version {0} is not supported")]
    Version(u8),
    /// The kind or a section's tag is unknown.
    #[error("read message: kind {0} is not known")]
    Kind(u8),
    /// A mask, an order, a round or an index is not the canonical one.
    #[error("read message: not in canonical form")]
    NotCanonical,
    /// More than [`SECTIONS_MAX`] sections, or a body above the limit.
    #[error("read message: larger than allowed")]
    TooLarge,
}

/// A message with the height it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The height.
    pub height: Height,
    /// What is said.
    pub message: Message,
}

/// What a node sends to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The sender's own proposal (R1).
    Init {
        /// The body.
        body: Bytes,
    },
    /// Votes of the sender, for many instances.
    Votes(Votes),
    /// "Send me this body" (R7).
    Fetch {
        /// Whose proposal.
        proposer: ValidatorIndex,
        /// SHA-256 of the body.
        digest: Digest,
    },
    /// The answer to a fetch (R8).
    Body {
        /// Whose proposal.
        proposer: ValidatorIndex,
        /// The body.
        body: Bytes,
    },
    /// "Repeat what you said at this height" (H6).
    Pull {
        /// The proposals whose bodies are held already.
        held: Bitmask,
    },
}

const INIT: u8 = 0;
const VOTES: u8 = 1;
const FETCH: u8 = 2;
const BODY: u8 = 3;
const PULL: u8 = 4;

const ECHO: u8 = 1;
const READY: u8 = 2;
const INVALID: u8 = 7;

const fn tag(kind: Kind) -> u8 {
    match kind {
        Kind::Estimate => 3,
        Kind::Coordinator => 4,
        Kind::Auxiliary => 5,
        Kind::Decided => 6,
    }
}

const fn binary_kind(tag: u8) -> Option<Kind> {
    match tag {
        3 => Some(Kind::Estimate),
        4 => Some(Kind::Coordinator),
        5 => Some(Kind::Auxiliary),
        6 => Some(Kind::Decided),
        _ => None,
    }
}

impl Envelope {
    /// The message as bytes. Votes must be [`Votes::split`] to [`SECTIONS_MAX`] before.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.length());
        self.encode_into(&mut out);
        out.freeze()
    }

    /// Appends the message's bytes, [`Envelope::length`] of them.
    pub(crate) fn encode_into(&self, out: &mut BytesMut) {
        out.put_u8(VERSION);
        out.put_u8(self.message.kind());
        out.put_u64(self.height.0);
        match &self.message {
            Message::Init { body } => out.put_slice(body),
            Message::Votes(votes) => encode_votes(votes, out),
            Message::Fetch { proposer, digest } => {
                out.put_u16(proposer.0);
                out.put_slice(digest.as_bytes());
            }
            Message::Body { proposer, body } => {
                out.put_u16(proposer.0);
                out.put_slice(body);
            }
            Message::Pull { held } => out.put_slice(held.as_bytes()),
        }
    }

    /// Reads a message in a network of that many validators whose bodies have at most `body_bytes_max` bytes. A body
    /// shares the memory of `bytes`.
    ///
    /// # Errors
    /// If the bytes are not exactly one message in canonical form.
    pub fn decode(bytes: &Bytes, validators: u16, body_bytes_max: usize) -> Result<Self, WireError> {
        let mut reader = Reader(bytes.clone());
        let version = reader.u8()?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let kind = reader.u8()?;
        let height = Height(u64::from_be_bytes(reader.array()?));
        let message = match kind {
            INIT => Message::Init { body: reader.body(body_bytes_max)? },
            VOTES => Message::Votes(decode_votes(&mut reader, validators)?),
            FETCH => {
                Message::Fetch { proposer: reader.validator(validators)?, digest: Digest(reader.array()?) }
            }
            BODY => {
                Message::Body { proposer: reader.validator(validators)?, body: reader.body(body_bytes_max)? }
            }
            PULL => Message::Pull { held: reader.mask(validators)? },
            _ => return Err(WireError::Kind(kind)),
        };
        if reader.0.is_empty() { Ok(Self { height, message }) } else { Err(WireError::Trailing) }
    }

    /// Room that the message's bytes need.
    pub(crate) fn length(&self) -> usize {
        let payload = match &self.message {
            Message::Init { body } => body.len(),
            Message::Body { body, .. } => body.len() + 2,
            Message::Fetch { .. } => 34,
            Message::Pull { held } => held.as_bytes().len(),
            Message::Votes(votes) => {
                let mask = Bitmask::byte_length(votes.validators);
                let digests = votes.echoes.len() + votes.readies.len() + votes.invalids.len();
                digests * 32 + votes.sections() * (5 + 2 * mask)
            }
        };
        HEADER_BYTES + payload
    }
}

/// The names that [`name_of`] gives.
pub const NAMES: [&str; 6] = ["init", "votes", "fetch", "body", "pull", "other"];

/// What an encoded message is, as a position in [`NAMES`]: for counting, by its second byte alone.
#[must_use]
pub fn name_of(message: &[u8]) -> usize {
    let last = NAMES.len() - 1;
    message.get(1).map_or(last, |kind| usize::from(*kind).min(last))
}

/// Whether an encoded message carries a proposal's body: large, and less urgent than votes.
#[must_use]
pub fn carries_body(message: &[u8]) -> bool {
    matches!(message.get(1), Some(&(INIT | BODY)))
}

impl Message {
    const fn kind(&self) -> u8 {
        match self {
            Self::Init { .. } => INIT,
            Self::Votes(_) => VOTES,
            Self::Fetch { .. } => FETCH,
            Self::Body { .. } => BODY,
            Self::Pull { .. } => PULL,
        }
    }
}

fn encode_votes(votes: &Votes, out: &mut BytesMut) {
    encode_digests(ECHO, &votes.echoes, votes.validators, out);
    encode_digests(READY, &votes.readies, votes.validators, out);
    for ((kind, round), masks) in &votes.binary {
        out.put_u8(tag(*kind));
        out.put_u32(*round);
        out.put_slice(masks.zeros.as_bytes());
        out.put_slice(masks.ones.as_bytes());
    }
    encode_digests(INVALID, &votes.invalids, votes.validators, out);
}

fn encode_digests(tag: u8, digests: &Digests, validators: u16, out: &mut BytesMut) {
    if digests.is_empty() {
        return;
    }
    let mut mask = Bitmask::new(validators);
    for (proposer, _) in digests.iter() {
        mask.insert(proposer);
    }
    out.put_u8(tag);
    out.put_slice(mask.as_bytes());
    for (_, digest) in digests.iter() {
        out.put_slice(digest.as_bytes());
    }
}

fn decode_votes(reader: &mut Reader, validators: u16) -> Result<Votes, WireError> {
    let mut votes = Votes::new(validators);
    let mut last = (0, 0);
    for _ in 0..SECTIONS_MAX {
        let tag = reader.u8()?;
        let round = if let Some(kind) = binary_kind(tag) {
            let (round, masks) = decode_binary(reader, kind, validators)?;
            votes.binary.insert((kind, round), masks);
            round
        } else {
            let digests = match tag {
                ECHO => &mut votes.echoes,
                READY => &mut votes.readies,
                INVALID => &mut votes.invalids,
                _ => return Err(WireError::Kind(tag)),
            };
            let mask = reader.mask(validators)?;
            if mask.is_empty() {
                return Err(WireError::NotCanonical);
            }
            for proposer in mask.iter() {
                digests.insert(proposer, Digest(reader.array()?));
            }
            0
        };
        if (tag, round) <= last {
            return Err(WireError::NotCanonical);
        }
        last = (tag, round);
        if reader.0.is_empty() {
            return Ok(votes);
        }
    }
    Err(WireError::TooLarge)
}

fn decode_binary(reader: &mut Reader, kind: Kind, validators: u16) -> Result<(u32, Masks), WireError> {
    let round = u32::from_be_bytes(reader.array()?);
    let masks = Masks { zeros: reader.mask(validators)?, ones: reader.mask(validators)? };
    let empty = masks.zeros.is_empty() && masks.ones.is_empty();
    let round_fits = (round == 0) == (kind == Kind::Decided);
    let both_allowed = matches!(kind, Kind::Estimate | Kind::Auxiliary);
    let both = masks.zeros.iter().any(|instance| masks.ones.contains(instance));
    if empty || !round_fits || (both && !both_allowed) {
        return Err(WireError::NotCanonical);
    }
    Ok((round, masks))
}

/// Reads from the front.
struct Reader(Bytes);

impl Reader {
    fn take(&mut self, length: usize) -> Result<Bytes, WireError> {
        if self.0.len() < length {
            return Err(WireError::Short);
        }
        Ok(self.0.split_to(length))
    }

    /// Copies, and so takes no share of the memory: a frame holds hundreds of digests.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let array = *self.0.first_chunk().ok_or(WireError::Short)?;
        self.0.advance(N);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(|[byte]| byte)
    }

    fn validator(&mut self, validators: u16) -> Result<ValidatorIndex, WireError> {
        let index = u16::from_be_bytes(self.array()?);
        if index < validators { Ok(ValidatorIndex(index)) } else { Err(WireError::NotCanonical) }
    }

    fn mask(&mut self, validators: u16) -> Result<Bitmask, WireError> {
        let length = Bitmask::byte_length(validators);
        let bytes = self.0.get(..length).ok_or(WireError::Short)?;
        let mask = Bitmask::from_bytes(validators, bytes).ok_or(WireError::NotCanonical)?;
        self.0.advance(length);
        Ok(mask)
    }

    fn body(&mut self, bytes_max: usize) -> Result<Bytes, WireError> {
        if self.0.len() > bytes_max {
            return Err(WireError::TooLarge);
        }
        self.take(self.0.len())
    }
}
