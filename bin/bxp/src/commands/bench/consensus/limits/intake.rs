//! What a node spends on a transaction before and after consensus: reading it from its client, putting it into a proposal,
//! and telling that it is decided. Nothing is ordered: each proposal is answered at once.

use super::{
    super::{
        super::thread_cpu_us,
        load::{Client, Plan},
        node::serve_client,
        pool::Pool,
    },
    BODY_BYTES, MEASURE_FOR,
};
use anyhow::{Context, Result};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    runtime::Builder,
    sync::{mpsc::unbounded_channel, oneshot, watch},
};

/// Transactions under way at the client.
const IN_FLIGHT: u64 = 10_000;
/// How long what is under way at the end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Microseconds of CPU time of the node's side.
pub(super) async fn measure(transaction_bytes: usize) -> Result<f64> {
    let (tell_address, address) = oneshot::channel();
    let (stop, stopped) = watch::channel(false);
    let node = tokio::task::spawn_blocking(move || {
        Builder::new_current_thread().enable_all().build()?.block_on(take_all(tell_address, stopped))
    });
    let address = address.await.context("start the taking in")?;
    let (halt, halted) = watch::channel(false);
    let plan = Plan { transaction_bytes, rate: None, in_flight_max: IN_FLIGHT };
    let client = Client::start(address, plan, Instant::now(), halted).await?;
    tokio::time::sleep(MEASURE_FOR).await;
    halt.send_replace(true);
    client.finish(PATIENCE).await?;
    stop.send_replace(true);
    node.await.context("take transactions in")?
}

/// Serves one client, and answers each proposal as soon as it can be made, until `stopped`.
async fn take_all(
    tell_address: oneshot::Sender<SocketAddr>,
    mut stopped: watch::Receiver<bool>,
) -> Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen for the client")?;
    let pool = Arc::new(Pool::new(BODY_BYTES, 4 * BODY_BYTES));
    let (acks, decided) = unbounded_channel();
    // Nobody waits for the address any more if the measurement was given up.
    let _ = tell_address.send(listener.local_addr()?);
    let serving = tokio::spawn(serve_client(listener, Arc::clone(&pool), decided));
    let (before, mut count) = (thread_cpu_us()?, 0);
    loop {
        let grew = pool.grew.notified();
        let batch = pool.next();
        if batch.count > 0 {
            count += batch.count;
            acks.send((batch.first, batch.count)).ok().context("the client is gone")?;
        }
        tokio::select! {
            () = grew => {}
            _ = stopped.changed() => break,
        }
    }
    serving.abort();
    Ok((thread_cpu_us()? - before) as f64 / count.max(1) as f64)
}
