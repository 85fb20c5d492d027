//! The master key, its file, and the keys that are derived from it.

use crate::{
    EnclaveError,
    data_key::{fill_random, open_with, seal_with},
    files,
};
use bxp_types::Secret;
use ring::{hkdf, hmac, pbkdf2};
use std::{num::NonZeroU32, path::Path};
use zeroize::Zeroizing;

/// OWASP's figure for PBKDF2-HMAC-SHA256.
const ITERATIONS: u32 = 600_000;
/// More than this in a file is damage or malice, and would hang the start.
const ITERATIONS_MAX: u32 = 100_000_000;
const MAGIC: &[u8; 7] = b"BXPKEY1";
const PLAIN: u8 = 0;
const PASSPHRASE: u8 = 1;
const SALT_LEN: usize = 16;
/// Random salt of each at-rest sealing. 24 bytes: two equal ones are not met in this universe.
const AT_REST_SALT_LEN: usize = 24;
/// Domain separation of the derived keys.
const DERIVATION_SALT: &[u8] = b"BXP enclave master key v1";

/// The master key, unwrapped, as the three keys derived from it (HKDF-SHA256, RFC 5869).
pub(crate) struct Master {
    at_rest: hkdf::Prk,
    fingerprint: hmac::Key,
}

impl Master {
    /// Derives the working keys.
    fn from_key(key: &[u8; 32]) -> Result<Self, EnclaveError> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, DERIVATION_SALT).extract(key);
        let at_rest = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &*expand(&root, &[b"at rest"])?);
        let fingerprint = hmac::Key::new(hmac::HMAC_SHA256, &*expand(&root, &[b"fingerprint"])?);
        Ok(Self { at_rest, fingerprint })
    }

    /// Makes a random master key and writes it to `path`, wrapped if there is a passphrase.
    pub(crate) fn create(path: &Path, passphrase: Option<&Secret<String>>) -> Result<Self, EnclaveError> {
        let mut key = Zeroizing::new([0; 32]);
        fill_random(&mut *key)?;
        files::write_new(path, &encode(&key, passphrase)?)?;
        Self::from_key(&key)
    }

    /// Reads the master key from `path`.
    pub(crate) fn open(path: &Path, passphrase: Option<&Secret<String>>) -> Result<Self, EnclaveError> {
        let bytes = Zeroizing::new(files::read_private(path)?);
        let damaged = |what| EnclaveError::Damaged { path: path.to_owned(), what };
        let body = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not start as a master key"))?;
        match body.split_first() {
            Some((&PLAIN, key)) => {
                let key = key.try_into().map_err(|_| damaged("the key does not have 32 bytes"))?;
                Self::from_key(key)
            }
            Some((&PASSPHRASE, wrapped)) => {
                let passphrase = passphrase.ok_or(EnclaveError::PassphraseNeeded)?;
                let iterations = wrapped.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes));
                let iterations = iterations
                    .and_then(NonZeroU32::new)
                    .filter(|iterations| iterations.get() <= ITERATIONS_MAX)
                    .ok_or_else(|| damaged("the iteration count is out of range"))?;
                Self::from_key(&*open_wrapped(iterations, &wrapped[4..], passphrase)?)
            }
            _ => Err(damaged("the kind of protection is unknown")),
        }
    }

    /// Seals for this node's own disk: `salt (24) || ciphertext || tag (16)`. Each call derives a key of its own from
    /// the salt, so that the number of messages under one key never nears AES-GCM's bound for random nonces.
    pub(crate) fn seal_at_rest(&self, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        let mut salt = [0; AT_REST_SALT_LEN];
        fill_random(&mut salt)?;
        let key = expand(&self.at_rest, &[b"message", &salt])?;
        seal_with(&key, [0; 12], &salt, plaintext, context)
    }

    /// Opens what [`Master::seal_at_rest`] gave.
    pub(crate) fn open_at_rest(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        let (salt, body) = sealed.split_first_chunk::<AT_REST_SALT_LEN>().ok_or(EnclaveError::Unsealable)?;
        let key = expand(&self.at_rest, &[b"message", salt])?;
        open_with(&key, [0; 12], body, context)
    }

    /// A key for one use outside of the enclave; `label` tells uses apart.
    pub(crate) fn derived_key(&self, label: &str) -> Result<Secret<[u8; 32]>, EnclaveError> {
        Ok(Secret::new(*expand(&self.at_rest, &[b"derived key", &[0], label.as_bytes()])?))
    }

    /// HMAC-SHA256 of `bytes`.
    pub(crate) fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.fingerprint, bytes).as_ref());
        out
    }
}

fn expand(key: &hkdf::Prk, info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, EnclaveError> {
    let mut out = Zeroizing::new([0; 32]);
    // 32 bytes are far below HKDF's limit, so neither step can refuse.
    key.expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *out))
        .map_err(|_| EnclaveError::Unsealable)?;
    Ok(out)
}

/// `BXPKEY1 || 0 || key (32)`, or
/// `BXPKEY1 || 1 || iterations (u32 BE) || salt (16) || AES-256-GCM(PBKDF2(passphrase), key) (48)`.
fn encode(key: &[u8; 32], passphrase: Option<&Secret<String>>) -> Result<Zeroizing<Vec<u8>>, EnclaveError> {
    let mut out = Zeroizing::new(Vec::with_capacity(128));
    out.extend_from_slice(MAGIC);
    let Some(passphrase) = passphrase else {
        out.push(PLAIN);
        out.extend_from_slice(key);
        return Ok(out);
    };
    let mut salt = [0; SALT_LEN];
    fill_random(&mut salt)?;
    let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MAX);
    out.push(PASSPHRASE);
    out.extend_from_slice(&iterations.get().to_be_bytes());
    // The salt makes the key unique, so the fixed nonce is used once with it.
    out.extend_from_slice(&seal_with(&stretch(iterations, &salt, passphrase), [0; 12], &salt, key, MAGIC)?);
    Ok(out)
}

fn open_wrapped(
    iterations: NonZeroU32,
    wrapped: &[u8],
    passphrase: &Secret<String>,
) -> Result<Zeroizing<[u8; 32]>, EnclaveError> {
    let (salt, body) = wrapped.split_first_chunk::<SALT_LEN>().ok_or(EnclaveError::WrongPassphrase)?;
    let stretched = stretch(iterations, salt, passphrase);
    let opened = open_with(&stretched, [0; 12], body, MAGIC)
        .map(Zeroizing::new)
        .map_err(|_| EnclaveError::WrongPassphrase)?;
    let key = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| EnclaveError::WrongPassphrase)?;
    Ok(Zeroizing::new(key))
}

fn stretch(iterations: NonZeroU32, salt: &[u8], passphrase: &Secret<String>) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, passphrase.expose().as_bytes(), &mut *out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_file_has_this_form() {
        let bytes = encode(&[0xab; 32], None).unwrap();
        assert_eq!(hex::encode(&*bytes), format!("4258504b45593100{}", "ab".repeat(32)));
    }

    /// Fixed master key, fixed sealed bytes: a change of the derivation would lose every stored key.
    #[test]
    fn the_derivation_is_pinned() {
        let master = Master::from_key(&[7; 32]).unwrap();
        assert_eq!(
            hex::encode(master.fingerprint(b"content")),
            "f1c053639bcacede7484c91b617f331e57be7ac37c94bef5c5e8e362a90b6b9d"
        );
        let salt = [9; AT_REST_SALT_LEN];
        let key = expand(&master.at_rest, &[b"message", &salt]).unwrap();
        let sealed = seal_with(&key, [0; 12], &salt, b"text", b"context").unwrap();
        assert_eq!(
            hex::encode(&sealed),
            "0909090909090909090909090909090909090909090909091be60330e759a29d61f61c0fd28fa177bb5a839d"
        );
        assert_eq!(master.open_at_rest(&sealed, b"context").unwrap(), b"text");
    }

    #[test]
    fn a_context_is_part_of_the_seal() {
        let master = Master::from_key(&[7; 32]).unwrap();
        let sealed = master.seal_at_rest(b"text", b"one").unwrap();
        assert!(master.open_at_rest(&sealed, b"two").is_err());
        assert!(Master::from_key(&[8; 32]).unwrap().open_at_rest(&sealed, b"one").is_err());
        assert_ne!(sealed, master.seal_at_rest(b"text", b"one").unwrap());
        for cut in 0..sealed.len() {
            assert!(master.open_at_rest(&sealed[..cut], b"one").is_err());
        }
    }
}
