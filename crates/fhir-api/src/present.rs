//! Showing records under permits: decided here and now, for this node, by facts of the chain.

use crate::{Edge, answer, outcome::Failure, state::Shared};
use bxp_clinical::{
    ClinicalError,
    show::{Content, OnChain, ShownRecord, show},
};
use bxp_privacy::{Permit, Purpose, Request, Scope, decide};
use bxp_types::{BlockClass, Jurisdiction, RecordId, SubjectId};
use bxp_vault::{RecordEntry, VaultError};
use serde::Serialize;
use serde_json::value::RawValue;

/// Where a record is anchored.
#[derive(Debug, Serialize)]
pub(crate) struct AnchorView {
    /// The block's number.
    block: u64,
    /// The batch's id in the `RecordRegistry`.
    batch: u64,
    /// Whether the chain was asked, and agreed.
    verified: bool,
}

/// A record as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct RecordView {
    record_id: RecordId,
    subject: SubjectId,
    home: Jurisdiction,
    /// The holder's name in genesis.
    holder: String,
    /// None while the anchor's transaction is on the way.
    anchor: Option<AnchorView>,
    /// `whole` or `de-identified`.
    part: &'static str,
    resource: Box<RawValue>,
}

/// Shows a record for `purpose`: whole on nodes that keep its identity side, its de-identified side elsewhere. A key that is not here is asked of
/// the record's holder.
pub(crate) async fn present(
    shared: &Shared,
    record: RecordId,
    purpose: Purpose,
) -> Result<ShownRecord, Failure> {
    let open = move |edge: &Edge| Ok(open(edge, record, purpose));
    match shared.blocking(open).await? {
        Err(ClinicalError::Vault(VaultError::MissingKey(_))) => {
            shared.edge().keys.fetch(record, purpose).await?;
            Ok(shared.blocking(open).await??)
        }
        outcome => Ok(outcome?),
    }
}

fn open(edge: &Edge, record: RecordId, purpose: Purpose) -> Result<ShownRecord, ClinicalError> {
    let vault = edge.vault();
    let entry = vault.entry(record)?.ok_or(VaultError::UnknownRecord(record))?;
    let permit = permit(edge, &entry, purpose)?;
    show(vault, edge.ledger().as_ref(), record, &permit)
}

/// Leave for this node to open the record for `purpose`, on the side that the purpose and the country allow.
fn permit(edge: &Edge, entry: &RecordEntry, purpose: Purpose) -> Result<Permit, ClinicalError> {
    let me = edge.vault().me();
    let whole = edge.vault().keeps(entry) && purpose != Purpose::Oversight;
    let class = if whole { entry.identity_class() } else { BlockClass::Deidentified };
    let request = Request { requester: me, scope: Scope::Record(entry.record_id), class, purpose };
    Ok(decide(&request, &edge.facts.of(me, entry, purpose)?)?)
}

/// What of a record is shown.
pub(crate) const fn part(content: &Content) -> &'static str {
    match content {
        Content::Whole(_) => "whole",
        Content::Deidentified(_) => "de-identified",
    }
}

/// The resource that is shown. It goes to the operator, under the permit that opened it.
pub(crate) const fn resource(content: &Content) -> &sonic_rs::Value {
    match content {
        Content::Whole(whole) => whole.expose(),
        Content::Deidentified(rest) => rest,
    }
}

/// The answer for a shown record.
pub(crate) fn view(edge: &Edge, shown: &ShownRecord) -> Result<RecordView, Failure> {
    let entry = &shown.entry;
    Ok(RecordView {
        record_id: entry.record_id,
        subject: entry.subject,
        home: entry.home,
        holder: edge.name_of(entry.holder),
        anchor: shown.on_chain.as_ref().map(anchor),
        part: part(&shown.content),
        resource: answer::raw(resource(&shown.content))?,
    })
}

const fn anchor(on_chain: &OnChain) -> AnchorView {
    AnchorView { block: on_chain.anchor.height.0, batch: on_chain.anchor.batch_id, verified: true }
}
