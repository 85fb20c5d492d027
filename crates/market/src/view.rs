//! Price transparency (white paper row F7): what a request offers for what, as the edges show it.

use crate::{MarketError, Progress, RequestReader};
use bxp_clinical::criterion::Criterion;
use bxp_contracts::DataRequest;
use bxp_types::{Address, Amount, B256, U256};
use serde::{Deserialize, Serialize};

/// What every request of this market is for.
pub const SERVICE: &str = "de-identified charts, sealed to the buyer";

const BPS: u32 = 10_000;

/// Shares of the price in basis points; their sum is 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SplitBps {
    /// The patient's.
    pub patient: u16,
    /// The holder's.
    pub holder: u16,
    /// The treasury's, which also gets the remainders of division.
    pub treasury: u16,
}

impl SplitBps {
    /// The sum of the shares.
    #[must_use]
    pub fn sum(&self) -> u32 {
        u32::from(self.patient) + u32::from(self.holder) + u32::from(self.treasury)
    }
}

/// What one record brings to each party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordShares {
    /// To the patient.
    pub patient: Amount,
    /// To the holder.
    pub holder: Amount,
    /// To the treasury.
    pub treasury: Amount,
}

impl RecordShares {
    /// The contract's arithmetic: shares are rounded down, and the treasury gets what is left.
    #[must_use]
    pub fn of(price: U256, split: SplitBps) -> Self {
        // The widest product has 256 + 16 bits, so it is taken apart: price = whole * 10000 + part.
        let (whole, part) = price.div_rem(U256::from(BPS));
        let share = |bps: u16| whole * U256::from(bps) + part * U256::from(bps) / U256::from(BPS);
        let (patient, holder) = (share(split.patient), share(split.holder));
        let treasury = price.saturating_sub(patient).saturating_sub(holder);
        Self { patient: Amount(patient), holder: Amount(holder), treasury: Amount(treasury) }
    }
}

/// One request, for anyone to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestView {
    /// The contract.
    pub request: Address,
    /// The paper's `from`: who pays.
    pub buyer: Address,
    /// The paper's `to`: the holder that answered first.
    pub first_holder: Option<Address>,
    /// What is delivered.
    pub service: String,
    /// The cohort; nothing where it is no criterion that this version reads.
    pub scope: Option<Criterion>,
    /// keccak256 of the criterion's bytes.
    pub criterion_hash: B256,
    /// Price of one patient's chart.
    pub price_per_record: Amount,
    /// How the price is split, in basis points.
    pub split: SplitBps,
    /// How the price is split, in amounts.
    pub shares: RecordShares,
    /// Block time in seconds at which the request ends.
    pub deadline: u64,
    /// Seconds that the buyer has to settle a delivery before anyone may.
    pub acceptance_window: u32,
    /// `Created`, `Locked` or `Inactive`.
    pub state: String,
    /// Patients wanted.
    pub wanted: u32,
    /// Patients counted.
    pub counted: u32,
    /// Patients paid for.
    pub settled: u32,
    /// The escrow at the beginning.
    pub escrow: Amount,
    /// Paid to patients, holders and the treasury.
    pub paid: Amount,
    /// Returned to the buyer.
    pub refunded: Amount,
}

impl RequestView {
    /// The view of what the contract says.
    #[must_use]
    pub fn new(
        request: Address,
        buyer: Address,
        first_holder: Address,
        terms: &DataRequest::Terms,
        progress: &Progress,
    ) -> Self {
        let split =
            SplitBps { patient: terms.patientBps, holder: terms.holderBps, treasury: terms.treasuryBps };
        Self {
            request,
            buyer,
            first_holder: (first_holder != Address::ZERO).then_some(first_holder),
            service: SERVICE.to_owned(),
            scope: Criterion::from_json(&terms.criterion).ok(),
            criterion_hash: bxp_types::keccak256(&terms.criterion),
            price_per_record: Amount(terms.pricePerRecord),
            split,
            shares: RecordShares::of(terms.pricePerRecord, split),
            deadline: terms.deadline,
            acceptance_window: terms.acceptanceWindow,
            state: progress.state.to_string(),
            wanted: progress.wanted,
            counted: progress.counted,
            settled: progress.settled,
            escrow: Amount(terms.pricePerRecord.saturating_mul(U256::from(terms.wanted))),
            paid: Amount(progress.paid),
            refunded: Amount(progress.refunded),
        }
    }
}

impl RequestReader {
    /// One request.
    ///
    /// # Errors
    /// [`MarketError::NotARequest`] for an address that the market did not open, [`MarketError::Ledger`].
    pub fn view(&self, request: Address) -> Result<RequestView, MarketError> {
        if !self.is_request(request)? {
            return Err(MarketError::NotARequest(request));
        }
        let (terms, progress) = (self.terms(request)?, self.progress(request)?);
        let (buyer, first_holder) = (self.buyer(request)?, self.first_holder(request)?);
        Ok(RequestView::new(request, buyer, first_holder, &terms, &progress))
    }

    /// Up to `limit` requests from number `offset` on, in the order of opening, and the number of all.
    ///
    /// # Errors
    /// [`MarketError::Ledger`], [`MarketError::UnexpectedAnswer`].
    pub fn views(&self, offset: u64, limit: u64) -> Result<(Vec<RequestView>, u64), MarketError> {
        let (page, total) = self.requests(offset, limit)?;
        let views = page.into_iter().map(|request| self.view(request)).collect::<Result<_, _>>()?;
        Ok((views, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_contracts::RequestState;
    use proptest::prelude::*;

    #[test]
    fn a_view_shows_price_scope_service_and_split() {
        let criterion = Criterion::afib_or_mi_with_earlier_ekg();
        let terms = DataRequest::Terms {
            criterion: criterion.canonical().into(),
            pricePerRecord: Amount::from_bxm(2).0,
            wanted: 3,
            deadline: 1_800_000_000,
            acceptanceWindow: 60,
            patientBps: 7_000,
            holderBps: 2_500,
            treasuryBps: 500,
            sealingKey: B256::repeat_byte(1),
        };
        let progress = Progress {
            state: RequestState::Locked,
            wanted: 3,
            counted: 1,
            settled: 0,
            paid: U256::ZERO,
            refunded: U256::ZERO,
        };
        let view = RequestView::new(
            Address::repeat_byte(1),
            Address::repeat_byte(2),
            Address::ZERO,
            &terms,
            &progress,
        );
        assert_eq!(view.scope.as_ref(), Some(&criterion));
        assert_eq!(view.criterion_hash, criterion.hash());
        assert_eq!((view.first_holder, view.escrow), (None, Amount::from_bxm(6)));
        assert_eq!(view.shares.patient, Amount::from_mbxm(1_400));
        assert_eq!(view.shares.holder, Amount::from_mbxm(500));
        assert_eq!(view.shares.treasury, Amount::from_mbxm(100));
        let json = serde_json::to_string(&view).unwrap();
        assert!(json.contains(r#""state":"Locked","wanted":3,"counted":1"#), "{json}");
        assert_eq!(serde_json::from_str::<RequestView>(&json).unwrap(), view);
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_price(price in any::<[u8; 32]>(), patient in 0_u16..=10_000, of_rest in 0_u16..=10_000) {
            let price = U256::from_be_bytes(price);
            let holder = u16::try_from(u32::from(10_000 - patient) * u32::from(of_rest) / 10_000).unwrap();
            let split = SplitBps { patient, holder, treasury: 10_000 - patient - holder };
            prop_assert_eq!(split.sum(), 10_000);
            let shares = RecordShares::of(price, split);
            let sum = shares.patient.checked_add(shares.holder).and_then(|sum| sum.checked_add(shares.treasury));
            prop_assert_eq!(sum, Some(Amount(price)));
            if let Some(product) = price.checked_mul(U256::from(patient)) {
                prop_assert_eq!(shares.patient.0, product / U256::from(10_000), "as the contract computes it");
            }
        }
    }
}
