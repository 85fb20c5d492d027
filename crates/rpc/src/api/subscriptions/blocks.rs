//! New headers and logs.

use super::raw;
use crate::{api::log_filters::logs_at, context::Context, fault::Fault, select, shape};
use alloy_rpc_types_eth::Filter;
use bxp_types::Ledger;
use jsonrpsee::{PendingSubscriptionSink, core::SubscriptionResult};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Tells of each new block: its logs that `filter` asks for, or its header.
pub(super) async fn tell(
    context: &Context,
    pending: PendingSubscriptionSink,
    filter: Option<Arc<Filter>>,
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
            let (filter, height) = (filter.clone(), told);
            let read = move |ledger: &dyn Ledger| messages(ledger, filter.as_deref(), height);
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
    filter: Option<&Filter>,
    height: bxp_types::Height,
) -> Result<Vec<Box<RawValue>>, Fault> {
    match filter {
        Some(filter) => logs_at(ledger, filter, height)?.iter().map(raw).collect(),
        None => {
            let block = select::block_at(ledger, height)?.ok_or(Fault::MissingBlock(height))?;
            Ok(vec![raw(&shape::header(&block))?])
        }
    }
}
