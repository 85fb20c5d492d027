//! The genesis document: who validates, under whose law, and what the state starts with.

use crate::{Amount, Digest, Jurisdiction, NetworkId, ValidatorIndex};
use alloy_primitives::{Address, B256, Bytes};
use ed25519_zebra::VerificationKey;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, num::NonZeroU16};

/// Everything the nodes of one network agree on before block 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Time of block 0 in milliseconds since the epoch.
    pub time_ms: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Base fee of block 0 in wei (EIP-1559).
    pub base_fee_wei: u64,
    /// Beneficiary of every block: collects fees.
    pub treasury: Address,
    /// The vetted validators; the index in this list is the [`ValidatorIndex`].
    pub validators: Vec<ValidatorEntry>,
    /// The state of block 0.
    pub accounts: BTreeMap<Address, GenesisAccount>,
    /// How many nodes of a country keep a record's identity block, its holder counted (row A12). In a country that is
    /// not named all of them do, and networks from before this field keep their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identity_copies: BTreeMap<Jurisdiction, NonZeroU16>,
}

/// One vetted validator (rows A4, C1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorEntry {
    /// The institution's short name, such as `star`.
    pub name: String,
    /// Where the node stands: the law it lives under.
    pub jurisdiction: Jurisdiction,
    /// Ed25519 public key: the libp2p identity and the attestations.
    pub public_key: B256,
    /// X25519 public key to which other nodes seal (HPKE).
    pub sealing_key: B256,
    /// The account from which the node anchors and is paid.
    pub account: Address,
    /// `host:port` of the node's peer-to-peer socket.
    pub p2p_address: String,
}

/// An account of block 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Balance in the smallest unit.
    #[serde(default)]
    pub balance: Amount,
    /// Runtime bytecode of a system contract.
    #[serde(default, skip_serializing_if = "no_code")]
    pub code: Bytes,
    /// Storage slots of a system contract.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub storage: BTreeMap<B256, B256>,
}

fn no_code(code: &Bytes) -> bool {
    code.is_empty()
}

/// What is wrong with a genesis document.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not the JSON of a genesis document.
    #[error("read genesis document")]
    Json(#[from] serde_json::Error),
    /// No validators, or more than the protocol carries.
    #[error("genesis names {0} validators; a network has 1 to 200")]
    ValidatorCount(usize),
    /// Two validators share a key or a name.
    #[error("validators {0} and {1} have the same {2}")]
    Repeated(ValidatorIndex, ValidatorIndex, &'static str),
    /// A public key that is no curve point.
    #[error("public_key of validator {0} is not an Ed25519 key")]
    PublicKey(ValidatorIndex),
}

/// Up to 200 trusted nodes (row A11).
const VALIDATORS_MAX: usize = 200;

impl Genesis {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// [`GenesisError`] names the first thing that is wrong.
    pub fn from_json(json: &str) -> Result<Self, GenesisError> {
        let genesis: Self = serde_json::from_str(json)?;
        genesis.check()?;
        Ok(genesis)
    }

    /// Checks what the type cannot.
    ///
    /// # Errors
    /// [`GenesisError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.validators.is_empty() || self.validators.len() > VALIDATORS_MAX {
            return Err(GenesisError::ValidatorCount(self.validators.len()));
        }
        for (index, entry) in self.indexed() {
            VerificationKey::try_from(entry.public_key.0).map_err(|_| GenesisError::PublicKey(index))?;
            for (earlier, other) in self.indexed().take(usize::from(index.0)) {
                let repeated = [
                    (entry.name == other.name, "name"),
                    (entry.public_key == other.public_key, "public_key"),
                    (entry.sealing_key == other.sealing_key, "sealing_key"),
                    (entry.account == other.account, "account"),
                ];
                if let Some((_, what)) = repeated.into_iter().find(|(same, _)| *same) {
                    return Err(GenesisError::Repeated(earlier, index, what));
                }
            }
        }
        Ok(())
    }

    fn indexed(&self) -> impl Iterator<Item = (ValidatorIndex, &ValidatorEntry)> {
        (0_u16..).map(ValidatorIndex).zip(&self.validators)
    }

    /// SHA-256 of the canonical JSON: field order as declared here, accounts by address.
    #[must_use]
    pub fn network_id(&self) -> NetworkId {
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        NetworkId(Digest::of(&canonical).0)
    }

    /// n, the number of validators.
    #[must_use]
    pub fn validator_count(&self) -> usize {
        self.validators.len()
    }

    /// t, the most Byzantine validators tolerated: the largest t < n/3.
    #[must_use]
    pub fn fault_bound(&self) -> usize {
        (self.validators.len() - 1) / 3
    }

    /// n - t.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.validators.len() - self.fault_bound()
    }

    /// The validators' Ed25519 keys by index. The document has been checked, so every key is valid.
    #[must_use]
    pub fn verification_keys(&self) -> Vec<VerificationKey> {
        self.validators
            .iter()
            .filter_map(|entry| VerificationKey::try_from(entry.public_key.0).ok())
            .collect()
    }

    /// The validator whose name is `name`.
    #[must_use]
    pub fn validator_named(&self, name: &str) -> Option<(ValidatorIndex, &ValidatorEntry)> {
        self.indexed().find(|(_, entry)| entry.name == name)
    }

    /// The validator at `index`.
    #[must_use]
    pub fn validator(&self, index: ValidatorIndex) -> Option<&ValidatorEntry> {
        self.validators.get(usize::from(index.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use ed25519_zebra::SigningKey;

    fn genesis(count: u8) -> Genesis {
        let entry = |seed: u8| ValidatorEntry {
            name: format!("node-{seed}"),
            jurisdiction: Jurisdiction::US,
            public_key: B256::from(<[u8; 32]>::from(VerificationKey::from(&SigningKey::from(
                [seed + 1; 32],
            )))),
            sealing_key: B256::repeat_byte(seed),
            account: Address::repeat_byte(seed),
            p2p_address: format!("127.0.0.1:{seed}"),
        };
        Genesis {
            chain_id: 2018,
            time_ms: 0,
            gas_limit: 1,
            base_fee_wei: 1,
            treasury: Address::ZERO,
            validators: (0..count).map(entry).collect(),
            accounts: BTreeMap::new(),
            identity_copies: BTreeMap::new(),
        }
    }

    #[test]
    fn the_fault_bound_is_below_a_third() {
        for (n, t) in [(1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (10, 3), (200, 66)] {
            let genesis = genesis(n);
            assert_eq!((genesis.fault_bound(), genesis.quorum()), (t, usize::from(n) - t), "n = {n}");
        }
    }

    #[test]
    fn a_document_survives_json_and_keeps_its_network_id() {
        let genesis = genesis(4);
        let read = Genesis::from_json(&serde_json::to_string_pretty(&genesis).unwrap()).unwrap();
        assert_eq!((read.network_id(), &read), (genesis.network_id(), &genesis));
    }

    /// JSON written by hand: the fields in the order of their declaration, numbers in decimal digits, bytes and balances in
    /// lower-case hexadecimal, accounts and slots ascending.
    #[test]
    fn the_network_id_is_pinned() {
        let account = GenesisAccount {
            balance: Amount(U256::from(42)),
            code: Bytes::from_static(&[0x60, 0x01]),
            storage: [(B256::repeat_byte(6), B256::repeat_byte(7))].into(),
        };
        let plain = (Address::repeat_byte(4), GenesisAccount::default());
        let genesis = Genesis {
            chain_id: 2018,
            time_ms: 1_700_000_000_000,
            gas_limit: 30_000_000,
            base_fee_wei: 7,
            treasury: Address::repeat_byte(0xfe),
            validators: vec![ValidatorEntry {
                name: "star".into(),
                jurisdiction: Jurisdiction::US,
                public_key: B256::repeat_byte(1),
                sealing_key: B256::repeat_byte(2),
                account: Address::repeat_byte(3),
                p2p_address: "star:30303".into(),
            }],
            accounts: [(Address::repeat_byte(5), account), plain].into(),
            identity_copies: [(Jurisdiction::DE, NonZeroU16::new(2).unwrap())].into(),
        };
        let hex = |byte: &str, count| format!("\"0x{}\"", byte.repeat(count));
        let hashed = [
            r#"{"chain_id":2018,"time_ms":1700000000000,"gas_limit":30000000,"base_fee_wei":7,"treasury":"#,
            &hex("fe", 20),
            r#","validators":[{"name":"star","jurisdiction":"US","public_key":"#,
            &hex("01", 32),
            r#","sealing_key":"#,
            &hex("02", 32),
            r#","account":"#,
            &hex("03", 20),
            r#","p2p_address":"star:30303"}],"accounts":{"#,
            &hex("04", 20),
            r#":{"balance":"0x0"},"#,
            &hex("05", 20),
            r#":{"balance":"0x2a","code":"0x6001","storage":{"#,
            &hex("06", 32),
            ":",
            &hex("07", 32),
            r#"}}},"identity_copies":{"DE":2}}"#,
        ];
        assert_eq!(serde_json::to_string(&genesis).unwrap(), hashed.concat());
        assert_eq!(
            genesis.network_id().to_string(),
            "b5490e13473394f286537f243cb75e869da27c84320446a01d87b34d1c8f49d8",
            "its SHA-256"
        );
    }

    #[test]
    fn copies_are_told_only_where_a_country_bounds_them() {
        let mut genesis = genesis(4);
        let plain = serde_json::to_string(&genesis).unwrap();
        assert!(!plain.contains("identity_copies"), "documents from before keep their network id");
        genesis.identity_copies.insert(Jurisdiction::US, NonZeroU16::new(2).unwrap());
        let bounded = serde_json::to_string(&genesis).unwrap();
        assert!(bounded.ends_with(r#""identity_copies":{"US":2}}"#), "{bounded}");
        assert_eq!(Genesis::from_json(&bounded).unwrap(), genesis);
        assert!(Genesis::from_json(&bounded.replace(r#""US":2"#, r#""US":0"#)).is_err(), "none is no number");
    }

    #[test]
    fn repeated_keys_are_named() {
        let mut wrong = genesis(4);
        wrong.validators[3].public_key = wrong.validators[1].public_key;
        assert_eq!(wrong.check().unwrap_err().to_string(), "validators v1 and v3 have the same public_key");
    }
}
