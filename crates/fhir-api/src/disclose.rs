//! Reading the working copy: by a handle that is bound to a permit, and showing what it finds under permits of its own.
//!
//! Finding is the holder's own work (45 CFR 164.506(c)(1)). Showing is decided patient by patient for the purpose that is
//! asked for, and is accounted for before anything is given out, unless it is the holder's own work too.

use crate::{Edge, outcome::Failure};
use bxp_fhir_store::{Reader, Resource};
use bxp_privacy::{Denial, Facts, Permit, Purpose, Request, Scope, decide};
use bxp_types::{BlockClass, SubjectId};
use std::collections::HashMap;

/// A reader of everything that this node holds, for finding.
pub(crate) fn reader(edge: &Edge) -> Result<Reader, Failure> {
    let permit = permit(edge, Scope::OwnRecords, Purpose::Operations)?;
    let store = edge.ingest.working_copy().ok_or_else(no_working_copy)?;
    Ok(store.reader(&permit, edge.ingest.now_ms())?)
}

/// Leave for this node to see whole records of the scope.
fn permit(edge: &Edge, scope: Scope, purpose: Purpose) -> Result<Permit, Failure> {
    let home = edge.home();
    let vault = edge.vault();
    // What the working copy still has of a country that this node has left is not told apart here from the rest of it.
    if !vault.leaving().is_empty() {
        return Err(Denial::AcrossBorder.into());
    }
    let stands = vault.country();
    let class = BlockClass::Identity(home);
    let request = Request { requester: vault.me(), scope, class, purpose };
    // What stands in the working copy was taken in by this node from patients of its own country: the gate refuses others.
    let facts = Facts {
        now_ms: edge.ingest.now_ms(),
        member: stands.is_some(),
        holder: true,
        regulator: false,
        requester_jurisdiction: stands.unwrap_or(home),
        residency: Some(home),
        patient_verified: false,
        contribution: None,
        contract: None,
    };
    Ok(decide(&request, &facts)?)
}

/// What may be shown of `found` for `purpose`, accounted for. What was erased since is left out.
pub(crate) fn shown(edge: &Edge, found: Vec<Resource>, purpose: Purpose) -> Result<Vec<Resource>, Failure> {
    let mut permits: HashMap<SubjectId, Permit> = HashMap::new();
    for one in &found {
        if let std::collections::hash_map::Entry::Vacant(place) = permits.entry(one.subject) {
            place.insert(permit(edge, Scope::Subject(one.subject), purpose)?);
        }
    }
    let sealed = found.iter().filter(|one| one.text.is_some());
    let rows: Vec<_> = sealed.filter_map(|one| Some((one.record?, permits.get(&one.subject)?))).collect();
    let mut here = edge.vault().account_shown(&rows)?.into_iter();
    let kept = found.into_iter().filter(|one| {
        let is_sealed = one.text.is_some() && one.record.is_some();
        !is_sealed || here.next().unwrap_or(false)
    });
    Ok(kept.collect())
}

/// One resource, as [`shown`].
pub(crate) fn shown_one(edge: &Edge, found: Resource, purpose: Purpose) -> Result<Resource, Failure> {
    let erased = || Failure::gone("the resource was erased");
    shown(edge, vec![found], purpose)?.pop().ok_or_else(erased)
}

pub(crate) fn no_working_copy() -> Failure {
    Failure::unavailable("this node keeps no working copy of whole resources")
}
