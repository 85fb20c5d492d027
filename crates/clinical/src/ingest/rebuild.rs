//! A working copy that was lost is made again from the vault, which has every record whole.
//!
//! Versions come in the order in which their records arrived, and deletions after them. What the vault does not have is not
//! brought back: when each version was written (it is now), the numbers of versions whose records were erased, and deletions
//! that later versions followed.

use super::{
    Inner,
    chart::whole,
    names::own_names,
    redo::{Redo, own_permit},
    tables::LogicalId,
    take::own_id,
};
use crate::{
    ClinicalError,
    fhir::element::resource_type,
    source::{Entry, Position},
};
use bxp_fhir_store::{Kind, NewVersion, Parameters, Prepared, Writer};
use bxp_privacy::Permit;
use bxp_types::SubjectId;
use bxp_vault::{RecordEntry, VaultError};
use rayon::prelude::*;

/// Records that are opened, written and committed together.
const RECORDS_PER_STEP: usize = 2_000;
/// Steps after which what was written is synced, and its log begins anew.
const STEPS_UNTIL_CHECKPOINT: usize = 10;

/// A resource as it was taken in.
struct Whole {
    kind: Kind,
    id: String,
    record: [u8; 16],
    subject: SubjectId,
    content: Prepared,
}

/// Makes the working copy again where it is empty and the vault is not, or goes on with that. A record that cannot be opened
/// is left out and told of.
pub(super) fn rebuild(inner: &Inner, redo: &Redo, writer: &mut Writer) -> Result<(), ClinicalError> {
    let begun = writer.rebuilt_to()?;
    if begun.is_none() && (writer.written() > 0 || inner.vault.entries(0).next().is_none()) {
        return Ok(());
    }
    tracing::warn!("the working copy is not there; it is made again from the vault");
    let mut from = begun.unwrap_or(0);
    let (mut taken, mut left_out) = (0, 0);
    for step in 1.. {
        let portion: Vec<(u64, RecordEntry)> =
            inner.vault.entries(from).take(RECORDS_PER_STEP).collect::<Result<_, _>>()?;
        let Some((last, _)) = portion.last() else { break };
        from = last + 1;
        let permit = own_permit(inner)?;
        let own = |entry: &RecordEntry| entry.holder == inner.vault.me() && inner.vault.keeps(entry);
        let opened: Vec<Option<Whole>> = portion
            .par_iter()
            .filter(|(_, entry)| own(entry))
            .map(|(_, entry)| open(inner, entry, None, &permit))
            .collect::<Result<_, _>>()?;
        writer.begin()?;
        left_out += opened.iter().filter(|one| one.is_none()).count();
        for one in opened.into_iter().flatten() {
            put(inner, writer, &one, Some(&one.content))?;
            taken += 1;
        }
        writer.set_rebuilt_to(Some(from))?;
        writer.commit()?;
        if step % STEPS_UNTIL_CHECKPOINT == 0 {
            writer.checkpoint()?;
            tracing::info!(versions = taken, "the working copy is being made again");
        }
    }
    writer.begin()?;
    for (logical, record) in inner.tables.deleted()? {
        if let Some(entry) = inner.vault.entry(record)?
            && let Some(one) = open(inner, &entry, Some(logical), &own_permit(inner)?)?
        {
            put(inner, writer, &one, None)?;
        }
    }
    // What was noted for the lost one is in this one.
    writer.set_applied(redo.last()?)?;
    writer.set_rebuilt_to(None)?;
    writer.commit()?;
    tracing::info!(versions = taken, left_out, "the working copy is made again");
    Ok(())
}

/// A record's resource, whose pseudonym may be known; none where it cannot be opened.
fn open(
    inner: &Inner,
    entry: &RecordEntry,
    known: Option<LogicalId>,
    permit: &Permit,
) -> Result<Option<Whole>, ClinicalError> {
    match opened(inner, entry, known, permit) {
        Ok(whole) => Ok(Some(whole)),
        Err(error @ (ClinicalError::Storage(_) | ClinicalError::Vault(VaultError::Storage(_)))) => Err(error),
        Err(error) => {
            let record = entry.record_id;
            tracing::error!(%record, ?error, "a record cannot be opened, and is left out of the working copy");
            Ok(None)
        }
    }
}

fn opened(
    inner: &Inner,
    entry: &RecordEntry,
    known: Option<LogicalId>,
    permit: &Permit,
) -> Result<Whole, ClinicalError> {
    const DAMAGED: ClinicalError = ClinicalError::Damaged("a record of the vault");
    let source = Entry::new(Position::Whole, None, whole(&inner.vault, entry.record_id, permit)?);
    let resource = source.resource.expose();
    let kind = resource_type(resource).and_then(|name| Parameters::r4().kind(name)).ok_or(DAMAGED)?;
    let id = match own_id(&source) {
        Some(id) => id.to_owned(),
        None => {
            let found = known.map_or_else(|| logical_id(inner, entry, &source), |known| Ok(Some(known)));
            inner.given_id(&found?.ok_or(DAMAGED)?)
        }
    };
    let content = Prepared::new(kind, resource)?;
    Ok(Whole { kind, id, record: entry.record_id.0, subject: entry.subject, content })
}

/// The pseudonym of a resource that came without an id: by a name of its own, or where it stands in its patient's chart.
fn logical_id(
    inner: &Inner,
    entry: &RecordEntry,
    source: &Entry,
) -> Result<Option<LogicalId>, ClinicalError> {
    let encode = |_| ClinicalError::Damaged("a resource's text");
    let content = inner.tables.fingerprint("content", source.text().map_err(encode)?.expose().as_bytes());
    for name in own_names(&inner.tables, source, &content) {
        if let Some(named) = inner.tables.named(&name)? {
            return Ok(Some(named.logical));
        }
    }
    inner.tables.place_in_chart(entry.subject, entry.record_id)
}

/// Writes a version with its content, or the deletion of its resource.
fn put(
    inner: &Inner,
    writer: &mut Writer,
    one: &Whole,
    content: Option<&Prepared>,
) -> Result<(), ClinicalError> {
    writer.put(&NewVersion {
        kind: one.kind,
        id: &one.id,
        updated_ms: i64::try_from(inner.clock.now_ms()).unwrap_or(i64::MAX),
        record: content.map(|_| one.record),
        subject: one.subject.0,
        content,
    })?;
    Ok(())
}
