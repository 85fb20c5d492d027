//! One node of the measurement: a process of its own, which orders what its client sends and does nothing else.
//!
//! It prints a line of [`Stats`] when it is connected to all others, and again for each line on its standard input; it
//! ends with its standard input.

use super::{
    super::cpu_us,
    journal::Journal,
    orderer::{Counters, Orderer, Pace},
    pool::Pool,
};
use anyhow::{Context, Result, ensure};
use bxp_consensus::{Config, Engine};
use bxp_network::{Limits, NetworkConfig};
use bxp_types::{B256, Genesis, Secret, ValidatorIndex};
use bytes::BytesMut;
use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    runtime::Builder,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

/// Proposals' worth of transactions that may wait in a pool.
const WAITING_PROPOSALS_MAX: usize = 4;
/// Bytes read from a client at once.
const READ_BYTES: usize = 256 << 10;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The node's configuration, as `bxp bench consensus` writes it.
    config: PathBuf,
}

/// What a node is started with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NodeConfig {
    pub(super) genesis: Genesis,
    pub(super) me: u16,
    /// Made for this run only.
    pub(super) signing_key: B256,
    /// Where the client connects.
    pub(super) client_address: SocketAddr,
    pub(super) log: PathBuf,
    pub(super) durable: bool,
    pub(super) proposal_bytes_max: usize,
    pub(super) pace: Pace,
    pub(super) threads: usize,
}

/// A node's counters at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Stats {
    /// User and system time of the process in microseconds.
    pub(super) cpu_us: u64,
    pub(super) memory_max_bytes: u64,
    pub(super) log_bytes: u64,
    pub(super) log_syncs: u64,
    #[serde(flatten)]
    pub(super) counters: Counters,
}

/// Runs the node on a runtime of its own, which has as many threads as the configuration says. With one, nothing that
/// goes from the sockets to consensus changes its thread.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let path = &arguments.config;
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let config: NodeConfig = serde_json::from_str(&text).context("understand the node's configuration")?;
    let runtime = || -> Result<()> {
        let runtime = match config.threads {
            1 => Builder::new_current_thread().enable_all().build()?,
            threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
        };
        runtime.block_on(serve(config))
    };
    std::thread::scope(|scope| scope.spawn(runtime).join())
        .unwrap_or_else(|_| Err(anyhow::anyhow!("the node panicked")))
}

async fn serve(config: NodeConfig) -> Result<()> {
    let me = ValidatorIndex(config.me);
    let mut consensus = Config::new(me, config.genesis.validator_count(), config.genesis.network_id());
    consensus.body_bytes_max = config.proposal_bytes_max;
    consensus.heights_ahead = config.pace.heights_ahead();
    let engine = Engine::new(consensus).context("start consensus")?;
    let genesis = Arc::new(config.genesis);
    let (network, events) = bxp_network::start_with(
        NetworkConfig {
            listen: genesis.validators[usize::from(me.0)].p2p_address.parse().context("read p2p address")?,
            genesis: Arc::clone(&genesis),
            me,
            signing_key: Secret::new(config.signing_key.0),
        },
        Limits::default(),
    )
    .await?;
    let pool = Arc::new(Pool::new(
        config.proposal_bytes_max,
        config.proposal_bytes_max.saturating_mul(WAITING_PROPOSALS_MAX),
    ));
    let clients = TcpListener::bind(config.client_address).await.context("listen for the client")?;
    let (acks, decided) = unbounded_channel();
    tokio::spawn(serve_client(clients, Arc::clone(&pool), decided));
    let (done, flushed) = unbounded_channel();
    let mut journal = Journal::open(&config.log, config.durable, done.clone())?;
    let written = journal.written();
    let mut orderer =
        Orderer::new(me, genesis.validator_count(), engine, network.clone(), pool, acks, config.pace);
    let (ask, asked) = unbounded_channel();
    let control = tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(_)) = lines.next_line().await {
            if ask.send(()).is_err() {
                return;
            }
        }
    });
    let tell = |counters: Counters| {
        let stats = Stats {
            cpu_us: cpu_us()?,
            memory_max_bytes: getrusage(UsageWho::RUSAGE_SELF)?.max_rss() as u64 * 1024,
            log_bytes: written.bytes.load(Relaxed),
            log_syncs: written.syncs.load(Relaxed),
            counters,
        };
        println!("{}", serde_json::to_string(&stats)?);
        Ok(())
    };
    let outcome = orderer.run(&mut journal, flushed, events, asked, tell).await;
    control.abort();
    drop(done);
    network.shutdown().await;
    // The log's own failure says more than that its thread is gone.
    journal.close().and(outcome)
}

/// Serves the one client of this node: takes its transactions in and tells which are decided.
pub(super) async fn serve_client(
    listener: TcpListener,
    pool: Arc<Pool>,
    mut decided: UnboundedReceiver<(u64, u64)>,
) -> Result<()> {
    let (stream, _) = listener.accept().await.context("accept the client")?;
    stream.set_nodelay(true)?;
    let (reader, mut writer) = TcpStream::into_split(stream);
    let reading = tokio::spawn(read_transactions(reader, pool));
    while let Some((first, count)) = decided.recv().await {
        let mut ack = [0; 16];
        ack[..8].copy_from_slice(&first.to_be_bytes());
        ack[8..].copy_from_slice(&count.to_be_bytes());
        if writer.write_all(&ack).await.is_err() {
            break;
        }
    }
    reading.await?
}

async fn read_transactions(mut reader: OwnedReadHalf, pool: Arc<Pool>) -> Result<()> {
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    while reader.read_buf(&mut bytes).await? > 0 {
        ensure!(pool.take_in(&mut bytes).await, "a transaction is larger than a proposal");
        bytes.reserve(READ_BYTES);
    }
    Ok(())
}
