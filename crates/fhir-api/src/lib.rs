//! FHIR REST at the edge.
