//! What a validator proposes: its clock and its pool's transactions, as the opaque body that consensus carries.

use crate::ChainError;
use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use bxp_types::{Bytes, Genesis, RecoveredTransaction, SubmitError};
use rayon::prelude::*;

/// The most bytes of a proposal's body, whatever the number of validators.
const PROPOSAL_BYTES_MAX: usize = 4 << 20;
/// The most bytes of all proposals of a height together, so that a block fits one answer to a node that is behind.
const SUPERBLOCK_BYTES_MAX: usize = 24 << 20;

/// What all validators of a network ask of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalRules {
    /// The chain id of every transaction.
    pub chain_id: u64,
    /// The most bytes of the body.
    pub bytes_max: usize,
}

impl ProposalRules {
    /// The rules of a network.
    #[must_use]
    pub fn of(genesis: &Genesis) -> Self {
        let share = SUPERBLOCK_BYTES_MAX / genesis.validator_count().max(1);
        Self { chain_id: genesis.chain_id, bytes_max: share.min(PROPOSAL_BYTES_MAX) }
    }
}

/// The most bytes of one transaction, as in geth's pool.
pub const TRANSACTION_BYTES_MAX: usize = 128 << 10;

/// A decoded proposal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// The proposer's clock in milliseconds since the epoch.
    pub time_ms: u64,
    /// Its transactions, senders recovered.
    pub transactions: Vec<RecoveredTransaction>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Wire {
    time_ms: u64,
    transactions: Vec<Bytes>,
}

impl Proposal {
    /// Canonical bytes: RLP of `[time_ms, [EIP-2718 transaction, ...]]`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let transactions =
            self.transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect();
        let mut out = Vec::new();
        Wire { time_ms: self.time_ms, transactions }.encode(&mut out);
        out
    }

    /// Decodes and checks a body. The check is deterministic and stateless, so that all correct validators agree on
    /// it: form, size, chain id, type and signature. Nonces and balances are checked after the decision.
    ///
    /// # Errors
    /// [`ChainError::Decode`] with the first thing that is wrong.
    pub fn check(body: &[u8], rules: ProposalRules) -> Result<Self, ChainError> {
        if body.len() > rules.bytes_max {
            return Err(ChainError::decode("proposal", format!("{} bytes", body.len())));
        }
        let mut rest = body;
        let wire = Wire::decode(&mut rest).map_err(|error| ChainError::decode("proposal", error))?;
        if !rest.is_empty() {
            return Err(ChainError::decode("proposal", "bytes after the end"));
        }
        let transactions: Result<Vec<_>, SubmitError> =
            wire.transactions.par_iter().map(|raw| recover(raw, rules.chain_id)).collect();
        let transactions =
            transactions.map_err(|error| ChainError::decode("proposal's transaction", error))?;
        Ok(Self { time_ms: wire.time_ms, transactions })
    }
}

/// Decodes one transaction and recovers its sender.
///
/// # Errors
/// [`SubmitError`] in geth's words.
pub fn recover(raw: &[u8], chain_id: u64) -> Result<RecoveredTransaction, SubmitError> {
    if raw.len() > TRANSACTION_BYTES_MAX {
        return Err(SubmitError::Oversized { size: raw.len(), limit: TRANSACTION_BYTES_MAX });
    }
    let mut rest = raw;
    let transaction =
        TxEnvelope::decode_2718(&mut rest).map_err(|error| SubmitError::Decode(error.to_string()))?;
    if !rest.is_empty() {
        return Err(SubmitError::Decode("bytes after the transaction".into()));
    }
    if transaction.is_eip4844() {
        return Err(SubmitError::UnsupportedType);
    }
    match transaction.chain_id() {
        Some(have) if have == chain_id => {}
        have => return Err(SubmitError::WrongChain { have: have.unwrap_or_default(), want: chain_id }),
    }
    transaction.try_into_recovered().map_err(|_| SubmitError::InvalidSender)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxEip1559};
    use alloy_primitives::{Address, Signature, TxKind, U256};
    use proptest::prelude::*;

    pub(crate) const CHAIN_ID: u64 = 2018;
    const RULES: ProposalRules = ProposalRules { chain_id: CHAIN_ID, bytes_max: 1_000 };

    pub(crate) fn sign(seed: u8, transaction: TxEip1559) -> RecoveredTransaction {
        let key = secp256k1::SecretKey::from_byte_array(&[seed; 32]).unwrap();
        let message = secp256k1::Message::from_digest(transaction.signature_hash().0);
        let (id, bytes) = secp256k1::SECP256K1.sign_ecdsa_recoverable(&message, &key).serialize_compact();
        let signature = Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1);
        TxEnvelope::from(transaction.into_signed(signature)).try_into_recovered().unwrap()
    }

    pub(crate) fn transfer(seed: u8, nonce: u64, tip: u128) -> RecoveredTransaction {
        sign(
            seed,
            TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: 21_000,
                max_fee_per_gas: 1_000_000_000 + tip,
                max_priority_fee_per_gas: tip,
                to: TxKind::Call(Address::repeat_byte(9)),
                value: U256::from(1),
                ..Default::default()
            },
        )
    }

    #[test]
    fn a_proposal_reads_back_and_refuses_what_it_must() {
        let proposal = Proposal { time_ms: 5, transactions: vec![transfer(1, 0, 1), transfer(2, 3, 1)] };
        let body = proposal.encode();
        assert_eq!(Proposal::check(&body, RULES).unwrap(), proposal);
        assert!(
            Proposal::check(&body, ProposalRules { chain_id: 1, ..RULES })
                .unwrap_err()
                .to_string()
                .contains("invalid chain id")
        );
        assert!(Proposal::check(&[body.clone(), vec![0]].concat(), RULES).is_err(), "trailing byte");
        assert!(Proposal::check(&[0; 1_001], RULES).is_err(), "too large");
        assert_eq!(Proposal::check(&Proposal::default().encode(), RULES).unwrap(), Proposal::default());
    }

    #[test]
    fn the_wire_format_is_pinned() {
        let empty = Proposal { time_ms: 0x0102, transactions: vec![] }.encode();
        assert_eq!(hex(&empty), "c4820102c0");
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Proposal::check(&bytes, RULES);
            let _ = recover(&bytes, CHAIN_ID);
        }
    }
}
