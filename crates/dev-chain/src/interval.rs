//! Blocks at an interval.

use crate::chain::Shared;
use std::{sync::Arc, time::Duration};

/// Makes blocks at the interval that the developer sets, as long as the chain lives.
pub(crate) fn spawn(shared: &Arc<Shared>) {
    let mut interval = shared.interval.subscribe();
    let weak = Arc::downgrade(shared);
    tokio::spawn(async move {
        loop {
            let wait: Option<Duration> = *interval.borrow_and_update();
            tokio::select! {
                changed = interval.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
                () = sleep(wait) => {}
            }
            let Some(shared) = weak.upgrade() else { return };
            let made = tokio::task::spawn_blocking(move || shared.mine(1, 1)).await;
            if let Ok(Err(error)) = made {
                tracing::error!(%error, "make a block");
            }
        }
    });
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
