//! The proof that a record version is one of those that its holder anchored, checked here and by the contract itself.

use crate::{ClinicalError, anchor::registered_batch, contract::view, show::on_chain};
use bxp_contracts::{RECORD_REGISTRY, RecordRegistry};
use bxp_types::{Address, B256, Height, Ledger, RecordId, U256};
use bxp_vault::{Vault, VaultError};

/// An inclusion proof that holds, with all that somebody else needs to check it on any node of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The salted commitment to the record; it tells nothing of its content.
    pub commitment: B256,
    /// The patient's account, which is part of the leaf.
    pub patient: Address,
    /// `keccak256(0x00 || patient || commitment)`.
    pub leaf: B256,
    /// The batch's root, as the contract has it.
    pub root: B256,
    /// The record's number in the batch.
    pub index: u32,
    /// Number of records in the batch.
    pub count: u32,
    /// The neighbours on the way to the root, lowest first.
    pub siblings: Vec<B256>,
    /// The batch's id in the `RecordRegistry`.
    pub batch_id: u64,
    /// The block of the anchor's transaction.
    pub height: Height,
    /// The account that anchored it.
    pub holder: Address,
    /// When, in block time, seconds since the epoch.
    pub time: u64,
}

/// Checks the inclusion proof of a record of this node, twice: in this program, and by `RecordRegistry.verify` in the
/// EVM. Every version of a resource is a record of its own, so this holds for older versions too.
///
/// # Errors
/// [`ClinicalError::Vault`] for a record that is not here, or that another node holds, which has the proof;
/// [`ClinicalError::NotAnchored`]; [`ClinicalError::NotOnChain`] when either check fails.
pub fn verify(vault: &Vault, ledger: &dyn Ledger, record: RecordId) -> Result<Verified, ClinicalError> {
    let entry = vault.entry(record)?.ok_or(VaultError::UnknownRecord(record))?;
    if entry.holder != vault.me() {
        return Err(VaultError::NotOurs(record).into());
    }
    let place = on_chain(vault, ledger, &entry)?.ok_or(ClinicalError::NotAnchored(record))?;
    let not_on_chain = ClinicalError::NotOnChain { record, root: place.root };
    let Some(proof) = place.proof else { return Err(not_on_chain) };
    let batch_id = place.anchor.batch_id;
    let call = RecordRegistry::verifyCall {
        batchId: U256::from(batch_id),
        leaf: entry.leaf(),
        index: U256::from(proof.index),
        siblings: proof.siblings.clone(),
    };
    if !view(ledger, RECORD_REGISTRY, &call)? {
        return Err(not_on_chain);
    }
    let registered = registered_batch(ledger, batch_id)?;
    Ok(Verified {
        commitment: entry.commitment(),
        patient: entry.patient,
        leaf: entry.leaf(),
        root: registered.root,
        index: proof.index,
        count: registered.count,
        siblings: proof.siblings,
        batch_id,
        height: place.anchor.height,
        holder: registered.holder,
        time: registered.time,
    })
}
