//! Failures as OperationOutcomes (R4 section 2.28). No text repeats a value of a resource.

use crate::answer;
use axum::{
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use bxp_clinical::{
    ClinicalError,
    sender::SendFailure,
    validate::{Issue, Severity, operation_outcome},
};
use bxp_content::ContentError;
use bxp_fhir_store::StoreError;
use bxp_market::MarketError;
use bxp_privacy::Denial;
use bxp_storage::StorageError;
use bxp_types::{LedgerError, SubmitError};
use bxp_vault::VaultError;
use serde_json::{Value, json};
use std::error::Error;

/// What a refusal says, this node's as well as that of a holder who does not release a key.
const REFUSED: &str = "not permitted";

/// What a full disk says.
const FULL: &str =
    "the node's disk is full, so nothing of this was taken; its operator has to free some of it";

/// After how many seconds a busy node may be asked again: several blocks later.
const BUSY_S: u32 = 5;

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    outcome: Value,
    /// When it may be asked again, in seconds.
    retry_after_s: Option<u32>,
}

impl Failure {
    /// `code` is one of R4's issue-type.
    pub(crate) fn new(status: StatusCode, code: &'static str, diagnostics: impl Into<String>) -> Self {
        Self { status, outcome: outcome("error", code, &diagnostics.into()), retry_after_s: None }
    }

    pub(crate) fn bad_request(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", diagnostics)
    }

    pub(crate) fn not_found(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", diagnostics)
    }

    /// A resource that is not taken, element by element where validation named them.
    pub(crate) fn refused(reason: &str, issues: &[Issue]) -> Self {
        let (status, outcome) = (StatusCode::UNPROCESSABLE_ENTITY, refusal(reason, issues));
        Self { status, outcome, retry_after_s: None }
    }

    pub(crate) fn gone(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "deleted", diagnostics)
    }

    pub(crate) fn precondition(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "conflict", diagnostics)
    }

    /// The same failure, of an entry of a Bundle: its elements are named from there.
    pub(crate) fn at_entry(mut self, entry: usize) -> Self {
        let place = format!("Bundle.entry[{entry}]");
        for issue in self.outcome["issue"].as_array_mut().into_iter().flatten() {
            let within = issue["expression"][0].as_str().map(|expression| {
                let inner =
                    expression.split_once('.').map(|(_, inner)| format!(".{inner}")).unwrap_or_default();
                format!("{place}.resource{inner}")
            });
            issue["expression"] = json!([within.unwrap_or_else(|| place.clone())]);
        }
        self
    }

    /// Status line and OperationOutcome, for an entry of a Bundle.
    pub(crate) fn parts(&self) -> (String, &Value) {
        (self.status.to_string(), &self.outcome)
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", REFUSED)
    }

    pub(crate) fn unavailable(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "transient", diagnostics)
    }

    /// The same request may be taken in a moment.
    pub(crate) fn busy(diagnostics: impl Into<String>) -> Self {
        Self { retry_after_s: Some(BUSY_S), ..Self::unavailable(diagnostics) }
    }

    /// Nothing was written.
    pub(crate) fn full() -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "no-store", FULL)
    }

    pub(crate) fn encoding(error: impl Error + 'static) -> Self {
        Self::internal("encode an answer", &error)
    }

    /// The node itself failed; a person must look.
    pub(crate) fn internal(action: &'static str, error: &(dyn Error + 'static)) -> Self {
        tracing::error!(action, error = %chain(error), "a request failed");
        if is_full(error) {
            return Self::full();
        }
        let text = "the node failed; its log says why, under this request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", text)
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, in words.
    pub(crate) fn diagnostics(&self) -> String {
        let text = self.outcome["issue"][0]["diagnostics"].as_str();
        text.unwrap_or_default().to_owned()
    }

    /// The OperationOutcome.
    #[cfg(test)]
    pub(crate) const fn outcome(&self) -> &Value {
        &self.outcome
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let fallback = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
        let mut response = answer::fhir(self.status, &self.outcome).unwrap_or_else(|_| fallback());
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// An OperationOutcome of one issue.
pub(crate) fn outcome(severity: &str, code: &str, diagnostics: &str) -> Value {
    json!({
        "resourceType": "OperationOutcome",
        "issue": [{ "severity": severity, "code": code, "diagnostics": diagnostics }],
    })
}

/// The OperationOutcome of a resource that was refused for `reason`: all of validation's errors where the reason is the
/// first of them.
pub(crate) fn refusal(reason: &str, issues: &[Issue]) -> Value {
    let errors: Vec<Issue> =
        issues.iter().filter(|issue| issue.severity == Severity::Error).cloned().collect();
    match errors.first() {
        Some(first) if first.to_string() == reason => operation_outcome(&errors),
        _ => outcome("error", "processing", reason),
    }
}

/// Whether a full disk is what caused an error.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error: &&(dyn Error + 'static)| error.source())
        .filter_map(|error| error.downcast_ref())
        .any(|error| matches!(error, StorageError::DiskFull { .. }))
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl From<ClinicalError> for Failure {
    fn from(error: ClinicalError) -> Self {
        match error {
            ClinicalError::Json { .. } | ClinicalError::TooDeep { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "structure", error.to_string())
            }
            ClinicalError::NotFhir { .. } | ClinicalError::Readings { .. } => {
                Self::bad_request(error.to_string())
            }
            ClinicalError::RefusedReadings(reason) => Self::refused(&reason, &[]),
            ClinicalError::UnknownPatientId => Self::not_found(error.to_string()),
            ClinicalError::TooManyCredentials(_) => {
                Self::new(StatusCode::CONFLICT, "too-costly", error.to_string())
            }
            // The cause names the place in the message or document, and no value.
            ClinicalError::Hl7v2 { .. } | ClinicalError::Ccda { .. } => Self::bad_request(chain(&error)),
            ClinicalError::TooLarge { .. } | ClinicalError::TooManyResources { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", error.to_string())
            }
            ClinicalError::Denied(denial) => denial.into(),
            ClinicalError::Vault(error) => error.into(),
            ClinicalError::NotReleased { reason, .. } if reason == REFUSED => Self::forbidden(),
            ClinicalError::NotReleased { holder, .. } => Self::unavailable(format!(
                "the record's holder {holder} has not released its key; is that node running and reachable?"
            )),
            ClinicalError::Transaction(error) => error.into(),
            ClinicalError::UnknownPatient(_) => Self::not_found("no such patient here"),
            ClinicalError::NotAnchored(_) => Self::unavailable(error.to_string()),
            ClinicalError::Store(error) => error.into(),
            ClinicalError::Group(_) => Self::full(),
            other => Self::internal("use records", &other),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Search { parameter, reason } => {
                Self::bad_request(format!("parameter {parameter}: {reason}"))
            }
            StoreError::TooCostly(_) => Self::new(StatusCode::BAD_REQUEST, "too-costly", error.to_string()),
            StoreError::NotPermitted => Self::forbidden(),
            StoreError::Unusable(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string())
            }
            error if error.is_disk_full() => Self::full(),
            other => Self::internal("use the FHIR store", &other),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::UnknownRecord(_) => Self::not_found("no such record here"),
            VaultError::Erased(_) => Self::new(StatusCode::GONE, "deleted", "the record was erased"),
            VaultError::NotPermitted => Self::forbidden(),
            VaultError::NotOurs(_) => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "the record is held by another node; only that node can do this",
            ),
            VaultError::MissingKey(_) | VaultError::UnknownBlock(_) => {
                Self::unavailable("the record is not wholly here yet; try again later")
            }
            other => Self::internal("use the vault", &other),
        }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        tracing::info!(code = denial.code(), "refuse a permit");
        Self::forbidden()
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::internal("read the chain", &error)
    }
}

impl From<MarketError> for Failure {
    fn from(error: MarketError) -> Self {
        match error {
            MarketError::Content(error) => error.into(),
            MarketError::Denied(denial) => denial.into(),
            MarketError::Send { source, .. } => (*source).into(),
            MarketError::Reader(_)
            | MarketError::NothingToPublish
            | MarketError::NotARequest(_)
            | MarketError::TooLarge { .. }
            | MarketError::TooIdentifying { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "business-rule", error.to_string())
            }
            other => Self::internal("use the market", &other),
        }
    }
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        match error {
            error if error.is_full() => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "no-store", error.to_string())
            }
            error if error.is_input() => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string())
            }
            ContentError::UnknownRoot(_) => Self::not_found(error.to_string()),
            ContentError::Unreachable { .. } | ContentError::NotFetched { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, "transient", error.to_string())
            }
            ContentError::Stopped => Self::unavailable("the node is stopping"),
            other => Self::internal("use the content store", &other),
        }
    }
}

impl From<SendFailure> for Failure {
    fn from(error: SendFailure) -> Self {
        let conflict = |text: String| Self::new(StatusCode::CONFLICT, "conflict", text);
        match &error {
            SendFailure::Refused { .. } | SendFailure::Reverted { .. } => conflict(error.to_string()),
            SendFailure::Submit { source: source @ SubmitError::InsufficientFunds { .. }, account } => {
                conflict(format!("the node's account {account} cannot pay for gas: {source}"))
            }
            SendFailure::Submit {
                source: SubmitError::PoolFull | SubmitError::PoolUnderpriced | SubmitError::AccountLimit,
                ..
            } => Self::busy("the transaction pool is full; try again"),
            SendFailure::Dropped { .. } => {
                tracing::warn!(%error, "send a transaction");
                Self::busy(format!("{error}, and may still run; see whether it has, and else try again"))
            }
            SendFailure::Stopped => Self::unavailable("the node is stopping"),
            _ => Self::internal("send a transaction", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_types::{Address, B256, RecordId};

    fn disk_full() -> StorageError {
        StorageError::DiskFull { action: "commit batch", path: "/data".into() }
    }

    #[test]
    fn each_error_has_its_status() {
        let record = RecordId([1; 16]);
        for (error, status) in [
            (ClinicalError::Vault(VaultError::UnknownRecord(record)), 404),
            (ClinicalError::Vault(VaultError::Erased(record)), 410),
            (ClinicalError::Vault(VaultError::NotPermitted), 403),
            (ClinicalError::Denied(Denial::AcrossBorder), 403),
            (ClinicalError::NotOnChain { record, root: B256::ZERO }, 500),
            (ClinicalError::Vault(VaultError::Storage(disk_full())), 507),
            (ClinicalError::Storage(disk_full()), 507),
            (ClinicalError::TooManyResources { source_name: "x".to_owned(), resources_max: 1 }, 413),
        ] {
            assert_eq!(Failure::from(error).status().as_u16(), status);
        }
    }

    /// Goal: a pool that others have filled is not taken for a node that failed.
    #[test]
    fn who_finds_the_pool_full_is_told_when_to_come_again() {
        let hash = B256::repeat_byte(7);
        let full = SendFailure::Submit { account: Address::ZERO, source: SubmitError::PoolFull };
        let dropped = SendFailure::Dropped { hash, attempts: 8 };
        let text = Failure::from(SendFailure::Dropped { hash, attempts: 8 }).diagnostics();
        assert!(text.contains(&hash.to_string()) && text.contains("may still run"), "{text}");
        for failure in [full, dropped].map(Failure::from) {
            let response = failure.into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], "5");
        }
        let stopped = Failure::from(SendFailure::Stopped).into_response();
        assert!(!stopped.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn a_denial_tells_nothing_of_its_reason() {
        let texts = [Denial::AcrossBorder, Denial::NoContribution, Denial::PurposeNotAllowed]
            .map(|denial| Failure::from(denial).outcome().to_string());
        assert!(texts.iter().all(|text| *text == texts[0] && text.contains("not permitted")));
    }
}
