//! A working copy that was lost is made again from the vault, which has every record whole.
//!
//! Versions come in the order in which their records arrived. Then what is not the newest version of its resource, and is
//! the newest that there is, is followed by a deletion: the resource was deleted, or its newer records were erased or do not
//! open. What the vault does not have is not brought back: when each version was written (it is now), the numbers of
//! versions whose records were erased, and deletions that later versions followed.

use super::{
    Inner,
    chart::whole,
    redo::{Redo, own_permit},
    take::own_id,
};
use crate::{
    ClinicalError,
    fhir::element::resource_type,
    source::{Entry, Position},
};
use bxp_fhir_store::{Kind, NewVersion, Parameters, Prepared, Rebuilding, Standing, Writer};
use bxp_privacy::Permit;
use bxp_types::RecordId;
use bxp_vault::{RecordEntry, VaultError};
use rayon::prelude::*;

/// Records that are written and committed together.
const RECORDS_PER_STEP: usize = 2_000;
/// Records that are open at the same time; the largest have some megabytes.
const RECORDS_AT_ONCE: usize = 32;
/// Steps after which what was written is synced, and its log begins anew.
const STEPS_UNTIL_CHECKPOINT: usize = 10;

/// A resource as it was taken in.
struct Whole {
    kind: Kind,
    id: String,
    content: Prepared,
}

/// Makes the working copy again where it is empty and the vault is not, or goes on with that. A record that cannot be opened
/// is left out and told of.
pub(super) fn rebuild(inner: &Inner, redo: &Redo, writer: &mut Writer) -> Result<(), ClinicalError> {
    let mut from = match writer.rebuilding()? {
        Rebuilding::Never if writer.written() == 0 && inner.vault.entries(0).next().is_some() => 0,
        Rebuilding::UpTo(from) => from,
        Rebuilding::Never | Rebuilding::Done => return Ok(()),
    };
    tracing::warn!("the working copy is not there; it is made again from the vault");
    let (mut versions, mut left_out) = (0, 0);
    for step in 1.. {
        let portion: Vec<(u64, RecordEntry)> =
            inner.vault.entries(from).take(RECORDS_PER_STEP).collect::<Result<_, _>>()?;
        let Some((last, _)) = portion.last() else { break };
        from = last + 1;
        let is_own = |entry: &&RecordEntry| entry.holder == inner.vault.me() && inner.vault.keeps(entry);
        let own: Vec<&RecordEntry> = portion.iter().map(|(_, entry)| entry).filter(is_own).collect();
        writer.begin()?;
        for some in own.chunks(RECORDS_AT_ONCE) {
            let (put, unopened) = put_again(inner, writer, some)?;
            (versions, left_out) = (versions + put, left_out + unopened);
        }
        writer.set_rebuilding(Rebuilding::UpTo(from))?;
        writer.commit()?;
        if step % STEPS_UNTIL_CHECKPOINT == 0 {
            writer.checkpoint()?;
            tracing::info!(versions, "the working copy is being made again");
        }
    }
    writer.begin()?;
    delete_outdated(inner, writer)?;
    // What was noted for the lost one is in this one.
    writer.set_applied(redo.last()?)?;
    writer.set_rebuilding(Rebuilding::Done)?;
    writer.commit()?;
    tracing::info!(versions, left_out, "the working copy is made again");
    Ok(())
}

/// Puts the records in that can be opened. Gives how many were, and how many not.
fn put_again(
    inner: &Inner,
    writer: &mut Writer,
    entries: &[&RecordEntry],
) -> Result<(usize, usize), ClinicalError> {
    let permit = own_permit(inner)?;
    let opened: Vec<Option<Whole>> =
        entries.par_iter().map(|entry| open(inner, entry, &permit)).collect::<Result<_, _>>()?;
    let mut count = 0;
    for (entry, whole) in entries.iter().zip(&opened) {
        let Some(Whole { kind, id, content }) = whole else { continue };
        let (record, subject, content) = (Some(entry.record_id.0), entry.subject.0, Some(content));
        writer.put(&NewVersion { kind: *kind, id, updated_ms: now_ms(inner), record, subject, content })?;
        count += 1;
    }
    Ok((count, opened.len() - count))
}

/// Deletes the resources of which the newest version that is here is none that should be seen.
fn delete_outdated(inner: &Inner, writer: &mut Writer) -> Result<(), ClinicalError> {
    let mut after = 0;
    loop {
        let portion = writer.standing(after, RECORDS_PER_STEP)?;
        let Some(last) = portion.last() else { return Ok(()) };
        after = last.number;
        for one in &portion {
            let record = RecordId(one.record);
            if !is_current(inner, record, one)? {
                let (kind, id, updated_ms) = (one.kind, one.id.as_str(), now_ms(inner));
                let (record, subject, content) = (None, inner.institution.subject.0, None);
                writer.put(&NewVersion { kind, id, updated_ms, record, subject, content })?;
            }
        }
    }
}

/// Whether a record is the newest version of a resource that is not deleted. Where the record does not lead to its resource,
/// the resource's address does.
fn is_current(inner: &Inner, record: RecordId, one: &Standing) -> Result<bool, ClinicalError> {
    let logical = match inner.tables.resource_of(record)? {
        Some(logical) => Some(logical),
        None => {
            let address = inner.tables.address_fingerprint(Parameters::r4().name(one.kind), &one.id);
            inner.tables.named(&address)?.map(|named| named.logical)
        }
    };
    logical.map_or(Ok(false), |logical| inner.tables.is_current(record, &logical))
}

/// A record's resource; none where it cannot be opened.
fn open(inner: &Inner, entry: &RecordEntry, permit: &Permit) -> Result<Option<Whole>, ClinicalError> {
    match opened(inner, entry, permit) {
        Ok(whole) => Ok(Some(whole)),
        Err(error @ (ClinicalError::Storage(_) | ClinicalError::Vault(VaultError::Storage(_)))) => Err(error),
        Err(error) => {
            tracing::error!(record = %entry.record_id, ?error, "a record cannot be opened, and is left out of the working copy; mend it, and move the working copy away to have it made again");
            Ok(None)
        }
    }
}

fn opened(inner: &Inner, entry: &RecordEntry, permit: &Permit) -> Result<Whole, ClinicalError> {
    const DAMAGED: ClinicalError = ClinicalError::Damaged("a record of the vault");
    let source = Entry::new(Position::Whole, None, whole(&inner.vault, entry.record_id, permit)?);
    let resource = source.resource.expose();
    let kind = resource_type(resource).and_then(|name| Parameters::r4().kind(name)).ok_or(DAMAGED)?;
    let id = match own_id(&source) {
        Some(id) => id.to_owned(),
        None => inner.given_id(&inner.tables.resource_of(entry.record_id)?.ok_or(DAMAGED)?),
    };
    Ok(Whole { kind, id, content: Prepared::new(kind, resource)? })
}

fn now_ms(inner: &Inner) -> i64 {
    i64::try_from(inner.clock.now_ms()).unwrap_or(i64::MAX)
}
