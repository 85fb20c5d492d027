//! Why the listener does not run.

use std::{io, net::SocketAddr};

/// The MLLP listener could not be started.
#[derive(Debug, thiserror::Error)]
pub enum MllpError {
    /// Another process listens there.
    #[error(
        "listen for MLLP on {0}: the port is in use; stop the program that uses it, or set another listen.mllp"
    )]
    PortInUse(SocketAddr),
    /// The address is not this machine's, or may not be used.
    #[error("listen for MLLP on {address}; set listen.mllp to an address of this machine")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}
