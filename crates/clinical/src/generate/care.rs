//! Conditions, medication, vaccination, procedures, plans, notes and claims.

use super::{
    chart::Chart,
    node::{Node, object},
    words::{CVX, Coded, HL7, LOINC, RXNORM, SNOMED, base64, coding, concept, hl7_concept, reference},
};
use bxp_types::Jurisdiction;

/// A condition: SNOMED CT, and ICD-10-GM for Germany.
pub(super) struct Diagnosis {
    pub(super) snomed: Coded,
    pub(super) icd10: Coded,
}

pub(super) const HYPERTENSION: Diagnosis =
    Diagnosis { snomed: ("59621000", "Essential hypertension"), icd10: ("I10.90", "Essentielle Hypertonie") };
pub(super) const HYPERLIPIDEMIA: Diagnosis =
    Diagnosis { snomed: ("55822004", "Hyperlipidemia"), icd10: ("E78.5", "Hyperlipidämie") };
pub(super) const DIABETES: Diagnosis = Diagnosis {
    snomed: ("44054006", "Diabetes mellitus type 2"),
    icd10: ("E11.90", "Diabetes mellitus, Typ 2"),
};
pub(super) const FIBRILLATION: Diagnosis =
    Diagnosis { snomed: ("49436004", "Atrial fibrillation"), icd10: ("I48.9", "Vorhofflimmern") };
pub(super) const INFARCTION: Diagnosis = Diagnosis {
    snomed: ("57054005", "Acute myocardial infarction"),
    icd10: ("I21.1", "Akuter Hinterwandinfarkt"),
};

impl Chart<'_> {
    /// Notes a condition whose onset is the encounter; returns its URL.
    pub(super) fn diagnose(&mut self, diagnosis: &Diagnosis) -> String {
        let url = self.add("Condition", |chart, id| {
            let mut codings = vec![coding(SNOMED, diagnosis.snomed)];
            if chart.person.country.jurisdiction == Jurisdiction::DE {
                codings.push(coding("http://fhir.de/CodeSystem/bfarm/icd-10-gm", diagnosis.icd10));
            }
            object! {
                "resourceType": "Condition",
                "id": id,
                "meta": chart.profile("us-core-condition"),
                "clinicalStatus": hl7_concept("condition-clinical", "active"),
                "verificationStatus": hl7_concept("condition-ver-status", "confirmed"),
                "category": [hl7_concept("condition-category", "encounter-diagnosis")],
                "code": object! { "coding": codings, "text": diagnosis.snomed.1 },
                "subject": chart.subject(),
                "encounter": chart.encounter(),
                "onsetDateTime": chart.time(0),
                "recordedDate": chart.time(0),
                "recorder": chart.physician(),
            }
        });
        self.problems.push(diagnosis.snomed.1);
        url
    }

    pub(super) fn prescribe(&mut self, drug: Coded, dosage: &'static str, reason: &str) {
        self.add("MedicationRequest", |chart, id| object! {
            "resourceType": "MedicationRequest",
            "id": id,
            "meta": chart.profile("us-core-medicationrequest"),
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept(RXNORM, drug),
            "subject": chart.subject(),
            "encounter": chart.encounter(),
            "authoredOn": chart.time(25),
            "requester": chart.physician(),
            "reasonReference": [reference(reason)],
            "dosageInstruction": [object! {
                "sequence": 1,
                "text": dosage,
                "timing": object! { "repeat": object! { "frequency": 1, "period": 1, "periodUnit": "d" } },
                "asNeededBoolean": false,
            }],
        });
    }

    pub(super) fn vaccinate(&mut self, vaccine: Coded) {
        self.add("Immunization", |chart, id| {
            object! {
                "resourceType": "Immunization",
                "id": id,
                "meta": chart.profile("us-core-immunization"),
                "status": "completed",
                "vaccineCode": concept(CVX, vaccine),
                "patient": chart.subject(),
                "encounter": chart.encounter(),
                "occurrenceDateTime": chart.time(20),
                "primarySource": true,
                "lotNumber": chart.draw.digits(6),
            }
        });
    }

    pub(super) fn operate(&mut self, procedure: Coded, minutes: i32, reason: &str) {
        self.add("Procedure", |chart, id| {
            object! {
                "resourceType": "Procedure",
                "id": id,
                "meta": chart.profile("us-core-procedure"),
                "status": "completed",
                "code": concept(SNOMED, procedure),
                "subject": chart.subject(),
                "encounter": chart.encounter(),
                "performedPeriod": object! { "start": chart.time(60), "end": chart.time(60 + minutes) },
                "reasonReference": [reference(reason)],
            }
        });
    }

    pub(super) fn plan(&mut self, plan: Coded, activities: &[Coded], reason: &str) {
        let activity = |code: &Coded| {
            object! { "detail": object! { "code": concept(SNOMED, *code), "status": "in-progress" } }
        };
        let list: Vec<Node> = activities.iter().map(activity).collect();
        self.add("CarePlan", |chart, id| {
            object! {
                "resourceType": "CarePlan",
                "id": id,
                "meta": chart.profile("us-core-careplan"),
                "status": "active",
                "intent": "order",
                "category": [concept(SNOMED, plan)],
                "subject": chart.subject(),
                "encounter": chart.encounter(),
                "period": object! { "start": chart.time(30) },
                "addresses": [reference(reason)],
                "activity": list,
            }
        });
    }

    /// The physician's note, which names the patient, as free text does.
    pub(super) fn note(&mut self, story: &str) {
        let history = if self.problems.is_empty() {
            "no known conditions".to_owned()
        } else {
            self.problems.join(", ")
        };
        let years = (self.day().0 - self.person.birth.0) / 365;
        let text = format!(
            "{}\n\n{} ({}), {} years old, was seen on {}.\nHistory: {history}.\n{story}\n\nSigned: {}\n",
            self.title(),
            self.person.full_name(),
            self.person.record_number,
            years,
            self.day(),
            self.physician_name(),
        );
        self.add("DocumentReference", |chart, id| object! {
            "resourceType": "DocumentReference",
            "id": id,
            "meta": chart.profile("us-core-documentreference"),
            "status": "current",
            "type": concept(LOINC, ("11506-3", "Progress note")),
            "category": [object! { "coding": [coding(
                "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", ("clinical-note", "Clinical Note"),
            )] }],
            "subject": chart.subject(),
            "date": chart.instant(30),
            "author": [chart.physician()],
            "custodian": chart.hospital.organization_reference(),
            "content": [object! { "attachment": object! {
                "contentType": "text/plain; charset=utf-8", "data": base64(text.as_bytes()),
            } }],
            "context": object! { "encounter": [chart.encounter()], "period": object! { "start": chart.time(0) } },
        });
    }

    /// The claim for the encounter and what the payer makes of it.
    pub(super) fn bill(&mut self, amount_cents: i32) {
        let money =
            |cents: i32, currency: &str| object! { "value": Node::decimal(cents, 2), "currency": currency };
        let currency = self.person.country.currency;
        let kind =
            object! { "coding": [coding(&format!("{HL7}/claim-type"), ("institutional", "Institutional"))] };
        let claim_kind = kind.clone();
        let claim = self.add("Claim", |chart, id| object! {
            "resourceType": "Claim",
            "id": id,
            "status": "active",
            "type": claim_kind,
            "use": "claim",
            "patient": chart.subject(),
            "billablePeriod": object! { "start": chart.time(0), "end": chart.time(30) },
            "created": chart.time(30),
            "provider": chart.hospital.organization_reference(),
            "priority": hl7_concept("processpriority", "normal"),
            "insurance": [object! { "sequence": 1, "focal": true, "coverage": object! { "display": "Public Health Plan" } }],
            "item": [object! {
                "sequence": 1,
                "productOrService": object! { "text": chart.title() },
                "encounter": [chart.encounter()],
            }],
            "total": money(amount_cents, currency),
        });
        self.add("ExplanationOfBenefit", |chart, id| object! {
            "resourceType": "ExplanationOfBenefit",
            "id": id,
            "status": "active",
            "type": kind,
            "use": "claim",
            "patient": chart.subject(),
            "created": chart.time(4 * 1_440),
            "insurer": object! { "display": "Public Health Plan" },
            "provider": chart.hospital.organization_reference(),
            "claim": reference(&claim),
            "outcome": "complete",
            "insurance": [object! { "focal": true, "coverage": object! { "display": "Public Health Plan" } }],
            "payment": object! { "amount": money(amount_cents * 4 / 5, currency) },
        });
    }
}
