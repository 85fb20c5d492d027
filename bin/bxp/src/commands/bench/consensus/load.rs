//! The clients' load: one connection to each node, over which transactions go in and word of their decision comes back.

use super::pool::LENGTH_BYTES;
use anyhow::{Context, Result, ensure};
use bytes::{BufMut, BytesMut};
use parking_lot::Mutex;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
    task::JoinHandle,
};

/// How often an open loop looks what is due.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Transactions in one write where they go as fast as possible.
const BURST: u64 = 100;
/// Kinds of transactions, so that no two neighbours are equal.
const TEMPLATES: usize = 64;

/// What each client does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) transaction_bytes: usize,
    /// Transactions a second through this client; none for as fast as possible.
    pub(super) rate: Option<f64>,
    /// Transactions under way at most; in an open loop there is no such bound.
    pub(super) in_flight_max: u64,
}

/// What happened to one client's transactions, in microseconds from the common start.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// When each was due to be sent.
    pub(super) sent_us: Vec<u64>,
    /// When word came that it is decided.
    pub(super) decided_us: Vec<Option<u64>>,
}

#[derive(Debug, Default)]
struct Shared {
    outcome: Mutex<Outcome>,
    decided: Mutex<u64>,
    progress: Notify,
}

/// A running client.
pub(super) struct Client {
    shared: Arc<Shared>,
    writing: JoinHandle<Result<()>>,
    reading: JoinHandle<Result<()>>,
}

impl Client {
    /// Connects and sends until `stop` turns true.
    pub(super) async fn start(
        address: SocketAddr,
        plan: Plan,
        epoch: Instant,
        stop: watch::Receiver<bool>,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connect to a node")?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let shared = Arc::new(Shared::default());
        let reading = tokio::spawn(read_decisions(reader, Arc::clone(&shared), epoch));
        let writing = tokio::spawn(write_transactions(writer, plan, epoch, stop, Arc::clone(&shared)));
        Ok(Self { shared, writing, reading })
    }

    /// Waits up to `patience` for what is under way, and tells what happened.
    pub(super) async fn finish(self, patience: Duration) -> Result<Outcome> {
        self.writing.await.context("a client panicked")??;
        let end = Instant::now() + patience;
        loop {
            let progress = self.shared.progress.notified();
            let all = *self.shared.decided.lock() >= self.shared.outcome.lock().sent_us.len() as u64;
            if all || tokio::time::timeout_at(end.into(), progress).await.is_err() {
                break;
            }
        }
        self.reading.abort();
        Ok(std::mem::take(&mut *self.shared.outcome.lock()))
    }
}

async fn write_transactions(
    mut writer: OwnedWriteHalf,
    plan: Plan,
    epoch: Instant,
    stop: watch::Receiver<bool>,
    shared: Arc<Shared>,
) -> Result<()> {
    let templates: Vec<Vec<u8>> =
        (0..TEMPLATES).map(|_| (0..plan.transaction_bytes).map(|_| rand::random()).collect()).collect();
    let begun = Instant::now();
    let mut sent = 0_u64;
    let mut buffer = BytesMut::new();
    while !*stop.borrow() {
        let count = match plan.rate {
            Some(rate) => ((begun.elapsed().as_secs_f64() * rate) as u64).saturating_sub(sent),
            None => plan.in_flight_max.saturating_sub(sent - *shared.decided.lock()).min(BURST),
        };
        if count == 0 {
            match plan.rate {
                Some(_) => tokio::time::sleep(LOOK_EVERY).await,
                None => wait_for_room(&shared, sent, plan.in_flight_max).await,
            }
            continue;
        }
        {
            let mut outcome = shared.outcome.lock();
            for index in sent..sent + count {
                let due = match plan.rate {
                    // A late sender does not hide the wait: latency counts from the moment it was due.
                    Some(rate) => begun - epoch + Duration::from_secs_f64((index + 1) as f64 / rate),
                    None => epoch.elapsed(),
                };
                outcome.sent_us.push(u64::try_from(due.as_micros())?);
                put_transaction(&mut buffer, &templates[index as usize % TEMPLATES], index)?;
            }
            let all = outcome.sent_us.len();
            outcome.decided_us.resize(all, None);
        }
        sent += count;
        writer.write_all(&buffer).await.context("send transactions")?;
        buffer.clear();
    }
    // Not shut down: what is under way is still answered.
    writer.forget();
    Ok(())
}

fn put_transaction(buffer: &mut BytesMut, template: &[u8], index: u64) -> Result<()> {
    buffer.reserve(LENGTH_BYTES + template.len());
    buffer.put_u32(u32::try_from(template.len())?);
    let begin = buffer.len();
    buffer.put_slice(template);
    let number = index.to_be_bytes();
    let named = number.len().min(template.len());
    buffer[begin..begin + named].copy_from_slice(&number[8 - named..]);
    Ok(())
}

async fn wait_for_room(shared: &Shared, sent: u64, in_flight_max: u64) {
    loop {
        let progress = shared.progress.notified();
        if sent - *shared.decided.lock() < in_flight_max {
            return;
        }
        // A bound, so that a stop is seen.
        if tokio::time::timeout(Duration::from_millis(100), progress).await.is_err() {
            return;
        }
    }
}

async fn read_decisions(mut reader: OwnedReadHalf, shared: Arc<Shared>, epoch: Instant) -> Result<()> {
    let mut ack = [0; 16];
    loop {
        reader.read_exact(&mut ack).await.context("read decisions")?;
        let now = u64::try_from(epoch.elapsed().as_micros())?;
        let first = usize::try_from(u64::from_be_bytes(ack[..8].try_into()?))?;
        let count = u64::from_be_bytes(ack[8..].try_into()?);
        let mut outcome = shared.outcome.lock();
        let decided = outcome.decided_us.get_mut(first..first + count as usize);
        for decided in decided.context("a node decides what was not sent")? {
            ensure!(decided.replace(now).is_none(), "a transaction was decided twice");
        }
        drop(outcome);
        *shared.decided.lock() += count;
        shared.progress.notify_waiters();
    }
}
