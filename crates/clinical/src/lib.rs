//! The clinical manager: FHIR resources on their way in, and cohort criteria over them.
//!
//! [`source`] reads what a hospital hands in, [`validate`](mod@validate) checks it against FHIR R4, [`compartment`] and [`residence`]
//! find whose record it is and under which country's law, [`criterion`] matches charts, [`generate`](mod@generate) makes realistic
//! patients. It knows nothing of consensus, of execution, and of who may read: it opens nothing without a permit.

pub mod anchor;
mod answer;
pub mod audit;
pub mod compartment;
mod contract;
pub mod criterion;
pub mod erase;
mod error;
pub mod facts;
pub mod fhir;
pub mod fuzz;
pub mod generate;
pub mod inbox;
pub mod ingest;
pub mod keeping;
pub mod registry;
pub mod release;
pub mod repair;
pub mod replicate;
pub mod residence;
pub mod risk;
pub mod sender;
pub mod show;
pub mod source;
mod turns;
pub mod validate;
pub mod verify;

pub use error::ClinicalError;
