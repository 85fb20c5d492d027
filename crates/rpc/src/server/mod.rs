//! The server: one port for HTTP and WebSocket, with its bounds.

mod id;
mod policy;

use crate::{RpcError, api, context::Context, info::NodeInfo, metric};
use bxp_types::Ledger;
use id::HexIds;
use jsonrpsee::server::{
    BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle, middleware::http::HostFilterLayer,
};
pub use policy::Policy;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tower::ServiceBuilder;

/// The largest request: a contract of the largest size (EIP-3860), many times over, in hexadecimal.
const REQUEST_BYTES_MAX: u32 = 5 << 20;
/// The largest answer: about as many logs as `eth_getLogs` gives at once.
const RESPONSE_BYTES_MAX: u32 = 32 << 20;
/// Connections at once.
const CONNECTIONS_MAX: u32 = 512;
/// Subscriptions of one connection at once.
const SUBSCRIPTIONS_MAX: u32 = 64;
/// Requests in one batch.
const BATCH_MAX: u32 = 200;
/// Messages that wait for a slow WebSocket client before the server stops reading from it.
const MESSAGES_MAX: u32 = 256;
/// How long a connection may take to send its first request.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server. It stops when dropped or told to.
#[derive(Debug)]
pub struct RpcServer {
    address: SocketAddr,
    handle: ServerHandle,
}

impl RpcServer {
    /// Where it listens; the port that the system chose where 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connection or request is taken, running ones are answered, subscriptions end.
    pub async fn stop(self) {
        // An error says that it has stopped already.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

/// Serves JSON-RPC on `address` (HTTP and WebSocket), with the [`Policy`] for that address.
///
/// # Errors
/// [`RpcError::Listen`] where the address is taken.
pub async fn serve(
    address: SocketAddr,
    ledger: Arc<dyn Ledger>,
    info: NodeInfo,
) -> Result<RpcServer, RpcError> {
    serve_with(address, ledger, info, Policy::of(address)).await
}

/// Serves JSON-RPC on `address`, to whom `policy` says.
///
/// # Errors
/// [`RpcError::Listen`] where the address is taken, [`RpcError::Host`] for a host that is none.
pub async fn serve_with(
    address: SocketAddr,
    ledger: Arc<dyn Ledger>,
    info: NodeInfo,
    policy: Policy,
) -> Result<RpcServer, RpcError> {
    metric::describe();
    let methods = api::methods(&Context::new(ledger, info))?;
    let http = ServiceBuilder::new().layer(policy.cors()).layer(host_filter(&policy)?);
    let listen = |source| RpcError::Listen { address, source };
    let server = Server::builder()
        .set_config(config())
        .set_http_middleware(http)
        .build(address)
        .await
        .map_err(listen)?;
    let address = server.local_addr().map_err(listen)?;
    Ok(RpcServer { address, handle: server.start(methods) })
}

fn config() -> ServerConfig {
    ServerConfig::builder()
        .max_request_body_size(REQUEST_BYTES_MAX)
        .max_response_body_size(RESPONSE_BYTES_MAX)
        .max_connections(CONNECTIONS_MAX)
        .max_subscriptions_per_connection(SUBSCRIPTIONS_MAX)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_MAX))
        .set_message_buffer_capacity(MESSAGES_MAX)
        .set_first_request_timeout(Some(FIRST_REQUEST_TIMEOUT))
        .enable_ws_ping(PingConfig::new())
        .set_id_provider(HexIds)
        .build()
}

fn host_filter(policy: &Policy) -> Result<HostFilterLayer, RpcError> {
    if policy.hosts.is_empty() {
        return Ok(HostFilterLayer::disable());
    }
    for host in &policy.hosts {
        HostFilterLayer::new([host.as_str()]).map_err(|_| RpcError::Host { host: host.clone() })?;
    }
    HostFilterLayer::new(policy.hosts.iter().map(String::as_str))
        .map_err(|_| RpcError::Host { host: policy.hosts.join(", ") })
}
