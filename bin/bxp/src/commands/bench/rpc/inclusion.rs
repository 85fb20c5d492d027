//! Waiting until what was sent is in blocks.

use crate::{client::RpcClient, wallet::Wallet};
use alloy_consensus::TxEip1559;
use alloy_primitives::U64;
use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long inclusion may take after the last submission.
pub(super) const WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked whether all is included.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long an account may stand still before it is asked what its node waits for.
const STANDS_STILL: Duration = Duration::from_millis(250);
/// Transactions of one account that are sent again at most; a node that holds more back is not measured.
const SENT_AGAIN_MAX: usize = 16;

/// What `txpool_status` tells.
#[derive(Deserialize)]
struct Pool {
    /// Transactions that may enter the next block.
    pending: U64,
    /// Transactions that wait for others.
    queued: U64,
}

/// Waits until the transactions of `wallet` below `nonce` are in blocks, `sent` being the one at a nonce. Gives how many
/// had to be sent again.
///
/// anvil holds a transaction back for good when the one before it enters a block just while it is being taken in. A
/// wallet offers more for such a one, and so does this: it is replaced by one of twice the fee.
pub(super) async fn wait(
    client: &RpcClient,
    wallet: &Wallet,
    nonce: u64,
    end: Instant,
    sent: impl Fn(u64) -> TxEip1559,
) -> Result<usize> {
    let account = wallet.address();
    let (mut stands_at, mut since, mut sent_again) = (0, Instant::now(), 0);
    loop {
        let at: U64 = client.call("eth_getTransactionCount", json!([account, "latest"])).await?;
        let at = at.to::<u64>();
        if at >= nonce {
            return Ok(sent_again);
        }
        ensure!(
            Instant::now() < end,
            "waited {} s for the transactions of {account} to be in blocks: it is at nonce {at}, not {nonce}, and \
             {sent_again} were sent again",
            WITHIN.as_secs()
        );
        if at != stands_at {
            (stands_at, since) = (at, Instant::now());
        } else if since.elapsed() >= STANDS_STILL {
            since = Instant::now();
            if sent_again < SENT_AGAIN_MAX && holds_back(client).await {
                let first = sent(at);
                let again = TxEip1559 {
                    max_fee_per_gas: first.max_fee_per_gas * 2,
                    max_priority_fee_per_gas: first.max_priority_fee_per_gas * 2,
                    ..first
                };
                client.send_raw_batch([wallet.sign(again).1].iter()).await?;
                sent_again += 1;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether nothing may enter a block although something waits. A node that does not tell is taken to hold nothing back.
async fn holds_back(client: &RpcClient) -> bool {
    let pool = client.call::<Pool>("txpool_status", json!([])).await;
    pool.is_ok_and(|pool| pool.pending == U64::ZERO && pool.queued > U64::ZERO)
}
