//! Why the server does not run.

use std::{io, net::SocketAddr};

/// The JSON-RPC server could not be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address is taken, or not this machine's.
    #[error("listen for JSON-RPC on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A page of the policy is not named as browsers name it.
    #[error(
        "allow pages of {origin:?} to read JSON-RPC: not of the form https://host or http://host:port, in small letters and without a path"
    )]
    Origin {
        /// The page as configured.
        origin: String,
    },
    /// A host of the policy is not a name or address with a port at most.
    #[error("allow JSON-RPC requests for host {host:?}: not of the form host:port, host:* or host")]
    Host {
        /// The host as configured.
        host: String,
    },
    /// Two methods have one name.
    #[error("register the JSON-RPC methods")]
    Register(#[from] jsonrpsee::server::RegisterMethodError),
}
