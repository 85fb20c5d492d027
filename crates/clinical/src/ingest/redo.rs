//! What the working copy must hold, noted with the vault's own writes until the working copy is synced.
//!
//! A row has the address and the record of each version; the content is the vault's, and is opened again from there. Or it
//! has what must be forgotten, which the vault has erased.

use super::{Inner, whole};
use crate::ClinicalError;
use bxp_enclave::Enclave;
use bxp_fhir_store::{NewVersion, Parameters, Prepared, StoreError, Writer};
use bxp_privacy::{Facts, Permit, Purpose, Request, Scope, decide};
use bxp_storage::{Batch, Durability, Store, Table};
use bxp_types::{
    BlockClass, RecordId, SubjectId,
    fields::{take, take_slice},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a row begins with that has a list of versions.
const VERSIONS: u8 = 1;
/// What a row begins with that has what must be forgotten.
const FORGOTTEN: u8 = 2;

const DAMAGED: ClinicalError = ClinicalError::Damaged("a row of what the working copy must hold");

/// A version that the working copy must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) updated_ms: i64,
    /// The record that seals it; none for a deletion.
    pub(super) record: Option<[u8; 16]>,
    pub(super) subject: [u8; 16],
}

/// What the working copy must forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgotten {
    /// All of a patient's versions.
    Subject(SubjectId),
    /// The version that a record seals.
    Record(RecordId),
}

impl Forgotten {
    pub(super) fn carry_out(self, writer: &mut Writer) -> Result<(), StoreError> {
        match self {
            Self::Subject(subject) => writer.forget_subject(subject.0).map(drop),
            Self::Record(record) => writer.forget_record(record.0),
        }
    }
}

/// Adds to a batch that the working copy must forget what the batch erases.
pub(crate) type Note<'a> = &'a dyn Fn(&mut Batch) -> Result<(), ClinicalError>;

/// What a row says.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    Versions(Vec<Noted>),
    Forgotten(Forgotten),
}

#[derive(Debug)]
pub(super) struct Redo {
    enclave: Enclave,
    /// Number (u64 BE) -> sealed [`Row`].
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

    /// The number of the last row that is there; 0 where none is.
    pub(super) fn last(&self) -> Result<u64, ClinicalError> {
        let last = self.rows.last()?.map(|(key, _)| key.as_ref().try_into().map_err(|_| DAMAGED));
        Ok(last.transpose()?.map_or(0, u64::from_be_bytes))
    }

    /// Adds a row with `versions` to `batch`. Gives its number.
    pub(super) fn note(&self, batch: &mut Batch, versions: &[Noted]) -> Result<u64, ClinicalError> {
        self.put(batch, &encode(versions)?)
    }

    /// Adds a row with what must be forgotten to `batch`. Gives its number.
    pub(super) fn note_forgotten(&self, batch: &mut Batch, what: Forgotten) -> Result<u64, ClinicalError> {
        self.put(batch, &encode_forgotten(what))
    }

    fn put(&self, batch: &mut Batch, row: &[u8]) -> Result<u64, ClinicalError> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let key = number.to_be_bytes();
        batch.put(&self.rows, key, self.enclave.seal_at_rest(row, &context(&key))?);
        Ok(number)
    }

    /// Puts into the working copy what it does not have yet, and forgets what it must not have any more, in the order in which
    /// it was noted.
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
            match decode(&self.enclave.open_at_rest(&sealed, &context(&key))?)? {
                Row::Versions(versions) => {
                    let count = versions.len();
                    tracing::info!(number, versions = count, "put into the working copy what it had lost");
                    for noted in &versions {
                        put_again(inner, writer, noted, &permit)?;
                    }
                }
                Row::Forgotten(what) => {
                    tracing::info!(number, "forget in the working copy what was erased");
                    what.carry_out(writer)?;
                }
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
        Some(record) => match inner.vault.entry(record)? {
            // Nothing of what was erased since is put in; what it took the place of must not stand for it.
            None if writer.current(kind, &noted.id)?.is_none_or(|current| current.deleted) => {
                return Ok(());
            }
            None => None,
            // Nor of a country that this node has left: its working copy is forgotten.
            Some(entry) if !inner.vault.keeps(&entry) => return Ok(()),
            Some(_) => Some(Prepared::new(kind, whole(&inner.vault, record, permit)?.expose())?),
        },
    };
    writer.put(&NewVersion {
        kind,
        id: &noted.id,
        updated_ms: noted.updated_ms,
        record: noted.record.filter(|_| content.is_some()),
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

/// A row's list: its version, and then of each [`Noted`] `kind || id || milliseconds (i64 BE) || subject (16) || 1 ||
/// record (16)`, or `0` in place of the last two; kind and id each after their length in bytes (u16 BE).
fn encode(versions: &[Noted]) -> Result<Vec<u8>, ClinicalError> {
    let mut row = vec![VERSIONS];
    for one in versions {
        for text in [&one.kind, &one.id] {
            let length = u16::try_from(text.len()).map_err(|_| DAMAGED)?;
            row.extend_from_slice(&length.to_be_bytes());
            row.extend_from_slice(text.as_bytes());
        }
        row.extend_from_slice(&one.updated_ms.to_be_bytes());
        row.extend_from_slice(&one.subject);
        row.push(u8::from(one.record.is_some()));
        row.extend(one.record.iter().flatten());
    }
    Ok(row)
}

/// A row of what must be forgotten: what it begins with, 0 for a patient or 1 for a record, and the name (16).
fn encode_forgotten(what: Forgotten) -> Vec<u8> {
    let (kind, name) = match what {
        Forgotten::Subject(subject) => (0, subject.0),
        Forgotten::Record(record) => (1, record.0),
    };
    [&[FORGOTTEN, kind], name.as_slice()].concat()
}

fn decode(row: &[u8]) -> Result<Row, ClinicalError> {
    let read = match row.split_first() {
        Some((&VERSIONS, rest)) => read_versions(rest).map(Row::Versions),
        Some((&FORGOTTEN, rest)) => read_forgotten(rest).map(Row::Forgotten),
        _ => None,
    };
    read.ok_or(DAMAGED)
}

fn read_forgotten(mut rest: &[u8]) -> Option<Forgotten> {
    let (kind, name) = (take::<1>(&mut rest)?, take(&mut rest)?);
    let what = match kind {
        [0] => Forgotten::Subject(SubjectId(name)),
        [1] => Forgotten::Record(RecordId(name)),
        _ => return None,
    };
    rest.is_empty().then_some(what)
}

fn read_versions(mut rest: &[u8]) -> Option<Vec<Noted>> {
    let mut versions = Vec::new();
    while !rest.is_empty() {
        let (kind, id) = (take_text(&mut rest)?, take_text(&mut rest)?);
        let updated_ms = i64::from_be_bytes(take(&mut rest)?);
        let subject = take(&mut rest)?;
        let record = match take::<1>(&mut rest)? {
            [0] => None,
            [1] => Some(take(&mut rest)?),
            _ => return None,
        };
        versions.push(Noted { kind, id, updated_ms, record, subject });
    }
    Some(versions)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let text = std::str::from_utf8(take_slice(rest, length)?).ok()?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions() -> [Noted; 2] {
        let (subject, record) = ([0xab; 16], Some([0xcd; 16]));
        let stored = Noted { kind: "Basic".into(), id: "7".into(), updated_ms: 0x0102, record, subject };
        let deleted = Noted { record: None, ..stored.clone() };
        [stored, deleted]
    }

    #[test]
    fn the_list_of_a_row_is_pinned() {
        let one = [
            b"\x00\x05Basic".as_slice(),         // the type
            b"\x00\x017",                        // the id
            b"\x00\x00\x00\x00\x00\x00\x01\x02", // milliseconds
            &[0xab; 16],                         // the subject
        ]
        .concat();
        let row = [&[1], one.as_slice(), &[1], &[0xcd; 16], &one, &[0]].concat();
        assert_eq!(encode(&versions()).unwrap(), row);
        assert_eq!(decode(&row).unwrap(), Row::Versions(versions().into()));
        assert_eq!(decode(&encode(&[]).unwrap()).unwrap(), Row::Versions(vec![]));
    }

    #[test]
    fn the_row_of_what_is_forgotten_is_pinned() {
        let table = [
            (Forgotten::Subject(SubjectId([0xab; 16])), [[2, 0].as_slice(), &[0xab; 16]].concat()),
            (Forgotten::Record(RecordId([0xcd; 16])), [[2, 1].as_slice(), &[0xcd; 16]].concat()),
        ];
        for (what, row) in table {
            assert_eq!(encode_forgotten(what), row);
            assert_eq!(decode(&row).unwrap(), Row::Forgotten(what));
            for damaged in
                [&row[..row.len() - 1], &[row.as_slice(), &[0]].concat(), &[&[2, 2], &row[2..]].concat()]
            {
                assert!(decode(damaged).is_err(), "{damaged:?}");
            }
        }
    }

    #[test]
    fn a_damaged_row_is_refused() {
        let row = encode(&versions()).unwrap();
        // The list may end between its two versions, and before the first one.
        let ends = [1, row.len() - (2 + 5 + 2 + 1 + 8 + 16 + 1)];
        for end in (0..row.len()).filter(|end| !ends.contains(end)) {
            assert!(decode(&row[..end]).is_err(), "cut behind {end} bytes");
        }
        assert!(decode(&[&[3], &row[1..]].concat()).is_err(), "of another form");
        assert!(
            decode(&[&row[..row.len() - 1], &[2]].concat()).is_err(),
            "neither with nor without a record"
        );
    }
}
