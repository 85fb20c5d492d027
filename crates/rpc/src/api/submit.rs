//! Sending transactions.

use super::transactions;
use crate::{context::Context, fault::Fault, shape::ReceiptJson};
use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes, U64};
use bxp_types::Ledger;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long `eth_sendRawTransactionSync` waits where the client does not say, or says what it may not, as EIP-7966
/// recommends.
const WAIT_DEFAULT: Duration = Duration::from_secs(2);
/// How long a client may ask it to wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Sending transactions.
#[rpc(server, namespace = "eth")]
trait Submit {
    /// Takes a signed transaction (EIP-2718) into the pool and returns its hash. It is on disk then.
    #[method(name = "sendRawTransaction")]
    async fn send_raw_transaction(&self, raw: Bytes) -> Result<B256, Fault>;

    /// Takes a signed transaction and returns its receipt (EIP-7966). `timeout` is in milliseconds, 2000 where it is
    /// missing, 0 or above 60000; when it passes, the answer is error 4 with the hash, and the transaction goes on
    /// waiting. One that waits for another nonce before it is answered with error 5 and its hash at once.
    #[method(name = "sendRawTransactionSync")]
    async fn send_raw_transaction_sync(&self, raw: Bytes, timeout: Option<U64>)
    -> Result<ReceiptJson, Fault>;
}

struct Methods(Context);

#[async_trait]
impl SubmitServer for Methods {
    async fn send_raw_transaction(&self, raw: Bytes) -> Result<B256, Fault> {
        Ok(self.0.ledger.submit(raw).await?)
    }

    async fn send_raw_transaction_sync(
        &self,
        raw: Bytes,
        timeout: Option<U64>,
    ) -> Result<ReceiptJson, Fault> {
        let wait = wait(timeout);
        let deadline = Instant::now() + wait;
        let mut heads = self.0.ledger.heads();
        let hash = self.0.ledger.submit(raw).await?;
        self.0.run("eth_sendRawTransactionSync", move |ledger| check_ready(ledger, hash)).await?;
        loop {
            // Seen before looking, so that a block which comes while looking wakes the wait below.
            heads.borrow_and_update();
            let look = move |ledger: &dyn Ledger| outcome(ledger, hash);
            if let Some(receipt) = self.0.run("eth_sendRawTransactionSync", look).await? {
                return Ok(receipt);
            }
            match timeout_at(deadline, heads.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Fault::Interrupted),
                Err(_) => {
                    let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                    return Err(Fault::NotIncludedInTime { hash, timeout_ms });
                }
            }
        }
    }
}

/// How long to wait where the client asks for `timeout` milliseconds.
fn wait(timeout: Option<U64>) -> Duration {
    let asked = timeout.map(|ms| Duration::from_millis(ms.to()));
    asked.filter(|asked| !asked.is_zero() && *asked <= WAIT_MAX).unwrap_or(WAIT_DEFAULT)
}

/// Refuses to wait for a transaction that no block can take before another one has come.
fn check_ready(ledger: &dyn Ledger, hash: B256) -> Result<(), Fault> {
    let Some(waiting) = ledger.pending(hash) else { return Ok(()) };
    let (next, got) = (ledger.pending_nonce(waiting.signer())?, waiting.nonce());
    // The pool's nonce is the one after the gapless transactions, of which one that is ready is the last or before it.
    if got >= next { Err(Fault::NotReady { hash, next, got }) } else { Ok(()) }
}

/// The receipt, nothing while the transaction waits, or the reason why it will have none.
fn outcome(ledger: &dyn Ledger, hash: B256) -> Result<Option<ReceiptJson>, Fault> {
    if let Some(receipt) = transactions::receipt(ledger, hash)? {
        return Ok(Some(receipt));
    }
    match ledger.dropped(hash)? {
        Some(reason) if ledger.pending(hash).is_none() => Err(Fault::LeftOut { hash, reason }),
        _ => Ok(None),
    }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_that_may_not_be_is_the_default() {
        let of = |ms: u64| wait(Some(U64::from(ms)));
        assert_eq!(
            (wait(None), of(0), of(60_001), of(u64::MAX)),
            (WAIT_DEFAULT, WAIT_DEFAULT, WAIT_DEFAULT, WAIT_DEFAULT)
        );
        assert_eq!((of(1), of(60_000)), (Duration::from_millis(1), WAIT_MAX));
    }
}
