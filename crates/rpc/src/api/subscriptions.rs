//! `eth_subscribe` over WebSocket: new headers, new logs, arrivals in the pool, synchronisation.

mod arrivals;
mod blocks;
mod syncing;

use super::log_filters::{check_alternatives, log_query};
use crate::{context::Context, fault::Fault, metric::SubscriptionCount};
use alloy_rpc_types_eth::pubsub::{Params, SubscriptionKind};
use bxp_types::LogQuery;
use jsonrpsee::{
    PendingSubscriptionSink,
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
    /// `newPendingTransactions` tells of each transaction that this node's pool takes in, by hash or, with `true`, in
    /// full; a slow client misses some. `syncing` tells when the node falls behind and when it has caught up.
    #[subscription(name = "subscribe" => "subscription", unsubscribe = "unsubscribe", item = serde_json::Value)]
    async fn subscribe(&self, kind: SubscriptionKind, params: Option<Params>) -> SubscriptionResult;
}

struct Methods(Context);

/// What a subscription tells of.
enum Topic {
    Headers,
    Logs(Arc<LogQuery>),
    Arrivals { full: bool },
    Syncing,
}

#[async_trait]
impl SubscriptionsServer for Methods {
    async fn subscribe(
        &self,
        pending: PendingSubscriptionSink,
        kind: SubscriptionKind,
        params: Option<Params>,
    ) -> SubscriptionResult {
        let topic = match topic(kind, params.unwrap_or_default()) {
            Ok(topic) => topic,
            Err(fault) => {
                pending.reject(fault).await;
                return Ok(());
            }
        };
        let _count = SubscriptionCount::new();
        match topic {
            Topic::Headers => blocks::tell(&self.0, pending, None).await,
            Topic::Logs(asked) => blocks::tell(&self.0, pending, Some(asked)).await,
            Topic::Arrivals { full } => arrivals::tell(&self.0, pending, full).await,
            Topic::Syncing => syncing::tell(&self.0, pending).await,
        }
    }
}

fn topic(kind: SubscriptionKind, params: Params) -> Result<Topic, Fault> {
    match (kind, params) {
        (SubscriptionKind::NewHeads, _) => Ok(Topic::Headers),
        (SubscriptionKind::Logs, Params::Logs(filter)) => {
            check_alternatives(&filter)?;
            Ok(Topic::Logs(log_query(&filter).into()))
        }
        (SubscriptionKind::Logs, Params::None) => Ok(Topic::Logs(Arc::default())),
        (SubscriptionKind::NewPendingTransactions, Params::Bool(full)) => Ok(Topic::Arrivals { full }),
        (SubscriptionKind::NewPendingTransactions, Params::None) => Ok(Topic::Arrivals { full: false }),
        (SubscriptionKind::Syncing, _) => Ok(Topic::Syncing),
        (other, _) => Err(Fault::InvalidParams(format!(
            "no \"{other}\" subscription with these parameters; there are newHeads, logs, newPendingTransactions \
             and syncing"
        ))),
    }
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Fault> {
    to_raw_value(value).map_err(|_| Fault::Interrupted)
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
