//! Sealing to a recipient's X25519 key: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! AES-256-GCM. A message is `encapsulated key (32) || ciphertext || tag (16)`.
//!
//! Base mode tells the recipient nothing about the sender; whoever needs that signs the message or sends it over an
//! authenticated channel.

use crate::{DataKey, EnclaveError, data_key::fill_random};
use alloy_primitives::B256;
use bxp_types::Secret;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256,
    kem::X25519HkdfSha256,
};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes that sealing to a recipient adds.
pub const HANDOVER_OVERHEAD: usize = ENCAPSULATED_LEN + 16;

const ENCAPSULATED_LEN: usize = 32;

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type EncapsulatedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// A key pair to which others seal: a node's, or a buyer's that is no node.
#[derive(Clone)]
pub struct SealingKeypair {
    secret: Secret<[u8; 32]>,
    public: B256,
}

impl SealingKeypair {
    /// A fresh key pair.
    ///
    /// # Errors
    /// [`EnclaveError::Randomness`].
    pub fn random() -> Result<Self, EnclaveError> {
        let mut bytes = [0; 32];
        fill_random(&mut bytes)?;
        Self::from_private_key(&Secret::new(bytes))
    }

    /// The key pair of an X25519 private key (RFC 7748; any 32 bytes).
    ///
    /// # Errors
    /// [`EnclaveError::InvalidRecipient`] if the library refuses the bytes.
    pub fn from_private_key(secret: &Secret<[u8; 32]>) -> Result<Self, EnclaveError> {
        let private = private_key(secret)?;
        let public = B256::from_slice(&X25519HkdfSha256::sk_to_pk(&private).to_bytes());
        Ok(Self { secret: secret.clone(), public })
    }

    /// The private key, for a buyer who keeps it in a wallet of his own.
    #[must_use]
    pub const fn private_key(&self) -> &Secret<[u8; 32]> {
        &self.secret
    }

    /// The public key that others seal to.
    #[must_use]
    pub const fn public_key(&self) -> B256 {
        self.public
    }

    /// Opens what [`seal_to`] gave for this key, `info` and `aad`.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn open_sealed(&self, message: &[u8], info: &[u8], aad: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        let (encapsulated, ciphertext) =
            message.split_at_checked(ENCAPSULATED_LEN).ok_or(EnclaveError::Unsealable)?;
        let encapsulated = EncapsulatedKey::from_bytes(encapsulated).map_err(|_| EnclaveError::Unsealable)?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &private_key(&self.secret)?,
            &encapsulated,
            info,
            ciphertext,
            aad,
        )
        .map_err(|_| EnclaveError::Unsealable)
    }

    /// Takes out the data key that [`wrap_for`] wrapped for this key and `info`.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn unwrap_from(&self, wrapped: &[u8], info: &[u8]) -> Result<DataKey, EnclaveError> {
        let keys = self.unwrap_all_from(wrapped, info)?;
        let [key] = <[DataKey; 1]>::try_from(keys).map_err(|_| EnclaveError::Unsealable)?;
        Ok(key)
    }

    /// Takes out the data keys that [`wrap_all_for`] wrapped for this key and `info`, in their order.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn unwrap_all_from(&self, wrapped: &[u8], info: &[u8]) -> Result<Vec<DataKey>, EnclaveError> {
        let bytes = Zeroizing::new(self.open_sealed(wrapped, info, &[])?);
        let (keys, []) = bytes.as_chunks::<32>() else {
            return Err(EnclaveError::Unsealable);
        };
        Ok(keys.iter().copied().map(DataKey::from_bytes).collect())
    }
}

impl fmt::Debug for SealingKeypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeypair({})", self.public)
    }
}

fn private_key(secret: &Secret<[u8; 32]>) -> Result<PrivateKey, EnclaveError> {
    PrivateKey::from_bytes(secret.expose()).map_err(|_| EnclaveError::InvalidRecipient)
}

/// Seals `plaintext` to `recipient`. `info` names the protocol step, `aad` what the content belongs to; both must be
/// given again to open it.
///
/// # Errors
/// [`EnclaveError::InvalidRecipient`] for a key of low order.
pub fn seal_to(recipient: B256, plaintext: &[u8], info: &[u8], aad: &[u8]) -> Result<Vec<u8>, EnclaveError> {
    let recipient =
        PublicKey::from_bytes(recipient.as_slice()).map_err(|_| EnclaveError::InvalidRecipient)?;
    let (encapsulated, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, X25519HkdfSha256, _>(
        &OpModeS::Base,
        &recipient,
        info,
        plaintext,
        aad,
        &mut rand::rng(),
    )
    .map_err(|_| EnclaveError::InvalidRecipient)?;
    let mut message = encapsulated.to_bytes().to_vec();
    message.extend_from_slice(&ciphertext);
    Ok(message)
}

/// Wraps a data key for `recipient`: 80 bytes.
///
/// # Errors
/// [`EnclaveError::InvalidRecipient`] for a key of low order.
pub fn wrap_for(recipient: B256, key: &DataKey, info: &[u8]) -> Result<Vec<u8>, EnclaveError> {
    wrap_all_for(recipient, std::slice::from_ref(key), info)
}

/// Wraps many data keys for `recipient` in one message: 32 bytes each and [`HANDOVER_OVERHEAD`]. One key agreement
/// serves all of them, which is what makes replicating thousands of records cheap.
///
/// # Errors
/// [`EnclaveError::InvalidRecipient`] for a key of low order.
pub fn wrap_all_for(recipient: B256, keys: &[DataKey], info: &[u8]) -> Result<Vec<u8>, EnclaveError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(keys.len() * 32));
    keys.iter().for_each(|key| bytes.extend_from_slice(key.expose()));
    seal_to(recipient, &bytes, info, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9180, test vector of the RFC's repository: mode base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
    /// AES-256-GCM, first encryption.
    #[test]
    fn the_published_vector_opens() {
        let hex = |text: &str| hex::decode(text).unwrap();
        let private: [u8; 32] =
            hex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d").try_into().unwrap();
        let keypair = SealingKeypair::from_private_key(&Secret::new(private)).unwrap();
        assert_eq!(
            hex::encode(keypair.public_key()),
            "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c"
        );
        let message = [
            hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256"),
            hex("e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a"),
        ]
        .concat();
        let opened = keypair
            .open_sealed(&message, &hex("4f6465206f6e2061204772656369616e2055726e"), &hex("436f756e742d30"))
            .unwrap();
        assert_eq!(hex::encode(opened), "4265617574792069732074727574682c20747275746820626561757479");
    }

    #[test]
    fn only_the_recipient_opens_and_only_in_context() {
        let (buyer, other) = (SealingKeypair::random().unwrap(), SealingKeypair::random().unwrap());
        let message = seal_to(buyer.public_key(), b"rows", b"delivery", b"request 1").unwrap();
        assert_eq!(message.len(), 4 + HANDOVER_OVERHEAD);
        assert_eq!(buyer.open_sealed(&message, b"delivery", b"request 1").unwrap(), b"rows");
        assert!(other.open_sealed(&message, b"delivery", b"request 1").is_err());
        assert!(buyer.open_sealed(&message, b"delivery", b"request 2").is_err());
        assert!(buyer.open_sealed(&message, b"another", b"request 1").is_err());
        assert!(!format!("{buyer:?}").contains(&hex::encode(buyer.private_key().expose())));
    }

    #[test]
    fn a_wrapped_key_opens_what_it_sealed() {
        let buyer = SealingKeypair::random().unwrap();
        let (sealed, key) = DataKey::seal(b"text", b"cid").unwrap();
        let wrapped = wrap_for(buyer.public_key(), &key, b"key release").unwrap();
        let again = buyer.unwrap_from(&wrapped, b"key release").unwrap();
        assert_eq!(again.unseal(&sealed, b"cid").unwrap(), b"text");
        assert!(buyer.unwrap_from(&wrapped, b"something else").is_err());
        let all = wrap_all_for(buyer.public_key(), &[key.clone(), key], b"all").unwrap();
        assert_eq!(buyer.unwrap_all_from(&all, b"all").unwrap().len(), 2);
        assert!(buyer.unwrap_from(&all, b"all").is_err(), "two keys are not one");
        let short = seal_to(buyer.public_key(), b"31 bytes are no key", b"key release", b"").unwrap();
        assert!(buyer.unwrap_from(&short, b"key release").is_err());
    }

    #[test]
    fn a_key_of_low_order_is_refused() {
        assert!(matches!(seal_to(B256::ZERO, b"x", b"", b""), Err(EnclaveError::InvalidRecipient)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn changed_or_arbitrary_messages_never_open(
            position in any::<prop::sample::Index>(),
            bit in 0_u8..8,
            noise in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            let keypair = SealingKeypair::from_private_key(&Secret::new([5; 32])).unwrap();
            prop_assert!(keypair.open_sealed(&noise, b"", b"").is_err());
            let mut message = seal_to(keypair.public_key(), b"text", b"", b"").unwrap();
            let length = message.len();
            let index = position.index(length);
            message[index] ^= 1 << bit;
            // X25519 ignores the top bit of a public key (RFC 7748), but HPKE hashes the bytes as sent.
            prop_assert!(keypair.open_sealed(&message, b"", b"").is_err());
        }
    }
}
