//! Why the server does not run.

use std::{io, net::SocketAddr};

/// The FHIR server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum FhirApiError {
    /// Another process listens there.
    #[error(
        "listen for FHIR on {0}: the port is in use; stop the program that uses it, or set another listen.fhir"
    )]
    PortInUse(SocketAddr),
    /// The address is not this machine's, or may not be used.
    #[error("listen for FHIR on {address}; set listen.fhir to an address of this machine")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// What was kept of exports cannot be read.
    #[error("open the exports in the data folder; the log says why")]
    Exports,
    /// A token that can be guessed is no protection.
    #[error("the operator token has {length} characters; give at least {least} random ones")]
    WeakToken {
        /// Its length.
        length: usize,
        /// The least.
        least: usize,
    },
}
