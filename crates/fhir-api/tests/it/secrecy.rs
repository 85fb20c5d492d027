//! What the server logs: routes and numbers, never a path, a query, a body or a token.

use crate::{
    client::{bundle, patient, weight},
    net::{Net, TOKEN},
};
use std::{
    io,
    sync::{LazyLock, Mutex},
};

static LOGGED: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what all tests of this binary log.
pub(crate) fn listen_to_logs() {
    let filter = tracing_subscriber::EnvFilter::new(
        "info,bxp_fhir_api=trace,bxp_clinical=trace,axum=trace,hyper=debug",
    );
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Log).try_init();
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_name_routes_and_nothing_that_identifies() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    node.post("/$ingest?source=Plantedsource", bundle("batch", &[&patient(1, "US"), &weight(1)])).await;
    node.post("/", bundle("batch", &[&patient(1, "US")])[..60].to_owned()).await;
    node.post("/Patient", patient(1, "US").replace("female", "Plantedgender")).await;
    for path in [
        "/Patient/original-1",
        "/Patient/Plantedid",
        "/Patient?name=Plantedname&identifier=Planted",
        "/Patient?birthdate=Plantedname&Planted%20name=x",
        "/Patient/original-1/_history?_since=Planted",
        "/Patient/original-1/$everything",
        "/Plantedtype/1",
        "/records/Plantedid",
        "/records?subject=Planted",
    ] {
        node.get(path).await;
    }
    let logged = String::from_utf8(LOGGED.lock().unwrap().clone()).unwrap();
    for route in ["/$ingest", "/{type}/{id}", "/records/{id}"] {
        assert!(logged.contains(&format!("route=\"{route}\"")), "{route}");
    }
    for secret in ["Planted", "original-1", TOKEN] {
        let found = logged.lines().find(|line| line.contains(secret));
        assert_eq!(found, None);
    }
}
