//! A holder: vault, keys, charts, patients in custody, and the agent that answers for it.

use crate::stack::US;
use alloy_sol_types::SolCall;
use bxp_clinical::{
    anchor::Anchoring,
    facts::ChainFacts,
    generate::{GeneratedBundle, augment},
    ingest::{Ingest, IngestConfig},
    replicate::holder_permit,
    sender::{Call, TransactionSender},
    source::{Limits, parse_json},
    validate::Mode,
};
use bxp_content::{ContentStore, Quota};
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry, consent};
use bxp_enclave::Enclave;
use bxp_market::{
    AgentConfig, ContentKeeper, DeliveryService, HolderAgent, Publisher, ReleasePolicy, RequestReader,
    Requests,
};
use bxp_privacy::Purpose;
use bxp_storage::Store;
use bxp_types::{
    Address, Amount, BlockClass, CallOutcome, CallRequest, Ledger, SubjectId, U256, ValidatorIndex,
};
use bxp_vault::{Clock, Vault};
use cid::Cid;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Holder {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) store: Store,
    pub(crate) enclave: Enclave,
    pub(crate) vault: Vault,
    pub(crate) ingest: Ingest,
    pub(crate) sender: TransactionSender,
    /// What its agents hold to.
    pub(crate) release: ReleasePolicy,
}

/// A running agent.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

impl Holder {
    pub(crate) fn open(ledger: &Arc<dyn Ledger>, store: Store, enclave: Enclave) -> Self {
        let vault = Vault::open(&store, enclave.clone(), ValidatorIndex(0), US).unwrap();
        let config =
            IngestConfig { default_jurisdiction: US, validation: Mode::Strict, profiles: Mode::Warn };
        let ingest = Ingest::new(vault.clone(), enclave.clone(), &store, ledger.genesis(), config).unwrap();
        let sender = TransactionSender::new(Arc::clone(ledger), enclave.clone());
        let release = ReleasePolicy::default();
        Self { ledger: Arc::clone(ledger), store, enclave, vault, ingest, sender, release }
    }

    pub(crate) fn account(&self) -> Address {
        self.enclave.public().account
    }

    pub(crate) fn take_in(&self, bundle: &GeneratedBundle) {
        let submission = parse_json(&bundle.file_name, bundle.json.as_bytes(), &Limits::default()).unwrap();
        let report = self.ingest.ingest_submission(&submission).unwrap();
        assert_eq!(report.refused, 0, "{:?}", report.refusals);
    }

    /// Takes in and anchors `count` charts that fit row E's criterion; gives the patients' accounts.
    pub(crate) async fn take_in_fitting(&self, count: u32, first_patient: u32) -> Vec<Address> {
        let others = self.accounts();
        augment(7, count, first_patient, &[(US, 1)]).unwrap().for_each(|bundle| self.take_in(&bundle));
        let patients: Vec<Address> = self.accounts().difference(&others).copied().collect();
        assert_eq!(patients.len(), count as usize);
        let anchoring = Anchoring::new(self.ingest.clone(), self.sender.clone());
        assert_eq!(anchoring.anchor_pending().await.unwrap(), 0);
        patients
    }

    fn accounts(&self) -> BTreeSet<Address> {
        self.ingest.patients().map(|patient| patient.unwrap().account).collect()
    }

    pub(crate) fn subject_of(&self, account: Address) -> SubjectId {
        let mut patients = self.ingest.patients().map(Result::unwrap);
        patients.find(|patient| patient.account == account).unwrap().subject
    }

    /// Purposes for which a patient's records were disclosed.
    pub(crate) fn disclosed(&self, account: Address) -> Vec<Purpose> {
        let rows = self.vault.disclosures_of(self.subject_of(account)).unwrap();
        rows.into_iter().map(|row| row.purpose).collect()
    }

    /// A chart's de-identified records as they lie in the vault.
    pub(crate) fn stored_records(&self, account: Address) -> Vec<String> {
        let permit = holder_permit(&self.vault, &Clock::system(), BlockClass::Deidentified).unwrap();
        let records = self.ingest.chart(self.subject_of(account)).unwrap();
        let contents = self.vault.open_deidentified_all(&records, &permit).unwrap();
        contents.into_iter().map(|content| String::from_utf8(content.to_vec()).unwrap()).collect()
    }

    /// Moves patients' switches by their signatures; the holder pays the gas.
    pub(crate) async fn contribute(&self, patients: &[Address], on: bool) {
        for &patient in patients {
            let nonce = self.consent_nonce(patient);
            let chain_id = self.ledger.genesis().chain_id;
            let digest = consent::contribution_digest(chain_id, patient, on, nonce, U256::MAX);
            let signature = self.enclave.sign_digest(patient, digest).unwrap();
            let change = consent::signed_change(patient, on, nonce, U256::MAX, signature);
            let call = Call { to: CONSENT_REGISTRY, value: U256::ZERO, data: change.abi_encode().into() };
            self.sender.send(self.account(), &call).await.unwrap();
            let reader = RequestReader::new(Arc::clone(&self.ledger));
            assert_eq!(reader.is_contributing(patient).unwrap(), on);
        }
    }

    fn consent_nonce(&self, patient: Address) -> U256 {
        let data = ConsentRegistry::noncesCall { patient }.abi_encode().into();
        let request = CallRequest { to: Some(CONSENT_REGISTRY), data, ..CallRequest::default() };
        match self.ledger.call(&request).unwrap() {
            CallOutcome::Success { output, .. } => {
                ConsentRegistry::noncesCall::abi_decode_returns(&output).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn agent(&self) -> Running {
        self.agent_on(Arc::clone(&self.ledger), self.sender.clone())
    }

    /// An agent that sees the chain through `ledger`.
    pub(crate) fn agent_on(&self, ledger: Arc<dyn Ledger>, sender: TransactionSender) -> Running {
        let agent = self.new_agent(ledger, sender);
        let stop = CancellationToken::new();
        let task = tokio::spawn(agent.run(stop.clone()));
        Running { stop, task }
    }

    /// What publishes in a content store of this holder's own.
    pub(crate) fn publisher(&self) -> Publisher {
        let (clock, ledger) = (Clock::system(), Arc::clone(&self.ledger));
        let facts = ChainFacts::new(Arc::clone(&ledger), BTreeSet::new(), clock.clone());
        let keeper = ContentKeeper::new(self.vault.clone(), facts, self.service(), ledger.genesis(), clock);
        let quota = Quota { bytes_max: 64 << 20, disk_free_bytes_min: 0 };
        let content = ContentStore::open(&self.store, self.enclave.clone(), Arc::new(keeper), quota);
        self.new_agent(ledger, self.sender.clone()).publisher(content.unwrap())
    }

    fn new_agent(&self, ledger: Arc<dyn Ledger>, sender: TransactionSender) -> HolderAgent {
        let clock = Clock::system();
        let agent = HolderAgent::new(
            self.ingest.clone(),
            Requests::open(&self.store, Arc::clone(&ledger)).unwrap(),
            ChainFacts::new(ledger, BTreeSet::new(), clock.clone()),
            sender,
            self.account(),
            clock,
            AgentConfig {
                price_per_record_min: Amount::from_bxm(1),
                round_interval: Duration::from_millis(10),
                idle_interval: Duration::from_millis(100),
                release: self.release,
            },
        );
        agent.unwrap()
    }

    pub(crate) fn service(&self) -> DeliveryService {
        self.service_at(Clock::system())
    }

    pub(crate) fn service_at(&self, clock: Clock) -> DeliveryService {
        DeliveryService::open(&self.store, Arc::clone(&self.ledger), self.account(), clock).unwrap()
    }

    /// The CIDs of the deliveries that lie on this holder's disk.
    pub(crate) fn kept_deliveries(&self) -> Vec<Cid> {
        let table = self.store.table("market.deliveries").unwrap();
        table.iter().map(|row| Cid::try_from(row.unwrap().0.as_ref()).unwrap()).collect()
    }
}
