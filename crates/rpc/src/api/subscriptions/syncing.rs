//! Whether the node is behind.

use super::raw;
use crate::context::Context;
use jsonrpsee::{PendingSubscriptionSink, core::SubscriptionResult};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the node is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells whether the node is behind: once at the start, and then whenever that changes.
pub(super) async fn tell(context: &Context, pending: PendingSubscriptionSink) -> SubscriptionResult {
    let sink = pending.accept().await?;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            _ = looks.tick() => {}
        }
        let now = status(context);
        let behind = now.is_object();
        if told != Some(behind) {
            told = Some(behind);
            if sink.send(raw(&now)?).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// False, or how far the node is.
fn status(context: &Context) -> Value {
    let (current, highest) = (context.ledger.head().height(), context.info.status.highest_block());
    if highest <= current {
        return Value::Bool(false);
    }
    let status = json!({
        "startingBlock": context.started_at.0, "currentBlock": current.0, "highestBlock": highest.0,
    });
    json!({ "syncing": true, "status": status })
}
