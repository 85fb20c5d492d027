//! Transfers at a steady rate beside the readers.

use super::scene::{Scene, transfers};
use crate::client::RpcClient;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

/// Transfers in one JSON-RPC batch.
const BATCH: usize = 100;

/// Transfers that are being sent.
pub(super) struct Writes(Option<JoinHandle<Result<f64>>>);

impl Writes {
    /// Signs `total` transfers and begins to send them, evenly over `length`.
    pub(super) async fn start(url: &str, scene: &Scene, total: usize, length: Duration) -> Result<Self> {
        let client = scene.client(url);
        if total == 0 {
            return Ok(Self(None));
        }
        let signed = transfers(&client, &scene.writers, total).await?;
        let batches = u32::try_from(total.div_ceil(BATCH)).context("so many batches")?;
        Ok(Self(Some(tokio::spawn(send(client, signed, length / batches, length)))))
    }

    /// Waits for the end; how many were acknowledged a second.
    pub(super) async fn stop(self) -> Result<f64> {
        match self.0 {
            Some(task) => task.await.context("the writer panicked")?,
            None => Ok(0.0),
        }
    }
}

async fn send(
    client: RpcClient,
    signed: Vec<alloy_primitives::Bytes>,
    between: Duration,
    length: Duration,
) -> Result<f64> {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(between);
    // A node that is slower than asked gets the next batch at once, and the rate that it kept is reported.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = 0;
    for batch in signed.chunks(BATCH) {
        ticks.tick().await;
        if began.elapsed() >= length {
            break;
        }
        client.send_raw_batch(batch.iter()).await?;
        sent += batch.len();
    }
    Ok(sent as f64 / began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE))
}
