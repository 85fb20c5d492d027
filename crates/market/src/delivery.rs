//! A delivery: the de-identified charts of some patients, sealed to one buyer for one request.
//!
//! Content: the DAG-CBOR map `{v: 2, request: bytes (20), holder: bytes (20), charts: [{subject: bytes (16), records:
//! [text]}], profile: text, rules: bytes (32 for each)}`, each record the JSON of one de-identified FHIR resource. `profile`
//! is the rule by which it leaves (`bxp_privacy::Profile`), `rules` are the digests of the rule tables that split the
//! records, in ascending order. It is compressed (zstd) and sealed to the buyer's X25519 key (HPKE, see `bxp_enclave::seal_to`) with [`delivery_info`] as info and the holder's account as associated
//! data. What is stored and handed out is the envelope `{v: 1, alg: "zstd+hpke-x25519-sha256-aes256gcm", request: bytes,
//! ct: bytes}`, named by its CID (v1, dag-cbor, SHA-256).
//!
//! The root that the contract records is that of `bxp_contracts::merkle` over the charts, leaf =
//! keccak256(0x00 || DAG-CBOR of the chart). A chart holds random pseudonyms, so its leaf tells nothing to who has not
//! got the chart. The charts' order is that of their pseudonyms, hence no hint at the order of the patients' accounts in
//! the transaction.

use crate::{MarketError, encoding};
use bxp_contracts::merkle::{self, Tree};
use bxp_enclave::{SealingKeypair, seal_to};
use bxp_types::{Address, B256, Bytes};
use bxp_vault::cid_of;
use cid::Cid;
use serde::{Deserialize, Serialize};
use std::io::Read;

const CONTENT_VERSION: u8 = 2;
const ENVELOPE_VERSION: u8 = 1;
const ALGORITHM: &str = "zstd+hpke-x25519-sha256-aes256gcm";
const ENVELOPE: &str = "sealed delivery";
const CONTENT: &str = "delivery";
const COMPRESSION_LEVEL: i32 = 3;

/// The most bytes of a sealed delivery, 24 MiB: it fits one answer of the network.
pub const SEALED_BYTES_MAX: usize = 24 << 20;

/// The most bytes of a delivery's content, which bounds what opening one may allocate.
const CONTENT_BYTES_MAX: usize = 256 << 20;

/// One patient's chart as a buyer gets it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// A random pseudonym of this patient in this delivery.
    #[serde(with = "serde_bytes")]
    pub subject: [u8; 16],
    /// The JSON of de-identified FHIR resources.
    pub records: Vec<String>,
}

impl Chart {
    fn leaf(&self) -> Result<B256, MarketError> {
        Ok(merkle::leaf(&encoding::encode(CONTENT, self)?))
    }
}

/// A chart is not shown in logs.
impl std::fmt::Debug for Chart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chart({} records)", self.records.len())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentWire {
    v: u8,
    #[serde(with = "serde_bytes")]
    request: [u8; 20],
    #[serde(with = "serde_bytes")]
    holder: [u8; 20],
    charts: Vec<Chart>,
    profile: String,
    #[serde(with = "serde_bytes")]
    rules: Vec<u8>,
}

/// Charts, and by which rules they leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) charts: Vec<Chart>,
    pub(crate) profile: String,
    /// Digests of the rule tables, ascending.
    pub(crate) rules: Vec<B256>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeWire {
    v: u8,
    alg: String,
    #[serde(with = "serde_bytes")]
    request: [u8; 20],
    #[serde(with = "serde_bytes")]
    ct: Vec<u8>,
}

/// A delivery as it is stored and handed out.
#[derive(Clone, Debug)]
pub(crate) struct SealedDelivery {
    pub(crate) cid: Cid,
    pub(crate) root: B256,
    pub(crate) bytes: Bytes,
}

/// HPKE's info: it binds a sealed delivery to its request.
#[must_use]
pub fn delivery_info(request: Address) -> Vec<u8> {
    [b"BXP delivery v1\0".as_slice(), request.as_slice()].concat()
}

/// Whether anything can be sealed to a buyer's key, which is any 32 bytes as far as the contract knows.
pub(crate) fn can_seal_to(sealing_key: B256) -> bool {
    seal_to(sealing_key, &[], &[], &[]).is_ok()
}

/// Seals `charts` for the buyer with `sealing_key`.
pub(crate) fn seal(
    request: Address,
    holder: Address,
    sealing_key: B256,
    content: Content,
) -> Result<SealedDelivery, MarketError> {
    let Content { mut charts, profile, mut rules } = content;
    rules.sort_unstable();
    rules.dedup();
    charts.sort_by_key(|chart| chart.subject);
    let root = root(&charts)?;
    let content = write_content(request, holder, Content { charts, profile, rules })?;
    bounded(CONTENT, content.len(), CONTENT_BYTES_MAX)?;
    let packed = pack(&content)?;
    let ct = seal_to(sealing_key, &packed, &delivery_info(request), holder.as_slice())?;
    let envelope = EnvelopeWire { v: ENVELOPE_VERSION, alg: ALGORITHM.to_owned(), request: request.0.0, ct };
    let bytes = encoding::encode(ENVELOPE, &envelope)?;
    bounded(ENVELOPE, bytes.len(), SEALED_BYTES_MAX)?;
    Ok(SealedDelivery { cid: cid_of(&bytes)?, root, bytes: bytes.into() })
}

/// Opens what [`seal`] gave, for this request and from this holder.
pub(crate) fn open(
    keys: &SealingKeypair,
    request: Address,
    holder: Address,
    sealed: &[u8],
) -> Result<Content, MarketError> {
    bounded(ENVELOPE, sealed.len(), SEALED_BYTES_MAX)?;
    let envelope: EnvelopeWire = encoding::decode(ENVELOPE, sealed)?;
    if envelope.v != ENVELOPE_VERSION || envelope.alg != ALGORITHM {
        return Err(MarketError::Malformed(ENVELOPE));
    }
    if envelope.request != request.0.0 {
        return Err(MarketError::WrongDelivery("it was sealed for another request"));
    }
    let packed = keys.open_sealed(&envelope.ct, &delivery_info(request), holder.as_slice())?;
    read_content(request, holder, &unpack(&packed)?)
}

/// Content as it is compressed, its charts and rules in the order that they have.
pub(crate) fn write_content(
    request: Address,
    holder: Address,
    content: Content,
) -> Result<Vec<u8>, MarketError> {
    let Content { charts, profile, rules } = content;
    let rules = rules.iter().flat_map(|digest| digest.0).collect();
    let (request, holder) = (request.0.0, holder.0.0);
    encoding::encode(CONTENT, &ContentWire { v: CONTENT_VERSION, request, holder, charts, profile, rules })
}

/// Reads what [`write_content`] gave for this request and holder. Whoever knows the buyer's key can have made it.
pub(crate) fn read_content(
    request: Address,
    holder: Address,
    content: &[u8],
) -> Result<Content, MarketError> {
    let content: ContentWire = encoding::decode(CONTENT, content)?;
    if content.v != CONTENT_VERSION {
        return Err(MarketError::Malformed(CONTENT));
    }
    if content.request != request.0.0 || content.holder != holder.0.0 {
        return Err(MarketError::WrongDelivery("its content names another request or holder"));
    }
    let (rules, []) = content.rules.as_chunks::<32>() else {
        return Err(MarketError::Malformed(CONTENT));
    };
    let rules: Vec<B256> = rules.iter().copied().map(B256::from).collect();
    if !rules.is_sorted_by(|one, next| one < next) {
        return Err(MarketError::Malformed(CONTENT));
    }
    Ok(Content { charts: content.charts, profile: content.profile, rules })
}

/// The root that a holder records on the chain.
pub(crate) fn root(charts: &[Chart]) -> Result<B256, MarketError> {
    let leaves = charts.iter().map(Chart::leaf).collect::<Result<Vec<_>, _>>()?;
    let tree = Tree::new(leaves).ok_or(MarketError::WrongDelivery("it holds no chart"))?;
    Ok(tree.root())
}

pub(crate) fn pack(content: &[u8]) -> Result<Vec<u8>, MarketError> {
    zstd::stream::encode_all(content, COMPRESSION_LEVEL).map_err(MarketError::Compression)
}

/// Undoes the compression; whatever the frame says, no more than the bound is written.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, MarketError> {
    let malformed = |_| MarketError::Malformed(CONTENT);
    let frames = zstd::stream::read::Decoder::new(packed).map_err(malformed)?;
    let mut content = Vec::new();
    frames.take(CONTENT_BYTES_MAX as u64 + 1).read_to_end(&mut content).map_err(malformed)?;
    bounded(CONTENT, content.len(), CONTENT_BYTES_MAX)?;
    Ok(content)
}

fn bounded(what: &'static str, size: usize, max: usize) -> Result<(), MarketError> {
    if size > max { Err(MarketError::TooLarge { what, size, max }) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bxp_types::Secret;
    use proptest::prelude::*;

    pub(crate) const REQUEST: Address = Address::repeat_byte(0x11);
    pub(crate) const HOLDER: Address = Address::repeat_byte(0x22);

    pub(crate) fn keys(seed: u8) -> SealingKeypair {
        SealingKeypair::from_private_key(&Secret::new([seed; 32])).unwrap()
    }

    pub(crate) fn chart(seed: u8) -> Chart {
        Chart { subject: [seed; 16], records: vec![r#"{"resourceType":"Patient"}"#.to_owned()] }
    }

    fn content(charts: Vec<Chart>) -> Content {
        Content { charts, profile: "safe-harbor".to_owned(), rules: vec![B256::repeat_byte(7)] }
    }

    pub(crate) fn sealed(charts: Vec<Chart>) -> SealedDelivery {
        seal(REQUEST, HOLDER, keys(1).public_key(), content(charts)).unwrap()
    }

    #[test]
    fn the_content_is_pinned() {
        let content = ContentWire {
            v: CONTENT_VERSION,
            request: REQUEST.0.0,
            holder: HOLDER.0.0,
            charts: vec![Chart { subject: [3; 16], records: vec!["{}".to_owned()] }],
            profile: "safe-harbor".to_owned(),
            rules: vec![7; 32],
        };
        let bytes = encoding::encode(CONTENT, &content).unwrap();
        // Keys by length, then by bytes, as DAG-CBOR has it.
        let expected = [
            b"\xa6\x61v\x02\x65rules\x58\x20".as_slice(),
            &[7; 32],
            b"\x66charts\x81\xa2\x67records\x81\x62{}\x67subject\x50",
            &[3; 16],
            b"\x66holder\x54",
            HOLDER.as_slice(),
            b"\x67profile\x6bsafe-harbor",
            b"\x67request\x54",
            REQUEST.as_slice(),
        ];
        assert_eq!(bytes, expected.concat());
        let leaf = merkle::leaf(&encoding::encode(CONTENT, &content.charts[0]).unwrap());
        assert_eq!(root(&content.charts).unwrap(), leaf, "one chart, one leaf");
    }

    #[test]
    fn the_envelope_is_pinned() {
        let envelope =
            EnvelopeWire { v: 1, alg: ALGORITHM.to_owned(), request: REQUEST.0.0, ct: vec![1, 2, 3] };
        let expected = [
            b"\xa4\x61v\x01\x62ct\x43\x01\x02\x03\x63alg\x78\x21zstd+hpke-x25519-sha256-aes256gcm".as_slice(),
            b"\x67request\x54",
            REQUEST.as_slice(),
        ];
        assert_eq!(encoding::encode(ENVELOPE, &envelope).unwrap(), expected.concat());
    }

    #[test]
    fn the_buyer_alone_opens_it_and_for_this_request_and_holder_alone() {
        let delivery = sealed(vec![chart(9), chart(4)]);
        assert_eq!(cid_of(&delivery.bytes).unwrap(), delivery.cid);
        let opened = open(&keys(1), REQUEST, HOLDER, &delivery.bytes).unwrap();
        assert_eq!(opened, content(vec![chart(4), chart(9)]), "in the order of the pseudonyms");
        assert_eq!(root(&opened.charts).unwrap(), delivery.root);
        assert!(open(&keys(2), REQUEST, HOLDER, &delivery.bytes).is_err());
        assert!(open(&keys(1), REQUEST, Address::ZERO, &delivery.bytes).is_err());
        let other = open(&keys(1), Address::ZERO, HOLDER, &delivery.bytes);
        assert!(matches!(other, Err(MarketError::WrongDelivery(_))));
        assert!(!delivery.bytes.windows(7).any(|window| window == b"Patient"), "ciphertext");
    }

    #[test]
    fn a_key_of_low_order_is_told_before_anything_is_opened() {
        assert!(can_seal_to(keys(1).public_key()));
        assert!(!can_seal_to(B256::ZERO) && !can_seal_to(B256::with_last_byte(0)));
    }

    #[test]
    fn an_empty_delivery_is_refused() {
        assert!(seal(REQUEST, HOLDER, keys(1).public_key(), content(vec![])).is_err());
    }

    #[test]
    fn a_frame_that_unpacks_to_more_than_the_bound_is_refused() {
        let bomb =
            zstd::stream::encode_all(std::io::repeat(0).take(CONTENT_BYTES_MAX as u64 + 1), 1).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(unpack(&bomb), Err(MarketError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_and_damaged_bytes_never_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            position in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            prop_assert!(open(&keys(1), REQUEST, HOLDER, &noise).is_err());
            let _ = unpack(&noise);
            let delivery = sealed(vec![chart(1)]);
            let mut damaged = delivery.bytes.to_vec();
            let at = position.index(damaged.len());
            let same = damaged[at] == byte;
            damaged[at] = byte;
            prop_assert_eq!(open(&keys(1), REQUEST, HOLDER, &damaged).is_ok(), same);
        }
    }
}
