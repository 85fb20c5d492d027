//! The other end: vouching for copies, giving them, and taking in statements.

use super::wire::{self, Request};
use crate::{ClinicalError, answer::refused, erase::key_of};
use bxp_privacy::{CopyFacts, decide_copy};
use bxp_types::{Genesis, RecordId, ValidatorIndex};
use bxp_vault::{Clock, Statement, Vault, VaultError};
use bytes::Bytes;

/// The answer to what node `from` asks about copies. What it acknowledges is on disk when this returns.
#[must_use]
pub fn answer_keeping(
    vault: &Vault,
    genesis: &Genesis,
    clock: &Clock,
    from: ValidatorIndex,
    request: &[u8],
) -> Bytes {
    let Some(request) = Request::decode(request) else { return refused("the request is malformed") };
    let answer = match request {
        Request::Holds { digest, records } => {
            vault.holds(&records, digest).map(|held| wire::holds(&held)).map_err(ClinicalError::from)
        }
        Request::Copies { records } => {
            let give = |record: RecordId| give(vault, clock, from, record);
            Ok(wire::copies(&records.into_iter().map(give).collect::<Vec<_>>()))
        }
        Request::Statement(bytes) => take_statement(vault, genesis, from, &bytes).map(|()| wire::done()),
    };
    answer.unwrap_or_else(|error| {
        tracing::info!(%from, error = ?error, "refuse what a node asks about copies");
        refused(&error.to_string())
    })
}

/// The keys of a copy for who is to keep it. Nothing where they are not here or not `from`'s to have: that reads the same.
fn give(vault: &Vault, clock: &Clock, from: ValidatorIndex, record: RecordId) -> Option<Bytes> {
    match release(vault, clock, from, record) {
        Ok(keys) => Some(keys),
        Err(ClinicalError::Vault(VaultError::UnknownRecord(_) | VaultError::MissingKey(_))) => None,
        Err(error) => {
            tracing::info!(%from, %record, error = ?error, "refuse a copy");
            None
        }
    }
}

fn release(
    vault: &Vault,
    clock: &Clock,
    from: ValidatorIndex,
    record: RecordId,
) -> Result<Bytes, ClinicalError> {
    let entry = vault.entry(record)?.ok_or(VaultError::UnknownRecord(record))?;
    let directory = vault.directory();
    let facts = CopyFacts {
        now_ms: clock.now_ms(),
        requester_jurisdiction: directory.country(from),
        residency: entry.home,
        placed: directory.keeps(from, &entry),
    };
    let permit = decide_copy(from, record, &facts)?;
    let recipient = directory.recipient(from).ok_or(bxp_privacy::Denial::NotAMember)?;
    Ok(Bytes::from(vault.release_copy(record, &recipient, &permit)?))
}

fn take_statement(
    vault: &Vault,
    genesis: &Genesis,
    from: ValidatorIndex,
    bytes: &[u8],
) -> Result<(), ClinicalError> {
    let statement = Statement::decode(bytes)?;
    vault.accept_statement(from, &statement, &key_of(genesis, from)?)?;
    tracing::info!(node = %from, country = %statement.country, part = statement.part, last = statement.last,
        "keep a statement of a node that left a country");
    Ok(())
}
