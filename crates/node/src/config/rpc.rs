//! The table `[rpc]`: who may use Ethereum JSON-RPC, and how much one client may ask.

use anyhow::{Context, Result, ensure};
use bxp_rpc::{ClientLimits, Policy};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Calls in the largest batch: a client that has paused may send one.
const BATCH_MAX: u32 = 200;

/// Who may ask, and how much one client, by its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rpc {
    /// Calls a second in the long run, each call of a batch counted.
    pub calls_per_second: u32,
    /// Calls at once after a pause.
    pub burst_calls: u32,
    /// Connections at once.
    pub connections_per_client: u32,
    /// Whether programs on this machine are held to it; behind a proxy on this machine, set limits in the proxy.
    pub limit_loopback: bool,
    /// Hosts under which the node is reached beside loopback and the address that it listens on, as `host`, `host:port` or
    /// `host:*`: a proxy's, say. A node that listens on all addresses answers under any, unless some are named here.
    pub hosts: Vec<String>,
    /// Pages, by their origin such as `https://wallet.example`, whose scripts may use JSON-RPC beside those of this machine.
    pub origins: Vec<String>,
}

impl Default for Rpc {
    fn default() -> Self {
        let ClientLimits { calls_per_second, burst_calls, connections, loopback } = ClientLimits::default();
        Self {
            calls_per_second,
            burst_calls,
            connections_per_client: connections,
            limit_loopback: loopback,
            hosts: Vec::new(),
            origins: Vec::new(),
        }
    }
}

impl Rpc {
    /// Whom a server on `address` answers.
    #[must_use]
    pub fn policy(&self, address: SocketAddr) -> Policy {
        Policy { clients: self.limits(), ..Policy::of(address).also(&self.hosts, &self.origins) }
    }

    /// What the server holds clients to.
    #[must_use]
    pub const fn limits(&self) -> ClientLimits {
        ClientLimits {
            calls_per_second: self.calls_per_second,
            burst_calls: self.burst_calls,
            connections: self.connections_per_client,
            loopback: self.limit_loopback,
        }
    }

    /// # Errors
    /// Says which limit would let nobody in, and which host or page is none.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.calls_per_second > 0, "rpc.calls_per_second is 0; the least is 1");
        ensure!(self.connections_per_client > 0, "rpc.connections_per_client is 0; the least is 1");
        ensure!(
            self.burst_calls >= BATCH_MAX,
            "rpc.burst_calls is {}; the least is {BATCH_MAX}, the calls of a full batch",
            self.burst_calls
        );
        Policy::check_hosts(&self.hosts).context("check rpc.hosts")?;
        Policy::check_origins(&self.origins).context("check rpc.origins")
    }
}
