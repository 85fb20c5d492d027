//! Why the listener does not run.

use std::{io, net::SocketAddr, path::PathBuf};

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
    /// A file of TLS that cannot be read.
    #[error("read {path}, a file of mllp_tls", path = path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of TLS that is not what it should be.
    #[error("{path}, a file of mllp_tls, {what}", path = path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}
