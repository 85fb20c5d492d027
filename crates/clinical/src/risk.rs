//! What of a de-identified chart an attacker may know already, as rows for `bxp_privacy::risk`.
//!
//! The quasi-identifiers are what the de-identified side of a Patient still tells. The sensitive value is the chart's
//! set of conditions.

use crate::{
    ClinicalError,
    fhir::element::{child, codings, items, resource_type, text},
    ingest::Ingest,
};
use bxp_privacy::{
    Permit,
    risk::{Row, Table},
};
use bxp_types::{RecordId, SubjectId};
use sonic_rs::{JsonValueTrait, Value};
use std::collections::BTreeSet;

/// The columns of [`quasi_identifiers`].
pub const COLUMNS: [&str; 11] = [
    "birth-year",
    "gender",
    "zip-area",
    "state",
    "country",
    "race",
    "ethnicity",
    "birth-sex",
    "marital-status",
    "language",
    "death-year",
];

const RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
const ETHNICITY: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity";
const BIRTH_SEX: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex";

/// A table of these columns without rows.
#[must_use]
pub fn empty_table() -> Table {
    Table { columns: COLUMNS.map(str::to_owned).to_vec(), rows: Vec::new() }
}

/// The columns of a de-identified Patient, each with an empty text where it is not told.
#[must_use]
pub fn quasi_identifiers(patient: &Value) -> Vec<String> {
    let own = |name: &str| text(patient, name).unwrap_or_default().to_owned();
    let address = |name: &str| {
        let told: BTreeSet<&str> = items(patient, "address").filter_map(|one| text(one, name)).collect();
        joined(told)
    };
    let language: BTreeSet<&str> = items(patient, "communication")
        .filter_map(|one| child(one, "language"))
        .flat_map(codings)
        .map(|(_, code)| code)
        .collect();
    let marital: BTreeSet<&str> =
        child(patient, "maritalStatus").into_iter().flat_map(codings).map(|(_, code)| code).collect();
    let birth_sex = extension(patient, BIRTH_SEX).and_then(|one| text(one, "valueCode"));
    vec![
        own("birthDate"),
        own("gender"),
        address("postalCode"),
        address("state"),
        address("country"),
        category(patient, RACE),
        category(patient, ETHNICITY),
        birth_sex.unwrap_or_default().to_owned(),
        joined(marital),
        joined(language),
        own("deceasedDateTime"),
    ]
}

fn extension<'a>(patient: &'a Value, url: &str) -> Option<&'a Value> {
    items(patient, "extension").find(|one| text(one, "url") == Some(url))
}

/// The OMB categories of a US Core race or ethnicity.
fn category(patient: &Value, url: &str) -> String {
    let parts = extension(patient, url).into_iter().flat_map(|one| items(one, "extension"));
    let codes = parts.filter_map(|part| child(part, "valueCoding")).filter_map(|coding| text(coding, "code"));
    joined(codes.collect())
}

fn joined(values: BTreeSet<&str>) -> String {
    values.into_iter().collect::<Vec<_>>().join("+")
}

/// The codes of the conditions among de-identified resources, as one text.
pub fn conditions<'a>(resources: impl IntoIterator<Item = &'a Value>) -> String {
    let conditions = resources.into_iter().filter(|one| resource_type(one) == Some("Condition"));
    let codes: BTreeSet<&str> = conditions
        .filter_map(|condition| child(condition, "code"))
        .flat_map(|code| codings(code).map(|(_, code)| code))
        .collect();
    joined(codes)
}

impl Ingest {
    /// The row of a patient by the newest de-identified Patient resource, without the sensitive value; none for a
    /// patient whose Patient resource was never handed in or is erased. The record tells whether it has changed.
    ///
    /// # Errors
    /// [`ClinicalError::Vault`] when the permit does not open it.
    pub fn patient_row(
        &self,
        subject: SubjectId,
        permit: &Permit,
    ) -> Result<Option<(RecordId, Row)>, ClinicalError> {
        let Some(record) = self.patient_record(subject)? else { return Ok(None) };
        let bytes = self.vault().open_deidentified(record, permit)?;
        let patient: Value =
            sonic_rs::from_slice(&bytes).map_err(|_| ClinicalError::Damaged("a de-identified side"))?;
        if !patient.is_object() {
            return Err(ClinicalError::Damaged("a de-identified side"));
        }
        Ok(Some((record, Row { quasi: quasi_identifiers(&patient), sensitive: String::new() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_us_core_patient_has_these_columns() {
        let patient: Value = sonic_rs::from_str(
            r#"{"resourceType":"Patient","gender":"female","birthDate":"1949","deceasedDateTime":"2020",
            "address":[{"state":"MA","postalCode":"015","country":"US"}],
            "maritalStatus":{"coding":[{"system":"s","code":"M"}]},
            "communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en-US"}]}}],
            "extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"},
            {"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"x","code":"2106-3"}},{"url":"ombCategory","valueCoding":{"system":"x","code":"2028-9"}}]}]}"#,
        )
        .unwrap();
        let expected = ["1949", "female", "015", "MA", "US", "2028-9+2106-3", "", "F", "M", "en-US", "2020"];
        assert_eq!(quasi_identifiers(&patient), expected);
        assert_eq!(quasi_identifiers(&Value::default()), vec![String::new(); COLUMNS.len()]);
    }

    #[test]
    fn conditions_are_a_set() {
        let condition = |code: &str| -> Value {
            let json = format!(
                r#"{{"resourceType":"Condition","code":{{"coding":[{{"system":"s","code":"{code}"}}]}}}}"#
            );
            sonic_rs::from_str(&json).unwrap()
        };
        let resources = [condition("2"), condition("1"), condition("2")];
        assert_eq!(conditions(&resources), "1+2");
    }
}
