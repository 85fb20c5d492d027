//! Readers, and how long their questions took.

use super::{
    super::{quantile_ms, rpc::token},
    scene::Scene,
};
use crate::client::RpcClient;
use alloy_primitives::Address;
use anyhow::{Context, Result, ensure};
use bxp_contracts::PAYMENTS;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    fmt,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// What is asked, in turn.
const METHODS: [&str; 4] = ["eth_getBalance", "eth_call", "eth_getLogs", "eth_chainId"];

/// How long one method's answers took.
#[derive(Clone, Debug, Serialize)]
struct Method {
    method: &'static str,
    answers: usize,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// How long answers took, by method, and how many came in a second.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Times {
    reads_per_second: f64,
    methods: Vec<Method>,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        for method in &self.methods {
            let (p50, p99) = (shown(method.p50_ms), shown(method.p99_ms));
            writeln!(f, "{:<15} {:>8} answers, p50 {p50} ms, p99 {p99} ms", method.method, method.answers)?;
        }
        write!(f, "{:.0} reads a second", self.reads_per_second)
    }
}

/// Asks over `readers` connections for `length`.
pub(super) async fn read(url: &str, scene: &Scene, readers: usize, length: Duration) -> Result<Times> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for reader in 0..readers {
        let questions = Questions {
            accounts: scene.accounts.clone(),
            holders: scene.holders().to_vec(),
            token: scene.token,
            next: reader,
        };
        tasks.spawn(ask(scene.client(url), questions, began + length));
    }
    let mut all: [Vec<f64>; METHODS.len()] = Default::default();
    while let Some(times) = tasks.join_next().await {
        for (all, times) in all.iter_mut().zip(times.context("a reader panicked")??) {
            all.extend(times);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let answers: usize = all.iter().map(Vec::len).sum();
    let methods = METHODS.into_iter().zip(&mut all).map(|(method, times)| {
        times.sort_by(f64::total_cmp);
        let (p50_ms, p99_ms) = (quantile_ms(times, 0.5), quantile_ms(times, 0.99));
        Method { method, answers: times.len(), p50_ms, p99_ms }
    });
    Ok(Times { reads_per_second: answers as f64 / seconds, methods: methods.collect() })
}

/// What one reader asks for.
struct Questions {
    accounts: Vec<Address>,
    holders: Vec<Address>,
    token: Address,
    next: usize,
}

impl Questions {
    /// The parameters of [`METHODS`], for accounts that lie far apart.
    fn next(&mut self) -> [Value; METHODS.len()] {
        const STRIDE: usize = 7_919;
        self.next = self.next.wrapping_add(STRIDE);
        let account = self.accounts[self.next % self.accounts.len()];
        let holder = self.holders[self.next % self.holders.len()];
        let logs = json!({
            "fromBlock": "0x0", "toBlock": "latest", "address": PAYMENTS,
            "topics": [null, null, account.into_word()],
        });
        [
            json!([account, "latest"]),
            json!([{ "to": self.token, "data": token::balance_of(holder) }, "latest"]),
            json!([logs]),
            json!([]),
        ]
    }
}

async fn ask(client: RpcClient, mut questions: Questions, end: Instant) -> Result<[Vec<f64>; METHODS.len()]> {
    let mut times: [Vec<f64>; METHODS.len()] = Default::default();
    while Instant::now() < end {
        for ((method, params), times) in METHODS.into_iter().zip(questions.next()).zip(&mut times) {
            let began = Instant::now();
            let answer: Value = client.call(method, params).await?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
            ensure!(is_right(method, &answer), "{method} answers {answer}, which is not what was written");
        }
    }
    Ok(times)
}

/// Whether an answer shows what the scene holds.
fn is_right(method: &str, answer: &Value) -> bool {
    match method {
        "eth_getBalance" => answer.as_str().is_some_and(|balance| balance != "0x0"),
        "eth_call" => answer.as_str().is_some_and(|balance| balance.ends_with("3e8")),
        "eth_getLogs" => answer.is_array(),
        _ => answer.is_string(),
    }
}
