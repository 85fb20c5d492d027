//! What the machine gives, measured in the same run: what a byte costs that goes from node to node, that is hashed, and
//! that is logged; and what a frame, a vote and a transaction cost beside their bytes. `bxp sim --model --costs` reads them.

mod engine;
mod frames;
mod intake;

use super::{super::cpu_us, network::Keys};
use anyhow::{Context, Result, ensure};
use bxp_network::{Channel, Event, Limits};
use bxp_storage::SegmentedLog;
use bxp_types::{Digest, ValidatorIndex};
use bytes::Bytes;
use serde::Serialize;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// The size of a usual proposal under load.
const BODY_BYTES: usize = 512 << 10;
/// How long each measurement takes.
const MEASURE_FOR: Duration = Duration::from_millis(700);
/// Bodies that one flush of the disk brings there under load: nodes flush for many at once.
const BODIES_PER_SYNC: usize = 16;
/// A record of votes among four validators.
const RECORD_BYTES: usize = 200;
/// A median of fewer flushes says little.
const FLUSHES_MIN: usize = 5;
/// Bodies under way at once.
const UNDER_WAY_MAX: u64 = 8;

/// Costs in CPU seconds for a GB (10^9 bytes).
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Costs {
    /// Both ends of an encrypted connection over loopback.
    pub(super) transport_cpu_s_per_gb: f64,
    pub(super) sha256_cpu_s_per_gb: f64,
    /// Appending to the write-ahead log, without waiting for the disk.
    pub(super) log_cpu_s_per_gb: f64,
    /// Bytes a second that the disk takes where sixteen proposals are flushed at once, in GB.
    pub(super) disk_gb_per_s: f64,
    /// Milliseconds that the flush of a short record takes: the median.
    pub(super) flush_ms: f64,
    /// Both ends of a frame of votes over loopback, in microseconds of CPU time.
    pub(super) frame_cpu_us: f64,
    /// What consensus does for a frame, beside its votes.
    pub(super) frame_engine_cpu_us: f64,
    /// What consensus does for a vote, among 100 validators.
    pub(super) vote_cpu_us: f64,
    /// A node's taking in of a transaction from its client, and answering it.
    pub(super) intake_cpu_us_per_tx: f64,
}

/// Measures all of them, with transactions of that size. Nothing else of this process may run meanwhile.
pub(super) async fn measure(folder: &Path, transaction_bytes: usize) -> Result<Costs> {
    let body = Bytes::from((0..BODY_BYTES).map(|_| rand::random()).collect::<Vec<u8>>());
    let (log, disk_gb_per_s) = log_costs(folder, &body)?;
    let engine = engine::measure()?;
    Ok(Costs {
        flush_ms: flush_ms(folder)?,
        frame_cpu_us: frames::measure().await?,
        frame_engine_cpu_us: engine.frame_us,
        vote_cpu_us: engine.vote_us,
        intake_cpu_us_per_tx: intake::measure(transaction_bytes).await?,
        transport_cpu_s_per_gb: transport_cost(&body).await?,
        sha256_cpu_s_per_gb: hash_cost(&body)?,
        log_cpu_s_per_gb: log,
        disk_gb_per_s,
    })
}

/// CPU seconds for a GB, of `bytes` that took `cpu_us`.
fn per_gb(cpu_us: u64, bytes: u64) -> f64 {
    cpu_us as f64 * 1e3 / bytes.max(1) as f64
}

fn hash_cost(body: &Bytes) -> Result<f64> {
    let (begun, before, mut bytes) = (Instant::now(), cpu_us()?, 0);
    let mut digest = Digest([0; 32]);
    while begun.elapsed() < MEASURE_FOR {
        digest = Digest::of(body);
        bytes += body.len() as u64;
    }
    ensure!(digest.0 != [0; 32], "SHA-256 gives nothing");
    Ok(per_gb(cpu_us()? - before, bytes))
}

fn log_costs(folder: &Path, body: &Bytes) -> Result<(f64, f64)> {
    let path = folder.join("measured.log");
    let (mut log, _) = SegmentedLog::open(&path, 64 << 20, 0)?;
    let (begun, before, mut bytes) = (Instant::now(), cpu_us()?, 0);
    while begun.elapsed() < MEASURE_FOR {
        for _ in 0..BODIES_PER_SYNC {
            log.append(bytes, body)?;
            bytes += body.len() as u64;
        }
        log.sync()?;
        log.settled(bytes.saturating_sub(128 << 20))?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok((per_gb(cpu_us()? - before, bytes), bytes as f64 / seconds / 1e9))
}

/// What a flush takes that brings one short record to the disk, as those of votes are.
fn flush_ms(folder: &Path) -> Result<f64> {
    let (mut log, _) = SegmentedLog::open(&folder.join("flushed.log"), 64 << 20, 0)?;
    let (begun, mut times_ms) = (Instant::now(), Vec::new());
    while begun.elapsed() < MEASURE_FOR || times_ms.len() < FLUSHES_MIN {
        let before = Instant::now();
        log.append(0, &[0; RECORD_BYTES])?;
        log.sync()?;
        times_ms.push(before.elapsed().as_secs_f64() * 1e3);
    }
    times_ms.sort_unstable_by(f64::total_cmp);
    super::super::quantile_ms(&times_ms, 0.5).context("measure a flush")
}

async fn transport_cost(body: &Bytes) -> Result<f64> {
    let keys = Keys::fresh(2)?;
    let (first, mut first_events) = bxp_network::start_with(keys.config(0)?, Limits::default()).await?;
    let (second, mut second_events) = bxp_network::start_with(keys.config(1)?, Limits::default()).await?;
    while !matches!(first_events.recv().await.context("the network has ended")?, Event::Connected(_)) {}
    let (begun, before) = (Instant::now(), cpu_us()?);
    let (mut sent, mut received, mut bytes_received) = (0, 0, 0);
    while begun.elapsed() < MEASURE_FOR || received < sent {
        while begun.elapsed() < MEASURE_FOR && sent < received + UNDER_WAY_MAX {
            first.send(ValidatorIndex(1), Channel::Consensus, body.clone())?;
            sent += 1;
        }
        if let Event::Message { bytes, .. } = second_events.recv().await.context("the network has ended")? {
            received += 1;
            bytes_received += bytes.len() as u64;
        }
    }
    let cost = per_gb(cpu_us()? - before, bytes_received);
    first.shutdown().await;
    second.shutdown().await;
    Ok(cost)
}
