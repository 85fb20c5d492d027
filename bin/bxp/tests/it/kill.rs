//! `kill -9` of validators under load. One of four is not missed, two of four stop the chain without forking it, and
//! what a node has acknowledged is never lost.

use crate::kit::{
    BOUND, Client, Load, Net, NodeProcess, Nonces, assert_equal_chains, assert_included, head, heads_of,
    until,
};
use alloy_primitives::B256;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// The longest wait for the next block, or for a receipt, that clients may see while one of four validators is gone.
const GAP_MAX: Duration = Duration::from_secs(8);
/// How long two of four are watched not to add a block.
const WATCHED: Duration = Duration::from_secs(5);

/// Waits until the load has had `more` further transfers acknowledged.
async fn loaded(load: &Load, more: usize) {
    let goal = load.acknowledged() + more;
    until("the load goes on", async || load.acknowledged() >= goal).await;
}

/// Watches one node's head, and measures the longest time between two blocks.
struct Watch {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Duration>,
}

impl Watch {
    fn begin(client: Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let (mut longest, mut at, mut since) = (Duration::ZERO, head(&client).await, Instant::now());
            while !stopping.load(Ordering::Relaxed) {
                let now = head(&client).await;
                longest = longest.max(since.elapsed());
                if now > at {
                    (at, since) = (now, Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            longest
        });
        Self { stop, task }
    }

    async fn longest_gap(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn assert_all_included(nodes: &[NodeProcess], transactions: &[B256]) {
    assert!(!transactions.is_empty());
    for node in nodes {
        assert_included(node, transactions).await;
    }
}

/// Goal: clients of the other three see no gap while the fourth is killed, and the fourth catches up when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_four_is_not_missed_and_catches_up() {
    let mut net = Net::start().await;
    let nonces = Nonces::default();
    let (chain_id, wallets) = (net.chain_id, net.wallets.clone());
    let load = Load::begin(net.nodes[..3].iter(), &wallets, chain_id, &nonces);
    loaded(&load, 100).await;
    let watches: Vec<_> = net.nodes[..3].iter().map(|node| Watch::begin(node.client.clone())).collect();
    net.nodes[3].kill().await;
    let killed_at = head(&net.nodes[0].client).await;
    let (before, probe) = (load.acknowledged(), Instant::now());
    loaded(&load, 1).await;
    let probe = probe.elapsed();
    loaded(&load, 1_000).await;
    until("ten more blocks", async || head(&net.nodes[0].client).await >= killed_at + 10).await;
    net.nodes[3].start().await;
    let restarted = Instant::now();
    let goal = head(&net.nodes[0].client).await;
    until("the killed one comes to the others' head", async || head(&net.nodes[3].client).await >= goal)
        .await;
    println!("{before} transfers in; caught up with block {goal} in {:.1?}", restarted.elapsed());
    loaded(&load, 50).await;
    for watch in watches {
        let gap = watch.longest_gap().await;
        println!("longest time between two blocks: {gap:.1?}; a transfer was acknowledged in {probe:.1?}");
        assert!(gap < GAP_MAX && probe < GAP_MAX, "{gap:?} {probe:?}");
    }
    let acknowledged = load.stop().await;
    assert_all_included(&net.nodes, &acknowledged).await;
    assert_equal_chains(&net.nodes).await;
}

/// Goal: a validator that is silent while its connections stand, as a stopped or starved process is, holds nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn one_silent_of_four_holds_nobody_up() {
    let mut net = Net::start().await;
    let load = Load::begin(net.nodes[..3].iter(), &net.wallets, net.chain_id, &Nonces::default());
    loaded(&load, 100).await;
    let watch = Watch::begin(net.nodes[0].client.clone());
    net.nodes[3].freeze();
    loaded(&load, 1_000).await;
    net.nodes[3].thaw();
    let goal = head(&net.nodes[0].client).await;
    until("the silent one comes to the others' head", async || head(&net.nodes[3].client).await >= goal)
        .await;
    let gap = watch.longest_gap().await;
    println!("longest time between two blocks: {gap:.1?}");
    assert!(gap < GAP_MAX, "{gap:?}");
    let acknowledged = load.stop().await;
    assert_all_included(&net.nodes, &acknowledged).await;
    assert_equal_chains(&net.nodes).await;
    for node in &mut net.nodes {
        node.stop().await;
    }
}

/// Goal: with two of four gone no block is added and nothing forks; when they are back, it goes on and nothing that was
/// acknowledged is missing, also what only the killed ones had.
#[tokio::test(flavor = "multi_thread")]
async fn two_of_four_stop_the_chain_and_lose_nothing() {
    let mut net = Net::start().await;
    let nonces = Nonces::default();
    let (chain_id, wallets) = (net.chain_id, net.wallets.clone());
    let load = Load::begin(net.nodes.iter(), &wallets, chain_id, &nonces);
    loaded(&load, 100).await;
    net.nodes[2].strike();
    net.nodes[3].strike();
    net.nodes[2].gone().await;
    net.nodes[3].gone().await;
    let stopped_at = stand_still(&net.nodes[..2]).await;
    let taken = load.acknowledged();
    tokio::time::sleep(WATCHED).await;
    assert_eq!(heads_of(&net.nodes[..2]).await, stopped_at, "no block is added by two of four");
    assert!(load.acknowledged() > taken, "the two still take transfers into their pools");
    for node in &mut net.nodes[2..] {
        node.spawn();
    }
    for node in &mut net.nodes[2..] {
        node.ready().await;
    }
    let goal = stopped_at.into_iter().max().unwrap() + 5;
    for node in &net.nodes {
        until("it goes on", async || head(&node.client).await >= goal).await;
    }
    loaded(&load, 50).await;
    let acknowledged = load.stop().await;
    assert_all_included(&net.nodes, &acknowledged).await;
    assert_equal_chains(&net.nodes).await;
}

/// Waits until the heads have stood still for two seconds: what the killed ones had sent may still decide a block.
async fn stand_still(nodes: &[NodeProcess]) -> Vec<u64> {
    let (deadline, mut heads, mut since) = (Instant::now() + BOUND, heads_of(nodes).await, Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        assert!(Instant::now() < deadline, "the chain does not stop at {heads:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = heads_of(nodes).await;
        if now != heads {
            (heads, since) = (now, Instant::now());
        }
    }
    heads
}

/// Goal: a power failure of all four at once, twice, under load: whatever was acknowledged is in the chain afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn all_four_at_once_lose_nothing() {
    let mut net = Net::start().await;
    let nonces = Nonces::default();
    let (chain_id, wallets) = (net.chain_id, net.wallets.clone());
    let load = Load::begin(net.nodes.iter(), &wallets, chain_id, &nonces);
    for _ in 0..2 {
        loaded(&load, 150).await;
        for node in &net.nodes {
            node.strike();
        }
        for node in &mut net.nodes {
            node.gone().await;
        }
        net.start_all().await;
    }
    loaded(&load, 50).await;
    let acknowledged = load.stop().await;
    assert_all_included(&net.nodes, &acknowledged).await;
    assert_equal_chains(&net.nodes).await;
    for node in &mut net.nodes {
        node.stop().await;
    }
}
