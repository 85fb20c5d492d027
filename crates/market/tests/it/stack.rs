//! A chain of one validator with the system contracts, and a buyer.

use crate::holder::Holder;
use bxp_chain::{Chain, ChainConfig, ChainError, ChainEvent, View, mempool::PoolLimits};
use bxp_clinical::{
    criterion::Criterion,
    generate::{GeneratorConfig, generate},
    sender::{Call, Mined, TransactionSender},
};
use bxp_contracts::genesis_accounts;
use bxp_enclave::Enclave;
use bxp_market::{
    Buyer, ContractCall, NewRequest, OpenedDelivery, Progress, RequestReader, SplitBps, created_request,
};
use bxp_network::{Event, Network, NetworkConfig, Service};
use bxp_storage::Store;
use bxp_types::{
    Address, Amount, Genesis, GenesisAccount, Height, Jurisdiction, Ledger, U256, ValidatorEntry,
    ValidatorIndex,
};
use cid::Cid;
use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

pub(crate) const US: Jurisdiction = Jurisdiction::US;
/// Receives the fee share of requests.
pub(crate) const TREASURY: Address = Address::repeat_byte(0xfe);
/// Receives the gas.
pub(crate) const BENEFICIARY: Address = Address::repeat_byte(0xfd);
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
const GAS: u64 = 8_000_000;

/// A chain of one validator, Star, and a buyer.
pub(crate) struct Stack {
    pub(crate) chain: Chain,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) buyer: Buyer,
    buyer_enclave: Enclave,
    buyer_sender: TransactionSender,
    /// The keys of the second holder, Dawn.
    dawn: Enclave,
    /// Kept so that they run as long as the test.
    _network: Network,
    _driver: JoinHandle<Result<(), ChainError>>,
    folder: TempDir,
}

impl Stack {
    /// A chain, and its validator as a holder without charts.
    pub(crate) async fn start() -> (Self, Holder) {
        // `RUST_LOG=bxp_market=debug` shows what the agent does when a test fails.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let folder = tempfile::tempdir().unwrap();
        let keys = |name: &str| Enclave::create(&folder.path().join(name), None, None).unwrap();
        let (star, dawn, buyer_enclave) = (keys("star"), keys("dawn"), keys("buyer"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap();
        drop(listener);
        let others = [dawn.public().account, buyer_enclave.public().account];
        let genesis = genesis(&star, others, &listen.to_string());
        let store = Store::open(&folder.path().join("data"), genesis.network_id()).unwrap();
        let me = ValidatorIndex(0);
        let config =
            NetworkConfig { genesis: Arc::new(genesis.clone()), me, signing_key: star.network_key(), listen };
        let (network, events) = bxp_network::start(config).await.unwrap();
        let config = ChainConfig {
            me,
            journal: folder.path().join("consensus.log"),
            block_interval: Duration::from_millis(5),
            pool: PoolLimits::default(),
            retention: bxp_chain::Retention::default(),
            verification: bxp_chain::Verification::All,
            vote_gather: None,
            segments: None,
            run_ahead: true,
        };
        let (chain, driver) =
            Chain::start(genesis, config, store.clone(), star.clone(), network.clone()).unwrap();
        tokio::spawn(route(events, chain.clone()));
        let ledger: Arc<dyn Ledger> = Arc::new(View::new(chain.clone()));
        let holder = Holder::open(&ledger, store, star);
        let stack = Self {
            buyer_sender: TransactionSender::new(Arc::clone(&ledger), buyer_enclave.clone()),
            buyer: Buyer::random().unwrap(),
            chain,
            ledger,
            buyer_enclave,
            dawn,
            _network: network,
            _driver: driver,
            folder,
        };
        (stack, holder)
    }

    /// A chain, and a holder with the anchored charts of `fitting` patients who fit row E's criterion and of one who
    /// does not. Gives the accounts of those who fit.
    pub(crate) async fn with_patients(fitting: u32) -> (Self, Holder, Vec<Address>) {
        let (stack, holder) = Self::start().await;
        let healthy = GeneratorConfig {
            seed: 5,
            patients: 1,
            first_patient: 9_000,
            jurisdictions: vec![(US, 1)],
            afib_percent: 0,
            mi_percent: 0,
            ..GeneratorConfig::default()
        };
        generate(&healthy).unwrap().for_each(|bundle| holder.take_in(&bundle));
        let patients = holder.take_in_fitting(fitting, 1).await;
        (stack, holder, patients)
    }

    /// Another holder, who shares the chain and has a folder, keys and an account of its own.
    pub(crate) fn second_holder(&self) -> Holder {
        let network = self.ledger.genesis().network_id();
        let store = Store::open(&self.folder.path().join("dawns-data"), network).unwrap();
        Holder::open(&self.ledger, store, self.dawn.clone())
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

    /// Fetches delivery number `number` from its holder and opens it as the buyer.
    pub(crate) fn open_delivery(&self, holder: &Holder, request: Address, number: u64) -> OpenedDelivery {
        let recorded = self.reader().delivery(request, number).unwrap();
        let cid = Cid::try_from(recorded.cid.as_ref()).unwrap();
        let sealed = holder.service().delivery(&cid).unwrap().unwrap();
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

fn genesis(star: &Enclave, [dawn, buyer]: [Address; 2], p2p_address: &str) -> Genesis {
    let public = star.public();
    let mut accounts = genesis_accounts([public.account, dawn], TREASURY);
    for account in [public.account, dawn, buyer] {
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
        identity_copies: std::collections::BTreeMap::new(),
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
