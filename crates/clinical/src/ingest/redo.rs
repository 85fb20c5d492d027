//! What the working copy must hold, noted with the vault's own writes until the working copy is synced.
//!
//! A row has the address and the record of each version; the content is the vault's, and is opened again from there.

use super::{Inner, whole};
use crate::ClinicalError;
use bxp_enclave::Enclave;
use bxp_fhir_store::{NewVersion, Parameters, Prepared, Writer};
use bxp_privacy::{Facts, Permit, Purpose, Request, Scope, decide};
use bxp_storage::{Batch, Durability, Store, Table};
use bxp_types::{BlockClass, RecordId};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

const DAMAGED: ClinicalError = ClinicalError::Damaged("a row of what the working copy must hold");

/// A version that the working copy must hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Noted {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) updated_ms: i64,
    /// The record that seals it; none for a deletion.
    pub(super) record: Option<[u8; 16]>,
    pub(super) subject: [u8; 16],
}

#[derive(Debug)]
pub(super) struct Redo {
    enclave: Enclave,
    /// Number (u64 BE) -> sealed list of [`Noted`].
    rows: Table,
    next: AtomicU64,
}

impl Redo {
    pub(super) fn open(store: &Store, enclave: Enclave) -> Result<Self, ClinicalError> {
        let rows = store.table("clinical.unstored")?;
        Ok(Self { enclave, rows, next: AtomicU64::new(1) })
    }

    /// The number of the next row.
    pub(super) fn next_number(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    /// Adds a row to `batch`. Gives its number.
    pub(super) fn note(&self, batch: &mut Batch, versions: &[Noted]) -> Result<u64, ClinicalError> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let key = number.to_be_bytes();
        let text = serde_json::to_vec(versions).map_err(|_| DAMAGED)?;
        batch.put(&self.rows, key, self.enclave.seal_at_rest(&text, &context(&key))?);
        Ok(number)
    }

    /// Puts into the working copy what it does not have yet.
    pub(super) fn again(&self, inner: &Inner, writer: &mut Writer) -> Result<(), ClinicalError> {
        let applied = writer.applied()?.unwrap_or(0);
        let mut last = applied;
        let permit = own_permit(inner)?;
        for row in self.rows.iter() {
            let (key, sealed) = row?;
            let key: [u8; 8] = key.as_ref().try_into().map_err(|_| DAMAGED)?;
            let number = u64::from_be_bytes(key);
            if number <= applied {
                continue;
            }
            let text = self.enclave.open_at_rest(&sealed, &context(&key))?;
            let versions: Vec<Noted> = serde_json::from_slice(&text).map_err(|_| DAMAGED)?;
            tracing::info!(number, versions = versions.len(), "put into the working copy what it had lost");
            for noted in &versions {
                put_again(inner, writer, noted, &permit)?;
            }
            last = last.max(number);
        }
        if last > applied {
            writer.set_applied(last)?;
        }
        self.next.fetch_max(last + 1, Ordering::SeqCst);
        Ok(())
    }

    /// Removes the rows up to `applied`, whose versions are synced.
    pub(super) fn forget(&self, store: &Store, applied: Option<u64>) -> Result<(), ClinicalError> {
        let Some(applied) = applied else { return Ok(()) };
        let mut batch = store.batch();
        for row in self.rows.iter() {
            let (key, _) = row?;
            let number = u64::from_be_bytes(key.as_ref().try_into().map_err(|_| DAMAGED)?);
            if number > applied {
                break;
            }
            batch.remove(&self.rows, key);
        }
        Ok(batch.commit(Durability::Buffered)?)
    }
}

fn put_again(
    inner: &Inner,
    writer: &mut Writer,
    noted: &Noted,
    permit: &Permit,
) -> Result<(), ClinicalError> {
    let kind = Parameters::r4().kind(&noted.kind).ok_or(DAMAGED)?;
    let content = match noted.record.map(RecordId) {
        None => None,
        // What was erased since has nothing to be put in.
        // Nor has that of a country that this node has left: its working copy is forgotten.
        Some(record) if !inner.vault.entry(record)?.is_some_and(|entry| inner.vault.keeps(&entry)) => {
            return Ok(());
        }
        Some(record) => Some(Prepared::new(kind, whole(&inner.vault, record, permit)?.expose())?),
    };
    writer.put(&NewVersion {
        kind,
        id: &noted.id,
        updated_ms: noted.updated_ms,
        record: noted.record,
        subject: noted.subject,
        content: content.as_ref(),
    })?;
    Ok(())
}

/// Leave to open what this node holds, for its own work on it (45 CFR 164.506(c)(1)).
pub(crate) fn own_permit(inner: &Inner) -> Result<Permit, ClinicalError> {
    let home = inner.vault.home();
    let request = Request {
        requester: inner.vault.me(),
        scope: Scope::OwnRecords,
        class: BlockClass::Identity(home),
        purpose: Purpose::Operations,
    };
    let facts = Facts {
        now_ms: inner.clock.now_ms(),
        member: true,
        holder: true,
        regulator: false,
        requester_jurisdiction: home,
        residency: None,
        patient_verified: false,
        contribution: None,
        contract: None,
    };
    Ok(decide(&request, &facts)?)
}

fn context(key: &[u8; 8]) -> Vec<u8> {
    [b"unstored".as_slice(), &[0], key].concat()
}
