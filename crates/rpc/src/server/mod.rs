//! The server: one port for HTTP and WebSocket, with its bounds.

mod batches;
mod clients;
pub(crate) mod direct;
mod hosts;
mod id;
mod limit;
mod policy;

use crate::{RpcError, api, context::Context, info::NodeInfo, metric};
use batches::BatchLayer;
use bxp_types::Ledger;
pub use clients::ClientLimits;
use clients::Clients;
use hosts::Hosts;
use id::HexIds;
use jsonrpsee::{
    core::middleware::RpcServiceBuilder,
    server::{
        BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle,
        middleware::http::HostFilterLayer, serve_with_graceful_shutdown, stop_channel,
    },
};
use limit::LimitLayer;
pub use policy::Policy;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::{TcpListener, TcpStream};
use tower::{Service as _, ServiceBuilder, service_fn};

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
/// After an error of accepting, such as too many open files, the next try waits this long.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

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
/// [`RpcError::Listen`] where the address is taken, [`RpcError::Host`] for a host that is none, [`RpcError::Origin`] for an
/// origin that is none.
pub async fn serve_with(
    address: SocketAddr,
    ledger: Arc<dyn Ledger>,
    info: NodeInfo,
    policy: Policy,
) -> Result<RpcServer, RpcError> {
    metric::describe();
    Policy::check_origins(&policy.origins)?;
    let hosts = Arc::new(Hosts::read(&policy.hosts)?);
    let batches = BatchLayer(Arc::clone(&ledger));
    let methods = api::methods(&Context::new(ledger, info))?;
    let http = ServiceBuilder::new().layer(policy.cors()).layer(HostFilterLayer::disable());
    let listen = |source| RpcError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let clients = Clients::new(policy.clients);
    let policy = Arc::new(policy);
    let builder = Server::builder().set_config(config()).set_http_middleware(http).to_service_builder();
    let (stop, handle) = stop_channel();
    tokio::spawn(async move {
        while let Some((socket, peer)) = accept(&listener, stop.clone().shutdown()).await {
            let client = clients.connect(peer.ip(), Instant::now()).map(Arc::new);
            let connections_max = clients.limits().connections;
            let (builder, methods) = (builder.clone(), methods.clone());
            let (batches, stopping) = (batches.clone(), stop.clone());
            let (policy, hosts) = (Arc::clone(&policy), Arc::clone(&hosts));
            let service = service_fn(move |mut request: http::Request<_>| {
                if let Some(address) = client.as_ref().and_then(|client| client.address()) {
                    request.extensions_mut().insert(address);
                }
                let forbidden = if !hosts.answer(&request) {
                    Some(limit::OTHER_HOST)
                } else if policy.refuses(&request) {
                    Some(limit::FOREIGN_PAGE)
                } else {
                    None
                };
                let answer = client.as_ref().filter(|_| forbidden.is_none()).map(|client| {
                    let calls =
                        RpcServiceBuilder::new().layer(LimitLayer(Arc::clone(client))).layer(batches.clone());
                    let builder = builder.clone().set_rpc_middleware(calls);
                    builder.build(methods.clone(), stopping.clone()).call(request)
                });
                async move {
                    match (answer, forbidden) {
                        (Some(answer), _) => answer.await.map(limit::with_status),
                        (None, Some(words)) => Ok(limit::forbidden(words)),
                        (None, None) => Ok(limit::too_many_connections(connections_max)),
                    }
                }
            });
            // How a connection ends is its client's affair. The first request has to come within 30 seconds.
            tokio::spawn(serve_with_graceful_shutdown(socket, service, stop.clone().shutdown()));
        }
        // Before the last handle that says it has stopped.
        drop(listener);
        drop(stop);
    });
    Ok(RpcServer { address, handle })
}

/// The next connection; none when the server stops.
async fn accept(
    listener: &TcpListener,
    stopped: impl Future<Output = ()>,
) -> Option<(TcpStream, SocketAddr)> {
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => return None,
        };
        match accepted.and_then(|(socket, peer)| socket.set_nodelay(true).map(|()| (socket, peer))) {
            Ok(connection) => return Some(connection),
            Err(error) => {
                tracing::debug!(%error, "accept a JSON-RPC connection");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

fn config() -> ServerConfig {
    ServerConfig::builder()
        .max_request_body_size(REQUEST_BYTES_MAX)
        .max_response_body_size(RESPONSE_BYTES_MAX)
        .max_connections(CONNECTIONS_MAX)
        .max_subscriptions_per_connection(SUBSCRIPTIONS_MAX)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_MAX))
        .set_message_buffer_capacity(MESSAGES_MAX)
        .enable_ws_ping(PingConfig::new())
        .set_id_provider(HexIds)
        .build()
}
