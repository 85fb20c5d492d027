//! Transactions that the pool takes in.

use super::raw;
use crate::{api::transactions, context::Context, shape};
use bxp_types::Ledger;
use jsonrpsee::{PendingSubscriptionSink, core::SubscriptionResult};
use tokio::sync::broadcast::error::RecvError;

/// Tells of each transaction that the pool takes in, by hash or in full.
pub(super) async fn tell(
    context: &Context,
    pending: PendingSubscriptionSink,
    full: bool,
) -> SubscriptionResult {
    let mut arrivals = context.ledger.arrivals();
    let sink = pending.accept().await?;
    loop {
        let hash = tokio::select! {
            () = sink.closed() => return Ok(()),
            arrived = arrivals.recv() => match arrived {
                Ok(hash) => hash,
                // The client is too slow, and goes on with what is newest.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            },
        };
        let message = if full {
            let read = move |ledger: &dyn Ledger| transactions::find(ledger, hash);
            match context.run("eth_subscription", read).await? {
                Some(transaction) => raw(&shape::waiting(transaction))?,
                None => continue,
            }
        } else {
            raw(&hash)?
        };
        if sink.send(message).await.is_err() {
            return Ok(());
        }
    }
}
