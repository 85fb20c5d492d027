//! Settlement: the contract pays once it may, and somebody has to ask it to.
//!
//! The buyer may settle at once. After the acceptance window or the deadline this holder does, oldest delivery first as the
//! contract has it. Windows end by the clock: on an idle chain the newest block's time lies far behind.

use super::{HolderAgent, Inner, matching::CLOCK_MARGIN_S};
use crate::{MarketError, metric};
use alloy_sol_types::SolCall;
use bxp_clinical::sender::{Call, SendFailure};
use bxp_contracts::{DataRequest, RequestState};
use bxp_storage::Durability;
use bxp_types::{Address, U256};

/// Records of one settlement.
const ENTRIES_MAX: u32 = 100;

/// Gas of a settlement: what it costs in any case, with the 70,000 that the contract wants left before each payment.
const GAS_BASE: u64 = 300_000;

/// Gas of one record: a payment that creates the patient's account or runs its receive function to the allowed end, its
/// event, and the same for a holder.
const GAS_PER_ENTRY: u64 = 150_000;

/// Settlements of one request in one round.
const SETTLEMENTS_PER_ROUND: usize = 8;

/// How much later than due a holder settles where the oldest delivery is another's, who is expected to.
const FOR_OTHERS_AFTER_S: u64 = 30;

impl HolderAgent {
    /// Settles what is due, if any of it is this holder's.
    pub(super) async fn settle(&self, request: Address) -> Result<(), MarketError> {
        for _ in 0..SETTLEMENTS_PER_ROUND {
            let Some(entries) = self.blocking(move |inner| inner.due(request)).await? else { break };
            let entries = entries.min(ENTRIES_MAX);
            let data = DataRequest::computePaymentCall { entriesMax: entries }.abi_encode().into();
            let call = Call { to: request, value: U256::ZERO, data };
            let gas = GAS_BASE + GAS_PER_ENTRY * u64::from(entries);
            match self.sender.send_with_gas(self.inner.account, &call, gas).await {
                Ok(_) => {
                    metric::settled(entries);
                    tracing::info!(%request, entries, "settled");
                }
                Err(source) => return self.settled_by_another(request, source).await,
            }
        }
        Ok(())
    }

    /// A settlement that fails because another one came first has done no harm.
    async fn settled_by_another(&self, request: Address, source: SendFailure) -> Result<(), MarketError> {
        let still_due = self.blocking(move |inner| inner.due(request)).await?.is_some();
        if still_due || !matches!(source, SendFailure::Reverted { .. }) {
            return Err(MarketError::Send { request, source: Box::new(source) });
        }
        Ok(())
    }
}

impl Inner {
    /// How many records this holder should settle now.
    fn due(&self, request: Address) -> Result<Option<u32>, MarketError> {
        let Some(mut row) = self.tables.open_request(request)? else { return Ok(None) };
        let (terms, progress) = (self.reader.terms(request)?, self.reader.progress(request)?);
        if progress.settled == progress.counted {
            return Ok(None);
        }
        let now = self.now();
        let passed = |time: u64| now >= time.saturating_add(CLOCK_MARGIN_S);
        let (first, mut due, mut mine, mut others) = (row.unsettled, 0_u32, false, None);
        for delivery in self.reader.deliveries(request, first)? {
            let (number, delivery) = delivery?;
            let end = delivery.first.saturating_add(delivery.count);
            if end <= progress.settled {
                row.unsettled = number.saturating_add(1);
                continue;
            }
            let window_end = delivery.time.to::<u64>().saturating_add(terms.acceptanceWindow.into());
            let ripe = window_end.min(terms.deadline);
            if !passed(ripe) {
                break;
            }
            let own = delivery.holder == self.account;
            others.get_or_insert((own, ripe));
            mine |= own;
            due = end.saturating_sub(progress.settled);
        }
        if row.unsettled != first {
            let mut batch = self.tables.batch();
            self.tables.put_open(&mut batch, request, &row)?;
            batch.commit(Durability::Buffered)?;
        }
        let turn = others.is_some_and(|(own, ripe)| own || passed(ripe.saturating_add(FOR_OTHERS_AFTER_S)));
        Ok((mine && turn).then_some(due))
    }

    /// Stops following a request from which nothing more can come: everything is settled and its time is over or its
    /// number reached, or it is Inactive.
    pub(super) fn close_if_done(&self, request: Address) -> Result<(), MarketError> {
        let (terms, progress) = (self.reader.terms(request)?, self.reader.progress(request)?);
        let over = self.now() >= terms.deadline.saturating_add(CLOCK_MARGIN_S) || progress.unfulfilled() == 0;
        let settled = progress.settled == progress.counted;
        if progress.state != RequestState::Inactive && !(over && settled) {
            return Ok(());
        }
        let in_hand = self
            .tables
            .matches(request)
            .any(|row| row.is_ok_and(|(_, one)| one.state == crate::tables::MatchState::Prepared));
        if in_hand {
            return Ok(());
        }
        tracing::info!(%request, "a data request is done");
        self.tables.close(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settlement_fits_a_transaction() {
        assert!(GAS_BASE + GAS_PER_ENTRY * u64::from(ENTRIES_MAX) <= bxp_execution::TRANSACTION_GAS_MAX);
    }
}
