//! secp256k1: accounts and their signatures (EIP-155, EIP-1559, EIP-712 digests).

use crate::{EnclaveError, data_key::fill_random};
use alloy_primitives::{Address, B256, Signature, keccak256};
use bxp_types::Secret;
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

/// The private key of one account.
pub(crate) struct AccountKey {
    secret: Secret<[u8; 32]>,
    address: Address,
}

impl AccountKey {
    /// The account of a private key.
    pub(crate) fn new(secret: Secret<[u8; 32]>) -> Result<Self, EnclaveError> {
        let mut key = SecretKey::from_byte_array(secret.expose()).map_err(|_| EnclaveError::InvalidSeed)?;
        let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
        key.non_secure_erase();
        let address = Address::from_slice(&keccak256(&public[1..])[12..]);
        Ok(Self { secret, address })
    }

    /// A fresh account.
    pub(crate) fn random() -> Result<Self, EnclaveError> {
        // A draw is no valid key with probability 2^-128; the bound makes a broken generator an error.
        for _ in 0..8 {
            let mut bytes = [0; 32];
            fill_random(&mut bytes)?;
            if let Ok(key) = Self::new(Secret::new(bytes)) {
                return Ok(key);
            }
        }
        Err(EnclaveError::Randomness)
    }

    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    pub(crate) const fn secret(&self) -> &Secret<[u8; 32]> {
        &self.secret
    }

    pub(crate) fn into_secret(self) -> Secret<[u8; 32]> {
        self.secret
    }
}

/// Signs `digest` with a deterministic nonce (RFC 6979) and low s (EIP-2).
pub(crate) fn sign_digest(secret: &Secret<[u8; 32]>, digest: B256) -> Result<Signature, EnclaveError> {
    let mut key = SecretKey::from_byte_array(secret.expose()).map_err(|_| EnclaveError::InvalidSeed)?;
    let signature = SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(digest.0), &key);
    key.non_secure_erase();
    let (recovery, compact) = signature.serialize_compact();
    Ok(Signature::from_bytes_and_parity(&compact, i32::from(recovery) & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    /// Account and signature of the example in EIP-155 (private key 0x46…46).
    #[test]
    fn the_example_of_eip_155_comes_out() {
        let key = AccountKey::new(Secret::new([0x46; 32])).unwrap();
        assert_eq!(key.address(), address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"));
        let digest = b256!("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
        let signature = sign_digest(key.secret(), digest).unwrap();
        let r = b256!("28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276");
        let s = b256!("67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83");
        assert_eq!((signature.r(), signature.s()), (r.into(), s.into()));
        assert!(!signature.v(), "v = 37 is parity 0 on chain 1");
    }

    #[test]
    fn zero_is_no_account() {
        assert!(matches!(AccountKey::new(Secret::new([0; 32])), Err(EnclaveError::InvalidSeed)));
    }
}
