//! `eth_subscribe` over WebSocket: new headers and new logs.

use super::log_filters::{check_alternatives, logs_at};
use crate::{context::Context, fault::Fault, metric::SubscriptionCount, select, shape};
use alloy_rpc_types_eth::{Filter, pubsub::SubscriptionKind};
use bxp_types::{Height, Ledger};
use jsonrpsee::{
    PendingSubscriptionSink, SubscriptionSink,
    core::{SubscriptionResult, async_trait},
    proc_macros::rpc,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// Subscriptions.
#[rpc(server, namespace = "eth")]
trait Subscriptions {
    /// Tells of each new block: `newHeads` with its header, `logs` with its logs that the filter asks for, each on
    /// its own. A client that reads slowly is told later, and misses nothing while it stays connected.
    #[subscription(name = "subscribe" => "subscription", unsubscribe = "unsubscribe", item = serde_json::Value)]
    async fn subscribe(&self, kind: SubscriptionKind, filter: Option<Filter>) -> SubscriptionResult;
}

struct Methods(Context);

#[async_trait]
impl SubscriptionsServer for Methods {
    async fn subscribe(
        &self,
        pending: PendingSubscriptionSink,
        kind: SubscriptionKind,
        filter: Option<Filter>,
    ) -> SubscriptionResult {
        let topic = match topic(kind, filter) {
            Ok(topic) => topic,
            Err(fault) => {
                pending.reject(fault).await;
                return Ok(());
            }
        };
        // Taken before the client knows its id, so that no block falls between.
        let mut heads = self.0.ledger.heads();
        let mut told = *heads.borrow_and_update();
        let sink = pending.accept().await?;
        let _count = SubscriptionCount::new();
        loop {
            tokio::select! {
                () = sink.closed() => return Ok(()),
                changed = heads.changed() => changed?,
            }
            let newest = *heads.borrow_and_update();
            while told < newest {
                told = told.next();
                if !self.tell(&sink, &topic, told).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// What a subscription tells of.
#[derive(Clone)]
enum Topic {
    Headers,
    Logs(Arc<Filter>),
}

fn topic(kind: SubscriptionKind, filter: Option<Filter>) -> Result<Topic, Fault> {
    match kind {
        SubscriptionKind::NewHeads => Ok(Topic::Headers),
        SubscriptionKind::Logs => {
            let filter = filter.unwrap_or_default();
            check_alternatives(&filter)?;
            Ok(Topic::Logs(filter.into()))
        }
        other => {
            Err(Fault::InvalidParams(format!("no \"{other}\" subscription; there are newHeads and logs")))
        }
    }
}

impl Methods {
    /// Sends what the block at `height` has for the subscription. False if the client has gone.
    async fn tell(&self, sink: &SubscriptionSink, topic: &Topic, height: Height) -> Result<bool, Fault> {
        let topic = topic.clone();
        let messages = self.0.run("eth_subscription", move |ledger| messages(ledger, &topic, height)).await?;
        for message in messages {
            if sink.send(message).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn messages(ledger: &dyn Ledger, topic: &Topic, height: Height) -> Result<Vec<Box<RawValue>>, Fault> {
    match topic {
        Topic::Headers => {
            let block = select::block_at(ledger, height)?.ok_or(Fault::MissingBlock(height))?;
            Ok(vec![raw(&shape::header(&block))?])
        }
        Topic::Logs(filter) => logs_at(ledger, filter, height)?.iter().map(raw).collect(),
    }
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Fault> {
    to_raw_value(value).map_err(|_| Fault::Interrupted)
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
