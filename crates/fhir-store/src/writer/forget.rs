//! Forgetting what was erased.

use super::{Current, Writer};
use crate::{StoreError, database::values, parameters::Kind, schema, sealing::Domain};
use std::{collections::BTreeSet, sync::atomic::Ordering};

impl Writer {
    /// Forgets every version of a patient, also of resources that are another patient's by now: their texts and index are gone
    /// from the file, once it is checkpointed; ids remain, as deleted. Versions of other patients stay. Gives the number of
    /// resources.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn forget_subject(&mut self, subject: [u8; 16]) -> Result<usize, StoreError> {
        let text = "SELECT rid, kind, seq, version, deleted FROM resource WHERE subject = ?1";
        let hidden = self.database.hidden_bytes(Domain::Subject, &subject)?;
        let found: Vec<(Kind, Current)> = self.database.all(text, &[hidden], |row| {
            let kind = Kind(row.get(1)?);
            let (rid, seq) = (row.get(0)?, row.get(2)?);
            Ok((kind, Current { version: row.get(3)?, deleted: row.get(4)?, rid, seq, subject }))
        })?;
        for (kind, current) in &found {
            if current.seq > 0 && !current.deleted {
                self.unindex(*kind, current)?;
            }
            self.forget_versions(current.rid, i64::MAX)?;
            let text = "UPDATE resource SET deleted = 1, present = 0 WHERE rid = ?1";
            self.database.execute(text, values![current.rid])?;
        }
        let text = "SELECT rid, upto FROM moved WHERE subject = ?1";
        let hidden = self.database.hidden_bytes(Domain::Subject, &subject)?;
        let moved: Vec<(i64, i64)> =
            self.database.all(text, &[hidden], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (rid, upto) in &moved {
            self.forget_versions(*rid, *upto)?;
        }
        self.note_forgotten()?;
        let rids: BTreeSet<i64> =
            found.iter().map(|(_, current)| current.rid).chain(moved.iter().map(|(rid, _)| *rid)).collect();
        Ok(rids.len())
    }

    /// Forgets the texts of those versions up to `upto` that are of one and the same patient.
    fn forget_versions(&self, rid: i64, upto: i64) -> Result<(), StoreError> {
        let text = "UPDATE version SET body = NULL WHERE rid = ?1 AND version <= ?2 \
                    AND version > (SELECT coalesce(max(upto), 0) FROM moved WHERE rid = ?1 AND upto < ?2)";
        self.database.execute(text, values![rid, upto])
    }

    /// Forgets the version that a record seals. Looks through all versions.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn forget_record(&mut self, record: [u8; 16]) -> Result<(), StoreError> {
        let text = "SELECT v.seq, r.rid, r.kind, r.seq, r.version, r.deleted FROM version v \
                    JOIN resource r ON r.rid = v.rid WHERE v.record = ?1";
        let hidden = self.database.hidden_bytes(Domain::Record, &record)?;
        let found = self.database.first(text, &[hidden], |row| {
            let (rid, seq) = (row.get(1)?, row.get(3)?);
            let current = Current { version: row.get(4)?, deleted: row.get(5)?, rid, seq, subject: [0; 16] };
            Ok((row.get::<i64>(0)?, Kind(row.get(2)?), current))
        })?;
        let Some((seq, kind, current)) = found else { return Ok(()) };
        if seq == current.seq && !current.deleted {
            self.unindex(kind, &current)?;
            let text = "UPDATE resource SET deleted = 1, present = 0 WHERE rid = ?1";
            self.database.execute(text, values![current.rid])?;
        }
        self.note_forgotten()?;
        self.database.execute("UPDATE version SET body = NULL WHERE seq = ?1", values![seq])
    }

    /// Notes that the texts of what was forgotten may still lie somewhere: in a file's log, in a server's tables.
    fn note_forgotten(&mut self) -> Result<(), StoreError> {
        if self.database.sealer().is_none() {
            self.log_due = true;
            return Ok(());
        }
        self.traces.store(true, Ordering::SeqCst);
        let count = schema::note(&self.database, schema::FORGOTTEN)?.unwrap_or(0);
        schema::set_note(&self.database, schema::FORGOTTEN, count + 1)
    }

    /// Notes that a server's tables are vacuumed of the first `count` that were forgotten.
    pub(crate) fn note_vacuumed(&mut self, count: i64) -> Result<(), StoreError> {
        let others = self.open;
        self.begin()?;
        let noted = self.attempt(|writer| schema::set_note(&writer.database, schema::VACUUMED, count));
        match (noted, others) {
            (noted, true) => noted,
            (Ok(()), false) => self.commit(),
            (Err(error), false) => {
                self.undo()?;
                Err(error)
            }
        }
    }

    /// Whether something was forgotten that the log of the last transactions may still have.
    #[must_use]
    pub const fn is_log_due(&self) -> bool {
        self.log_due
    }

    /// Empties a file's log of the last transactions where that is due, so that what was forgotten is not in it either. Tells
    /// whether it is done: a reader and an open transaction hold it up, and the next checkpoint does it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn empty_log(&mut self) -> Result<bool, StoreError> {
        if self.log_due && !self.open {
            self.log_due = !self.database.empty_log()?;
        }
        Ok(!self.log_due)
    }
}
