//! Showing a record: whole at home, the rest elsewhere, each with the proof that it is the one that was anchored.

use crate::{ClinicalError, anchor::registered_batch, ingest::whole};
use bxp_contracts::merkle::Proof;
use bxp_privacy::Permit;
use bxp_types::{B256, BlockClass, Ledger, Phi, RecordId};
use bxp_vault::{Anchor, RecordEntry, Vault};
use sonic_rs::Value;

/// What of a record could be shown.
#[derive(Clone, Debug)]
pub enum Content {
    /// The resource as it was handed in.
    Whole(Phi<Value>),
    /// The de-identified side.
    Deidentified(Value),
}

/// A record's place on the chain, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChain {
    /// The batch's root, as the contract has it.
    pub root: B256,
    /// The record's number in the batch.
    pub index: u32,
    /// Number of records in the batch.
    pub count: u32,
    /// The batch and its block.
    pub anchor: Anchor,
    /// The proof, at the holder; replicas checked it when the record came and keep only its outcome.
    pub proof: Option<Proof>,
}

/// A record that is shown.
#[derive(Clone, Debug)]
pub struct ShownRecord {
    /// What the vault knows of it.
    pub entry: RecordEntry,
    /// What it says.
    pub content: Content,
    /// Where it is anchored; none while its transaction is on the way.
    pub on_chain: Option<OnChain>,
}

/// Shows a record: whole under a permit for the identity side, else its de-identified side. Opening writes the disclosure.
///
/// # Errors
/// [`ClinicalError::Vault`]: unknown, erased, not permitted, or without the key, which the holder can release
/// ([`crate::release::fetch_key`]); [`ClinicalError::NotOnChain`] where chain and vault disagree.
pub fn show(
    vault: &Vault,
    ledger: &dyn Ledger,
    record: RecordId,
    permit: &Permit,
) -> Result<ShownRecord, ClinicalError> {
    let entry = vault.entry(record)?.ok_or(bxp_vault::VaultError::UnknownRecord(record))?;
    let on_chain = on_chain(vault, ledger, &entry)?;
    let content = match permit.class() {
        BlockClass::Identity(_) => Content::Whole(whole(vault, record, permit)?),
        BlockClass::Deidentified => {
            let bytes = vault.open_deidentified(record, permit)?;
            let value =
                sonic_rs::from_slice(&bytes).map_err(|_| ClinicalError::Damaged("a de-identified side"))?;
            Content::Deidentified(value)
        }
    };
    Ok(ShownRecord { entry, content, on_chain })
}

/// Where a record is anchored, checked against the contract's state.
///
/// # Errors
/// [`ClinicalError::NotOnChain`], [`ClinicalError::Ledger`], [`ClinicalError::Vault`].
pub fn on_chain(
    vault: &Vault,
    ledger: &dyn Ledger,
    entry: &RecordEntry,
) -> Result<Option<OnChain>, ClinicalError> {
    let record = entry.record_id;
    let Some(placement) = vault.placement(record)? else { return Ok(None) };
    let Some(anchor) = placement.anchor else { return Ok(None) };
    let (root, index, count) = (placement.root, placement.index, placement.count);
    let registered = registered_batch(ledger, anchor.batch_id)?;
    let holder = ledger.genesis().validator(entry.holder).map(|holder| holder.account);
    let proof = vault.prove(&[record])?.into_iter().flatten().next().map(|(_, proof)| proof);
    let proven =
        proof.as_ref().is_none_or(|proof| proof.verify(registered.root, registered.count, entry.leaf()));
    let same = registered.root == root && registered.count == count && Some(registered.holder) == holder;
    if !(same && proven) {
        return Err(ClinicalError::NotOnChain { record, root });
    }
    Ok(Some(OnChain { root, index, count, anchor, proof }))
}
