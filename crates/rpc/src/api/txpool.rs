//! `txpool_`: what waits in this node's pool. Nothing is gossiped, so another node's pool is another one.

use crate::{
    context::Context,
    fault::Fault,
    shape::{self, TransactionJson},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use bxp_types::RecoveredTransaction;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde::Serialize;
use std::collections::BTreeMap;

/// Transactions that one answer shows at most.
const SHOWN_MAX: usize = 4_096;

/// Transactions by nonce, in decimal.
type ByNonce<T> = BTreeMap<String, T>;
/// Transactions by sender (EIP-55) and nonce.
type BySender<T> = BTreeMap<String, ByNonce<T>>;

/// Transactions that could run now, and those that wait for one before them.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PoolJson<T> {
    pending: T,
    queued: T,
}

/// The pool.
#[rpc(server, namespace = "txpool")]
trait Txpool {
    /// How many transactions wait.
    #[method(name = "status")]
    async fn status(&self) -> Result<PoolJson<U64>, Fault>;

    /// The waiting transactions by sender and nonce, at most 4096.
    #[method(name = "content")]
    async fn content(&self) -> Result<PoolJson<BySender<TransactionJson>>, Fault>;

    /// The waiting transactions of one sender by nonce.
    #[method(name = "contentFrom")]
    async fn content_from(&self, sender: Address) -> Result<PoolJson<ByNonce<TransactionJson>>, Fault>;

    /// The waiting transactions in a line each.
    #[method(name = "inspect")]
    async fn inspect(&self) -> Result<PoolJson<BySender<String>>, Fault>;
}

struct Methods(Context);

#[async_trait]
impl TxpoolServer for Methods {
    async fn status(&self) -> Result<PoolJson<U64>, Fault> {
        let count = |ledger: &dyn bxp_types::Ledger| {
            let (pending, queued) = ledger.pool_size();
            Ok(PoolJson { pending: U64::from(pending), queued: U64::from(queued) })
        };
        self.0.run("txpool_status", count).await
    }

    async fn content(&self) -> Result<PoolJson<BySender<TransactionJson>>, Fault> {
        self.by_sender("txpool_content", shape::waiting).await
    }

    async fn content_from(&self, sender: Address) -> Result<PoolJson<ByNonce<TransactionJson>>, Fault> {
        let read = move |ledger: &dyn bxp_types::Ledger| {
            let pool = ledger.pool(Some(sender), SHOWN_MAX);
            let list = |waiting: Vec<RecoveredTransaction>| {
                waiting.into_iter().map(|one| (one.nonce().to_string(), shape::waiting(one))).collect()
            };
            Ok(PoolJson { pending: list(pool.pending), queued: list(pool.queued) })
        };
        self.0.run("txpool_contentFrom", read).await
    }

    async fn inspect(&self) -> Result<PoolJson<BySender<String>>, Fault> {
        self.by_sender("txpool_inspect", |one| line(&one)).await
    }
}

impl Methods {
    async fn by_sender<T: Send + 'static>(
        &self,
        method: &'static str,
        show: impl Fn(RecoveredTransaction) -> T + Send + 'static,
    ) -> Result<PoolJson<BySender<T>>, Fault> {
        let read = move |ledger: &dyn bxp_types::Ledger| {
            let pool = ledger.pool(None, SHOWN_MAX);
            Ok(PoolJson { pending: group(pool.pending, &show), queued: group(pool.queued, &show) })
        };
        self.0.run(method, read).await
    }
}

fn group<T>(waiting: Vec<RecoveredTransaction>, show: &impl Fn(RecoveredTransaction) -> T) -> BySender<T> {
    let mut by_sender = BySender::new();
    for one in waiting {
        let of_sender = by_sender.entry(one.signer().to_checksum(None)).or_insert_with(ByNonce::new);
        of_sender.insert(one.nonce().to_string(), show(one));
    }
    by_sender
}

/// geth's line for a waiting transaction.
fn line(one: &RecoveredTransaction) -> String {
    let to = one.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_checksum(None));
    let (value, gas, price) = (one.value(), one.gas_limit(), one.max_fee_per_gas());
    format!("{to}: {value} wei + {gas} gas × {price} wei")
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
