//! One file a command: its arguments and what it does.

pub(crate) mod bench;
pub(crate) mod content;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod device;
pub(crate) mod devnet;
pub(crate) mod hl7;
pub(crate) mod ingest;
pub(crate) mod node;
pub(crate) mod patient;
pub(crate) mod privacy;
pub(crate) mod record;
pub(crate) mod sim;
pub(crate) mod verify;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Listens for Ctrl-C and requests to terminate from now on; the future ends at the first of them. To be called before
/// the program says that it is ready: whoever reads that may ask it to stop at once.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Waits for Ctrl-C or a request to terminate.
pub(crate) async fn asked_to_stop() -> Result<()> {
    stop_signal()?.await;
    Ok(())
}
