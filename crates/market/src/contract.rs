//! What the contracts say: views, asked of the newest state.

use crate::MarketError;
use alloy_sol_types::SolCall;
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry, DATA_MARKET, DataMarket, DataRequest, RequestState};
use bxp_types::{Address, CallOutcome, CallRequest, Ledger, U256};
use cid::Cid;
use std::{fmt, sync::Arc};

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Created, Locked or Inactive.
    pub state: RequestState,
    /// Patients wanted.
    pub wanted: u32,
    /// Patients counted.
    pub counted: u32,
    /// Of these, patients whose payment is settled.
    pub settled: u32,
    /// Wei paid to patients, holders and the treasury.
    pub paid: U256,
    /// Wei returned to the buyer.
    pub refunded: U256,
}

impl Progress {
    /// Patients still wanted.
    #[must_use]
    pub const fn unfulfilled(&self) -> u32 {
        self.wanted.saturating_sub(self.counted)
    }

    /// Reads the contract's answer.
    ///
    /// # Errors
    /// [`MarketError::Malformed`] for a state that the paper does not have.
    pub fn new(progress: &DataRequest::Progress) -> Result<Self, MarketError> {
        let state = RequestState::try_from(progress.state);
        Ok(Self {
            state: state.map_err(|_| MarketError::Malformed("state of a request"))?,
            wanted: progress.wanted,
            counted: progress.counted,
            settled: progress.settled,
            paid: progress.paid,
            refunded: progress.refunded,
        })
    }
}

/// Reads requests from the chain. Clones share the ledger.
#[derive(Clone)]
pub struct RequestReader {
    ledger: Arc<dyn Ledger>,
}

impl fmt::Debug for RequestReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestReader")
    }
}

impl RequestReader {
    /// Reads from `ledger`.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger }
    }

    pub(crate) fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    /// Price, scope and term.
    ///
    /// # Errors
    /// [`MarketError::NotARequest`], [`MarketError::Ledger`].
    pub fn terms(&self, request: Address) -> Result<DataRequest::Terms, MarketError> {
        self.ask(request, &DataRequest::termsCall {})
    }

    /// How far it is.
    ///
    /// # Errors
    /// As [`RequestReader::terms`], [`MarketError::Malformed`].
    pub fn progress(&self, request: Address) -> Result<Progress, MarketError> {
        Progress::new(&self.ask(request, &DataRequest::progressCall {})?)
    }

    /// The buyer.
    ///
    /// # Errors
    /// As [`RequestReader::terms`].
    pub fn buyer(&self, request: Address) -> Result<Address, MarketError> {
        self.ask(request, &DataRequest::fromCall {})
    }

    /// The holder that answered first; the zero address while nobody has.
    ///
    /// # Errors
    /// As [`RequestReader::terms`].
    pub fn first_holder(&self, request: Address) -> Result<Address, MarketError> {
        self.ask(request, &DataRequest::toCall {})
    }

    /// Number of deliveries.
    ///
    /// # Errors
    /// As [`RequestReader::terms`].
    pub fn delivery_count(&self, request: Address) -> Result<u64, MarketError> {
        let count = self.ask(request, &DataRequest::deliveryCountCall {})?;
        u64::try_from(count).map_err(|_| MarketError::UnexpectedAnswer(request))
    }

    /// Delivery number `number`, from 0.
    ///
    /// # Errors
    /// As [`RequestReader::terms`], also when there is no such delivery.
    pub fn delivery(&self, request: Address, number: u64) -> Result<DataRequest::Delivery, MarketError> {
        self.ask(request, &DataRequest::storage_Call { delivery: U256::from(number) })
    }

    /// Deliveries from number `from` on.
    ///
    /// # Errors
    /// As [`RequestReader::terms`].
    pub fn deliveries(&self, request: Address, from: u64) -> Result<Deliveries<'_>, MarketError> {
        Ok(Deliveries { reader: self, request, next: from, end: self.delivery_count(request)? })
    }

    /// The number under which the request has counted `holder`'s delivery with this CID. The newest deliveries are looked
    /// at first.
    ///
    /// # Errors
    /// As [`RequestReader::terms`].
    pub fn number_of(
        &self,
        request: Address,
        holder: Address,
        cid: &Cid,
    ) -> Result<Option<u64>, MarketError> {
        let cid = cid.to_bytes();
        for delivery in self.deliveries(request, 0)?.rev() {
            let (number, delivery) = delivery?;
            if delivery.holder == holder && *delivery.cid == cid {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Whether the patient was counted in this request.
    ///
    /// # Errors
    /// As [`RequestReader::terms`].
    pub fn is_counted(&self, request: Address, patient: Address) -> Result<bool, MarketError> {
        self.ask(request, &DataRequest::isCountedCall { patient })
    }

    /// The patient's contribution switch (row B2).
    ///
    /// # Errors
    /// [`MarketError::UnexpectedAnswer`], [`MarketError::Ledger`].
    pub fn is_contributing(&self, patient: Address) -> Result<bool, MarketError> {
        let call = ConsentRegistry::isContributingCall { patient };
        self.ask(CONSENT_REGISTRY, &call).map_err(|error| system_contract(CONSENT_REGISTRY, error))
    }

    /// Whether the market opened this request, so that it runs the code of `DataRequest`.
    ///
    /// # Errors
    /// [`MarketError::UnexpectedAnswer`], [`MarketError::Ledger`].
    pub fn is_request(&self, request: Address) -> Result<bool, MarketError> {
        let call = DataMarket::isRequestCall { request };
        self.ask(DATA_MARKET, &call).map_err(|error| system_contract(DATA_MARKET, error))
    }

    /// Up to `limit` requests from number `offset` on, in the order of opening, and the number of all.
    ///
    /// # Errors
    /// [`MarketError::UnexpectedAnswer`], [`MarketError::Ledger`].
    pub fn requests(&self, offset: u64, limit: u64) -> Result<(Vec<Address>, u64), MarketError> {
        let of_market = |error| system_contract(DATA_MARKET, error);
        let total = self.ask(DATA_MARKET, &DataMarket::requestCountCall {}).map_err(of_market)?;
        let page = DataMarket::requestsCall { offset: U256::from(offset), limit: U256::from(limit) };
        let page = self.ask(DATA_MARKET, &page).map_err(of_market)?;
        Ok((page, u64::try_from(total).unwrap_or(u64::MAX)))
    }

    fn ask<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, MarketError> {
        let request = CallRequest { to: Some(to), data: call.abi_encode().into(), ..CallRequest::default() };
        match self.ledger.call(&request)? {
            CallOutcome::Success { output, .. } => {
                C::abi_decode_returns(&output).map_err(|_| MarketError::NotARequest(to))
            }
            _ => Err(MarketError::NotARequest(to)),
        }
    }
}

fn system_contract(contract: Address, error: MarketError) -> MarketError {
    match error {
        MarketError::NotARequest(_) => MarketError::UnexpectedAnswer(contract),
        other => other,
    }
}

/// The deliveries of one request, in their order.
#[derive(Debug)]
pub struct Deliveries<'a> {
    reader: &'a RequestReader,
    request: Address,
    next: u64,
    end: u64,
}

impl Deliveries<'_> {
    fn read(&self, number: u64) -> Result<(u64, DataRequest::Delivery), MarketError> {
        Ok((number, self.reader.delivery(self.request, number)?))
    }
}

impl Iterator for Deliveries<'_> {
    type Item = Result<(u64, DataRequest::Delivery), MarketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.next;
        (number < self.end).then(|| {
            self.next = number.saturating_add(1);
            self.read(number)
        })
    }
}

impl DoubleEndedIterator for Deliveries<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        (self.next < self.end).then(|| {
            self.end -= 1;
            self.read(self.end)
        })
    }
}
