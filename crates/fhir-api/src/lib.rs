//! The node's HTTP edge for records: FHIR R4 (4.0.1) REST, and the operator's views of what the node holds.
//!
//! | route | for | who |
//! |---|---|---|
//! | `GET /metadata` | the CapabilityStatement | anyone |
//! | `GET /healthz` | whether the server answers | anyone |
//! | `GET /content/{cid}` | sealed deliveries and de-identified blocks | anyone |
//! | `POST /` | a Bundle of interactions: transaction, batch | operator |
//! | `/{type}`, `/{type}/{id}` | FHIR REST: create, read, update, patch, delete, conditional too | operator |
//! | `GET /{type}?`, `POST /{type}/_search`, `_history` | search; histories, and versions | operator |
//! | `GET /Patient/{id}/$everything`, `POST /{type}/$validate` | a patient's compartment; checks | operator |
//! | `GET /$export`, `GET /Patient/$export` | Bulk Data, asynchronous | operator |
//! | `POST /$ingest?source=` | a submission, Bundle or NDJSON, answered with a report | operator |
//! | `GET /records`, `GET /records/{id}?purpose=` | the list of records; one record or one patient's | operator |
//! | `GET /backlog` | hand-overs and batches that wait | operator |
//! | `GET /holdings`, `GET /disclosures?subject=` | what the node holds; the accounting of disclosures | operator |
//! | `GET /keepers` | where nodes stand; who left a country and owes the proof of what it deleted | operator |
//! | `GET /patients`, `POST /consents` | patients in custody and their contribution switch (row B2) | operator |
//! | `GET /hl7v2/dead-letters`, `POST /hl7v2/dead-letters/replay?number=` | messages that were not taken | operator |
//! | `GET /requests` | the market's data requests and their prices (row F7) | operator |
//!
//! What it guarantees:
//! - Everything but the three public routes asks for the operator's bearer token, unknown routes included.
//! - An identity block is never served, also not sealed.
//! - A record is shown under a permit that `privacy` decided on, after the disclosure is on disk.
//! - Errors are OperationOutcomes without any value of a resource; logs name routes, never paths, queries or bodies.
//!
//! It refuses to know how records are sealed, replicated and anchored, who may read, and how blocks are made.

mod answer;
mod bundle;
mod byte_range;
mod disclose;
mod edge;
mod error;
mod exports;
mod extract;
mod gate;
mod http;
mod listener;
mod metric;
mod outcome;
mod page;
mod patch;
mod present;
mod routes;
mod server;
mod state;
mod subset;
mod write;

pub use edge::{Edge, KeyReleases, NetworkKeys};
pub use error::FhirApiError;
pub use server::{FhirServer, serve};
