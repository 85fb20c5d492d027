//! One holder on a chain of one validator, a buyer, and patients in the holder's custody.

use alloy_sol_types::SolCall;
use bxp_chain::{Chain, ChainConfig, ChainError, ChainEvent, mempool::PoolLimits};
use bxp_clinical::{
    anchor::Anchoring,
    criterion::Criterion,
    facts::ChainFacts,
    generate::{GeneratedBundle, GeneratorConfig, augment, generate},
    ingest::{Ingest, IngestConfig},
    sender::{Call, Mined, TransactionSender},
    source::{Limits, parse_json},
    validate::Mode,
};
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry, consent, genesis_accounts};
use bxp_enclave::Enclave;
use bxp_market::{
    AgentConfig, Buyer, ContractCall, DeliveryService, HolderAgent, NewRequest, OpenedDelivery, Progress,
    RequestReader, Requests, SplitBps, created_request,
};
use bxp_network::{Event, Network, NetworkConfig, Service};
use bxp_storage::Store;
use bxp_types::{
    Address, Amount, Genesis, GenesisAccount, Height, Jurisdiction, Ledger, U256, ValidatorEntry,
    ValidatorIndex,
};
use bxp_vault::{Clock, Vault};
use cid::Cid;
use std::{
    collections::BTreeSet,
    net::TcpListener,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

pub(crate) const US: Jurisdiction = Jurisdiction::US;
/// Receives the fee share of requests.
pub(crate) const TREASURY: Address = Address::repeat_byte(0xfe);
/// Receives the gas.
pub(crate) const BENEFICIARY: Address = Address::repeat_byte(0xfd);
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
const GAS: u64 = 8_000_000;

pub(crate) struct Stack {
    pub(crate) chain: Chain,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) store: Store,
    pub(crate) enclave: Enclave,
    pub(crate) vault: Vault,
    pub(crate) ingest: Ingest,
    pub(crate) sender: TransactionSender,
    pub(crate) buyer: Buyer,
    buyer_enclave: Enclave,
    buyer_sender: TransactionSender,
    /// Kept so that they run as long as the test.
    _network: Network,
    _driver: JoinHandle<Result<(), ChainError>>,
    _folder: TempDir,
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

impl Stack {
    /// A chain, and a holder without charts.
    pub(crate) async fn start() -> Self {
        // `RUST_LOG=bxp_market=debug` shows what the agent does when a test fails.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let folder = tempfile::tempdir().unwrap();
        let enclave = Enclave::create(&folder.path().join("holder"), None, None).unwrap();
        let buyer_enclave = Enclave::create(&folder.path().join("buyer"), None, None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap();
        drop(listener);
        let genesis = genesis(&enclave, buyer_enclave.public().account, &listen.to_string());
        let store = Store::open(&folder.path().join("data"), genesis.network_id()).unwrap();
        let me = ValidatorIndex(0);
        let config = NetworkConfig {
            genesis: Arc::new(genesis.clone()),
            me,
            signing_key: enclave.network_key(),
            listen,
        };
        let (network, events) = bxp_network::start(config).await.unwrap();
        let config = ChainConfig {
            me,
            journal: folder.path().join("consensus.log"),
            block_interval: Duration::from_millis(5),
            pool: PoolLimits::default(),
        };
        let (chain, driver) =
            Chain::start(genesis.clone(), config, store.clone(), enclave.clone(), network.clone()).unwrap();
        tokio::spawn(route(events, chain.clone()));
        let ledger: Arc<dyn Ledger> = Arc::new(chain.clone());
        let vault = Vault::open(&store, enclave.clone(), me, US).unwrap();
        let config = IngestConfig { default_jurisdiction: US, validation: Mode::Strict };
        let ingest = Ingest::new(vault.clone(), enclave.clone(), &store, &genesis, config).unwrap();
        Self {
            sender: TransactionSender::new(Arc::clone(&ledger), enclave.clone()),
            buyer_sender: TransactionSender::new(Arc::clone(&ledger), buyer_enclave.clone()),
            buyer: Buyer::random().unwrap(),
            chain,
            ledger,
            store,
            enclave,
            vault,
            ingest,
            buyer_enclave,
            _network: network,
            _driver: driver,
            _folder: folder,
        }
    }

    /// A chain, and a holder with the anchored charts of `fitting` patients who fit row E's criterion and of one who
    /// does not. Gives the accounts of those who fit.
    pub(crate) async fn with_patients(fitting: u32) -> (Self, Vec<Address>) {
        let stack = Self::start().await;
        let healthy = GeneratorConfig {
            seed: 5,
            patients: 1,
            first_patient: 9_000,
            jurisdictions: vec![(US, 1)],
            afib_percent: 0,
            mi_percent: 0,
            ..GeneratorConfig::default()
        };
        generate(&healthy).unwrap().for_each(|bundle| stack.take_in(&bundle));
        let others = stack.accounts();
        augment(7, fitting, 1, &[(US, 1)]).unwrap().for_each(|bundle| stack.take_in(&bundle));
        let patients: Vec<Address> = stack.accounts().difference(&others).copied().collect();
        assert_eq!(patients.len(), fitting as usize);
        stack.anchor().await;
        (stack, patients)
    }

    fn take_in(&self, bundle: &GeneratedBundle) {
        let submission = parse_json(&bundle.file_name, bundle.json.as_bytes(), &Limits::default()).unwrap();
        let report = self.ingest.ingest_submission(&submission).unwrap();
        assert_eq!(report.refused, 0, "{:?}", report.refusals);
    }

    pub(crate) async fn anchor(&self) {
        let anchoring = Anchoring::new(self.ingest.clone(), self.sender.clone());
        assert_eq!(anchoring.anchor_pending().await.unwrap(), 0);
    }

    fn accounts(&self) -> BTreeSet<Address> {
        self.ingest.patients().map(|patient| patient.unwrap().account).collect()
    }

    pub(crate) fn holder(&self) -> Address {
        self.enclave.public().account
    }

    pub(crate) fn buyer_account(&self) -> Address {
        self.buyer_enclave.public().account
    }

    pub(crate) fn reader(&self) -> RequestReader {
        RequestReader::new(Arc::clone(&self.ledger))
    }

    pub(crate) fn progress(&self, request: Address) -> Progress {
        self.reader().progress(request).unwrap()
    }

    pub(crate) fn balance(&self, account: Address) -> U256 {
        self.ledger.account(account).unwrap().balance
    }

    /// Moves patients' switches by their signatures; the holder pays the gas.
    pub(crate) async fn contribute(&self, patients: &[Address], on: bool) {
        for &patient in patients {
            let nonce = self.view(CONSENT_REGISTRY, &ConsentRegistry::noncesCall { patient });
            let chain_id = self.ledger.genesis().chain_id;
            let digest = consent::contribution_digest(chain_id, patient, on, nonce, U256::MAX);
            let signature = self.enclave.sign_digest(patient, digest).unwrap();
            let change = consent::signed_change(patient, on, nonce, U256::MAX, signature);
            let call = Call { to: CONSENT_REGISTRY, value: U256::ZERO, data: change.abi_encode().into() };
            self.sender.send(self.holder(), &call).await.unwrap();
            assert_eq!(self.reader().is_contributing(patient).unwrap(), on);
        }
    }

    fn view<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        let request =
            bxp_types::CallRequest { to: Some(to), data: call.abi_encode().into(), ..Default::default() };
        match self.ledger.call(&request).unwrap() {
            bxp_types::CallOutcome::Success { output, .. } => C::abi_decode_returns(&output).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a call of the buyer.
    pub(crate) async fn buy(&self, call: ContractCall) -> Mined {
        let call = Call { to: call.to, value: call.value, data: call.data };
        self.buyer_sender.send_with_gas(self.buyer_account(), &call, GAS).await.unwrap()
    }

    /// Opens a request for `wanted` charts at 2 BXM that ends in `seconds`; deliveries may be settled by anyone after
    /// `window` seconds.
    pub(crate) async fn request(&self, wanted: u32, seconds: u64, window: u32) -> Address {
        self.request_at(Amount::from_bxm(2), wanted, seconds, window).await
    }

    pub(crate) async fn request_at(&self, price: Amount, wanted: u32, seconds: u64, window: u32) -> Address {
        let new = NewRequest {
            criterion: Criterion::afib_or_mi_with_earlier_ekg(),
            price_per_record: price.0,
            wanted,
            deadline: now() + seconds,
            acceptance_window: window,
            split: SplitBps { patient: 7_000, holder: 2_500, treasury: 500 },
        };
        let mined = self.buy(self.buyer.create_request(&new).unwrap()).await;
        created_request(mined.receipt.receipt.logs()).unwrap()
    }

    pub(crate) fn agent(&self) -> Running {
        self.agent_on(Arc::clone(&self.ledger), self.sender.clone())
    }

    /// An agent that sees the chain through `ledger`.
    pub(crate) fn agent_on(&self, ledger: Arc<dyn Ledger>, sender: TransactionSender) -> Running {
        let clock = Clock::system();
        let agent = HolderAgent::new(
            self.ingest.clone(),
            Requests::open(&self.store, Arc::clone(&ledger)).unwrap(),
            ChainFacts::new(ledger, BTreeSet::new(), clock.clone()),
            sender,
            self.holder(),
            clock,
            AgentConfig {
                price_per_record_min: Amount::from_bxm(1),
                round_interval: Duration::from_millis(10),
                idle_interval: Duration::from_millis(100),
            },
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(agent.unwrap().run(stop.clone()));
        Running { stop, task }
    }

    pub(crate) fn service(&self) -> DeliveryService {
        self.service_at(Clock::system())
    }

    pub(crate) fn service_at(&self, clock: Clock) -> DeliveryService {
        DeliveryService::open(&self.store, Arc::clone(&self.ledger), self.holder(), clock).unwrap()
    }

    /// Fetches delivery number `number` and opens it as the buyer.
    pub(crate) fn open_delivery(&self, request: Address, number: u64) -> OpenedDelivery {
        let recorded = self.reader().delivery(request, number).unwrap();
        let cid = Cid::try_from(recorded.cid.as_ref()).unwrap();
        let sealed = self.service().delivery(&cid).unwrap().unwrap();
        self.buyer.open_delivery(request, &recorded, &sealed).unwrap()
    }

    /// Waits until `condition` holds, with a bound.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !condition() {
            assert!(Instant::now() < deadline, "timed out: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The CIDs of the deliveries that lie on this holder's disk.
    pub(crate) fn prepared_cids(&self) -> Vec<Cid> {
        let table = self.store.table("market.deliveries").unwrap();
        table.iter().map(|row| Cid::try_from(row.unwrap().0.as_ref()).unwrap()).collect()
    }

    /// What the account paid for gas so far, by the receipts.
    pub(crate) fn gas_paid(&self, account: Address) -> U256 {
        let mut sum = U256::ZERO;
        for height in (1..=self.ledger.head().height().0).map(Height) {
            let block = self.ledger.block(height).unwrap().unwrap();
            let receipts = self.ledger.receipts(height).unwrap().unwrap();
            for (transaction, receipt) in block.transactions.iter().zip(receipts.iter()) {
                if transaction.signer() == account {
                    sum += U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
                }
            }
        }
        sum
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn genesis(enclave: &Enclave, buyer: Address, p2p_address: &str) -> Genesis {
    let public = enclave.public();
    let mut accounts = genesis_accounts([public.account], TREASURY);
    for account in [public.account, buyer] {
        let balance = Amount::from_bxm(1_000);
        accounts.insert(account, GenesisAccount { balance, ..GenesisAccount::default() });
    }
    Genesis {
        chain_id: 2018,
        time_ms: 1_700_000_000_000,
        gas_limit: 30_000_000,
        base_fee_wei: 1_000_000_000,
        treasury: BENEFICIARY,
        validators: vec![ValidatorEntry {
            name: "star".to_owned(),
            jurisdiction: US,
            public_key: public.public_key,
            sealing_key: public.sealing_key,
            account: public.account,
            p2p_address: p2p_address.to_owned(),
        }],
        accounts,
    }
}

async fn route(mut events: mpsc::Receiver<Event>, chain: Chain) {
    while let Some(event) = events.recv().await {
        let event = match event {
            Event::Connected(peer) => ChainEvent::Connected(peer),
            Event::Disconnected(peer) => ChainEvent::Disconnected(peer),
            Event::Message { from, channel, bytes } => ChainEvent::Message { from, channel, bytes },
            Event::Request { service: Service::Sync, bytes, reply, .. } => {
                ChainEvent::SyncRequest { bytes, reply }
            }
            _ => continue,
        };
        if chain.deliver(event).await.is_err() {
            return;
        }
    }
}
