//! What gas costs.

use crate::{
    context::{Context, call_deadline},
    fault::Fault,
    select,
};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::FeeHistory;
use bxp_simulate::{Deadline, SimulateError};
use bxp_types::{Height, Ledger, StoredBlock, StoredReceipt};
use jsonrpsee::{core::async_trait, proc_macros::rpc};

/// Blocks that one `eth_feeHistory` covers at most, as in geth.
const HISTORY_BLOCKS_MAX: u64 = 1024;
/// Percentiles that one `eth_feeHistory` takes at most, as in geth.
const PERCENTILES_MAX: usize = 100;
/// Blocks that a suggested tip is taken from.
const SUGGESTION_BLOCKS: u64 = 20;
/// The percentile of the tips paid there that is suggested, as in geth.
const SUGGESTION_PERCENTILE: usize = 60;
/// The highest tip that is suggested: 500 gwei, as in geth.
const SUGGESTION_MAX_WEI: u128 = 500_000_000_000;

/// What gas costs, in wei.
#[rpc(server, namespace = "eth")]
trait Prices {
    /// The next block's base fee and a suggested tip.
    #[method(name = "gasPrice")]
    async fn gas_price(&self) -> Result<U256, Fault>;

    /// A suggested tip: what most transactions of the last blocks paid; 0 where there were none.
    #[method(name = "maxPriorityFeePerGas")]
    async fn max_priority_fee_per_gas(&self) -> Result<U256, Fault>;

    /// Base fees, how full blocks were, and percentiles of tips weighted by gas, for the blocks up to `newest`.
    #[method(name = "feeHistory")]
    async fn fee_history(
        &self,
        blocks: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Result<FeeHistory, Fault>;
}

struct Methods(Context);

#[async_trait]
impl PricesServer for Methods {
    async fn gas_price(&self) -> Result<U256, Fault> {
        let read = |ledger: &dyn Ledger| {
            Ok(U256::from(suggested_tip(ledger)?.saturating_add(u128::from(ledger.next_base_fee()))))
        };
        self.0.run("eth_gasPrice", read).await
    }

    async fn max_priority_fee_per_gas(&self) -> Result<U256, Fault> {
        self.0.run("eth_maxPriorityFeePerGas", |ledger| Ok(U256::from(suggested_tip(ledger)?))).await
    }

    async fn fee_history(
        &self,
        blocks: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Result<FeeHistory, Fault> {
        let read = move |ledger: &dyn Ledger| {
            history(ledger, blocks.to(), newest, percentiles.as_deref(), call_deadline())
        };
        self.0.run("eth_feeHistory", read).await
    }
}

fn suggested_tip(ledger: &dyn Ledger) -> Result<u128, Fault> {
    let newest = ledger.head().height();
    let oldest = Height(newest.0.saturating_sub(SUGGESTION_BLOCKS - 1));
    let mut tips = Vec::new();
    for height in (oldest.0..=newest.0).map(Height) {
        let (block, receipts) = executed(ledger, height)?;
        tips.extend(receipts.iter().map(|receipt| tip(&block, receipt)));
    }
    tips.sort_unstable();
    let at = tips.len().saturating_sub(1).saturating_mul(SUGGESTION_PERCENTILE) / 100;
    Ok(tips.get(at).copied().unwrap_or_default().min(SUGGESTION_MAX_WEI))
}

fn history(
    ledger: &dyn Ledger,
    blocks: u64,
    newest: BlockNumberOrTag,
    percentiles: Option<&[f64]>,
    deadline: Deadline,
) -> Result<FeeHistory, Fault> {
    check_percentiles(percentiles.unwrap_or_default())?;
    let newest = select::height(ledger, newest);
    if newest > ledger.head().height() {
        return Err(Fault::InvalidParams(format!("request beyond head block: requested {newest}")));
    }
    let count = blocks.min(HISTORY_BLOCKS_MAX).min(newest.0.saturating_add(1));
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let oldest = newest.0 - (count - 1);
    let mut history =
        FeeHistory { oldest_block: oldest, reward: percentiles.map(|_| Vec::new()), ..Default::default() };
    for height in (oldest..=newest.0).map(Height) {
        if deadline.is_over() {
            return Err(SimulateError::Timeout.into());
        }
        let block = select::block_at(ledger, height)?.ok_or(Fault::MissingBlock(height))?;
        history.base_fee_per_gas.push(base_fee(&block));
        history.gas_used_ratio.push(ratio(block.header.gas_used, block.header.gas_limit));
        if let (Some(rewards), Some(percentiles)) = (&mut history.reward, percentiles) {
            rewards.push(tips_of(ledger, percentiles, &block)?);
        }
    }
    history.base_fee_per_gas.push(match select::block_at(ledger, newest.next())? {
        Some(block) => base_fee(&block),
        None => u128::from(ledger.next_base_fee()),
    });
    // No blobs are ever taken, so their fee stays at nothing.
    history.base_fee_per_blob_gas = vec![0; history.base_fee_per_gas.len()];
    history.blob_gas_used_ratio = vec![0.0; history.gas_used_ratio.len()];
    Ok(history)
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), Fault> {
    let invalid = |words: String| Err(Fault::InvalidParams(words));
    if percentiles.len() > PERCENTILES_MAX {
        return invalid(format!("invalid reward percentile: over the query limit {PERCENTILES_MAX}"));
    }
    if let Some(wrong) = percentiles.iter().find(|percentile| !(0.0..=100.0).contains(*percentile)) {
        return invalid(format!("invalid reward percentile: {wrong}"));
    }
    if !percentiles.is_sorted() {
        return invalid("invalid reward percentile: percentiles must not decrease".to_owned());
    }
    Ok(())
}

/// The tips of a block at these percentiles. Only where there are some do its receipts have to be read.
fn tips_of(ledger: &dyn Ledger, percentiles: &[f64], block: &StoredBlock) -> Result<Vec<u128>, Fault> {
    if percentiles.is_empty() || block.transactions.is_empty() {
        return Ok(vec![0; percentiles.len()]);
    }
    let height = block.height();
    let receipts = ledger.receipts(height)?.ok_or(Fault::MissingBlock(height))?;
    Ok(tips_at(percentiles, block, &receipts))
}

/// An executed block with its receipts.
fn executed(
    ledger: &dyn Ledger,
    height: Height,
) -> Result<(std::sync::Arc<StoredBlock>, std::sync::Arc<Vec<StoredReceipt>>), Fault> {
    let block = select::block_at(ledger, height)?.ok_or(Fault::MissingBlock(height))?;
    // The genesis block has no receipts to store.
    let receipts = ledger.receipts(height)?.unwrap_or_default();
    Ok((block, receipts))
}

fn base_fee(block: &StoredBlock) -> u128 {
    u128::from(block.header.base_fee_per_gas.unwrap_or_default())
}

/// What the transaction paid above the base fee for a unit of gas.
fn tip(block: &StoredBlock, receipt: &StoredReceipt) -> u128 {
    receipt.effective_gas_price.saturating_sub(base_fee(block))
}

/// For each percentile of the block's gas, the tip of the transaction that used it, in the order of tips.
fn tips_at(percentiles: &[f64], block: &StoredBlock, receipts: &[StoredReceipt]) -> Vec<u128> {
    let mut paid: Vec<(u128, u64)> =
        receipts.iter().map(|receipt| (tip(block, receipt), receipt.gas_used)).collect();
    paid.sort_unstable();
    let total: u64 = paid.iter().map(|(_, gas)| gas).fold(0, |sum, gas| sum.saturating_add(*gas));
    let at = |percentile: &f64| {
        let mut passed = 0_u64;
        let reached = paid.iter().find(|(_, gas)| {
            passed = passed.saturating_add(*gas);
            ratio(passed, total) * 100.0 >= *percentile
        });
        reached.or(paid.last()).map_or(0, |(tip, _)| *tip)
    };
    percentiles.iter().map(at).collect()
}

/// A share for show; no fee is computed from it.
#[allow(clippy::cast_precision_loss)]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
