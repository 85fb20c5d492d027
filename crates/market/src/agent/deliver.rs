//! Delivering: the transaction of a prepared delivery, exactly once.
//!
//! The contract is the judge. It names each delivery by its CID and counts a patient once, so after a crash or a failure
//! it is asked whether it has the delivery before anything is sent again.

use super::{HolderAgent, Inner, matching::CLOCK_MARGIN_S};
use crate::{
    MarketError, metric,
    tables::{DeliveryRow, MatchState},
};
use alloy_sol_types::SolEvent;
use bxp_clinical::sender::{Call, Mined, SendFailure};
use bxp_contracts::{DataRequest, RequestState};
use bxp_storage::Durability;
use bxp_types::{Bytes, U256};
use cid::Cid;

/// What is to be done with a prepared delivery.
enum Fate {
    /// The contract has counted it, as this number.
    Counted(u64),
    /// It is over: nothing more is counted.
    Over,
    /// A transaction of the account waits in the pool; it may be this one.
    Wait,
    /// Send it.
    Send,
}

impl HolderAgent {
    /// Finishes what an earlier life of this node, or a failure, left unfinished.
    pub(super) async fn complete_prepared(&mut self) {
        for (cid, request) in self.prepared.clone() {
            if self.is_resting(request) {
                continue;
            }
            if let Err(error) = self.complete(cid).await {
                self.rest(request, &error);
            }
        }
    }

    async fn complete(&mut self, cid: Cid) -> Result<(), MarketError> {
        match self.blocking(move |inner| inner.fate(&cid)).await? {
            Fate::Counted(number) => self.confirm(cid, number).await,
            Fate::Over => self.abandon(cid).await,
            Fate::Wait => Ok(()),
            Fate::Send => self.send_delivery(cid).await.map(drop),
        }
    }

    /// Sends the transaction of a prepared delivery. Whether the contract has counted it.
    pub(super) async fn send_delivery(&mut self, cid: Cid) -> Result<bool, MarketError> {
        let Some(row) = self.blocking(move |inner| inner.tables.delivery(&cid)).await? else {
            self.prepared.remove(&cid);
            return Ok(false);
        };
        let (request, account) = (row.request, self.inner.account);
        let call = Call { to: request, value: U256::ZERO, data: row.call };
        match self.sender.send(account, &call).await {
            Ok(mined) => {
                let number =
                    number_of(&mined, request, &cid).ok_or(MarketError::UnexpectedAnswer(request))?;
                self.confirm(cid, number).await?;
                Ok(true)
            }
            Err(SendFailure::Refused { reason, .. }) => {
                tracing::warn!(%request, reason, "the contract refuses a delivery");
                self.judge(cid).await
            }
            Err(SendFailure::Reverted { hash, height }) => {
                tracing::warn!(%request, %hash, %height, "a delivery was refused in its block");
                self.judge(cid).await
            }
            Err(source) => Err(MarketError::Send { request, source: Box::new(source) }),
        }
    }

    /// After a refusal: counted by an earlier transaction, or not to be counted as it is.
    async fn judge(&mut self, cid: Cid) -> Result<bool, MarketError> {
        match self.blocking(move |inner| inner.counted_number(&cid)).await? {
            Some(number) => {
                self.confirm(cid, number).await?;
                Ok(true)
            }
            None => {
                self.abandon(cid).await?;
                Ok(false)
            }
        }
    }

    async fn confirm(&mut self, cid: Cid, number: u64) -> Result<(), MarketError> {
        self.blocking(move |inner| inner.confirm(&cid, number)).await?;
        self.prepared.remove(&cid);
        Ok(())
    }

    async fn abandon(&mut self, cid: Cid) -> Result<(), MarketError> {
        self.blocking(move |inner| inner.abandon(&cid)).await?;
        self.prepared.remove(&cid);
        Ok(())
    }
}

impl Inner {
    fn fate(&self, cid: &Cid) -> Result<Fate, MarketError> {
        let Some(row) = self.tables.delivery(cid)? else { return Ok(Fate::Over) };
        let ledger = self.reader.ledger();
        let waits = ledger.pending_nonce(self.account)? > ledger.account(self.account)?.nonce;
        // The nonce is read before the contract: a transaction that leaves the pool in between is in the contract.
        if let Some(number) = self.counted_number(cid)? {
            return Ok(Fate::Counted(number));
        }
        let (terms, progress) = (self.reader.terms(row.request)?, self.reader.progress(row.request)?);
        if waits {
            return Ok(Fate::Wait);
        }
        let late = self.now().saturating_add(CLOCK_MARGIN_S) >= terms.deadline;
        Ok(if late || progress.state == RequestState::Inactive { Fate::Over } else { Fate::Send })
    }

    /// The number under which the contract has counted a delivery.
    fn counted_number(&self, cid: &Cid) -> Result<Option<u64>, MarketError> {
        match self.tables.delivery(cid)? {
            Some(row) => self.reader.number_of(row.request, self.account, cid),
            None => Ok(None),
        }
    }

    /// Notes that the contract has counted a delivery: from now on it is handed out.
    fn confirm(&self, cid: &Cid, number: u64) -> Result<(), MarketError> {
        let Some(row) = self.tables.delivery(cid)? else { return Ok(()) };
        let mut batch = self.tables.batch();
        self.tables.set_states(&mut batch, row.request, &row.subjects, MatchState::Delivered)?;
        let counted =
            DeliveryRow { number: Some(number), subjects: Vec::new(), call: Bytes::new(), ..row.clone() };
        self.tables.put_delivery(&mut batch, cid, &counted)?;
        batch.commit(Durability::Synced)?;
        metric::delivered(row.subjects.len());
        tracing::info!(request = %row.request, %cid, charts = row.subjects.len(), "delivered");
        Ok(())
    }

    /// Deletes a delivery that was not counted. It has never been handed out; its charts may go into another one.
    fn abandon(&self, cid: &Cid) -> Result<(), MarketError> {
        let Some(row) = self.tables.delivery(cid)? else { return Ok(()) };
        let mut batch = self.tables.batch();
        self.tables.set_states(&mut batch, row.request, &row.subjects, MatchState::Matched)?;
        self.tables.remove_delivery(&mut batch, cid);
        batch.commit(Durability::Synced)?;
        tracing::info!(request = %row.request, %cid, "a delivery was not counted and is deleted");
        Ok(())
    }
}

/// The delivery's number, by the contract's event.
fn number_of(mined: &Mined, request: bxp_types::Address, cid: &Cid) -> Option<u64> {
    let logs = mined.receipt.receipt.logs().iter().filter(|log| log.address == request);
    let mut events = logs.filter_map(|log| DataRequest::PatientContentValidated::decode_log(log).ok());
    let event = events.find(|event| *event.cid == cid.to_bytes())?;
    u64::try_from(event.delivery).ok()
}
