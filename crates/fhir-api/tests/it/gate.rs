//! Who gets in, and how the server starts and stops.

use crate::{
    client::{Answer, bundle, patient},
    net::{Net, TOKEN, until},
};
use bxp_fhir_api::{FhirApiError, serve};
use bxp_types::Secret;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ROUTES: [(Method, &str); 26] = [
    (Method::POST, "/"),
    (Method::POST, "/$ingest"),
    (Method::POST, "/Patient"),
    (Method::GET, "/Patient/original-1"),
    (Method::PUT, "/Patient/original-1"),
    (Method::DELETE, "/Patient/original-1"),
    (Method::GET, "/Patient?name=x"),
    (Method::GET, "/_history"),
    (Method::GET, "/Patient/original-1/$everything"),
    (Method::GET, "/$export"),
    (Method::GET, "/records"),
    (Method::GET, "/records/00000000000000000000000000000000"),
    (Method::GET, "/holdings"),
    (Method::GET, "/backlog"),
    (Method::GET, "/disclosures?subject=00000000000000000000000000000000"),
    (Method::GET, "/patients"),
    (Method::POST, "/consents"),
    (Method::GET, "/requests"),
    (Method::GET, "/no/such/address"),
    (Method::POST, "/metadata"),
    (Method::GET, "/content"),
    (Method::POST, "/Patient/original-1/$request-amendment"),
    (Method::POST, "/Task/t/$accept-amendment"),
    (Method::POST, "/$device-data"),
    (Method::POST, "/Patient/original-1/$device-credential"),
    (Method::DELETE, "/Patient/original-1/$device-credential/1"),
];

/// Goal: without the token nothing is told, not even what there is. Way: every route without, and with a wrong one.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_every_route_answers_the_same() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let mut answers = Vec::new();
    for (method, path) in ROUTES {
        for wrong in [None, Some(""), Some("a-token-of-the-tests-012345678X"), Some(&TOKEN[..30])] {
            let mut request = node.request(method.clone(), path);
            if let Some(token) = wrong {
                request = request.bearer_auth(token);
            }
            let answer = Answer::of(request.send().await.unwrap()).await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"bxp\"");
            answers.push(answer.text);
        }
    }
    assert!(answers.iter().all(|text| *text == answers[0]));
    for (method, path) in ROUTES {
        let request = node.request(method.clone(), path).bearer_auth(TOKEN);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_ne!(answer.status, 401, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_is_said() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    for (path, status) in [
        ("/no/such/address", 404),
        ("/nonsense", 404),
        ("/Spaceship/1", 404),
        ("/Patient/original-1/_nonsense", 404),
        ("/consents", 405),
    ] {
        let answer = node.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        answer.diagnostics();
    }
    for path in
        ["/$device-data", "/$export", "/$ingest", "/_history", "/dags", "/privacy/risk", "/records", "/scrub"]
    {
        let request = node.request(Method::PATCH, path).bearer_auth(TOKEN);
        assert_eq!(Answer::of(request.send().await.unwrap()).await.status, 405, "{path}");
    }
    assert!(node.get("/Spaceship/1").await.diagnostics().starts_with("Spaceship is no resource type"));
    assert!(node.post("/Spaceship", "{}").await.diagnostics().starts_with("Spaceship is no resource type"));
    for path in
        ["/records?limit=0", "/records?nonsense=1", "/records?subject=Jane", "/records?limit=1&limit=2"]
    {
        let answer = node.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(!answer.diagnostics().contains("Jane"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_read_the_statement_and_no_page_may_read_anything() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    for path in ["/metadata", "/healthz"] {
        let request = node.request(Method::GET, path).header("origin", "http://evil.example");
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), "");
        assert_eq!(answer.header("x-request-id").len(), 16);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let statement = node.get("/metadata").await;
    assert_eq!(statement.header("content-type"), "application/fhir+json");
    assert_eq!(statement.body["fhirVersion"], "4.0.1");
    assert_eq!(statement.body["implementation"]["description"], "BXP node node-0 in US");
    assert_eq!(statement.body["rest"][0]["resource"].as_array().unwrap().len(), 144);
    let text = statement.text.as_bytes();
    let submission = bxp_clinical::source::parse_json("x", text, &bxp_clinical::source::Limits::default());
    let resource = &submission.unwrap().entries[0].resource;
    let found = bxp_clinical::validate::validate(resource.expose(), bxp_clinical::validate::Mode::Strict);
    assert!(found.accepted(), "{:?}", found.issues);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_weak_token_are_refused_and_stopping_frees_the_port() {
    let mut net = Net::of_one().await;
    let node = net.nodes.remove(0);
    let address = node.server.local_addr();
    let taken = serve(address, node.edge.clone()).await.unwrap_err();
    assert!(matches!(taken, FhirApiError::PortInUse(taken) if taken == address));
    let text = taken.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("stop the program"), "{text}");
    let mut weak = node.edge.clone();
    weak.operator_token = Secret::new("short".to_owned());
    let weak = serve(address, weak).await.unwrap_err();
    assert!(matches!(weak, FhirApiError::WeakToken { length: 5, least: 16 }));
    node.server.stop().await;
    let again = serve(address, node.edge.clone()).await.unwrap();
    assert_eq!(again.local_addr(), address);
    again.stop().await;
}

/// Goal: stopping leaves nobody without an answer. Way: the server is told to stop while it waits for the rest of a body,
/// which it says with `100 Continue`.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_work_is_answered_before_the_server_stops() {
    let mut net = Net::of_one().await;
    let node = net.nodes.remove(0);
    let address = node.server.local_addr();
    let body = bundle("batch", &[&patient(1, "US")]);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /$ingest HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {TOKEN}\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    let stopping = tokio::spawn(node.server.stop());
    until("no new connection is taken", || async { TcpStream::connect(address).await.is_err() }).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"new\":1"), "{answer}");
    stopping.await.unwrap();
    assert_eq!(node.edge.ingest.patients().count(), 1);
}
