//! Four nodes with oceans between them. Relays on loopback do what a long line does to TCP: every byte is late, what was
//! lost is sent again later and holds back all that comes after it, and now and then a line breaks.

use crate::cluster::{Cluster, How};
use bxp_types::Ledger;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::Instant,
};

/// One way; a round trip takes twice as long.
const DELAY: Duration = Duration::from_millis(100);
/// Of a thousand pieces that are read from a socket, so many are lost at first.
const LOSSES_PERMILLE: u64 = 15;
/// How much later a lost piece arrives, in milliseconds: TCP sends it again after a round trip, or after its timer.
const STALL_MS: std::ops::Range<u64> = 200..600;
/// Bytes that are on their way at most, each way, so that what is sent faster waits at the sender.
const PIECE_BYTES: usize = 16 << 10;
const PIECES_UNDER_WAY: usize = 256;
const SEED: u64 = 2_018;

/// The same numbers in each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// How long a piece is held back.
    fn stall(&mut self) -> Option<Duration> {
        let lost = self.below(1_000) < LOSSES_PERMILLE;
        lost.then(|| Duration::from_millis(STALL_MS.start + self.below(STALL_MS.end - STALL_MS.start)))
    }
}

/// The way to one node. Each connection through it breaks when `cut` changes.
struct Relay {
    cut: watch::Sender<usize>,
    connections: Arc<AtomicUsize>,
    stalls: Arc<AtomicUsize>,
}

impl Relay {
    fn start(listener: TcpListener, upstream: SocketAddr, seed: u64) -> Self {
        let (cut, cuts) = watch::channel(0);
        let relay = Self { cut, connections: Arc::default(), stalls: Arc::default() };
        let (connections, stalls) = (Arc::clone(&relay.connections), Arc::clone(&relay.stalls));
        tokio::spawn(async move {
            let mut seeds = Dice(seed);
            while let Ok((near, _)) = listener.accept().await {
                // A node that has not started yet is dialled again.
                let Ok(far) = TcpStream::connect(upstream).await else { continue };
                connections.fetch_add(1, Relaxed);
                let dice = [Dice(seeds.below(u64::MAX)), Dice(seeds.below(u64::MAX))];
                tokio::spawn(carry(near, far, cuts.clone(), dice, Arc::clone(&stalls)));
            }
        });
        relay
    }
}

/// One connection, until an end closes it or it breaks.
async fn carry(
    near: TcpStream,
    far: TcpStream,
    mut cuts: watch::Receiver<usize>,
    [there, back]: [Dice; 2],
    stalls: Arc<AtomicUsize>,
) {
    cuts.mark_unchanged();
    // Pieces leave as they come, as they would on the nodes' own sockets.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_reader, near_writer), (far_reader, far_writer)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(near_reader, far_writer, there, &stalls) => {}
        () = pump(far_reader, near_writer, back, &stalls) => {}
        _ = cuts.changed() => {}
    }
}

/// Carries bytes over in their order: each after [`DELAY`], and after whatever was lost before it.
async fn pump(mut reader: OwnedReadHalf, mut writer: OwnedWriteHalf, mut dice: Dice, stalls: &AtomicUsize) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_UNDER_WAY);
    let reading = async move {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = reader.read(&mut piece).await {
            let stall = dice.stall();
            stalls.fetch_add(usize::from(stall.is_some()), Relaxed);
            let due = Instant::now() + DELAY + stall.unwrap_or_default();
            if sender.send((due, piece[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if writer.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

/// Goal: what is submitted at any node is final at all of them, over 200 ms there and back, losses and broken lines. Way:
/// in each round every node gets a transfer, and the lines to one node break while the transfers are under way.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_become_final_over_slow_lossy_and_breaking_lines() {
    const ALL: [usize; 4] = [0, 1, 2, 3];
    // Nobody dials the first node: of two it is the lower one that dials.
    const DIALLED: [usize; 3] = [1, 2, 3];
    let mut cluster = Cluster::planned(ALL.len(), How::default());
    let mut listeners = Vec::new();
    for node in DIALLED {
        listeners.push(TcpListener::bind(cluster.address(node)).await.unwrap());
    }
    let relays: Vec<Relay> = DIALLED
        .into_iter()
        .zip(listeners)
        .zip(SEED..)
        .map(|((node, listener), seed)| Relay::start(listener, cluster.move_away(node), seed))
        .collect();
    // Whoever is dialled is there first.
    for node in ALL.into_iter().rev() {
        cluster.restart(node).await;
    }
    let all_connected = || ALL.into_iter().all(|node| cluster.peers(node) == ALL.len() - 1);
    cluster.until("all are connected", all_connected).await;
    for (round, (node, relay)) in (0..).zip(DIALLED.into_iter().zip(&relays)) {
        let mut hashes = Vec::new();
        for (submitted_at, wallet) in cluster.wallets().enumerate() {
            hashes.push(cluster.chain(submitted_at).submit(wallet.transfer(round)).await.unwrap());
        }
        // By then the proposals have arrived and the votes on them are on their way.
        tokio::time::sleep(3 * DELAY / 2).await;
        let before = relay.connections.load(Relaxed);
        relay.cut.send_modify(|cut| *cut += 1);
        cluster.wait_included(&ALL, &hashes).await;
        // So many lower nodes dial it.
        let joined_again = || relay.connections.load(Relaxed) >= before + node && all_connected();
        cluster.until("the broken lines are joined again", joined_again).await;
    }
    cluster.wait_certified(&ALL).await;
    cluster.assert_equal_blocks(&ALL);
    let stalls: usize = relays.iter().map(|relay| relay.stalls.load(Relaxed)).sum();
    assert!(stalls > 0, "nothing was lost");
}
