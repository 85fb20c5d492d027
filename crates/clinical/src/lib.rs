//! FHIR resources, validation, ingest, cohort criteria and the patient generator.
