//! The MLLP listener: HL7 v2 feeds over TCP, each connection one message after the other.
//!
//! What it guarantees:
//! - A message is acknowledged as taken when it is on disk; [`Inbox`](bxp_clinical::inbox::Inbox) sees to that.
//! - Messages of a connection are taken in the order in which they came, and answered in it.
//! - Connections, bytes of a message, messages in work and the time that a sender may take are bounded.
//! - Logs and metrics have no value of a message, and no address of a sender.
//!
//! - Where it has a certificate ([`Tls`]), nothing is heard outside of TLS, and where it has authorities, from nobody without a
//!   certificate of theirs.
//!
//! It refuses to know what a message says and how it is kept. Without a certificate it is meant for the machine's own
//! address or a network that only the hospital's systems are in.

mod connection;
mod error;
mod server;
mod tls;

pub use error::MllpError;
pub use server::{Bounds, MllpServer, serve};
pub use tls::{Tls, TlsFiles};
