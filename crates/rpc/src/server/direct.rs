//! The server without a port: bodies go in and answers come out, past hosts, pages and clients' limits.

use super::{RESPONSE_BYTES_MAX, batches::BatchLayer, config};
use bxp_types::Ledger;
use http::{HeaderValue, Method, Request, Response, header};
use jsonrpsee::{
    Methods,
    core::{http_helpers::read_body, middleware::RpcServiceBuilder},
    server::{HttpBody, Server, ServerHandle, StopHandle, stop_channel},
};
use std::sync::Arc;
use tower::Service as _;

/// A server to which nobody connects.
pub(crate) struct Direct {
    methods: Methods,
    batches: BatchLayer,
    stop: StopHandle,
    /// While it is held the server is not stopped.
    _running: ServerHandle,
}

impl Direct {
    /// A server of these methods, which submits transactions to `ledger`.
    pub(crate) fn new(methods: Methods, ledger: Arc<dyn Ledger>) -> Self {
        let (stop, running) = stop_channel();
        Self { methods, batches: BatchLayer(ledger), stop, _running: running }
    }

    /// What the body of a request is answered over HTTP; nothing for notifications alone.
    pub(crate) async fn answer(&self, body: Vec<u8>) -> Option<Vec<u8>> {
        let mut request = Request::new(HttpBody::from(body));
        *request.method_mut() = Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let calls = RpcServiceBuilder::new().layer(self.batches.clone());
        let builder = Server::builder().set_config(config()).to_service_builder().set_rpc_middleware(calls);
        let mut service = builder.build(self.methods.clone(), self.stop.clone());
        let answer: Response<HttpBody> = service.call(request).await.ok()?;
        let (parts, body) = answer.into_parts();
        let (bytes, _) = read_body(&parts.headers, body, RESPONSE_BYTES_MAX).await.ok()?;
        Some(bytes)
    }
}
