//! Prometheus metrics and a liveness answer over HTTP.

use anyhow::{Context, Result};
use axum::{Router, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{net::SocketAddr, sync::OnceLock};
use tokio::net::TcpListener;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

fn recorder() -> Result<PrometheusHandle> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new().install_recorder().context("install the metrics recorder")?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Serves `/metrics` and `/healthz`; gives the bound address.
pub(crate) async fn serve(address: SocketAddr) -> Result<SocketAddr> {
    let handle = recorder()?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen for metrics on {address}; is the port in use?"))?;
    let bound = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(move || std::future::ready(handle.render())))
        .route("/healthz", get(|| std::future::ready("ok\n")));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(bound)
}
