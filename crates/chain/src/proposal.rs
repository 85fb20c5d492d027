//! What a validator proposes: its clock and its pool's transactions, as the opaque body that consensus carries.

use crate::ChainError;
use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use bxp_types::{Address, B256, Bytes, Genesis, RecoveredTransaction, SubmitError};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use std::sync::LazyLock;

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
#[rlp(trailing)]
struct Wire {
    time_ms: u64,
    transactions: Vec<Bytes>,
    /// 20 bytes for each transaction.
    senders: Option<Bytes>,
}

impl Wire {
    fn read(body: &[u8]) -> Result<Self, ChainError> {
        let mut rest = body;
        let wire = Self::decode(&mut rest).map_err(|error| ChainError::decode("proposal", error))?;
        if !rest.is_empty() {
            return Err(ChainError::decode("proposal", "bytes after the end"));
        }
        let complete = |senders: &Bytes| {
            !senders.is_empty() && senders.len() == wire.transactions.len() * Address::len_bytes()
        };
        if wire.senders.as_ref().is_some_and(|senders| !complete(senders)) {
            return Err(ChainError::decode("proposal", "a sender is missing"));
        }
        // An empty item in the place of the senders reads as none.
        if wire.length() != body.len() {
            return Err(ChainError::decode("proposal", "not its one encoding"));
        }
        Ok(wire)
    }
}

impl Proposal {
    /// Canonical bytes: RLP of `[time_ms, [EIP-2718 transaction, ...]]`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_wire(None)
    }

    /// Like [`Self::encode`] with one item more, each transaction's sender (20 bytes each), unless there are none. Whoever
    /// has it vouched for that the body is valid need not recover them (sharded verification).
    #[must_use]
    pub fn encode_with_senders(&self) -> Vec<u8> {
        let senders: Vec<u8> =
            self.transactions.iter().flat_map(|transaction| transaction.signer().0).collect();
        self.encode_wire((!senders.is_empty()).then(|| senders.into()))
    }

    fn encode_wire(&self, senders: Option<Bytes>) -> Vec<u8> {
        let transactions =
            self.transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect();
        let mut out = Vec::new();
        Wire { time_ms: self.time_ms, transactions, senders }.encode(&mut out);
        out
    }

    /// Decodes and checks a body. The check is deterministic and stateless, so that all correct validators agree on
    /// it: form, size, chain id, type and signature, and that senders that are named are those of the signatures. Nonces and balances are checked after the decision.
    ///
    /// # Errors
    /// [`ChainError::Decode`] with the first thing that is wrong.
    pub fn check(body: &[u8], rules: ProposalRules) -> Result<Self, ChainError> {
        Self::check_knowing(body, rules, &|_| None)
    }

    /// [`Self::check`], with the senders that were recovered before from transactions of the same hash, which covers the
    /// signature.
    ///
    /// # Errors
    /// [`ChainError::Decode`] with the first thing that is wrong.
    pub(crate) fn check_knowing(
        body: &[u8],
        rules: ProposalRules,
        known: &(impl Fn(&B256) -> Option<Address> + Sync),
    ) -> Result<Self, ChainError> {
        if body.len() > rules.bytes_max {
            return Err(ChainError::decode("proposal", format!("{} bytes", body.len())));
        }
        let wire = Wire::read(body)?;
        let transactions: Result<Vec<_>, SubmitError> = on_verifiers(|| {
            wire.transactions.par_iter().map(|raw| recover_unless(known, raw, rules.chain_id)).collect()
        });
        let transactions =
            transactions.map_err(|error| ChainError::decode("proposal's transaction", error))?;
        if let Some(senders) = wire.senders {
            let named = senders.chunks_exact(Address::len_bytes());
            if !named.zip(&transactions).all(|(named, transaction)| *named == *transaction.signer()) {
                return Err(ChainError::decode("proposal", "a sender is not that of the signature"));
            }
        }
        Ok(Self { time_ms: wire.time_ms, transactions })
    }

    /// Decodes a body that t+1 validators, so at least one correct one, have found valid by [`Self::check`]: senders
    /// that it names are taken as they are, without recovering them.
    ///
    /// # Errors
    /// [`ChainError::Decode`], for a body that nobody can have found valid.
    pub fn decided(body: &[u8], rules: ProposalRules) -> Result<Self, ChainError> {
        Self::named(body, rules)?.map_or_else(|| Self::check(body, rules), Ok)
    }

    /// [`Self::decided`] for a body that names its senders; `None` for another.
    ///
    /// # Errors
    /// [`ChainError::Decode`], for a body that nobody can have found valid.
    pub(crate) fn named(body: &[u8], rules: ProposalRules) -> Result<Option<Self>, ChainError> {
        let Wire { time_ms, transactions, senders: Some(senders) } = Wire::read(body)? else {
            return Ok(None);
        };
        let named = senders.par_chunks_exact(Address::len_bytes()).map(Address::from_slice);
        let transactions: Result<Vec<_>, SubmitError> = transactions
            .par_iter()
            .zip(named)
            .map(|(raw, sender)| Ok(RecoveredTransaction::new_unchecked(read(raw, rules.chain_id)?, sender)))
            .collect();
        let transactions =
            transactions.map_err(|error| ChainError::decode("proposal's transaction", error))?;
        Ok(Some(Self { time_ms, transactions }))
    }
}

/// Runs `work` on threads that only check proposals. On those of everybody a check would wait for the roots of a block to
/// be ready, and consensus for the check.
fn on_verifiers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static VERIFIERS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
        let pool = ThreadPoolBuilder::new().thread_name(|index| format!("verify-{index}")).build();
        pool.inspect_err(|error| tracing::warn!(%error, "no threads for checks alone; they share others"))
            .ok()
    });
    match &*VERIFIERS {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Decodes one transaction and recovers its sender.
///
/// # Errors
/// [`SubmitError`] in geth's words.
pub fn recover(raw: &[u8], chain_id: u64) -> Result<RecoveredTransaction, SubmitError> {
    recover_unless(&|_| None, raw, chain_id)
}

fn recover_unless(
    known: &impl Fn(&B256) -> Option<Address>,
    raw: &[u8],
    chain_id: u64,
) -> Result<RecoveredTransaction, SubmitError> {
    let transaction = read(raw, chain_id)?;
    if let Some(sender) = known(transaction.tx_hash()) {
        return Ok(RecoveredTransaction::new_unchecked(transaction, sender));
    }
    metrics::counter!("bxp_chain_recoveries_total").increment(1);
    transaction.try_into_recovered().map_err(|_| SubmitError::InvalidSender)
}

fn read(raw: &[u8], chain_id: u64) -> Result<TxEnvelope, SubmitError> {
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
    Ok(transaction)
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
    fn named_senders_are_checked_once_and_then_believed() {
        let proposal = Proposal { time_ms: 5, transactions: vec![transfer(1, 0, 1), transfer(2, 3, 1)] };
        let body = proposal.encode_with_senders();
        assert_eq!(body.len(), proposal.encode().len() + 42, "2 x 20, a header, a longer list header");
        assert_eq!(Proposal::check(&body, RULES).unwrap(), proposal);
        assert_eq!(Proposal::decided(&body, RULES).unwrap(), proposal);
        assert_eq!(Proposal::decided(&proposal.encode(), RULES).unwrap(), proposal, "senders are recovered");
        let mut lie = body.clone();
        *lie.last_mut().unwrap() ^= 1;
        assert!(Proposal::check(&lie, RULES).unwrap_err().to_string().contains("not that of the signature"));
        let believed = Proposal::decided(&lie, RULES).unwrap();
        assert_eq!(believed.transactions[0], proposal.transactions[0]);
        assert_ne!(
            believed.transactions[1].signer(),
            proposal.transactions[1].signer(),
            "nothing is recovered"
        );
        let short = Wire { time_ms: 5, transactions: vec![], senders: Some(vec![1; 20].into()) };
        assert!(Proposal::check(&alloy_rlp::encode(short), RULES).is_err(), "one sender too many");
        assert!(Proposal::decided(&[1, 2, 3], RULES).is_err());
        assert_eq!(Proposal::default().encode_with_senders(), Proposal::default().encode());
    }

    #[test]
    fn a_sender_that_is_known_is_not_recovered_again() {
        let transactions = vec![transfer(1, 0, 1), transfer(2, 3, 1)];
        let (known, other) = (*transactions[0].tx_hash(), Address::repeat_byte(7));
        let body = Proposal { time_ms: 5, transactions: transactions.clone() }.encode();
        // No sender of a signature is like this one, so it can only be the one that was said.
        let checked =
            Proposal::check_knowing(&body, RULES, &|hash| (*hash == known).then_some(other)).unwrap();
        assert_eq!(checked.transactions[0].signer(), other);
        assert_eq!(checked.transactions[1], transactions[1]);
    }

    #[test]
    fn the_wire_format_is_pinned() {
        let empty = Proposal { time_ms: 0x0102, transactions: vec![] }.encode();
        assert_eq!(hex(&empty), "c4820102c0");
        let proposal = Proposal { time_ms: 0x0102, transactions: vec![transfer(1, 0, 1)] };
        let (bare, named) = (proposal.encode(), proposal.encode_with_senders());
        let sender = hex(proposal.transactions[0].signer().as_slice());
        assert_eq!(hex(&named[2..]), hex(&bare[2..]) + "94" + &sender);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Proposal::check(&bytes, RULES);
            let _ = Proposal::decided(&bytes, RULES);
            let _ = recover(&bytes, CHAIN_ID);
        }
    }
}
