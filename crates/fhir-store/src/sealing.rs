//! What a database server must not see is sealed before it goes there (ADR 71).
//!
//! - Bodies: AES-256-GCM under a random nonce, bound to the row they stand in and to whose they are.
//! - Names that are looked up (ids, codes, systems, labels, subjects, records): AES-SIV (RFC 5297), which gives equal bytes
//!   for equal texts and opens again. They are padded, so that their length tells little.
//! - Times, numbers and texts that are looked up by range: not there at all. [`Sealer::bucket`] gives keyed numbers of coarse
//!   ranges, by which candidates are found; the sealed body decides.

use crate::{StoreError, parameters::Kind};
use aes_siv::{KeyInit, siv::Aes256Siv};
use bxp_types::Secret;
use rand::Rng;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{self, HKDF_SHA256, KeyType, Salt},
    hmac,
};

/// Sealed names are as long as a multiple of this, in bytes.
const PADDED_TO: usize = 16;
const SALT: &[u8] = b"bxp fhir-store on a database server, 1";

/// What a sealed name is; the same text of two kinds gives different bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Id(Kind),
    Code,
    System,
    Label,
    Subject,
    Record,
}

impl Domain {
    fn header(self) -> [u8; 3] {
        let (number, kind) = match self {
            Self::Id(kind) => (1, kind.0),
            Self::Code => (2, 0),
            Self::System => (3, 0),
            Self::Label => (4, 0),
            Self::Subject => (5, 0),
            Self::Record => (6, 0),
        };
        let [high, low] = kind.to_be_bytes();
        [number, high, low]
    }
}

/// The row in which a body stands; a body that stands in another one does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) seq: i64,
    pub(crate) rid: i64,
    pub(crate) kind: Kind,
    pub(crate) version: i64,
    pub(crate) updated_ms: i64,
}

impl Place {
    fn bytes(&self) -> Vec<u8> {
        let numbers = [self.seq, self.rid, i64::from(self.kind.0), self.version, self.updated_ms];
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }
}

/// A body that was opened, with what was sealed into it.
pub(crate) struct Opened {
    pub(crate) subject: [u8; 16],
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// The keys of one store on a database server.
pub(crate) struct Sealer {
    bodies: LessSafeKey,
    names: Secret<[u8; 64]>,
    buckets: hmac::Key,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

const DAMAGED: StoreError = StoreError::Damaged("what was sealed on the database server");

impl Sealer {
    pub(crate) fn new(key: &Secret<[u8; 32]>) -> Result<Self, StoreError> {
        let root = Salt::new(HKDF_SHA256, SALT).extract(key.expose());
        let names = Secret::new(expand::<64>(&root, b"names")?);
        let bodies = expand::<32>(&root, b"bodies")?;
        let bodies = UnboundKey::new(&AES_256_GCM, &bodies).map_err(|_| DAMAGED)?;
        let buckets = hmac::Key::new(hmac::HMAC_SHA256, &expand::<32>(&root, b"buckets")?);
        Ok(Self { bodies: LessSafeKey::new(bodies), names, buckets })
    }

    /// Equal for equal names of a domain, and opened by [`Sealer::shown`]. Nothing stays nothing: that a name is empty is seen.
    pub(crate) fn hidden(&self, domain: Domain, name: &[u8]) -> Result<Vec<u8>, StoreError> {
        if name.is_empty() {
            return Ok(Vec::new());
        }
        let unusable = StoreError::Unusable("a name is too long");
        let length = u16::try_from(name.len()).map_err(|_| unusable)?;
        let mut padded = Vec::with_capacity(name.len() + 2 + PADDED_TO);
        padded.extend_from_slice(&length.to_be_bytes());
        padded.extend_from_slice(name);
        padded.resize(padded.len().next_multiple_of(PADDED_TO), 0);
        let mut cipher = Aes256Siv::new(self.names.expose().into());
        cipher.encrypt([domain.header()], &padded).map_err(|_| DAMAGED)
    }

    pub(crate) fn shown(&self, domain: Domain, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        if sealed.is_empty() {
            return Ok(Vec::new());
        }
        let mut cipher = Aes256Siv::new(self.names.expose().into());
        let padded = cipher.decrypt([domain.header()], sealed).map_err(|_| DAMAGED)?;
        let (length, rest) = padded.split_first_chunk::<2>().ok_or(DAMAGED)?;
        Ok(rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(DAMAGED)?.to_vec())
    }

    /// The keyed number of a coarse range of a list.
    pub(crate) fn bucket(&self, list: i64, range: &[u8]) -> i64 {
        let mut context = hmac::Context::with_key(&self.buckets);
        context.update(&list.to_be_bytes());
        context.update(range);
        let tag = context.sign();
        tag.as_ref().first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes))
    }

    pub(crate) fn seal(
        &self,
        place: &Place,
        subject: [u8; 16],
        id: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        rand::rng().fill(&mut nonce);
        let length = u8::try_from(id.len()).map_err(|_| StoreError::Unusable("an id is too long"))?;
        let mut inside = Vec::with_capacity(17 + id.len() + body.len() + AES_256_GCM.tag_len());
        inside.extend_from_slice(&subject);
        inside.push(length);
        inside.extend_from_slice(id.as_bytes());
        inside.extend_from_slice(body);
        let aad = Aad::from(place.bytes());
        self.bodies
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut inside)
            .map_err(|_| DAMAGED)?;
        Ok([&nonce[..], &inside].concat())
    }

    pub(crate) fn open(&self, place: &Place, sealed: &[u8]) -> Result<Opened, StoreError> {
        let (nonce, inside) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(DAMAGED)?;
        let (nonce, mut inside) = (Nonce::assume_unique_for_key(*nonce), inside.to_vec());
        let aad = Aad::from(place.bytes());
        let plain = self.bodies.open_in_place(nonce, aad, &mut inside).map_err(|_| DAMAGED)?;
        let (subject, rest) = plain.split_first_chunk::<16>().ok_or(DAMAGED)?;
        let (length, rest) = rest.split_first().ok_or(DAMAGED)?;
        let (id, body) = rest.split_at_checked(usize::from(*length)).ok_or(DAMAGED)?;
        let id = std::str::from_utf8(id).map_err(|_| DAMAGED)?.to_owned();
        Ok(Opened { subject: *subject, id, body: body.to_vec() })
    }
}

fn expand<const N: usize>(root: &hkdf::Prk, label: &[u8]) -> Result<[u8; N], StoreError> {
    let mut key = [0; N];
    let filled = root.expand(&[label], Bytes(N)).and_then(|okm| okm.fill(&mut key));
    filled.map_err(|_| DAMAGED)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new([byte; 32])).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            hex.bytes().map(|digit| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
    }

    const PLACE: Place = Place { seq: 4, rid: 3, kind: Kind(2), version: 1, updated_ms: 9 };

    #[test]
    fn what_is_on_a_server_opens_in_every_later_build() {
        // Golden: another value says that stores which are there no longer open.
        let one = sealer(1);
        let sealed = "0a8088c3a7de6363ad74323c9e6215184a110c7ad09e8b2beabaf8b13c9e20e32df92d69c9c7b379e44bb601fa08ccef5965c9";
        let opened = one.open(&PLACE, &bytes(sealed)).unwrap();
        assert_eq!(
            (opened.subject, opened.id.as_str(), opened.body.as_slice()),
            ([7; 16], "p1", &b"text"[..])
        );
        let hidden = |domain, name: &[u8]| hex(&one.hidden(domain, name).unwrap());
        let id = "e923da789bcb50832194a2ba7f83847fc2ecf15cef68a51d2482b1a24ae52db3";
        let code = "1320a1f4af68dff1ba889fac5319f8f8a317457f55116d6f9e5749e689a48d9c";
        assert_eq!(
            (hidden(Domain::Id(Kind(2)), b"p1").as_str(), hidden(Domain::Code, b"29463-7").as_str()),
            (id, code)
        );
        assert_eq!(one.bucket(7, b"range"), 7_122_171_745_671_654_938);
    }

    #[test]
    fn a_name_is_found_again_and_tells_neither_text_nor_length() {
        let (one, other) = (sealer(1), sealer(2));
        let hidden = one.hidden(Domain::Code, b"29463-7").unwrap();
        assert_eq!(hidden, one.hidden(Domain::Code, b"29463-7").unwrap());
        assert_eq!(hidden.len(), one.hidden(Domain::Code, b"1").unwrap().len());
        assert_ne!(hidden, one.hidden(Domain::System, b"29463-7").unwrap());
        assert_ne!(hidden, other.hidden(Domain::Code, b"29463-7").unwrap());
        assert_eq!(one.shown(Domain::Code, &hidden).unwrap(), b"29463-7");
        assert!(one.shown(Domain::System, &hidden).is_err() && other.shown(Domain::Code, &hidden).is_err());
        for at in 0..hidden.len() {
            let mut changed = hidden.clone();
            changed[at] ^= 1;
            assert!(
                one.shown(Domain::Code, &changed).is_err()
                    && one.shown(Domain::Code, &hidden[..at]).is_err() == (at > 0)
            );
        }
    }

    #[test]
    fn a_body_opens_in_its_own_row_only() {
        let one = sealer(1);
        let sealed = one.seal(&PLACE, [7; 16], "p1", b"text").unwrap();
        assert_ne!(sealed, one.seal(&PLACE, [7; 16], "p1", b"text").unwrap());
        let opened = one.open(&PLACE, &sealed).unwrap();
        assert_eq!(
            (opened.subject, opened.id.as_str(), opened.body.as_slice()),
            ([7; 16], "p1", &b"text"[..])
        );
        for other in
            [Place { seq: 5, ..PLACE }, Place { version: 2, ..PLACE }, Place { updated_ms: 8, ..PLACE }]
        {
            assert!(one.open(&other, &sealed).is_err());
        }
        assert!(sealer(2).open(&PLACE, &sealed).is_err());
        for end in 0..sealed.len() {
            assert!(one.open(&PLACE, &sealed[..end]).is_err());
        }
    }
}
