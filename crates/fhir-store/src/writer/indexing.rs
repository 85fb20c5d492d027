//! The index of what was written: in with a version, out when the next one comes, and all of it anew.

use super::{Current, Writer, content, current, place};
use crate::{
    StoreError,
    database::{Pairs, Row, Value as Sql, values},
    extract::{Extracted, extract},
    index::{self, Entries},
    parameters::{Kind, ParameterId, Parameters},
    schema,
    sealing::{Domain, Place},
};
use sonic_rs::Value;
use std::borrow::Cow;

impl Writer {
    /// Makes the index of all resources again, after the table of search parameters has changed.
    pub(crate) fn index_again(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        self.database.run("DELETE FROM posting")?;
        for table in self.value_tables() {
            self.database.run(&format!("DELETE FROM {table}"))?;
        }
        let mut after = 0_i64;
        loop {
            let text = "SELECT v.seq, v.rid, v.kind, v.version, v.updated_ms, v.body FROM resource r \
                        JOIN version v ON v.seq = r.seq WHERE r.rid > ?1 AND r.deleted = 0 ORDER BY r.rid LIMIT 500";
            let read = |row: &Row<'_>| Ok((place(row)?, content(&self.database, row)?));
            let portion: Vec<(Place, Option<Value>)> = self.database.all(text, values![after], read)?;
            let Some((last, _)) = portion.last() else { break };
            after = last.rid;
            for (Place { rid, kind, .. }, value) in portion {
                let Some(value) = value else { continue };
                let extracted = extract(kind, &value);
                let text = "UPDATE resource SET present = ?2 WHERE rid = ?1";
                self.database.execute(text, values![rid, self.present(&extracted)])?;
                self.index(kind, rid, &extracted)?;
            }
        }
        schema::set_note(&self.database, schema::PARAMETERS, Parameters::digest())?;
        self.commit()
    }

    /// Which parameters have a value: for a server, the resource alone says so.
    pub(super) fn present(&self, extracted: &Extracted) -> i64 {
        if self.database.sealer().is_some() { 0 } else { extracted.present }
    }

    /// The number of a resource, also where it is only referred to.
    fn resource_number(&mut self, kind: Kind, id: &str) -> Result<i64, StoreError> {
        if let Some(known) = self.resources.get(&kind).and_then(|numbers| numbers.get(id)) {
            return Ok(*known);
        }
        let rid = match current(&self.database, kind, id)? {
            Some(found) => found.rid,
            None => {
                let rid = self.next_rid;
                self.next_rid += 1;
                let text = "INSERT INTO resource (rid, kind, id, version, seq, deleted, present, subject) \
                            VALUES (?1, ?2, ?3, 0, 0, 1, 0, ?4)";
                let id = self.database.hidden(Domain::Id(kind), id)?;
                self.database
                    .execute(text, values![rid, kind.0, id, Sql::Bytes(Some(Cow::Borrowed(&[])))])?;
                rid
            }
        };
        self.remember(kind, id, rid);
        Ok(rid)
    }

    fn concept_number(&mut self, system: &str, code: &str, label: &str) -> Result<i64, StoreError> {
        index::name_concept(&mut self.name, system, code, label);
        if let Some(known) = self.concepts.get(&self.name) {
            return Ok(*known);
        }
        let cid = match index::concept(&self.database, system, code, label)? {
            Some(cid) => cid,
            None => {
                let cid = self.next_cid;
                self.next_cid += 1;
                let text = "INSERT INTO concept (cid, code, system, label) VALUES (?1, ?2, ?3, ?4)";
                let names = [(Domain::Code, code), (Domain::System, system), (Domain::Label, label)];
                let [code, system, label] = names.map(|(domain, name)| self.database.hidden(domain, name));
                self.database.execute(text, values![cid, code?, system?, label?])?;
                cid
            }
        };
        self.concepts.insert(self.name.clone(), cid);
        Ok(cid)
    }

    fn entries(&mut self, extracted: &Extracted) -> Result<Entries, StoreError> {
        let sealer = self.database.shared_sealer();
        Entries::of(extracted, sealer.as_deref(), &mut |name| match name {
            index::Name::Concept { system, code, label } => {
                self.concept_number(system, code, label).map(Some)
            }
            index::Name::Resource(kind, id) => self.resource_number(kind, id).map(Some),
        })
    }

    pub(super) fn index(&mut self, kind: Kind, rid: i64, extracted: &Extracted) -> Result<(), StoreError> {
        let mut entries = self.entries(extracted)?;
        entries.postings.push((index::all_of(kind), 0));
        self.database.for_each_pair(Pairs::Insert, rid, &entries.postings)?;
        entries.insert_values(&self.database, rid)
    }

    /// The tables of values, which a server has not.
    fn value_tables(&self) -> &'static [&'static str] {
        if self.database.sealer().is_some() { &[] } else { &["span", "amount", "words"] }
    }

    /// Takes the index entries of a version out again; they follow from its text.
    pub(super) fn unindex(&mut self, kind: Kind, stood: &Current) -> Result<(), StoreError> {
        let text =
            "SELECT v.seq, v.rid, v.kind, v.version, v.updated_ms, v.body FROM version v WHERE v.seq = ?1";
        let read = |row: &Row<'_>| content(&self.database, row);
        if let Some(value) = self.database.first(text, values![stood.seq], read)?.flatten() {
            let mut entries = self.entries(&extract(kind, &value))?;
            entries.postings.push((index::all_of(kind), 0));
            self.database.for_each_pair(Pairs::Delete, stood.rid, &entries.postings)?;
        }
        for table in self.value_tables() {
            self.database.execute(&format!("DELETE FROM {table} WHERE rid = ?1"), values![stood.rid])?;
        }
        Ok(())
    }
}

impl ParameterId {
    /// The number under which its values stand in the index.
    pub(crate) const fn index(self) -> i64 {
        self.0 as i64 * 2
    }

    /// The number under which the identifiers of its references stand in the index.
    pub(crate) const fn identifier_index(self) -> i64 {
        self.0 as i64 * 2 + 1
    }
}
