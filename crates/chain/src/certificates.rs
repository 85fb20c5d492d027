//! Collecting n - t attestations of each block.

use bxp_types::{Attestation, B256, Certificate, Height, NetworkId, ValidatorIndex};
use ed25519_zebra::VerificationKey;
use std::collections::BTreeMap;

/// Heights above the newest certified one for which attestations are kept.
const WINDOW: u64 = 64;

/// Attestations by height and validator, until they make a certificate.
#[derive(Debug)]
pub struct Certificates {
    network: NetworkId,
    keys: Vec<VerificationKey>,
    quorum: usize,
    certified: Height,
    waiting: BTreeMap<Height, BTreeMap<ValidatorIndex, (B256, [u8; 64])>>,
}

impl Certificates {
    /// An empty collection above `certified`.
    #[must_use]
    pub const fn new(
        network: NetworkId,
        keys: Vec<VerificationKey>,
        quorum: usize,
        certified: Height,
    ) -> Self {
        Self { network, keys, quorum, certified, waiting: BTreeMap::new() }
    }

    /// The newest height up to which every block has its certificate.
    #[must_use]
    pub const fn certified(&self) -> Height {
        self.certified
    }

    /// How many attestations wait for others of their height.
    #[must_use]
    pub fn gathered(&self) -> usize {
        self.waiting.values().map(BTreeMap::len).sum()
    }

    /// Takes an attestation; the first of each validator counts. Old, far-off and forged ones are ignored.
    pub fn add(&mut self, attestation: &Attestation) {
        let height = attestation.height;
        if height <= self.certified || height.0 > self.certified.0.saturating_add(WINDOW) {
            return;
        }
        let Some(key) = self.keys.get(usize::from(attestation.validator.0)) else { return };
        let of_height = self.waiting.entry(height).or_default();
        if !of_height.contains_key(&attestation.validator) && attestation.verify(key, self.network) {
            of_height.insert(attestation.validator, (attestation.block_hash, attestation.signature));
        }
    }

    /// The certificate of the height above the certified one, when n - t validators attest one hash.
    pub fn take_next(&mut self) -> Option<Certificate> {
        let height = self.certified.next();
        let of_height = self.waiting.get(&height)?;
        let mut votes: BTreeMap<B256, usize> = BTreeMap::new();
        for (hash, _) in of_height.values() {
            *votes.entry(*hash).or_default() += 1;
        }
        let (&block_hash, _) = votes.iter().find(|&(_, &count)| count >= self.quorum)?;
        let of_this_hash = of_height.iter().filter(|(_, (hash, _))| *hash == block_hash);
        let signatures = of_this_hash.map(|(&validator, &(_, signature))| (validator, signature)).collect();
        self.advance(height);
        Some(Certificate { height, block_hash, signatures })
    }

    /// Everything up to `height` has its certificate from elsewhere.
    pub fn advance(&mut self, height: Height) {
        self.certified = self.certified.max(height);
        self.waiting = self.waiting.split_off(&self.certified.next());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_zebra::SigningKey;

    #[test]
    fn a_certificate_needs_a_quorum_on_one_hash_in_height_order() {
        let network = NetworkId([1; 32]);
        let keys: Vec<_> = (1..=4_u8).map(|seed| SigningKey::from([seed; 32])).collect();
        let public: Vec<_> = keys.iter().map(VerificationKey::from).collect();
        let attest = |validator: u16, height, hash| {
            let key = &keys[usize::from(validator)];
            Attestation::sign(
                key,
                ValidatorIndex(validator),
                network,
                Height(height),
                B256::repeat_byte(hash),
            )
        };
        let mut certificates = Certificates::new(network, public.clone(), 3, Height(0));
        for (validator, hash) in [(0, 7), (1, 7), (2, 8), (2, 7)] {
            certificates.add(&attest(validator, 1, hash));
        }
        assert!(certificates.take_next().is_none(), "v2 attested another hash first");
        for validator in 0..3 {
            certificates.add(&attest(validator, 2, 9));
        }
        assert!(certificates.take_next().is_none(), "height 2 waits for height 1");
        let mut forged = attest(3, 1, 7);
        forged.signature[0] ^= 1;
        certificates.add(&forged);
        assert!(certificates.take_next().is_none());
        certificates.add(&attest(3, 1, 7));
        let first = certificates.take_next().unwrap();
        assert!(first.height == Height(1) && first.verify(&public, network, 3));
        assert_eq!(certificates.take_next().unwrap().height, Height(2));
        certificates.add(&attest(0, 2 + WINDOW + 1, 1));
        assert!(certificates.waiting.is_empty(), "far-off heights are not kept");
    }
}
