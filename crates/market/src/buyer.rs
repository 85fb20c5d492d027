//! The buyer's side, without a transport: calldata out, bytes in.

use crate::{
    Chart, MarketError, SplitBps,
    delivery::{self, Content},
};
use alloy_sol_types::{SolCall, SolEvent};
use bxp_clinical::criterion::Criterion;
use bxp_contracts::{DATA_MARKET, DataMarket, DataRequest};
use bxp_enclave::SealingKeypair;
use bxp_types::{Address, B256, Bytes, Secret, U256, primitives::Log};
use bxp_vault::cid_of;

/// What `DataRequest.sol` takes.
const CRITERION_BYTES_MAX: usize = 4096;
const BPS: u32 = 10_000;

/// A call to sign and send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractCall {
    /// The contract.
    pub to: Address,
    /// Wei to send along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// What a buyer asks for and pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRequest {
    /// The cohort.
    pub criterion: Criterion,
    /// Price of one patient's chart, in wei.
    pub price_per_record: U256,
    /// Patients wanted.
    pub wanted: u32,
    /// Block time in seconds since the epoch at which the request ends.
    pub deadline: u64,
    /// Seconds to settle a delivery before anyone may.
    pub acceptance_window: u32,
    /// Shares of the price.
    pub split: SplitBps,
}

/// A delivery that the buyer has opened and checked against the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedDelivery {
    /// Who delivered.
    pub holder: Address,
    /// The charts, as many as the contract counted.
    pub charts: Vec<Chart>,
    /// By which rule of the Privacy Rule they left: `safe-harbor` or `expert-determination`.
    pub profile: String,
    /// Digests of the rule tables that decided what leaves (`bxp_privacy::rules_digest`).
    pub rules: Vec<B256>,
}

/// A buyer: the key pair to which deliveries are sealed.
#[derive(Clone, Debug)]
pub struct Buyer {
    keys: SealingKeypair,
}

impl Buyer {
    /// A buyer with a fresh key pair; keep [`Buyer::private_key`], no delivery opens without it.
    ///
    /// # Errors
    /// [`MarketError::Enclave`] without randomness.
    pub fn random() -> Result<Self, MarketError> {
        Ok(Self { keys: SealingKeypair::random()? })
    }

    /// The buyer with this X25519 private key.
    ///
    /// # Errors
    /// [`MarketError::Enclave`].
    pub fn from_private_key(key: &Secret<[u8; 32]>) -> Result<Self, MarketError> {
        Ok(Self { keys: SealingKeypair::from_private_key(key)? })
    }

    /// The private key, to be kept.
    #[must_use]
    pub const fn private_key(&self) -> &Secret<[u8; 32]> {
        self.keys.private_key()
    }

    /// The public key that the terms name.
    #[must_use]
    pub const fn sealing_key(&self) -> B256 {
        self.keys.public_key()
    }

    /// The call that opens a request, with its whole price as value.
    ///
    /// # Errors
    /// [`MarketError::Terms`] for what the contract would refuse.
    pub fn create_request(&self, new: &NewRequest) -> Result<ContractCall, MarketError> {
        let refuse = |reason: String| Err(MarketError::Terms(reason));
        let criterion = new.criterion.canonical();
        if criterion.is_empty() || criterion.len() > CRITERION_BYTES_MAX {
            let size = criterion.len();
            return refuse(format!(
                "the criterion has {size} bytes; the contract takes {CRITERION_BYTES_MAX}, so name fewer codes"
            ));
        }
        if new.price_per_record.is_zero() || new.wanted == 0 {
            return refuse("give a price per record and a number of records above zero".to_owned());
        }
        if new.split.sum() != BPS {
            let sum = new.split.sum();
            return refuse(format!("the shares add up to {sum} basis points; make them {BPS}"));
        }
        let Some(value) = new.price_per_record.checked_mul(U256::from(new.wanted)) else {
            return refuse("price times number wanted is more than any account can hold".to_owned());
        };
        let terms = DataMarket::Terms {
            criterion: criterion.into(),
            pricePerRecord: new.price_per_record,
            wanted: new.wanted,
            deadline: new.deadline,
            acceptanceWindow: new.acceptance_window,
            patientBps: new.split.patient,
            holderBps: new.split.holder,
            treasuryBps: new.split.treasury,
            sealingKey: self.sealing_key(),
        };
        let data = DataMarket::createRequestCall { terms }.abi_encode().into();
        Ok(ContractCall { to: DATA_MARKET, value, data })
    }

    /// Opens delivery `recorded` of `request` and checks it against what the contract recorded: its CID, the request, the
    /// holder, the number of charts, and the root over their content. `sealed` may come from anyone.
    ///
    /// # Errors
    /// [`MarketError::WrongDelivery`] says what does not fit; [`MarketError::Enclave`] when it was not sealed to this
    /// buyer; [`MarketError::Malformed`], [`MarketError::TooLarge`].
    pub fn open_delivery(
        &self,
        request: Address,
        recorded: &DataRequest::Delivery,
        sealed: &[u8],
    ) -> Result<OpenedDelivery, MarketError> {
        if cid_of(sealed)?.to_bytes() != *recorded.cid {
            return Err(MarketError::WrongDelivery("the bytes do not hash to the recorded CID"));
        }
        let Content { charts, profile, rules } =
            delivery::open(&self.keys, request, recorded.holder, sealed)?;
        if u32::try_from(charts.len()) != Ok(recorded.count) {
            return Err(MarketError::WrongDelivery("it holds another number of charts than was counted"));
        }
        if delivery::root(&charts)? != recorded.root {
            return Err(MarketError::WrongDelivery("its content does not lead to the recorded root"));
        }
        Ok(OpenedDelivery { holder: recorded.holder, charts, profile, rules })
    }
}

/// The request that a `createRequest` transaction opened, by its receipt's logs.
#[must_use]
pub fn created_request<'a>(logs: impl IntoIterator<Item = &'a Log>) -> Option<Address> {
    let of_market = logs.into_iter().filter(|log| log.address == DATA_MARKET);
    of_market.filter_map(|log| DataMarket::RequestCreated::decode_log(log).ok()).map(|log| log.request).next()
}

/// Accepts what was delivered: pays for up to `entries_max` counted records. Sent by the buyer, it need not wait.
#[must_use]
pub fn accept(request: Address, entries_max: u32) -> ContractCall {
    call(request, &DataRequest::computePaymentCall { entriesMax: entries_max })
}

/// Returns to the buyer, after the deadline, the price of what was not delivered.
#[must_use]
pub fn refund(request: Address) -> ContractCall {
    call(request, &DataRequest::refundCall {})
}

/// Takes what a payment that the account refused left as its credit.
#[must_use]
pub fn withdraw(request: Address, recipient: Address) -> ContractCall {
    call(request, &DataRequest::withdrawCall { recipient })
}

fn call(request: Address, call: &impl SolCall) -> ContractCall {
    ContractCall { to: request, value: U256::ZERO, data: call.abi_encode().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::tests::{HOLDER, REQUEST, chart, keys, sealed};
    use bxp_types::Amount;

    fn buyer() -> Buyer {
        Buyer::from_private_key(keys(1).private_key()).unwrap()
    }

    fn new_request() -> NewRequest {
        NewRequest {
            criterion: Criterion::afib_or_mi_with_earlier_ekg(),
            price_per_record: Amount::from_bxm(2).0,
            wanted: 4,
            deadline: 1_800_000_000,
            acceptance_window: 60,
            split: SplitBps { patient: 7_000, holder: 2_500, treasury: 500 },
        }
    }

    #[test]
    fn a_request_carries_its_escrow_and_canonical_criterion() {
        let call = buyer().create_request(&new_request()).unwrap();
        assert_eq!((call.to, call.value), (DATA_MARKET, Amount::from_bxm(8).0));
        let terms = DataMarket::createRequestCall::abi_decode(&call.data).unwrap().terms;
        assert_eq!(Criterion::from_json(&terms.criterion).unwrap(), new_request().criterion);
        assert_eq!(terms.sealingKey, buyer().sealing_key());
    }

    #[test]
    fn terms_that_the_contract_refuses_are_refused_before() {
        let good = new_request();
        let greedy = SplitBps { holder: 2_501, ..good.split };
        for (wrong, expected) in [
            (NewRequest { price_per_record: U256::ZERO, ..good.clone() }, "above zero"),
            (NewRequest { wanted: 0, ..good.clone() }, "above zero"),
            (NewRequest { split: greedy, ..good.clone() }, "10001 basis points"),
            (NewRequest { price_per_record: U256::MAX, ..good.clone() }, "more than any account"),
        ] {
            let error = buyer().create_request(&wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_delivery_that_is_not_the_recorded_one_is_refused() {
        let delivery = sealed(vec![chart(1), chart(2)]);
        let recorded = DataRequest::Delivery {
            holder: HOLDER,
            time: Default::default(),
            first: 0,
            count: 2,
            root: delivery.root,
            cid: delivery.cid.to_bytes().into(),
        };
        let opened = buyer().open_delivery(REQUEST, &recorded, &delivery.bytes).unwrap();
        assert_eq!((opened.holder, opened.charts.len()), (HOLDER, 2));
        let refused = |spoil: fn(&mut DataRequest::Delivery)| {
            let mut wrong = recorded.clone();
            spoil(&mut wrong);
            buyer().open_delivery(REQUEST, &wrong, &delivery.bytes).unwrap_err().to_string()
        };
        assert!(refused(|recorded| recorded.count = 1).contains("number of charts"));
        assert!(refused(|recorded| recorded.root = B256::ZERO).contains("recorded root"));
        assert!(refused(|recorded| recorded.cid = Bytes::from_static(&[1; 36])).contains("recorded CID"));
        assert!(refused(|recorded| recorded.holder = Address::ZERO).contains("seal or open"));
        let another = Buyer::random().unwrap();
        assert!(another.open_delivery(REQUEST, &recorded, &delivery.bytes).is_err());
    }

    #[test]
    fn only_the_market_s_word_opens_a_request() {
        let event = DataMarket::RequestCreated {
            request: REQUEST,
            buyer: HOLDER,
            criterion: Bytes::from_static(b"{}"),
            pricePerRecord: U256::ONE,
            wanted: 1,
            deadline: 1,
            sealingKey: B256::ZERO,
        };
        let log = |address| Log { address, data: event.encode_log_data() };
        assert_eq!(created_request(&[log(DATA_MARKET)]), Some(REQUEST));
        assert_eq!(created_request(&[log(Address::repeat_byte(9))]), None);
    }
}
