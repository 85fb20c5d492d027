//! The server: routes, their bounds, starting and stopping.

use crate::{
    Edge, FhirApiError, gate,
    listener::BoundedListener,
    metric,
    routes::{
        amendment, backlog, consents, content, create, dag_fetch, dag_publish, dags, delete,
        device_credentials, device_data, disclosures, erase, everything, export, history, hl7v2, holdings,
        ingest, ipfs, keepers, metadata, patch, patients, privacy, read, records, requests, scrub, search,
        search_system, transaction, unknown, update, validate, verify,
    },
    state::Shared,
};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{delete, get, post, put},
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// The shortest operator token.
const TOKEN_CHARACTERS_MIN: usize = 16;
/// The largest body of a list of consent changes in bytes.
const CONSENTS_BYTES_MAX: usize = 4 << 20;
/// The largest upload of a device's readings in bytes: ten thousand readings fit.
const READINGS_BYTES_MAX: usize = 8 << 20;
/// How often it is looked for exports past their term.
const LOOK_FOR_OLD_EXPORTS: Duration = Duration::from_secs(60);
/// How long connections may take to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server. It stops when dropped or told to.
#[derive(Debug)]
pub struct FhirServer {
    address: SocketAddr,
    stopping: DropGuard,
    serving: JoinHandle<io::Result<()>>,
    tasks: TaskTracker,
}

impl FhirServer {
    /// Where it listens; the port that the system chose where 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connection is taken, running requests are answered, and work that was begun ends.
    pub async fn stop(self) {
        let Self { stopping, mut serving, tasks, .. } = self;
        drop(stopping);
        if tokio::time::timeout(STOP_TIMEOUT, &mut serving).await.is_err() {
            serving.abort();
        }
        tasks.close();
        tasks.wait().await;
    }
}

/// Serves on `address` until it is told to stop.
///
/// # Errors
/// [`FhirApiError::PortInUse`], [`FhirApiError::Listen`], [`FhirApiError::WeakToken`].
pub async fn serve(address: SocketAddr, edge: Edge) -> Result<FhirServer, FhirApiError> {
    let length = edge.operator_token.expose().chars().count();
    if length < TOKEN_CHARACTERS_MIN {
        return Err(FhirApiError::WeakToken { length, least: TOKEN_CHARACTERS_MIN });
    }
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => FhirApiError::PortInUse(address),
        _ => FhirApiError::Listen { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    metric::describe();
    let stop = CancellationToken::new();
    let shared = Shared::new(edge, stop.clone()).map_err(|_| FhirApiError::Exports)?;
    let tasks = shared.0.tasks.clone();
    shared.0.exports.unready().into_iter().for_each(|unready| export::begin(&shared, unready));
    tasks.spawn(expire_exports(shared.clone(), stop.clone()));
    let told = stop.clone().cancelled_owned();
    let server = axum::serve(BoundedListener::new(listener), router(shared)).with_graceful_shutdown(told);
    let serving = tokio::spawn(async move { server.await });
    Ok(FhirServer { address, stopping: stop.drop_guard(), serving, tasks })
}

/// Removes exports that are past their term, until the server stops.
async fn expire_exports(shared: Shared, stop: CancellationToken) {
    while tokio::time::timeout(LOOK_FOR_OLD_EXPORTS, stop.cancelled()).await.is_err() {
        let inner = shared.clone();
        let expired = shared.blocking(move |edge| {
            inner.0.exports.expire(i64::try_from(edge.ingest.now_ms()).unwrap_or(i64::MAX))
        });
        if expired.await.is_err() {
            tracing::warn!("exports that are past their term could not be removed; trying again");
        }
    }
}

fn router(shared: Shared) -> Router {
    let submissions = DefaultBodyLimit::max(shared.edge().body_bytes_max);
    let readings = DefaultBodyLimit::max(READINGS_BYTES_MAX.min(shared.edge().body_bytes_max));
    let changes = DefaultBodyLimit::max(CONSENTS_BYTES_MAX);
    Router::new()
        .route("/metadata", get(metadata::capabilities))
        .route("/healthz", get(metadata::health))
        .route("/content/{cid}", get(content::sealed))
        .route("/", get(search_system::by_get).post(transaction::bundle).layer(submissions))
        .route("/_search", post(search_system::by_post).layer(changes))
        .route("/$ingest", post(ingest::submission).layer(submissions))
        .route("/$device-data", post(device_data::upload).layer(readings))
        .route("/$export", get(export::system))
        .route("/Patient/$export", get(export::patients))
        .route("/Group/{id}/$export", get(export::group))
        .route("/$export-status/{id}", get(export::status).delete(export::cancel))
        .route("/$export-file/{id}/{type}", get(export::file))
        .route("/_history", get(history::of_system))
        .route(
            "/{type}",
            post(create::resource)
                .get(search::by_get)
                .put(update::by_search)
                .delete(delete::by_search)
                .layer(submissions),
        )
        .route("/{type}/_search", post(search::by_post).layer(changes))
        .route("/{type}/_history", get(history::of_kind))
        .route("/{type}/$validate", post(validate::resource).layer(submissions))
        .route(
            "/{type}/{id}",
            get(read::resource)
                .put(update::by_id)
                .patch(patch::resource)
                .delete(delete::by_id)
                .layer(submissions),
        )
        .route("/Patient/{id}/$everything", get(everything::patient))
        .route(
            "/Patient/{id}/$device-credential",
            get(device_credentials::list).post(device_credentials::issue).layer(changes),
        )
        .route("/Patient/{id}/$device-credential/{credential}", delete(device_credentials::revoke))
        .route("/{type}/{id}/$request-amendment", post(amendment::request).layer(changes))
        .route("/Task/{id}/$accept-amendment", post(amendment::accept).layer(submissions))
        .route("/Task/{id}/$deny-amendment", post(amendment::deny).layer(changes))
        .route("/Task/{id}/$disagree", post(amendment::disagree).layer(changes))
        .route("/Task/{id}/$rebut", post(amendment::rebut).layer(changes))
        .route("/{type}/{id}/$validate", post(validate::existing).layer(submissions))
        .route("/{type}/{id}/{within}", get(search::in_compartment))
        .route("/{type}/{id}/_history", get(history::of_resource))
        .route("/{type}/{id}/_history/{version}", get(read::version))
        .merge(operator(submissions, changes))
        .fallback(unknown::address)
        .method_not_allowed_fallback(unknown::method)
        .layer(from_fn_with_state(shared.clone(), gate::pass))
        .with_state(shared)
}

/// What the operator's programs ask beside FHIR.
fn operator(submissions: DefaultBodyLimit, changes: DefaultBodyLimit) -> Router<Shared> {
    Router::new()
        .route("/records", get(records::list))
        .route("/records/{id}", get(records::one_or_all).delete(erase::record))
        .route("/records/{id}/proof", get(verify::proof))
        .route("/records/{id}/erasure", get(erase::receipts))
        .route("/holdings", get(holdings::counts))
        .route("/keepers", get(keepers::state))
        .route("/backlog", get(backlog::counts))
        .route("/disclosures", get(disclosures::accounting))
        .route("/patients", get(patients::list))
        .route("/patients/{id}", delete(erase::patient))
        .route("/privacy/scan", post(privacy::scan))
        .route("/privacy/risk", get(privacy::risk))
        .route("/scrub", post(scrub::now))
        .route("/consents", post(consents::change).layer(changes))
        .route("/ipfs/{cid}", get(ipfs::content))
        .route("/ipfs/{cid}/", get(ipfs::content))
        .route("/ipfs/{cid}/{*path}", get(ipfs::content))
        .route("/dags", get(dags::list).post(dags::import).layer(submissions))
        .route("/dags/{cid}", put(dags::pin).delete(dags::release))
        .route("/dags/$publish", post(dag_publish::publish).layer(changes))
        .route("/dags/$fetch", post(dag_fetch::fetch))
        .route("/dags/$gc", post(dags::collect))
        .route("/dags/$stat", get(dags::stat))
        .route("/requests", get(requests::list))
        .route("/hl7v2/dead-letters", get(hl7v2::dead_letters))
        .route("/hl7v2/dead-letters/replay", post(hl7v2::replay))
}
