//! `POST /$device-data`: readings of a member's own device (white paper row F8), as JSON or FHIR.
//!
//! A device shows its own token, which opens this route for its patient alone. The operator names the patient:
//! `?patient=ID`.

use crate::{
    answer::{self, Answer},
    extract::{self, Form, QueryOf},
    gate::{bearer, challenge, is_operator},
    outcome::Failure,
    state::Shared,
};
use axum::extract::{Request, State};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceQuery {
    patient: Option<String>,
}

/// Takes an upload in, and answers with the report of what became of it.
pub(crate) async fn upload(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<DeviceQuery>,
    request: Request,
) -> Answer {
    let patient = if is_operator(request.headers(), &shared.edge().operator_token) {
        query
            .patient
            .ok_or_else(|| Failure::bad_request("parameter patient must name the Patient by its id"))?
    } else {
        let token = bearer(request.headers()).unwrap_or_default().to_vec();
        let known = shared.blocking(move |edge| Ok(edge.ingest.patient_of_device(&token)?)).await?;
        let Some(patient) = known else { return Ok(challenge()) };
        if query.patient.is_some_and(|named| named != patient) {
            return Err(Failure::forbidden());
        }
        patient
    };
    if !matches!(extract::form(&request)?, Form::Json | Form::Unsaid) {
        return Err(Failure::bad_request("readings are JSON: application/json or application/fhir+json"));
    }
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let report = shared.blocking(move |edge| {
        let _place = place;
        Ok(edge.ingest.ingest_readings(&patient, &body)?)
    });
    answer::json(&report.await?)
}
