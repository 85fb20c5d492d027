//! The node's three key pairs and their file.

use crate::{
    EnclaveError, data_key::fill_random, ecdsa::AccountKey, files, master::Master, recipient::SealingKeypair,
};
use bxp_types::Secret;
use ed25519_zebra::SigningKey;
use std::path::Path;
use zeroize::Zeroizing;

const CONTEXT: &[u8] = b"BXP enclave identity v1";

/// Private keys from which an identity is made, for networks whose genesis must come out the same every time.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// Ed25519 seed of the network and attestation key.
    pub signing: Secret<[u8; 32]>,
    /// X25519 private key to which others seal.
    pub sealing: Secret<[u8; 32]>,
    /// secp256k1 private key of the account.
    pub account: Secret<[u8; 32]>,
}

impl Seeds {
    /// Fresh keys from the operating system.
    pub(crate) fn random() -> Result<Self, EnclaveError> {
        let mut bytes = Zeroizing::new([0; 64]);
        fill_random(&mut *bytes)?;
        let (signing, sealing) = split_two(&bytes);
        Ok(Self { signing, sealing, account: AccountKey::random()?.into_secret() })
    }
}

fn split_two(bytes: &[u8; 64]) -> (Secret<[u8; 32]>, Secret<[u8; 32]>) {
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&bytes[..32]);
    second.copy_from_slice(&bytes[32..]);
    (Secret::new(first), Secret::new(second))
}

/// The keys by which the network knows this node.
pub(crate) struct Identity {
    pub(crate) signing: SigningKey,
    pub(crate) signing_seed: Secret<[u8; 32]>,
    pub(crate) sealing: SealingKeypair,
    pub(crate) account: AccountKey,
}

impl Identity {
    fn from_seeds(seeds: &Seeds) -> Result<Self, EnclaveError> {
        Ok(Self {
            signing: SigningKey::from(*seeds.signing.expose()),
            signing_seed: seeds.signing.clone(),
            sealing: SealingKeypair::from_private_key(&seeds.sealing)?,
            account: AccountKey::new(seeds.account.clone())?,
        })
    }

    /// Writes the identity of `seeds` to `path`, sealed: signing seed || sealing key || account key, 96 bytes.
    pub(crate) fn create(path: &Path, master: &Master, seeds: &Seeds) -> Result<Self, EnclaveError> {
        let identity = Self::from_seeds(seeds)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(96));
        for part in [&seeds.signing, &seeds.sealing, &seeds.account] {
            bytes.extend_from_slice(part.expose());
        }
        files::write_new(path, &master.seal_at_rest(&bytes, CONTEXT)?)?;
        Ok(identity)
    }

    /// Reads the identity from `path`.
    pub(crate) fn open(path: &Path, master: &Master) -> Result<Self, EnclaveError> {
        let damaged = |what| EnclaveError::Damaged { path: path.to_owned(), what };
        let sealed = files::read_private(path)?;
        let bytes = master
            .open_at_rest(&sealed, CONTEXT)
            .map(Zeroizing::new)
            .map_err(|_| damaged("it was not sealed under this master key"))?;
        let (parts, []) = bytes.as_chunks::<32>() else {
            return Err(damaged("it does not have three keys"));
        };
        let &[signing, sealing, account] = parts else {
            return Err(damaged("it does not have three keys"));
        };
        Self::from_seeds(&Seeds {
            signing: Secret::new(signing),
            sealing: Secret::new(sealing),
            account: Secret::new(account),
        })
    }
}
