//! The server's bounds and who may ask.

use crate::{
    client::{ADDRESS, Rig, Status, info},
    ledger::MemoryLedger,
};
use bxp_rpc::{Policy, RpcError, serve, serve_with};
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_are_refused_and_only_own_pages_may_read() {
    let rig = Rig::start().await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    let port = rig.server.local_addr().port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("evil.example:{port}"), 403),
        ("evil.example".to_owned(), 403),
    ] {
        let request = reqwest::Client::new().post(rig.url()).header("host", &host).json(&body);
        assert_eq!(request.send().await.unwrap().status(), status, "{host}");
    }
    for (origin, allowed) in [("http://localhost:5173", true), ("https://evil.example", false)] {
        let request = reqwest::Client::new().post(rig.url()).header("origin", origin).json(&body);
        let answer = request.send().await.unwrap();
        let header = answer.headers().get("access-control-allow-origin");
        assert_eq!(header.map(|value| value.to_str().unwrap()), allowed.then_some(origin));
    }
}

/// Goal: a page that may not read answers may not read them over a WebSocket either. Way: the request by which a browser opens
/// one, which names the page, and a program's, which names none.
#[tokio::test(flavor = "multi_thread")]
async fn only_own_pages_open_a_websocket() {
    let rig = Rig::start().await;
    for (origin, status) in [
        (None, 101),
        (Some("http://localhost:5173"), 101),
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
    ] {
        assert_eq!(open_websocket(&rig, origin).await.status(), status, "{origin:?}");
    }
}

/// Asks for a WebSocket as a browser does for the page at `origin`, or a program, which has none.
async fn open_websocket(rig: &Rig, origin: Option<&str>) -> reqwest::Response {
    let mut request = reqwest::Client::new()
        .get(rig.url())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request.send().await.unwrap()
}

/// Goal: a host and a page that are configured with their port are let in; the others are told what to do. Way:
/// requests as browsers send them, which leave the port of https out.
#[tokio::test(flavor = "multi_thread")]
async fn a_configured_host_and_page_are_let_in_and_others_told_what_to_do() {
    let (host, page) = ("node.example:443".to_owned(), "https://wallet.example:443".to_owned());
    let rig = Rig::start_with(Policy::of(ADDRESS).also(&[host], &[page])).await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    for (host, status) in [("node.example", 200), ("node.example:443", 200), ("other.example", 403)] {
        let request = reqwest::Client::new().post(rig.url()).header("host", host).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{host}");
        let words = answer.text().await.unwrap();
        let told = words.contains("rpc.hosts") && words.contains("--host");
        assert_eq!(told, status == 403, "{words}");
    }
    for (origin, admitted) in [("https://wallet.example", true), ("https://other.example", false)] {
        let request = reqwest::Client::new().post(rig.url()).header("origin", origin).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers().contains_key("access-control-allow-origin"), admitted, "{origin}");
    }
    assert_eq!(open_websocket(&rig, Some("https://wallet.example")).await.status(), 101);
    let refused = open_websocket(&rig, Some("https://other.example")).await;
    assert_eq!(refused.status(), 403);
    let words = refused.text().await.unwrap();
    assert!(words.contains("rpc.origins") && words.contains("--origin"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_answered_up_to_their_limit() {
    let rig = Rig::start().await;
    let batch = |count: usize| -> Value {
        (0..count)
            .map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] }))
            .collect()
    };
    let answers = rig.post(batch(200)).await;
    assert_eq!(answers.as_array().unwrap().len(), 200);
    assert!(answers.as_array().unwrap().iter().all(|answer| answer["result"] == "0x1e79"));
    assert_eq!(rig.post(batch(201)).await["error"]["code"], -32_010);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_bounded_in_size() {
    let rig = Rig::start().await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "web3_sha3", "params": ["0".repeat(6 << 20)] });
    // The server answers from the declared length alone and closes, often before the client has sent it all.
    match reqwest::Client::new().post(rig.url()).json(&body).send().await {
        Ok(answer) => assert_eq!(answer.status(), 413),
        Err(error) => assert!(error.is_request(), "{error}"),
    }
    assert_eq!(rig.call("eth_chainId", json!([])).await, "0x1e79");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_and_freed_by_stopping() {
    let rig = Rig::start().await;
    let address = rig.server.local_addr();
    let node = || info(Arc::<Status>::default());
    let refused = serve(address, MemoryLedger::new(), node()).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("listen for JSON-RPC on {address}"));
    assert!(matches!(refused, RpcError::Listen { .. }));
    rig.server.stop().await;
    let again = serve(address, MemoryLedger::new(), node()).await.unwrap();
    assert_eq!(again.local_addr(), address);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_none_is_named() {
    let address = "127.0.0.1:0".parse().unwrap();
    let hosts = vec!["localhost:*".to_owned(), "so/me:thing:x".to_owned()];
    let policy = Policy { hosts, ..Policy::of(address) };
    let refused = serve_with(address, MemoryLedger::new(), info(Arc::<Status>::default()), policy).await;
    assert!(matches!(refused, Err(RpcError::Host { host }) if host == "so/me:thing:x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_and_broken_json_are_named() {
    let rig = Rig::start().await;
    assert_eq!(rig.refused("eth_sign", json!([])).await.code, -32_601);
    let client = reqwest::Client::new();
    let request = client.post(rig.url()).header("content-type", "application/json").body("{\"jsonrpc\":");
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32_700);
}
