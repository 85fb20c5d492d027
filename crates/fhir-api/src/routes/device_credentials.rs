//! `/Patient/{id}/$device-credential`: which devices of a patient may hand in readings. The operator issues (`POST`), lists
//! (`GET`) and revokes (`DELETE …/{credential}`); a token is shown when it is issued and never again.

use crate::{
    answer::{self, Answer},
    extract::{self, PathOf},
    outcome::Failure,
    state::Shared,
};
use axum::extract::{Request, State};
use bxp_clinical::ingest::{DEVICE_TERM_DAYS_MAX, DeviceCredential};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// What the patient calls the device.
    #[serde(default)]
    label: String,
    /// The term in days.
    days: Option<u64>,
}

#[derive(Serialize)]
struct Issued {
    #[serde(flatten)]
    credential: DeviceCredential,
    token: String,
}

/// Issues a credential.
pub(crate) async fn issue(
    State(shared): State<Shared>,
    PathOf(patient): PathOf<String>,
    request: Request,
) -> Answer {
    let body = extract::body(request).await?;
    let wrong = |_| Failure::bad_request("the body is {\"label\": text, \"days\": number}, or nothing");
    let wish: Wish =
        if body.is_empty() { Wish::default() } else { serde_json::from_slice(&body).map_err(wrong)? };
    let days = wish.days.unwrap_or(DEVICE_TERM_DAYS_MAX);
    let issued =
        shared.blocking(move |edge| Ok(edge.ingest.issue_device_credential(&patient, &wish.label, days)?));
    let issued = issued.await?;
    answer::json(&Issued { credential: issued.credential, token: issued.token.expose().clone() })
}

/// Lists a patient's credentials.
pub(crate) async fn list(State(shared): State<Shared>, PathOf(patient): PathOf<String>) -> Answer {
    answer::json(&shared.blocking(move |edge| Ok(edge.ingest.device_credentials(&patient)?)).await?)
}

/// Revokes one.
pub(crate) async fn revoke(
    State(shared): State<Shared>,
    PathOf((patient, id)): PathOf<(String, String)>,
) -> Answer {
    let named = id.clone();
    let revoked = shared.blocking(move |edge| Ok(edge.ingest.revoke_device_credential(&patient, &named)?));
    if revoked.await? {
        return answer::json(&json!({ "revoked": id }));
    }
    Err(Failure::not_found("the patient has no such credential"))
}
