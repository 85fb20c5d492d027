//! Goal: whatever anyone does in whatever order, no wei appears, disappears or is paid twice.
//!
//! A random sequence of actions runs on the contract and on a model that is a few sets and numbers. After each action
//! both agree on whether it was allowed and on every balance; at the end everything is paid out.

use crate::chain::{Chain, TREASURY};
use crate::fixture::{
    Batch, DAWN, QUANTTUS, RefusingAccount, STAR, STRANGER, TERM, WINDOW, anchor, contribute, credit,
    deliver, escrow, open, patient, progress, refund, settle, state, terms,
};
use alloy_sol_types::SolCall;
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry, DataMarket, DataRequest, RequestState};
use bxp_types::primitives::{Address, U256};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PATIENTS: u8 = 8;
/// These patients have contract accounts that refuse money.
const REFUSING: [u8; 2] = [2, 5];

#[derive(Clone, Debug)]
enum Action {
    Deliver { dawn: bool, patients: Vec<u8> },
    Switch { patient: u8, on: bool },
    Wait { seconds: u64 },
    Settle { buyer: bool, entries_max: u32 },
    Refund,
    Withdraw { patient: u8 },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (any::<bool>(), prop::collection::vec(0..PATIENTS, 0..4))
            .prop_map(|(dawn, patients)| Action::Deliver { dawn, patients }),
        2 => (0..PATIENTS, any::<bool>()).prop_map(|(patient, on)| Action::Switch { patient, on }),
        3 => (0..TERM / 4).prop_map(|seconds| Action::Wait { seconds }),
        3 => (any::<bool>(), 0_u32..4).prop_map(|(buyer, entries_max)| Action::Settle { buyer, entries_max }),
        1 => Just(Action::Refund),
        1 => (0..PATIENTS).prop_map(|patient| Action::Withdraw { patient }),
    ]
}

struct Counted {
    patient: u8,
    holder: Address,
    time: u64,
}

/// What ought to be true.
struct Model {
    on: BTreeSet<u8>,
    counted: Vec<Counted>,
    settled: usize,
    refunded: U256,
    withdrawn: BTreeSet<u8>,
    wanted: usize,
    deadline: u64,
    price: U256,
    shares: [U256; 3],
}

impl Model {
    fn open(&self, time: u64) -> bool {
        time < self.deadline && !(self.counted.len() == self.wanted && self.settled == self.wanted)
    }

    fn delivers(&self, time: u64, patients: &[u8]) -> bool {
        let fresh =
            |patient: &u8| self.on.contains(patient) && self.counted.iter().all(|c| c.patient != *patient);
        let distinct = patients.iter().collect::<BTreeSet<_>>().len() == patients.len();
        let fits = !patients.is_empty() && patients.len() <= self.wanted - self.counted.len();
        self.open(time) && fits && distinct && patients.iter().all(fresh)
    }

    fn settleable(&self, time: u64, buyer: bool) -> usize {
        let ripe = |counted: &&Counted| buyer || time >= self.deadline || time >= counted.time + WINDOW;
        self.counted[self.settled..].iter().take_while(ripe).count()
    }

    fn credit(&self, patient: u8) -> U256 {
        let due = self.counted[..self.settled].iter().any(|counted| counted.patient == patient);
        let refused = REFUSING.contains(&patient) && !self.withdrawn.contains(&patient);
        if due && refused { self.shares[0] } else { U256::ZERO }
    }

    /// What every account holds, the request's escrow included.
    fn balances(&self, request: Address) -> BTreeMap<Address, U256> {
        let mut balances = BTreeMap::new();
        let mut add = |account, amount| *balances.entry(account).or_insert(U256::ZERO) += amount;
        for counted in &self.counted[..self.settled] {
            let credited = self.credit(counted.patient);
            let refuses = REFUSING.contains(&counted.patient);
            let paid_to = if refuses { STRANGER } else { patient(counted.patient) };
            add(paid_to, self.shares[0] - credited);
            add(counted.holder, self.shares[1]);
            add(TREASURY, self.shares[2]);
            add(request, credited);
        }
        let spent = self.price * U256::from(self.settled) + self.refunded;
        add(request, self.price * U256::from(self.wanted) - spent);
        add(QUANTTUS, self.refunded);
        balances
    }
}

struct Run {
    chain: Chain,
    request: Address,
    batches: [Batch; 2],
    model: Model,
}

impl Run {
    fn new(price: u64, bps: (u16, u16), wanted: u32) -> Self {
        let mut chain = Chain::new(&[STAR, DAWN]);
        for number in REFUSING {
            chain.set_code(patient(number), RefusingAccount::DEPLOYED_BYTECODE.clone());
        }
        let patients: Vec<Address> = (0..PATIENTS).map(patient).collect();
        let batches = [STAR, DAWN].map(|holder| anchor(&mut chain, holder, &patients));
        let terms = DataMarket::Terms {
            pricePerRecord: U256::from(price),
            patientBps: bps.0,
            holderBps: bps.1,
            treasuryBps: 10_000 - bps.0 - bps.1,
            ..terms(&chain, wanted)
        };
        let share = |bps: u16| U256::from(price) * U256::from(bps) / U256::from(10_000);
        let (to_patient, to_holder) = (share(bps.0), share(bps.1));
        let model = Model {
            on: BTreeSet::new(),
            counted: Vec::new(),
            settled: 0,
            refunded: U256::ZERO,
            withdrawn: BTreeSet::new(),
            wanted: wanted as usize,
            deadline: terms.deadline,
            price: terms.pricePerRecord,
            shares: [to_patient, to_holder, U256::from(price) - to_patient - to_holder],
        };
        assert_eq!(escrow(&terms), model.price * U256::from(wanted));
        let request = open(&mut chain, terms).unwrap();
        Self { chain, request, batches, model }
    }

    /// Sends `data` to `target` from the patient's account, whichever kind it is.
    fn send_as<C: SolCall>(&mut self, number: u8, target: Address, call: &C) -> bool {
        let account = patient(number);
        if REFUSING.contains(&number) {
            let run = RefusingAccount::runCall { target, data: call.abi_encode().into() };
            self.chain.send(STRANGER, account, &run).is_ok()
        } else {
            self.chain.send(account, target, call).is_ok()
        }
    }

    /// Runs the action on both sides; returns whether the contract and the model allowed it.
    fn act(&mut self, action: &Action) -> (bool, bool) {
        let time = self.chain.time;
        match action {
            Action::Deliver { dawn, patients } => self.deliver(*dawn, patients),
            Action::Switch { patient, on } => {
                self.switch(*patient, *on);
                (true, true)
            }
            Action::Wait { seconds } => {
                self.chain.time += seconds;
                (true, true)
            }
            Action::Settle { buyer, entries_max } => {
                let caller = if *buyer { QUANTTUS } else { STRANGER };
                let entries = self.model.settleable(time, *buyer).min(*entries_max as usize);
                self.model.settled += entries;
                (settle(&mut self.chain, self.request, caller, *entries_max).is_ok(), entries > 0)
            }
            Action::Refund => {
                let missing = U256::from(self.model.wanted - self.model.counted.len());
                let allowed =
                    time >= self.model.deadline && self.model.refunded.is_zero() && !missing.is_zero();
                if allowed {
                    self.model.refunded = missing * self.model.price;
                }
                (refund(&mut self.chain, self.request).is_ok(), allowed)
            }
            Action::Withdraw { patient } => {
                let allowed = !self.model.credit(*patient).is_zero();
                if allowed {
                    self.model.withdrawn.insert(*patient);
                }
                let call = DataRequest::withdrawCall { recipient: STRANGER };
                (self.send_as(*patient, self.request, &call), allowed)
            }
        }
    }

    fn deliver(&mut self, dawn: bool, patients: &[u8]) -> (bool, bool) {
        let (time, holder) = (self.chain.time, if dawn { DAWN } else { STAR });
        let accounts: Vec<Address> = patients.iter().map(|&number| patient(number)).collect();
        let entries = self.batches[usize::from(dawn)].entries(&accounts);
        let allowed = self.model.delivers(time, patients);
        if allowed {
            let counted = patients.iter().map(|&patient| Counted { patient, holder, time });
            self.model.counted.extend(counted);
        }
        (deliver(&mut self.chain, self.request, holder, entries).is_ok(), allowed)
    }

    fn switch(&mut self, number: u8, on: bool) {
        if REFUSING.contains(&number) {
            self.send_as(number, CONSENT_REGISTRY, &ConsentRegistry::setContributionCall { on });
        } else {
            contribute(&mut self.chain, patient(number), on);
        }
        if on {
            self.model.on.insert(number);
        } else {
            self.model.on.remove(&number);
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        for (account, expected) in self.model.balances(self.request) {
            prop_assert_eq!(self.chain.balance(account), expected, "balance of {}", account);
        }
        let mut credited = U256::ZERO;
        for number in 0..PATIENTS {
            let credit = credit(&mut self.chain, self.request, patient(number));
            prop_assert_eq!(credit, self.model.credit(number));
            credited += credit;
        }
        let progress = progress(&mut self.chain, self.request);
        let value = self.chain.read(self.request, &DataRequest::valueCall {});
        let held = self.chain.balance(self.request);
        prop_assert_eq!(held + progress.paid + progress.refunded, value + credited);
        prop_assert_eq!(progress.settled as usize, self.model.settled);
        let all_counted = self.model.counted.len() == self.model.wanted || !self.model.refunded.is_zero();
        let done = all_counted && self.model.settled == self.model.counted.len();
        prop_assert_eq!(state(&mut self.chain, self.request) == RequestState::Inactive, done);
        Ok(())
    }

    /// After the deadline, anyone brings the request to its end: only credits stay, and they can be taken.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        self.chain.time = self.chain.time.max(self.model.deadline);
        self.act(&Action::Settle { buyer: false, entries_max: u32::MAX });
        self.act(&Action::Refund);
        self.check()?;
        prop_assert_eq!(state(&mut self.chain, self.request), RequestState::Inactive);
        for patient in REFUSING {
            self.act(&Action::Withdraw { patient });
        }
        self.check()?;
        prop_assert_eq!(self.chain.balance(self.request), U256::ZERO);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn money_is_conserved_and_nothing_is_paid_twice(
        price in prop_oneof![1_u64..50, 1_000_000_000_u64..2_000_000_000_000_000_000],
        patient_bps in 0_u16..=10_000,
        holder_part in 0_u16..=100,
        wanted in 1_u32..8,
        actions in prop::collection::vec(action(), 1..30),
    ) {
        let holder_bps = (10_000 - patient_bps) / 100 * holder_part;
        let mut run = Run::new(price, (patient_bps, holder_bps), wanted);
        for number in 0..PATIENTS {
            run.switch(number, number % 3 != 0);
        }
        for action in &actions {
            let (allowed, expected) = run.act(action);
            prop_assert_eq!(allowed, expected, "{:?}", action);
            run.check()?;
        }
        run.finish()?;
    }
}
