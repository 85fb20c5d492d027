//! n chains in one process.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address};
use bxp_chain::{
    Chain, ChainConfig, ChainError, ChainEvent, SegmentRules, Verification, View, mempool::PoolLimits,
};
use bxp_enclave::Enclave;
use bxp_network::{Event, Network, NetworkConfig, Service};
use bxp_storage::Store;
use bxp_types::{
    Amount, Genesis, GenesisAccount, Height, Jurisdiction, Ledger, ValidatorEntry, ValidatorIndex,
};
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

const CHAIN_ID: u64 = 2018;
const WITHIN: Duration = Duration::from_secs(60);

/// An account with a balance in the test genesis.
pub(crate) struct Wallet(secp256k1::SecretKey);

impl Wallet {
    pub(crate) const RECIPIENT: Address = address!("00000000000000000000000000000000000000ff");

    pub(crate) fn new(seed: u8) -> Self {
        Self(secp256k1::SecretKey::from_byte_array(&[seed; 32]).unwrap())
    }

    pub(crate) fn address(&self) -> Address {
        let public = self.0.public_key(secp256k1::SECP256K1).serialize_uncompressed();
        Address::from_raw_public_key(&public[1..])
    }

    pub(crate) fn transfer(&self, nonce: u64) -> Bytes {
        self.transfer_of(nonce, 1)
    }

    pub(crate) fn transfer_of(&self, nonce: u64, value: u64) -> Bytes {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 2_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Self::RECIPIENT),
            value: U256::from(value),
            ..Default::default()
        };
        let message = secp256k1::Message::from_digest(transaction.signature_hash().0);
        let (id, bytes) = secp256k1::SECP256K1.sign_ecdsa_recoverable(&message, &self.0).serialize_compact();
        let signature = Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1);
        TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
    }
}

struct Member {
    folder: TempDir,
    listen: SocketAddr,
    running: Option<Running>,
}

struct Running {
    chain: Chain,
    ledger: View<Chain>,
    network: Network,
    driver: JoinHandle<Result<(), ChainError>>,
    router: JoinHandle<()>,
}

pub(crate) struct Cluster {
    genesis: Genesis,
    members: Vec<Member>,
    how: How,
}

/// How the nodes run.
#[derive(Clone, Copy, Default)]
pub(crate) struct How {
    pub(crate) verification: Verification,
    pub(crate) segments: Option<SegmentRules>,
}

impl Cluster {
    pub(crate) async fn start(count: usize) -> Self {
        Self::start_with(count, How::default()).await
    }

    pub(crate) async fn start_with(count: usize, how: How) -> Self {
        let mut cluster = Self::planned(count, how);
        for index in 0..count {
            cluster.restart(index).await;
        }
        cluster
    }

    /// A network of which no node runs yet.
    pub(crate) fn planned(count: usize, how: How) -> Self {
        // `RUST_LOG=bxp_chain=debug` shows what the nodes do when a test fails.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let folders: Vec<TempDir> = (0..count).map(|_| tempfile::tempdir().unwrap()).collect();
        let listeners: Vec<TcpListener> =
            (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let entries = folders.iter().zip(&listeners).enumerate().map(|(index, (folder, listener))| {
            let public = Enclave::create(&folder.path().join("enclave"), None, None).unwrap().public();
            ValidatorEntry {
                name: format!("node-{index}"),
                jurisdiction: Jurisdiction::US,
                public_key: public.public_key,
                sealing_key: public.sealing_key,
                account: public.account,
                p2p_address: listener.local_addr().unwrap().to_string(),
            }
        });
        let validators = entries.collect();
        let balance = GenesisAccount { balance: Amount::from_bxm(1_000), ..Default::default() };
        let accounts: BTreeMap<Address, GenesisAccount> =
            (1..=4).map(|seed| (Wallet::new(seed).address(), balance.clone())).collect();
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            time_ms: 1_700_000_000_000,
            gas_limit: 30_000_000,
            base_fee_wei: 1_000_000_000,
            treasury: Address::repeat_byte(0xfe),
            validators,
            accounts,
            identity_copies: BTreeMap::new(),
        };
        let members = folders.into_iter().zip(listeners);
        let member = |(folder, listener): (TempDir, TcpListener)| Member {
            folder,
            listen: listener.local_addr().unwrap(),
            running: None,
        };
        Self { genesis, members: members.map(member).collect(), how }
    }

    /// Where a node listens.
    pub(crate) fn address(&self, index: usize) -> SocketAddr {
        self.members[index].listen
    }

    /// From its next start on a node listens at another place than genesis says, which this gives: behind a relay.
    pub(crate) fn move_away(&mut self, index: usize) -> SocketAddr {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        self.members[index].listen = free;
        free
    }

    /// How many others a running node is connected to.
    pub(crate) fn peers(&self, index: usize) -> usize {
        self.members[index].running.as_ref().unwrap().network.connected().len()
    }

    pub(crate) async fn restart(&mut self, index: usize) {
        let member = &mut self.members[index];
        assert!(member.running.is_none(), "node {index} runs already");
        member.running =
            Some(start(&self.genesis, index, member.listen, member.folder.path(), self.how).await);
    }

    pub(crate) async fn stop(&mut self, index: usize) {
        let running = self.members[index].running.take().unwrap();
        running.chain.deliver(ChainEvent::Shutdown).await.unwrap();
        running.driver.await.unwrap().unwrap();
        running.network.shutdown().await;
        running.router.await.unwrap();
    }

    pub(crate) const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// A node's folder.
    pub(crate) fn folder(&self, index: usize) -> &std::path::Path {
        self.members[index].folder.path()
    }

    /// The store of a stopped node.
    pub(crate) async fn store(&self, index: usize) -> Store {
        let folder = self.members[index].folder.path().join("chain");
        eventually(|| Store::open(&folder, self.genesis.network_id())).await
    }

    pub(crate) fn chain(&self, index: usize) -> &View<Chain> {
        &self.members[index].running.as_ref().unwrap().ledger
    }

    pub(crate) fn wallets(&self) -> impl Iterator<Item = Wallet> + use<> {
        (1..=4).map(Wallet::new)
    }

    /// Waits until `condition` holds, with a bound.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !condition() {
            assert!(Instant::now() < deadline, "timed out: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn wait_included(&self, nodes: &[usize], hashes: &[B256]) {
        for &node in nodes {
            let included = || hashes.iter().all(|&hash| self.chain(node).locate(hash).unwrap().is_some());
            self.until(&format!("transactions are included at node {node}"), included).await;
        }
    }

    pub(crate) async fn wait_certified(&self, nodes: &[usize]) {
        for &node in nodes {
            let head = self.chain(node).head().height();
            let certified = || self.chain(node).certificate(head).unwrap().is_some();
            self.until(&format!("block {head} has its certificate at node {node}"), certified).await;
        }
    }

    pub(crate) fn assert_equal_blocks(&self, nodes: &[usize]) {
        let lowest = nodes.iter().map(|&node| self.chain(node).head().height()).min().unwrap();
        for height in (0..=lowest.0).map(Height) {
            let hashes: Vec<_> =
                nodes.iter().map(|&node| self.chain(node).block(height).unwrap().unwrap().hash).collect();
            assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "height {height}: {hashes:?}");
        }
    }
}

async fn start(
    genesis: &Genesis,
    index: usize,
    listen: SocketAddr,
    folder: &std::path::Path,
    how: How,
) -> Running {
    // A stopped chain's last tasks let go of its folder a moment after its driver has ended.
    let store = eventually(|| Store::open(&folder.join("chain"), genesis.network_id())).await;
    let enclave = eventually(|| Enclave::open(&folder.join("enclave"), None)).await;
    let me = ValidatorIndex(u16::try_from(index).unwrap());
    let (network, events) = bxp_network::start(NetworkConfig {
        genesis: Arc::new(genesis.clone()),
        me,
        signing_key: enclave.network_key(),
        listen,
    })
    .await
    .unwrap();
    let config = ChainConfig {
        me,
        journal: folder.join("consensus.log"),
        block_interval: Duration::from_millis(5),
        pool: PoolLimits::default(),
        retention: bxp_chain::Retention::default(),
        verification: how.verification,
        vote_gather: None,
        segments: how.segments,
        run_ahead: true,
    };
    let (chain, driver) = Chain::start(genesis.clone(), config, store, enclave, network.clone()).unwrap();
    let router = tokio::spawn(route(events, chain.clone()));
    let driver = tokio::spawn(async move {
        let ended = driver.await.expect("the driver does not panic");
        ended.inspect_err(|error| eprintln!("node {index} ended: {error:?}"))
    });
    Running { ledger: View::new(chain.clone()), chain, network, driver, router }
}

pub(crate) async fn eventually<T, E: std::fmt::Debug>(open: impl Fn() -> Result<T, E>) -> T {
    let deadline = Instant::now() + WITHIN;
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
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
            Event::Request { .. } | Event::Blocks { .. } | Event::BlockWanted { .. } => continue,
        };
        if chain.deliver(event).await.is_err() {
            return;
        }
    }
}
