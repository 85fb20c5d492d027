//! A data key: one fresh AES-256-GCM key for one sealed content.

use crate::EnclaveError;
use alloy_primitives::B256;
use bxp_types::Secret;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::{cell::RefCell, fmt};
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes that sealing adds: a nonce of 12 in front, a tag of 16 behind.
pub const SEALED_OVERHEAD: usize = NONCE_LEN + MAX_TAG_LEN;

/// NIST SP 800-38D, 5.2.1.1: a plaintext has 2^39 - 256 bits at most.
const PLAINTEXT_BYTES_MAX: u64 = (1 << 36) - 32;

/// The AES-256-GCM key of one sealed content. Wiped when dropped, redacted in `Debug`, written nowhere unwrapped.
#[derive(Clone)]
pub struct DataKey(Secret<[u8; 32]>);

impl DataKey {
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    pub(crate) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Seals `plaintext` under a fresh key: `nonce (12) || ciphertext || tag (16)`.
    ///
    /// # Errors
    /// [`EnclaveError::Randomness`], [`EnclaveError::TooLong`].
    pub fn seal(plaintext: &[u8], aad: &[u8]) -> Result<(Vec<u8>, Self), EnclaveError> {
        let mut sealed = Vec::with_capacity(plaintext.len() + SEALED_OVERHEAD);
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(plaintext);
        let key = Self::seal_in_place(&mut sealed, 0, aad)?;
        Ok((sealed, key))
    }

    /// As [`DataKey::seal`] of what stands in `buffer`: from `at` on twelve bytes of any value, which become the nonce, and
    /// the plaintext, which becomes the ciphertext. The tag is appended.
    ///
    /// # Errors
    /// As [`DataKey::seal`]; `buffer` is of no use then.
    pub fn seal_in_place(buffer: &mut Vec<u8>, at: usize, aad: &[u8]) -> Result<Self, EnclaveError> {
        let mut random = Zeroizing::new([0; 32 + NONCE_LEN]);
        fill_random(&mut *random)?;
        let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; NONCE_LEN]);
        key.copy_from_slice(&random[..32]);
        nonce.copy_from_slice(&random[32..]);
        let body = at.saturating_add(NONCE_LEN);
        let outside = EnclaveError::TooLong(buffer.len());
        buffer.get_mut(at..body).ok_or(outside)?.copy_from_slice(&nonce);
        seal_from(&gcm(&key)?, nonce, buffer, body, aad)?;
        Ok(Self::from_bytes(*key))
    }

    /// HMAC-SHA256 of `content` under a key derived from this one for `domain`. It says whether content is the one
    /// that was sealed, to those who have the data key, and nothing to anyone else. When the key is destroyed, nobody
    /// can check a guess against it any more.
    #[must_use]
    pub fn digest(&self, domain: &[u8], content: &[u8]) -> B256 {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.expose()), domain);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), content);
        B256::from_slice(tag.as_ref())
    }

    /// Opens what [`DataKey::seal`] gave.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`] when the key, the `aad` or a single bit differs.
    pub fn unseal(&self, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(EnclaveError::Unsealable)?;
        open_with(self.expose(), *nonce, body, aad)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(redacted)")
    }
}

/// Random bytes that a thread asks of the operating system at once. The system call is the cost, not the bytes, and a sealed
/// record takes 112 of them.
const PORTION_BYTES: usize = 2048;

/// Random bytes that were asked for and not given out yet. What was given out is wiped, so that it is here no more.
struct Portion {
    bytes: Zeroizing<[u8; PORTION_BYTES]>,
    /// How many of them were given out.
    used: usize,
}

thread_local! {
    static PORTION: RefCell<Portion> =
        RefCell::new(Portion { bytes: Zeroizing::new([0; PORTION_BYTES]), used: PORTION_BYTES });
}

impl Portion {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EnclaveError> {
        if bytes.len() > PORTION_BYTES - self.used {
            self.used = PORTION_BYTES;
            from_system(&mut *self.bytes)?;
            self.used = 0;
        }
        let end = self.used + bytes.len();
        let given = &mut self.bytes[self.used..end];
        bytes.copy_from_slice(given);
        given.zeroize();
        self.used = end;
        Ok(())
    }
}

/// Fills `bytes` from the operating system, which each thread asks for portions. No byte is given out twice: threads share no
/// portion, and the process never goes on in a fork of itself.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), EnclaveError> {
    if bytes.len() > PORTION_BYTES {
        return from_system(bytes);
    }
    PORTION.with_borrow_mut(|portion| portion.fill(bytes))
}

fn from_system(bytes: &mut [u8]) -> Result<(), EnclaveError> {
    SystemRandom::new().fill(bytes).map_err(|_| EnclaveError::Randomness)
}

/// AES-256-GCM: `prefix || ciphertext || tag (16)`. The caller answers for a nonce that `key` never saw.
pub(crate) fn seal_with(
    key: &[u8; 32],
    nonce: [u8; NONCE_LEN],
    prefix: &[u8],
    plaintext: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, EnclaveError> {
    seal_under(&gcm(key)?, nonce, prefix, plaintext, aad)
}

/// As [`seal_with`], under a key that is ready for use.
pub(crate) fn seal_under(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    prefix: &[u8],
    plaintext: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, EnclaveError> {
    let mut out = Vec::with_capacity(prefix.len() + plaintext.len() + MAX_TAG_LEN);
    out.extend_from_slice(prefix);
    out.extend_from_slice(plaintext);
    seal_from(key, nonce, &mut out, prefix.len(), aad)?;
    Ok(out)
}

/// Seals what stands in `buffer` from `at` on, and appends the tag.
fn seal_from(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    buffer: &mut Vec<u8>,
    at: usize,
    aad: &[u8],
) -> Result<(), EnclaveError> {
    let plaintext = buffer.get_mut(at..).unwrap_or_default();
    let too_long = EnclaveError::TooLong(plaintext.len());
    if plaintext.len() as u64 > PLAINTEXT_BYTES_MAX {
        return Err(too_long);
    }
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), plaintext).map_err(|_| too_long)?;
    buffer.extend_from_slice(tag.as_ref());
    Ok(())
}

/// The inverse of [`seal_with`], without its prefix.
pub(crate) fn open_with(
    key: &[u8; 32],
    nonce: [u8; NONCE_LEN],
    body: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, EnclaveError> {
    let mut out = body.to_vec();
    let length = gcm(key)?
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut out)
        .map_err(|_| EnclaveError::Unsealable)?
        .len();
    out.truncate(length);
    Ok(out)
}

/// A key that is ready for use. It is not wiped when it goes, so it is made for the moment.
pub(crate) fn gcm(key: &[u8; 32]) -> Result<LessSafeKey, EnclaveError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| EnclaveError::Unsealable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_key_is_fresh_and_hidden() {
        let (first, key) = DataKey::seal(b"text", b"").unwrap();
        let (second, other) = DataKey::seal(b"text", b"").unwrap();
        assert_ne!(first, second);
        assert_ne!(key.expose(), other.expose());
        assert!(other.unseal(&first, b"").is_err());
        assert_eq!(format!("{key:?}"), "DataKey(redacted)");
        assert_eq!(first.len(), 4 + SEALED_OVERHEAD);
    }

    #[test]
    fn no_random_byte_is_given_out_twice() {
        let draw = || (0..500).map(|_| random::<16>()).collect::<Vec<_>>();
        let other = std::thread::spawn(draw);
        let mut all = draw();
        all.extend(other.join().unwrap());
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        PORTION.with_borrow(|portion| {
            assert!(portion.used > 0 && portion.bytes[..portion.used].iter().all(|byte| *byte == 0), "wiped");
        });
        let mut long = vec![0; PORTION_BYTES + 1];
        fill_random(&mut long).unwrap();
        assert!(long.iter().any(|byte| *byte != 0));
    }

    fn random<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        fill_random(&mut bytes).unwrap();
        bytes
    }

    /// NIST GCM test case 16 (McGrew and Viega, appendix B).
    #[test]
    fn aes_256_gcm_gives_the_published_vector() {
        let hex = |text: &str| hex::decode(text).unwrap();
        let key = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let plaintext = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let nonce: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let sealed = seal_with(&key.try_into().unwrap(), nonce, &[], &plaintext, &aad).unwrap();
        let expected = hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
             76fc6ece0f4e1768cddf8853bb2d551b");
        assert_eq!(sealed, expected);
    }

    #[test]
    fn a_digest_depends_on_key_domain_and_content() {
        let (key, other) = (DataKey::from_bytes([1; 32]), DataKey::from_bytes([2; 32]));
        let digest = key.digest(b"identity", b"content");
        assert_eq!(hex::encode(digest), "28d58679e750aa0b18ddfc51d5a95ae7e31cc2e76ef6e86def8122066457064e");
        assert_ne!(digest, other.digest(b"identity", b"content"));
        assert_ne!(digest, key.digest(b"deidentified", b"content"));
        assert_ne!(digest, key.digest(b"identity", b"contents"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn one_changed_bit_closes_it(
            plaintext in proptest::collection::vec(any::<u8>(), 0..200),
            aad in proptest::collection::vec(any::<u8>(), 0..20),
            position in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let (mut sealed, key) = DataKey::seal(&plaintext, &aad).unwrap();
            prop_assert_eq!(key.unseal(&sealed, &aad).unwrap(), plaintext);
            prop_assert!(key.unseal(&sealed, &[aad.as_slice(), b"x"].concat()).is_err());
            let length = sealed.len();
            sealed[position.index(length)] ^= 1 << bit;
            prop_assert!(matches!(key.unseal(&sealed, &aad), Err(EnclaveError::Unsealable)));
        }

        #[test]
        fn arbitrary_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(DataKey::from_bytes([7; 32]).unseal(&bytes, b"").is_err());
        }
    }
}
