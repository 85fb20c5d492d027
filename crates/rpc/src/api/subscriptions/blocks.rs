//! New headers and logs.

use super::raw;
use crate::{api::log_filters::logs_at, context::Context, fault::Fault, select, shape};
use bxp_types::{Height, Ledger, LogQuery};
use jsonrpsee::{PendingSubscriptionSink, core::SubscriptionResult};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Tells of each new block: its logs that are asked for, or its header.
pub(super) async fn tell(
    context: &Context,
    pending: PendingSubscriptionSink,
    asked: Option<Arc<LogQuery>>,
) -> SubscriptionResult {
    // Taken before the client knows its id, so that no block falls between.
    let mut heads = context.ledger.heads();
    let mut told = *heads.borrow_and_update();
    let sink = pending.accept().await?;
    loop {
        tokio::select! {
            () = sink.closed() => return Ok(()),
            changed = heads.changed() => changed?,
        }
        let newest = *heads.borrow_and_update();
        // A developer's chain may go back.
        told = told.min(newest);
        while told < newest {
            told = told.next();
            let (asked, height) = (asked.clone(), told);
            let read = move |ledger: &dyn Ledger| messages(ledger, asked.as_deref(), height);
            for message in context.run("eth_subscription", read).await? {
                if sink.send(message).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

fn messages(
    ledger: &dyn Ledger,
    asked: Option<&LogQuery>,
    height: Height,
) -> Result<Vec<Box<RawValue>>, Fault> {
    match asked {
        Some(asked) => logs_at(ledger, asked, height)?.iter().map(raw).collect(),
        None => {
            let block = select::block_at(ledger, height)?.ok_or(Fault::MissingBlock(height))?;
            Ok(vec![raw(&shape::header(&block))?])
        }
    }
}
