//! Refuses what a client asks beyond its limits: error -32005, and over HTTP also status 429 with `Retry-After`.

use super::clients::Client;
use crate::metric;
use http::{HeaderValue, Response, StatusCode, header};
use jsonrpsee::{
    MethodResponse,
    core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
    server::HttpBody,
    types::{ErrorObjectOwned, Id, Request},
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tower::Layer;

/// Code of a refusal for asking too much (EIP-1474, "limit exceeded").
const LIMIT_EXCEEDED: i32 = -32_005;

/// On the answer to a refused request: when to ask again.
#[derive(Clone, Copy, Debug)]
struct RetryAfter(Duration);

/// Adds [`Limited`] to a connection of a client.
#[derive(Clone)]
pub(super) struct LimitLayer(pub(super) Arc<Client>);

impl<S> Layer<S> for LimitLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, client: Arc::clone(&self.0) }
    }
}

/// Counts what the client asks; a batch is taken whole or not at all, so that it can be sent again.
#[derive(Clone)]
pub(super) struct Limited<S> {
    inner: S,
    client: Arc<Client>,
}

impl<S> Limited<S> {
    fn ask(&self, calls: usize) -> Result<(), Refused> {
        self.client.ask(calls, Instant::now()).map_err(|retry_after| {
            metric::refused(calls);
            Refused { calls_per_second: self.client.limits().calls_per_second, retry_after }
        })
    }
}

struct Refused {
    calls_per_second: u32,
    retry_after: Duration,
}

impl Refused {
    fn error(&self) -> ErrorObjectOwned {
        let words = format!(
            "too many calls: a client may make {} a second; ask again in {} ms",
            self.calls_per_second,
            self.retry_after.as_millis().saturating_add(1)
        );
        let data = json!({ "retryAfterMs": u64::try_from(self.retry_after.as_millis()).unwrap_or(u64::MAX) });
        ErrorObjectOwned::owned(LIMIT_EXCEEDED, words, Some(data))
    }

    fn answer(&self, id: Id<'_>) -> MethodResponse {
        self.mark(MethodResponse::error(id, self.error()))
    }

    fn mark(&self, mut answer: MethodResponse) -> MethodResponse {
        answer.extensions_mut().insert(RetryAfter(self.retry_after));
        answer
    }
}

impl<S> RpcServiceT for Limited<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            match service.ask(1) {
                Ok(()) => service.inner.call(request).await,
                Err(refused) => refused.answer(request.id),
            }
        }
    }

    fn notification<'a>(&self, told: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            match service.ask(1) {
                Ok(()) => service.inner.notification(told).await,
                Err(refused) => refused.mark(MethodResponse::notification()),
            }
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let Err(refused) = service.ask(batch.len()) else { return service.inner.batch(batch).await };
            let refuse = |entry| match entry {
                Ok(BatchEntry::Call(request)) => Some(Err(BatchEntryErr::new(request.id, refused.error()))),
                Ok(BatchEntry::Notification(_)) => None,
                Err(malformed) => Some(Err(malformed)),
            };
            let entries = batch.into_iter().filter_map(refuse).collect();
            refused.mark(service.inner.batch(Batch::from(entries)).await)
        }
    }
}

/// Gives an answer over HTTP the status that its refusal has there.
pub(super) fn with_status<B>(mut answer: Response<B>) -> Response<B> {
    if let Some(RetryAfter(wait)) = answer.extensions().get().copied() {
        // Whole seconds, and not too early.
        let seconds = wait.as_secs().saturating_add(1);
        *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// What a page is told that may not have a WebSocket.
pub(super) const FOREIGN_PAGE: &str = "pages of this origin may not connect; a node's operator admits them by \
    rpc.origins in node.toml, who runs `bxp dev chain` by --origin ORIGIN\n";
/// What a request is told that names another host.
pub(super) const OTHER_HOST: &str = "requests for this host are not answered; a node's operator names it in rpc.hosts \
    of node.toml, who runs `bxp dev chain` by --host HOST:PORT\n";

/// A refusal that asking again does not change.
pub(super) fn forbidden(words: &'static str) -> Response<HttpBody> {
    metric::refused(1);
    let mut answer = Response::new(HttpBody::from(words));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

/// What a connection is told that is one too many for its client.
pub(super) fn too_many_connections(connections_max: u32) -> Response<HttpBody> {
    metric::refused(1);
    let words = format!("too many connections: a client may have {connections_max} at once");
    let error = json!({ "code": LIMIT_EXCEEDED, "message": words });
    let body = json!({ "jsonrpc": "2.0", "error": error, "id": null }).to_string();
    let mut answer = Response::new(HttpBody::from(body));
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
