//! Budgets of exchanges: a peer that floods a node with requests is served as its budget says, and nobody else is held up.

use crate::support::{Node, block, genesis, pair, soon, until};
use bxp_network::{Event, Limits, Network, Service};
use bxp_types::{BlockClass, Jurisdiction, ValidatorIndex};
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const FLOODER: usize = 0;
const SERVER: ValidatorIndex = ValidatorIndex(2);
/// What a peer may have in a second, beside as many at once at the beginning.
const PER_SECOND: usize = 20;
/// Own requests at once.
const AT_ONCE: usize = 4;
/// What the server has in hand of one peer at most: these may be above the budget, since what they cost is known late.
const IN_HAND: usize = 2 * AT_ONCE;
/// Far more than the budget lets through while the test waits.
const FLOOD: usize = 2_000;

/// Requests that the server has taken, by who asked.
type Taken = Arc<[AtomicUsize; 3]>;

/// Answers every request with `answer`, until the node stops.
fn serve(Node { network, mut events }: Node, answer: Bytes) -> (Network, Taken) {
    let taken = Taken::default();
    let counted = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Request { from, reply, .. } = event {
                counted[usize::from(from.0)].fetch_add(1, Ordering::Relaxed);
                // The one who asked may have given up.
                let _ = reply.send(answer.clone());
            }
        }
    });
    (network, taken)
}

/// The requests of one peer that its budget lets through in that time.
fn fit_into(passed: Duration) -> usize {
    let passed_ms = usize::try_from(passed.as_millis()).unwrap();
    PER_SECOND + (PER_SECOND * passed_ms).div_ceil(1_000) + IN_HAND + 1
}

/// Goal: the flood is let through at the pace of its budget, without a ban, and another peer has all of its answers
/// meanwhile.
async fn the_flood_is_slowed_and_nobody_else(limits: Limits, answer_bytes: usize) {
    let limits = Limits { exchanges_per_peer_max: AT_ONCE, ..limits };
    let genesis = genesis(&[Jurisdiction::US; 3]);
    let server = Node::start_with(&genesis, SERVER.0, limits.clone()).await;
    let other = Node::start_with(&genesis, 1, limits.clone()).await;
    let flooder = Node::start_with(&genesis, 0, limits).await;
    let reaches = |node: &Node| node.network.connected().contains(&SERVER);
    until("all connections to the server", || {
        server.network.connected().len() == 2 && reaches(&other) && reaches(&flooder)
    })
    .await;
    let (_server, taken) = serve(server, vec![7; answer_bytes].into());
    let of_flooder = || taken[FLOODER].load(Ordering::Relaxed);
    let begun = Instant::now();
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        let network = flooder.network.clone();
        flood.spawn(async move { network.request(SERVER, Service::Sync, Bytes::new()).await });
    }
    until("the part of the flood that is free", || of_flooder() >= PER_SECOND).await;
    // As many as are free.
    for number in 0..PER_SECOND {
        let answer = other.network.request(SERVER, Service::Sync, Bytes::new());
        let answer = soon("an answer to the other peer", answer).await;
        assert_eq!(answer.map(|answer| answer.len()), Ok(answer_bytes), "request {number}");
    }
    let assert_slowed = || {
        // In this order: what comes between the two is allowed and not counted.
        let (let_through, allowed) = (of_flooder(), fit_into(begun.elapsed()));
        assert!(let_through <= allowed, "{let_through} of the flood are through, {allowed} fit");
        assert!(let_through < FLOOD);
    };
    assert_slowed();
    // Without a budget these are through in an instant.
    until("more of the flood", || of_flooder() >= 2 * PER_SECOND + IN_HAND).await;
    assert_slowed();
    assert!(reaches(&flooder), "it is slowed and not banned");
    drop(flood);
}

#[tokio::test]
async fn a_flood_of_requests_is_slowed_to_its_budget() {
    let limits = Limits { peer_exchanges_per_second_max: PER_SECOND, ..Limits::default() };
    the_flood_is_slowed_and_nobody_else(limits, 1).await;
}

#[tokio::test]
async fn requests_with_large_answers_are_slowed_to_the_budget_of_bytes() {
    const ANSWER_BYTES: usize = 64 << 10;
    let bytes = PER_SECOND * ANSWER_BYTES;
    let limits = Limits { peer_exchange_bytes_per_second_max: bytes, ..Limits::default() };
    the_flood_is_slowed_and_nobody_else(limits, ANSWER_BYTES).await;
}

/// Goal: portions of a hand-over are exchanges too. Way: more blocks in portions of one than are free.
#[tokio::test]
async fn portions_of_blocks_wait_for_the_budget() {
    let limits =
        Limits { peer_exchanges_per_second_max: PER_SECOND, portion_blocks_max: 1, ..Limits::default() };
    let (first, mut second) = pair([Jurisdiction::US; 2], limits).await;
    let count = PER_SECOND + 5;
    let blocks = (0..count).map(|length| block(BlockClass::Deidentified, vec![7; length])).collect();
    let begun = Instant::now();
    let sent = first.network.send_blocks(ValidatorIndex(1), Bytes::new(), blocks);
    let taking = async {
        for taken in 1..=count {
            let Event::Blocks { done, .. } = second.next().await else { panic!("no blocks came") };
            let allowed = fit_into(begun.elapsed()) - IN_HAND;
            assert!(taken <= allowed, "{taken} portions came, {allowed} fit");
            done.send(Ok(())).unwrap();
        }
    };
    let (sent, ()) = soon("the hand-over", async { tokio::join!(sent, taking) }).await;
    assert_eq!(sent, Ok(()), "it waits and is not refused");
}
