//! What a frame of votes costs both ends beside its bytes: as many under way as one step of four validators has, between two
//! threads with a runtime each, as nodes have.

use super::{super::super::cpu_us, Keys, MEASURE_FOR};
use anyhow::{Context, Result};
use bxp_network::{Channel, Event, Limits, Network, NetworkConfig};
use bxp_types::ValidatorIndex;
use bytes::Bytes;
use std::time::Instant;
use tokio::{runtime::Builder, sync::mpsc::Receiver};

/// About what a frame holds among four validators.
const FRAME_BYTES: usize = 100;
const UNDER_WAY: usize = 3;

/// Microseconds of CPU time of both ends.
pub(super) async fn measure() -> Result<f64> {
    let keys = Keys::fresh(2)?;
    let (asking, answering) = (keys.config(0)?, keys.config(1)?);
    tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| on_one_thread(answering, answer));
            let measured = on_one_thread(asking, ask);
            let answered = answer.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the other end panicked")));
            answered.and(measured)
        })
    })
    .await
    .context("measure frames")?
}

fn on_one_thread<F>(config: NetworkConfig, end: impl FnOnce(Network, Receiver<Event>) -> F) -> Result<f64>
where
    F: Future<Output = Result<f64>>,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (network, events) = bxp_network::start_with(config, Limits::default()).await?;
        let outcome = end(network.clone(), events).await;
        network.shutdown().await;
        outcome
    })
}

/// Sends back what comes, until the other end is gone.
async fn answer(network: Network, mut events: Receiver<Event>) -> Result<f64> {
    loop {
        match events.recv().await.context("the network has ended")? {
            Event::Message { from, bytes, .. } => {
                // It may be gone already.
                let _ = network.send(from, Channel::Consensus, bytes);
            }
            Event::Disconnected(_) => return Ok(0.0),
            _ => {}
        }
    }
}

async fn ask(network: Network, mut events: Receiver<Event>) -> Result<f64> {
    while !matches!(events.recv().await.context("the network has ended")?, Event::Connected(_)) {}
    let frame = Bytes::from_static(&[7; FRAME_BYTES]);
    let send = || network.send(ValidatorIndex(1), Channel::Consensus, frame.clone());
    let (begun, before, mut frames) = (Instant::now(), cpu_us()?, 0_u32);
    for _ in 0..UNDER_WAY {
        send()?;
    }
    while begun.elapsed() < MEASURE_FOR {
        if let Event::Message { .. } = events.recv().await.context("the network has ended")? {
            frames += 2;
            send()?;
        }
    }
    Ok((cpu_us()? - before) as f64 / f64::from(frames.max(1)))
}
