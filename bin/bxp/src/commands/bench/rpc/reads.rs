//! Reads while a target is under load.

use super::{super::quantile_ms, Target, load::Kind, token};
use crate::client::RpcClient;
use alloy_primitives::Address;
use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    fmt,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// Between two rounds of reads.
const PAUSE: Duration = Duration::from_millis(25);
/// Blocks that a query for logs covers.
const LOG_BLOCKS: u64 = 100;

/// How long reads took, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reads {
    pub(super) target: String,
    pub(super) kind: Kind,
    get_balance_p50: Option<f64>,
    get_balance_p99: Option<f64>,
    call_p50: Option<f64>,
    call_p99: Option<f64>,
    get_logs_p50: Option<f64>,
    get_logs_p99: Option<f64>,
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        write!(
            f,
            "eth_getBalance {} / {} ms, eth_call {} / {} ms, eth_getLogs {} / {} ms (p50 / p99)",
            shown(self.get_balance_p50),
            shown(self.get_balance_p99),
            shown(self.call_p50),
            shown(self.call_p99),
            shown(self.get_logs_p50),
            shown(self.get_logs_p99),
        )
    }
}

/// Reads in the background.
pub(super) struct Watch {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<[Vec<f64>; 3]>>,
}

impl Watch {
    /// Reads an account's balance, calls the token where there is one, and looks for its logs, over and over.
    pub(super) fn start(target: &Target, token: Option<Address>, account: Address) -> Self {
        let client = RpcClient::new(&target.urls[0]);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut times: [Vec<f64>; 3] = Default::default();
            while !*stopped.borrow() {
                times[0].push(timed(&client, "eth_getBalance", json!([account, "latest"])).await?);
                let (to, data) =
                    token.map_or((account, json!("0x")), |token| (token, json!(token::balance_of(account))));
                times[1]
                    .push(timed(&client, "eth_call", json!([{ "to": to, "data": data }, "latest"])).await?);
                let newest = client.block_number().await?;
                let from = format!("{:#x}", newest.saturating_sub(LOG_BLOCKS));
                let filter = json!([{ "fromBlock": from, "toBlock": "latest", "address": to, "topics": [null, account.into_word()] }]);
                times[2].push(timed(&client, "eth_getLogs", filter).await?);
                tokio::time::sleep(PAUSE).await;
            }
            Ok(times)
        });
        Self { stop, task }
    }

    /// Ends the reading and tells how long reads took.
    pub(super) async fn stop(self, target: &Target, kind: Kind) -> Result<Reads> {
        let _ = self.stop.send(true);
        let [mut balance, mut call, mut logs] = self.task.await.context("the reader panicked")??;
        for times in [&mut balance, &mut call, &mut logs] {
            times.sort_by(f64::total_cmp);
        }
        Ok(Reads {
            target: target.name.clone(),
            kind,
            get_balance_p50: quantile_ms(&balance, 0.5),
            get_balance_p99: quantile_ms(&balance, 0.99),
            call_p50: quantile_ms(&call, 0.5),
            call_p99: quantile_ms(&call, 0.99),
            get_logs_p50: quantile_ms(&logs, 0.5),
            get_logs_p99: quantile_ms(&logs, 0.99),
        })
    }
}

async fn timed(client: &RpcClient, method: &str, params: Value) -> Result<f64> {
    let began = Instant::now();
    let _: Value = client.call(method, params).await?;
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}
