//! The cast of row E: holders Star and Dawn, the buyer Quanttus, patients, and the requests between them.

use crate::chain::{Chain, Done, Reverted, TREASURY};
use alloy_sol_types::sol;
use bxp_contracts::merkle::{Tree, record_leaf};
use bxp_contracts::{
    CONSENT_REGISTRY, ConsentRegistry, DATA_MARKET, DataMarket, DataRequest, RECORD_REGISTRY, RecordRegistry,
    RequestState,
};
use bxp_types::Amount;
use bxp_types::primitives::{Address, B256, Bytes, U256, keccak256};

sol!(RefusingAccount, "../../contracts/artifacts/test/RefusingAccount.json");
sol!(GreedyAccount, "../../contracts/artifacts/test/GreedyAccount.json");
sol!(ReentrantAccount, "../../contracts/artifacts/test/ReentrantAccount.json");

pub(crate) const STAR: Address = Address::repeat_byte(0x51);
pub(crate) const DAWN: Address = Address::repeat_byte(0xda);
pub(crate) const QUANTTUS: Address = Address::repeat_byte(0x9a);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x99);
/// Seconds from the opening of a request to its deadline, and of its acceptance window.
pub(crate) const TERM: u64 = 10_000;
pub(crate) const WINDOW: u64 = 600;

pub(crate) fn patient(number: u8) -> Address {
    let mut address = [0x70; 20];
    address[19] = number;
    Address::from(address)
}

/// One anchored batch with the tree behind it: record number i is `patients[i]`'s.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) id: U256,
    pub(crate) tree: Tree,
    pub(crate) patients: Vec<Address>,
    pub(crate) commitments: Vec<B256>,
}

impl Batch {
    /// The claim for `patient`'s record.
    pub(crate) fn entry(&self, patient: Address) -> DataRequest::Entry {
        let index = self.patients.iter().position(|&other| other == patient).unwrap();
        let proof = self.tree.prove(index as u32).unwrap();
        DataRequest::Entry {
            patient,
            batchId: self.id,
            commitment: self.commitments[index],
            index: U256::from(index),
            siblings: proof.siblings,
        }
    }

    pub(crate) fn entries(&self, patients: &[Address]) -> Vec<DataRequest::Entry> {
        patients.iter().map(|&patient| self.entry(patient)).collect()
    }
}

pub(crate) fn anchor_call(root: B256, count: u32) -> RecordRegistry::anchorCall {
    RecordRegistry::anchorCall { root, count, jurisdiction: b"US".into() }
}

/// Anchors one record of each patient for `holder`.
pub(crate) fn anchor(chain: &mut Chain, holder: Address, patients: &[Address]) -> Batch {
    let salted = |patient: &Address| keccak256([holder.as_slice(), patient.as_slice(), b"salt"].concat());
    let commitments: Vec<B256> = patients.iter().map(salted).collect();
    let leaves =
        patients.iter().zip(&commitments).map(|(&patient, &commitment)| record_leaf(patient, commitment));
    let tree = Tree::new(leaves.collect()).unwrap();
    let done = chain.send(holder, RECORD_REGISTRY, &anchor_call(tree.root(), tree.count())).unwrap();
    let id = done.events::<RecordRegistry::Anchored>()[0].batchId;
    Batch { id, tree, patients: patients.to_vec(), commitments }
}

pub(crate) fn contribute(chain: &mut Chain, patient: Address, on: bool) {
    chain.send(patient, CONSENT_REGISTRY, &ConsentRegistry::setContributionCall { on }).unwrap();
}

/// Terms for `wanted` charts at 2 BXM, split 70 : 25 : 5.
pub(crate) fn terms(chain: &Chain, wanted: u32) -> DataMarket::Terms {
    DataMarket::Terms {
        criterion: Bytes::from_static(br#"{"condition":["AFib","MI"],"before":"EKG"}"#),
        pricePerRecord: Amount::from_bxm(2).0,
        wanted,
        deadline: chain.time + TERM,
        acceptanceWindow: WINDOW as u32,
        patientBps: 7000,
        holderBps: 2500,
        treasuryBps: 500,
        sealingKey: B256::repeat_byte(0x5e),
    }
}

pub(crate) fn escrow(terms: &DataMarket::Terms) -> U256 {
    terms.pricePerRecord * U256::from(terms.wanted)
}

/// Opens a request of Quanttus with exactly the escrow that the terms ask for.
pub(crate) fn open(chain: &mut Chain, terms: DataMarket::Terms) -> Result<Address, Reverted> {
    let value = escrow(&terms);
    open_with(chain, terms, value).map(|done| done.events::<DataMarket::RequestCreated>()[0].request)
}

pub(crate) fn open_with(chain: &mut Chain, terms: DataMarket::Terms, value: U256) -> Result<Done, Reverted> {
    chain.fund(QUANTTUS, value);
    chain.pay(QUANTTUS, DATA_MARKET, value, &DataMarket::createRequestCall { terms })
}

pub(crate) fn deliver(
    chain: &mut Chain,
    request: Address,
    holder: Address,
    entries: Vec<DataRequest::Entry>,
) -> Result<Done, Reverted> {
    let cid = Bytes::from_static(&[1; 36]);
    let call = DataRequest::validatePatientContentCall { entries, cid, root: B256::repeat_byte(0xd1) };
    chain.send(holder, request, &call)
}

pub(crate) fn settle(
    chain: &mut Chain,
    request: Address,
    caller: Address,
    entries_max: u32,
) -> Result<Done, Reverted> {
    chain.send(caller, request, &DataRequest::computePaymentCall { entriesMax: entries_max })
}

pub(crate) fn refund(chain: &mut Chain, request: Address) -> Result<Done, Reverted> {
    chain.send(STRANGER, request, &DataRequest::refundCall {})
}

pub(crate) fn progress(chain: &mut Chain, request: Address) -> DataRequest::Progress {
    chain.read(request, &DataRequest::progressCall {})
}

pub(crate) fn state(chain: &mut Chain, request: Address) -> RequestState {
    chain.read(request, &DataRequest::stateCall {}).try_into().unwrap()
}

pub(crate) fn credit(chain: &mut Chain, request: Address, account: Address) -> U256 {
    chain.read(request, &DataRequest::creditsCall { account })
}

/// Star's batch of `patients` patients, all of them contributing, and a request for `wanted` of them.
pub(crate) struct Story {
    pub(crate) chain: Chain,
    pub(crate) batch: Batch,
    pub(crate) request: Address,
}

impl Story {
    pub(crate) fn new(patients: u8, wanted: u32) -> Self {
        let mut chain = Chain::new(&[STAR, DAWN]);
        let patients: Vec<Address> = (0..patients).map(patient).collect();
        let batch = anchor(&mut chain, STAR, &patients);
        for &patient in &patients {
            contribute(&mut chain, patient, true);
        }
        let terms = terms(&chain, wanted);
        let request = open(&mut chain, terms).unwrap();
        Self { chain, batch, request }
    }

    pub(crate) fn deliver(&mut self, patients: &[Address]) -> Result<Done, Reverted> {
        let entries = self.batch.entries(patients);
        deliver(&mut self.chain, self.request, STAR, entries)
    }

    pub(crate) fn settle(&mut self, caller: Address) -> Result<Done, Reverted> {
        settle(&mut self.chain, self.request, caller, u32::MAX)
    }

    pub(crate) fn balances<const N: usize>(&mut self, accounts: [Address; N]) -> [U256; N] {
        accounts.map(|account| self.chain.balance(account))
    }

    /// What is in escrow, and what Star, the treasury and the buyer hold.
    pub(crate) fn purses(&mut self) -> [U256; 4] {
        self.balances([self.request, STAR, TREASURY, QUANTTUS])
    }
}
