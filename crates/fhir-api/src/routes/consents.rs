//! `POST /consents`: moves contribution switches of patients whose accounts are in custody here (white paper row B2).
//!
//! Each change is signed as the patient's account (EIP-712) and carried to the `ConsentRegistry` in transactions of the
//! node's own account, many to one, so that no patient needs gas. Repeating a request changes nothing: who has moved
//! already is passed over.

use crate::{
    Edge,
    answer::{self, Answer},
    extract,
    outcome::Failure,
    state::Shared,
};
use alloy_sol_types::SolCall;
use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bxp_clinical::sender::{Call, Mined, SendFailure};
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry, consent::contribution_digest};
use bxp_types::{Address, B256, CallOutcome, CallRequest, Ledger, SubjectId, U256};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

/// Changes of one transaction. A change takes about 60,000 gas, and the limit that the sender asks for is half as much
/// again: together below 2^24, the most of one transaction (EIP-7825).
const CHANGES_PER_TRANSACTION: usize = 128;
/// Transactions under way at once.
const TRANSACTIONS_MAX: usize = 4;
/// How long a signed change may wait for its block.
const VALID_SECONDS: u64 = 3_600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    all: bool,
    on: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    subject: Option<SubjectId>,
    account: Option<Address>,
    on: bool,
}

#[derive(Serialize)]
struct Done {
    /// The transactions, in no order.
    transactions: Vec<B256>,
    /// Switches that were moved.
    changed: usize,
    /// Switches that stood right already.
    unchanged: usize,
    /// Patients of this node.
    patients: usize,
    /// How many of them contribute now.
    contributing: usize,
}

/// Moves switches, and tells how many stand on afterwards.
pub(crate) async fn change(State(shared): State<Shared>, request: Request) -> Answer {
    let body = extract::body(request).await?;
    let wanted = read(&body)?;
    let work = shared.clone();
    let done = shared.to_the_end(async move { carry_out(&work, wanted).await });
    answer::json(&done.await?)
}

fn read(body: &[u8]) -> Result<Wanted, Failure> {
    const FORM: &str = r#"{"changes":[{"subject":ID,"on":true}]}, with "account" for "subject" where that is known, or {"all":true,"on":true}"#;
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::bad_request(format!("line {line} column {column}: the body must be {FORM}"))
    })?;
    if wanted.all == wanted.on.is_some() && (wanted.changes.is_empty() || !wanted.all) {
        Ok(wanted)
    } else {
        Err(Failure::bad_request(format!("the body must be {FORM}")))
    }
}

async fn carry_out(shared: &Shared, wanted: Wanted) -> Result<Done, Failure> {
    let _one_at_a_time = shared.0.consents.lock().await;
    let asked = move |edge: &Edge| {
        let asked = resolve(edge, &wanted)?;
        let mut changes = Vec::new();
        for (&patient, &on) in &asked {
            if edge.facts.contribution(patient)?.unwrap_or(false) != on {
                changes.push((patient, on));
            }
        }
        Ok((asked.len() - changes.len(), changes))
    };
    let (unchanged, changes) = shared.blocking(asked).await?;
    let changed = changes.len();
    let batches = changes.chunks(CHANGES_PER_TRANSACTION).map(<[_]>::to_vec).collect::<Vec<_>>();
    let sent: Vec<_> = stream::iter(batches)
        .map(|batch| send(shared, batch))
        .buffer_unordered(TRANSACTIONS_MAX)
        .collect()
        .await;
    let transactions = sent.into_iter().collect::<Result<_, _>>()?;
    let (patients, contributing) = shared.blocking(count).await?;
    Ok(Done { transactions, changed, unchanged, patients, contributing })
}

/// The accounts that are meant and where their switches shall stand.
fn resolve(edge: &Edge, wanted: &Wanted) -> Result<BTreeMap<Address, bool>, Failure> {
    let mut asked = BTreeMap::new();
    if let (true, Some(on)) = (wanted.all, wanted.on) {
        for patient in edge.ingest.patients() {
            asked.insert(patient?.account, on);
        }
        return Ok(asked);
    }
    for (index, change) in wanted.changes.iter().enumerate() {
        let account = match (change.subject, change.account) {
            (Some(subject), None) => edge.ingest.patient(subject)?.map(|patient| patient.account),
            (None, Some(account)) => Some(account),
            _ => {
                return Err(Failure::bad_request(format!(
                    "changes[{index}] must have a subject or an account"
                )));
            }
        };
        // The node's own account is no patient's.
        let own = edge.enclave.public().account;
        let account = account.filter(|account| *account != own && edge.enclave.can_sign_for(account));
        let account = account.ok_or_else(|| {
            Failure::not_found(format!("changes[{index}] names no patient whose account is in custody here"))
        })?;
        if asked.insert(account, change.on).is_some() {
            return Err(Failure::bad_request(format!("changes[{index}] names a patient twice")));
        }
    }
    Ok(asked)
}

/// Sends one transaction of signed changes.
async fn send(shared: &Shared, batch: Vec<(Address, bool)>) -> Result<B256, Failure> {
    let call = shared.blocking(move |edge| signed(edge, &batch)).await?;
    let account = shared.edge().enclave.public().account;
    let sent: Result<Mined, SendFailure> = shared.edge().sender.send(account, &call).await;
    match sent {
        Ok(mined) => Ok(mined.hash),
        Err(error @ (SendFailure::Refused { .. } | SendFailure::Reverted { .. })) => {
            tracing::warn!(%error, "change consents");
            let text = "the contract refused a batch of changes, perhaps since a patient moved the switch meanwhile; \
                        send the request again, what is done already is passed over";
            Err(Failure::new(StatusCode::CONFLICT, "conflict", text))
        }
        Err(error) => Err(error.into()),
    }
}

/// The call that carries the changes, each signed as its patient's account.
fn signed(edge: &Edge, batch: &[(Address, bool)]) -> Result<Call, Failure> {
    let ledger = edge.ledger().as_ref();
    let deadline = U256::from(deadline(ledger));
    let chain_id = ledger.genesis().chain_id;
    let mut changes = Vec::with_capacity(batch.len());
    for &(patient, on) in batch {
        let nonce = nonce_of(ledger, patient)?;
        let digest = contribution_digest(chain_id, patient, on, nonce, deadline);
        let signature = edge.enclave.sign_digest(patient, digest);
        let signature = signature.map_err(|error| Failure::internal("sign a consent", &error))?;
        let signature = signature.to_vec().into();
        changes.push(ConsentRegistry::SignedChange { patient, on, nonce, deadline, signature });
    }
    let call = ConsentRegistry::setContributionsBySignatureCall { changes };
    Ok(Call { to: CONSENT_REGISTRY, value: U256::ZERO, data: call.abi_encode().into() })
}

/// The last block time in seconds for the changes, by the clock or, where that is behind, by the chain.
fn deadline(ledger: &dyn Ledger) -> u64 {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    clock.max(ledger.head().header.timestamp).saturating_add(VALID_SECONDS)
}

fn nonce_of(ledger: &dyn Ledger, patient: Address) -> Result<U256, Failure> {
    let data = ConsentRegistry::noncesCall { patient }.abi_encode().into();
    let request = CallRequest { to: Some(CONSENT_REGISTRY), data, ..CallRequest::default() };
    let nonce = match ledger.call(&request)? {
        CallOutcome::Success { output, .. } => ConsentRegistry::noncesCall::abi_decode_returns(&output).ok(),
        _ => None,
    };
    let missing =
        || Failure::internal("read a nonce", &std::io::Error::other("the ConsentRegistry gives no answer"));
    nonce.ok_or_else(missing)
}

/// The patients of this node, and how many of them contribute.
fn count(edge: &Edge) -> Result<(usize, usize), Failure> {
    let (mut patients, mut contributing) = (0, 0);
    for patient in edge.ingest.patients() {
        patients += 1;
        contributing += usize::from(edge.facts.contribution(patient?.account)?.unwrap_or(false));
    }
    Ok((patients, contributing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_asks_for_all_or_for_some() {
        let subject = "07".repeat(16);
        for good in [
            format!(r#"{{"changes":[{{"subject":"{subject}","on":true}}]}}"#),
            r#"{"all":true,"on":false}"#.to_owned(),
            r#"{"changes":[]}"#.to_owned(),
        ] {
            assert!(read(good.as_bytes()).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "{",
            r#"{"all":true}"#,
            r#"{"on":true}"#,
            r#"{"all":true,"on":true,"changes":[{"on":true}]}"#,
            r#"{"changes":[{"subject":"Jane Doe","on":true}]}"#,
            r#"{"changes":[{"subject":null}]}"#,
            r#"{"everyone":true}"#,
        ] {
            let failure = read(wrong.as_bytes()).err().unwrap();
            assert_eq!(failure.status().as_u16(), 400, "{wrong}");
            assert!(!failure.diagnostics().contains("Jane"));
        }
    }
}
