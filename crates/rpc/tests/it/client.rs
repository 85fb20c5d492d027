//! A server on a free port and a client of it, over HTTP and WebSocket.

use crate::ledger::{CHAIN_ID, MemoryLedger};
use bxp_execution::ChainSpec;
use bxp_rpc::{ClientLimits, NodeInfo, NodeStatus, Policy, RpcServer, serve_with};
use bxp_types::{Height, ValidatorIndex};
use futures::io::{BufReader, BufWriter};
use serde_json::{Value, json};
use soketto::handshake::{Client as Handshake, ServerResponse};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a server of a test listens: a free port of this machine.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Three peers, and whatever highest block a test sets.
#[derive(Default)]
pub(crate) struct Status {
    pub(crate) highest: AtomicU64,
}

impl NodeStatus for Status {
    fn peer_count(&self) -> usize {
        3
    }

    fn highest_block(&self) -> Height {
        Height(self.highest.load(Ordering::Relaxed))
    }
}

/// What an error answer says.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Value,
}

/// A running server and a client of it.
pub(crate) struct Rig {
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) status: Arc<Status>,
    pub(crate) server: RpcServer,
    http: reqwest::Client,
}

pub(crate) fn info(status: Arc<Status>) -> NodeInfo {
    NodeInfo {
        version: "bxp/v0.1.0/test".to_owned(),
        validator: Some(ValidatorIndex(2)),
        status,
        spec: Arc::new(ChainSpec::bxp(CHAIN_ID)),
        developer: None,
    }
}

impl Rig {
    /// Starts a server before a chain of the genesis block.
    pub(crate) async fn start() -> Self {
        Self::start_limiting(ClientLimits::default()).await
    }

    /// The same with limits for each client.
    pub(crate) async fn start_limiting(clients: ClientLimits) -> Self {
        Self::start_with(Policy { clients, ..Policy::of(ADDRESS) }).await
    }

    /// The same with a policy.
    pub(crate) async fn start_with(policy: Policy) -> Self {
        let (ledger, status) = (MemoryLedger::new(), Arc::<Status>::default());
        let server = serve_with(ADDRESS, ledger.clone(), info(status.clone()), policy).await.unwrap();
        Self { ledger, status, server, http: reqwest::Client::new() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// Posts a body as it is.
    pub(crate) async fn post(&self, body: Value) -> Value {
        self.http.post(self.url()).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Calls a method.
    pub(crate) async fn try_call(&self, method: &str, params: Value) -> Result<Value, Refusal> {
        answer(self.post(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await)
    }

    /// Calls a method that must succeed.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, params).await.unwrap()
    }

    /// Calls a method that must fail.
    pub(crate) async fn refused(&self, method: &str, params: Value) -> Refusal {
        self.try_call(method, params).await.unwrap_err()
    }

    /// Opens a WebSocket.
    pub(crate) async fn websocket(&self) -> WebSocket {
        let address = self.server.local_addr().to_string();
        let stream = TcpStream::connect(self.server.local_addr()).await.unwrap().compat();
        let mut handshake = Handshake::new(BufReader::new(BufWriter::new(stream)), &address, "/");
        assert!(matches!(handshake.handshake().await.unwrap(), ServerResponse::Accepted { .. }));
        let (sender, receiver) = handshake.into_builder().finish();
        WebSocket { sender, receiver }
    }
}

pub(crate) fn answer(mut answer: Value) -> Result<Value, Refusal> {
    match answer.get_mut("error") {
        None => Ok(answer["result"].take()),
        Some(error) => Err(Refusal {
            code: error["code"].as_i64().unwrap(),
            message: error["message"].as_str().unwrap().to_owned(),
            data: error["data"].take(),
        }),
    }
}

type Stream = BufReader<BufWriter<Compat<TcpStream>>>;

/// A WebSocket to the server.
pub(crate) struct WebSocket {
    sender: soketto::Sender<Stream>,
    receiver: soketto::Receiver<Stream>,
}

impl WebSocket {
    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.receiver.receive_data(&mut bytes)).await.expect("a message comes").unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Calls a method whose answer is the next message.
    pub(crate) async fn try_call(&mut self, method: &str, params: Value) -> Result<Value, Refusal> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.sender.send_text(request.to_string()).await.unwrap();
        self.sender.flush().await.unwrap();
        answer(self.next().await)
    }

    /// The result in the next notification, which must be of `subscription`.
    pub(crate) async fn notified(&mut self, subscription: &Value) -> Value {
        let mut message = self.next().await;
        assert_eq!(message["method"], "eth_subscription");
        assert_eq!(&message["params"]["subscription"], subscription);
        message["params"]["result"].take()
    }
}
