//! Erasure on its way: tombstones to every other node, signed receipts back (white paper row F2).
//!
//! Request: `version (1)`, then each tombstone as `length (u16 BE) || DAG-CBOR`. A good answer (`answer.rs`) has each receipt
//! in the same form and order. What has no receipt of a node is sent to it again until it has, also after restarts: the
//! tombstones themselves say what is to be sent. They go to every node, whatever placement says, so that they reach also
//! those that once held a copy.

mod letters;

use crate::{
    ClinicalError,
    answer::{self, DONE, malformed, refused},
    ingest::{Forgotten, Ingest, Note},
    turns::{Rests, serve_others, take_turns},
};
use bxp_network::{Network, Service};
use bxp_storage::Durability;
use bxp_types::{Genesis, RecordId, SubjectId, ValidatorIndex};
use bxp_vault::{Receipt, Tombstone, Vault, VaultError};
use bytes::Bytes;
use ed25519_zebra::VerificationKey;
use std::{future::Future, time::Duration};
use tokio_util::sync::CancellationToken;

const VERSION: u8 = 1;
/// Tombstones of one request: with their receipts far below what one frame of the network carries.
const TOMBSTONES_MAX: usize = 512;

/// In quiet, it is looked that often whether a node still owes receipts.
const RESTS: Rests = Rests {
    quiet: Duration::from_secs(5),
    failed: Duration::from_secs(10),
    failed_max: Duration::from_secs(60),
};

/// Asks another node and brings its answer.
pub trait Messenger: Clone + Send + Sync + 'static {
    /// Whether the node can be reached now.
    fn reaches(&self, to: ValidatorIndex) -> bool;

    /// Sends a request for erasure. An error says why there is no answer, in words without identifying data.
    fn ask(&self, to: ValidatorIndex, bytes: Bytes) -> impl Future<Output = Result<Bytes, String>> + Send;
}

impl Messenger for Network {
    fn reaches(&self, to: ValidatorIndex) -> bool {
        self.connected().contains(&to)
    }

    async fn ask(&self, to: ValidatorIndex, bytes: Bytes) -> Result<Bytes, String> {
        self.request(to, Service::Erasure, bytes).await.map_err(|error| error.to_string())
    }
}

impl Ingest {
    /// Erases one record of this node: keys, blocks and entry are gone and its tombstone is on disk when this returns.
    /// The other nodes follow as they are reached.
    ///
    /// # Errors
    /// [`ClinicalError::Vault`].
    pub fn erase_record(&self, record: RecordId) -> Result<Tombstone, ClinicalError> {
        let inner = &self.0;
        let tombstone = self.forget(Forgotten::Record(record), |note| {
            let mut batch = inner.store.batch();
            inner.tables.remove_record(&mut batch, record);
            note(&mut batch)?;
            Ok(inner.vault.erase_with(record, batch)?)
        });
        // Also after an error: it may have come behind the erasure.
        self.wake();
        tombstone
    }

    /// Erases a patient: every record of every version, the patient's key, and the names by which the resources were
    /// recognised, what the patient's devices were admitted with, and dead letters about the patient. What accounts for
    /// disclosures, the anchors and the account on the chain stay.
    ///
    /// # Errors
    /// [`ClinicalError::UnknownPatient`], [`ClinicalError::Vault`].
    pub fn erase_patient(&self, subject: SubjectId) -> Result<Vec<Tombstone>, ClinicalError> {
        let tombstones =
            self.forget(Forgotten::Subject(subject), |note| self.erase_named_patient(subject, note));
        self.wake();
        tombstones
    }

    /// Has `erase` erase something, and the working copy forget it, with no one named meanwhile.
    fn forget<T>(
        &self,
        what: Forgotten,
        erase: impl FnOnce(Note<'_>) -> Result<T, ClinicalError>,
    ) -> Result<T, ClinicalError> {
        match self.0.working.get() {
            Some(working) => working.forget(&self.0, &[what], erase),
            None => {
                let _writing = self.0.writing.lock();
                erase(&|_| Ok(()))
            }
        }
    }

    /// Erases a patient from the vault and the tables beside it, in one step with `note`.
    fn erase_named_patient(
        &self,
        subject: SubjectId,
        note: Note<'_>,
    ) -> Result<Vec<Tombstone>, ClinicalError> {
        let inner = &self.0;
        let known = inner.tables.patient_of_subject(subject)?.is_some();
        let records = inner.vault.entries_of(subject)?;
        // An erasure that failed at its end may have left the key.
        if !known && records.is_empty() && !inner.enclave.has_patient(&subject.0) {
            return Err(ClinicalError::UnknownPatient(subject));
        }
        if known {
            // While the patient's numbers are still known.
            let theirs = letters::Theirs::of(inner, subject)?;
            let letters = inner.inbox.forget(|message| theirs.are(message))?;
            tracing::info!(letters, "dead letters of an erased patient are gone");
        }
        let mut batch = inner.store.batch();
        inner.credentials.remove_all(&mut batch, subject)?;
        inner.tables.remove_patient(&mut batch, subject)?;
        records.iter().for_each(|entry| inner.tables.remove_record(&mut batch, entry.record_id));
        note(&mut batch)?;
        Ok(inner.vault.erase_patient_with(subject, batch)?)
    }
}

/// Carries tombstones to the other nodes and keeps their receipts.
#[derive(Clone, Debug)]
pub struct Erasing<M> {
    ingest: Ingest,
    messenger: M,
    genesis: Genesis,
}

impl<M: Messenger> Erasing<M> {
    /// Carries what `ingest` erases.
    #[must_use]
    pub const fn new(ingest: Ingest, messenger: M, genesis: Genesis) -> Self {
        Self { ingest, messenger, genesis }
    }

    /// Works until `stop`, for all nodes at once.
    pub async fn run(self, stop: CancellationToken) {
        serve_others(&self.ingest, |peer| self.clone().serve(peer, stop.clone())).await;
    }

    async fn serve(self, to: ValidatorIndex, stop: CancellationToken) {
        let turn = async || {
            let sent = self.send_all(to).await;
            sent.inspect_err(|error| tracing::warn!(%to, ?error, "send tombstones; trying again")).is_ok()
        };
        take_turns(&self.ingest, &stop, RESTS, turn).await;
    }

    /// Sends everything for which `to` has given no receipt.
    ///
    /// # Errors
    /// [`ClinicalError::NotErased`] with the node's reason.
    pub async fn send_all(&self, to: ValidatorIndex) -> Result<(), ClinicalError> {
        let vault = &self.ingest.0.vault;
        while self.messenger.reaches(to) {
            let tombstones = vault.without_receipt(to, TOMBSTONES_MAX)?;
            if tombstones.is_empty() {
                break;
            }
            let failed = |reason: String| ClinicalError::NotErased { peer: to, reason };
            let answer = self.messenger.ask(to, request(&tombstones)?).await.map_err(failed)?;
            let receipts = read_receipts(&answer).map_err(failed)?;
            let key = key_of(&self.genesis, to)?;
            let mut batch = self.ingest.0.store.batch();
            for receipt in &receipts {
                vault.stage_receipt(&mut batch, to, receipt, &key)?;
            }
            batch.commit(Durability::Synced)?;
            let answered =
                |one: &Tombstone| receipts.iter().any(|receipt| receipt.record_id == one.record_id);
            if !tombstones.iter().all(answered) {
                return Err(failed("it gave no receipt for some of the tombstones".to_owned()));
            }
            metrics::counter!("clinical_erasures_receipted").increment(receipts.len() as u64);
        }
        Ok(())
    }
}

/// The answer to tombstones that `from` sent: what they name is erased here when this returns.
#[must_use]
pub fn answer_tombstones(vault: &Vault, genesis: &Genesis, from: ValidatorIndex, bytes: &[u8]) -> Bytes {
    match erase_for(vault, genesis, from, bytes) {
        Ok(receipts) => receipts,
        Err(error) => {
            tracing::warn!(%from, error = ?error, "refuse tombstones");
            refused(&error.to_string())
        }
    }
}

fn erase_for(
    vault: &Vault,
    genesis: &Genesis,
    from: ValidatorIndex,
    bytes: &[u8],
) -> Result<Bytes, ClinicalError> {
    let tombstones = read_request(bytes)?;
    if let Some(other) = tombstones.iter().find(|tombstone| tombstone.holder != from) {
        return Err(VaultError::NotTheHolder { record: other.record_id, from }.into());
    }
    vault.accept_tombstones(&tombstones, &key_of(genesis, from)?)?;
    let mut out = vec![DONE];
    for tombstone in &tombstones {
        push(&mut out, &vault.receipt(tombstone)?.encode()?)?;
    }
    Ok(out.into())
}

pub(crate) fn key_of(genesis: &Genesis, node: ValidatorIndex) -> Result<VerificationKey, ClinicalError> {
    let entry = genesis.validator(node).ok_or(bxp_privacy::Denial::NotAMember)?;
    VerificationKey::try_from(entry.public_key.0).map_err(|_| ClinicalError::Damaged("a validator's key"))
}

pub(crate) fn request(tombstones: &[Tombstone]) -> Result<Bytes, ClinicalError> {
    let mut out = vec![VERSION];
    for tombstone in tombstones {
        push(&mut out, &tombstone.encode()?)?;
    }
    Ok(out.into())
}

/// The tombstones of a request; their signatures are not checked.
pub(crate) fn read_request(bytes: &[u8]) -> Result<Vec<Tombstone>, ClinicalError> {
    let malformed = || ClinicalError::Vault(VaultError::Malformed("tombstones"));
    let (&version, rest) = bytes.split_first().ok_or_else(malformed)?;
    let parts = parts(rest).filter(|_| version == VERSION).ok_or_else(malformed)?;
    let tombstones: Result<Vec<Tombstone>, VaultError> = parts.into_iter().map(Tombstone::decode).collect();
    Ok(tombstones?)
}

pub(crate) fn push(out: &mut Vec<u8>, part: &[u8]) -> Result<(), ClinicalError> {
    let length = u16::try_from(part.len()).map_err(|_| ClinicalError::Damaged("a tombstone or receipt"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(part);
    Ok(())
}

/// The parts of a message; nothing where it is cut off or has too many.
fn parts(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (part, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if parts.len() == TOMBSTONES_MAX {
            return None;
        }
        parts.push(part);
        rest = after;
    }
    rest.is_empty().then_some(parts)
}

/// The receipts of an answer, or the node's reason.
pub(crate) fn read_receipts(answer: &[u8]) -> Result<Vec<Receipt>, String> {
    let parts = parts(answer::read(answer)?).ok_or_else(malformed)?;
    parts.into_iter().map(Receipt::decode).collect::<Result<_, _>>().map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_whole_and_bounded() {
        let mut bytes = Vec::new();
        push(&mut bytes, b"one").unwrap();
        push(&mut bytes, b"").unwrap();
        assert_eq!(bytes, b"\x00\x03one\x00\x00");
        assert_eq!(parts(&bytes), Some(vec![b"one".as_slice(), b""]));
        assert_eq!(parts(&bytes[..bytes.len() - 1]), None);
        assert_eq!(parts(&[0; 2 * TOMBSTONES_MAX]).map(|parts| parts.len()), Some(TOMBSTONES_MAX));
        assert_eq!(parts(&[0; 2 * TOMBSTONES_MAX + 2]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (parts(&bytes), read_receipts(&bytes));
        }
    }
}
