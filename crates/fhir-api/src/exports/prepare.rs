//! Preparing an export: the versions of its moment are listed, type by type or patient by patient.

use super::{Export, File, Line, Scope, damaged, lines::LINES_PER_ROW};
use crate::{disclose::reader, outcome::Failure, state::Shared};
use bxp_fhir_store::{Everything, Kind, Parameters, Reader, Resource};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Resources that are read at once.
const PORTION: usize = 500;
/// Groups within groups that are followed.
const GROUPS_MAX: usize = 64;

/// Lists what an export gives out and says that it is ready. It begins from the start, whatever an earlier try left.
pub(crate) fn prepare(shared: &Shared, export: &Export) -> Result<(), Failure> {
    let exports = &shared.0.exports;
    let _writing = exports.writing.lock();
    exports.remove_lines(&export.id)?;
    let reader = reader(shared.edge())?;
    let mut listing = Listing { shared, export, reader: &reader, rows: BTreeMap::new() };
    match &export.scope {
        Scope::Kinds => listing.kinds()?,
        Scope::Group(id) => listing.group(id)?,
    }
    let files = listing.finish()?;
    let ready = Export { files: Some(files), ..export.clone() };
    // Its client may have ended it in the meantime.
    if exports.put_again(&ready)? { Ok(()) } else { exports.remove_lines(&export.id) }
}

struct Listing<'a> {
    shared: &'a Shared,
    export: &'a Export,
    reader: &'a Reader,
    rows: BTreeMap<Kind, Rows>,
}

/// What was listed of a type.
#[derive(Default)]
struct Rows {
    written: u32,
    count: u64,
    open: Vec<Line>,
}

impl Listing<'_> {
    fn wanted(&self) -> Result<Vec<Kind>, Failure> {
        let kind = |name: &String| Parameters::r4().kind(name).ok_or_else(damaged);
        self.export.kinds.iter().map(kind).collect()
    }

    /// A long listing must not hold up the node's stop: it is done again after the start.
    fn go_on(&self) -> Result<(), Failure> {
        if self.shared.0.stopping.is_cancelled() {
            return Err(Failure::unavailable("the node is stopping"));
        }
        Ok(())
    }

    fn kinds(&mut self) -> Result<(), Failure> {
        for kind in self.wanted()? {
            let mut after = 0;
            loop {
                self.go_on()?;
                let found = self.reader.of_kind(kind, after, self.export.upto, PORTION)?;
                let last = found.last().map(Resource::number).filter(|_| found.len() == PORTION);
                for one in found {
                    self.add(one)?;
                }
                let Some(last) = last else { break };
                after = last;
            }
        }
        Ok(())
    }

    fn group(&mut self, id: &str) -> Result<(), Failure> {
        let kinds = self.wanted()?;
        let mut met = HashSet::new();
        for patient in self.members(id)? {
            let mut after = 0;
            loop {
                self.go_on()?;
                let asked =
                    Everything { kinds: kinds.clone(), since_ms: i64::MIN, after, upto: self.export.upto };
                let (found, last) = self.reader.everything(&patient, &asked, PORTION)?;
                for one in found {
                    // What several patients refer to comes once.
                    if one.number() <= self.export.upto && met.insert(one.number()) {
                        self.add(one)?;
                    }
                }
                let Some(last) = last else { break };
                after = last;
            }
        }
        Ok(())
    }

    /// The ids of the patients of a group, and of the groups in it, in their order. Members who are inactive are left out.
    fn members(&self, id: &str) -> Result<Vec<String>, Failure> {
        let kind = Parameters::r4().kind("Group").ok_or_else(damaged)?;
        let (mut groups, mut waiting) = (BTreeSet::from([id.to_owned()]), vec![id.to_owned()]);
        let (mut patients, mut known) = (Vec::new(), HashSet::new());
        while let Some(group) = waiting.pop() {
            let Some(text) = self.reader.read(kind, &group)?.and_then(|found| found.text) else { continue };
            let group: Value = sonic_rs::from_str(&text).map_err(|_| damaged())?;
            for reference in members(&group) {
                match reference.split_once('/') {
                    Some(("Patient", id)) if known.insert(id.to_owned()) => patients.push(id.to_owned()),
                    Some(("Group", id)) if groups.len() < GROUPS_MAX && groups.insert(id.to_owned()) => {
                        waiting.push(id.to_owned());
                    }
                    _ => {}
                }
            }
        }
        Ok(patients)
    }

    /// Lists a resource as it was at the moment of the export.
    fn add(&mut self, mut one: Resource) -> Result<(), Failure> {
        while one.updated_ms > self.export.began_ms {
            let earlier = match one.version {
                ..=1 => None,
                version => self.reader.version(one.kind, &one.id, version - 1)?,
            };
            let Some(earlier) = earlier else { return Ok(()) };
            one = earlier;
        }
        let Some(line) = Line::of(&one).filter(|_| one.text.is_some()) else { return Ok(()) };
        if one.updated_ms < self.export.since_ms {
            return Ok(());
        }
        let rows = self.rows.entry(one.kind).or_default();
        rows.open.push(line);
        rows.count += 1;
        if rows.open.len() == LINES_PER_ROW {
            self.write(one.kind)?;
        }
        Ok(())
    }

    fn write(&mut self, kind: Kind) -> Result<(), Failure> {
        let Some(rows) = self.rows.get_mut(&kind).filter(|rows| !rows.open.is_empty()) else {
            return Ok(());
        };
        let name = Parameters::r4().name(kind);
        self.shared.0.exports.put_row(&self.export.id, name, rows.written, &rows.open)?;
        rows.written += 1;
        rows.open.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<File>, Failure> {
        let kinds: Vec<Kind> = self.rows.keys().copied().collect();
        kinds.into_iter().try_for_each(|kind| self.write(kind))?;
        let file = |(kind, rows): (&Kind, &Rows)| File {
            kind: Parameters::r4().name(*kind).to_owned(),
            count: rows.count,
        };
        Ok(self.rows.iter().map(file).collect())
    }
}

/// The references to a group's members who are not inactive.
fn members(group: &Value) -> Vec<&str> {
    let list = group.get("member").and_then(|list| list.as_array()).map_or(&[][..], |list| list.as_slice());
    let active =
        list.iter().filter(|member| member.get("inactive").and_then(JsonValueTrait::as_bool) != Some(true));
    active.filter_map(|member| member.get("entity")?.get("reference")?.as_str()).collect()
}
