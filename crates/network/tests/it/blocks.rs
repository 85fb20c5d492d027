//! Handing blocks over and fetching them, between honest nodes.

use crate::support::{Node, block, cid_of, pair, soon};
use bxp_network::{Event, ExchangeError, Limits, SendBlocksError};
use bxp_types::{BlockClass, Jurisdiction, SealedBlock, ValidatorIndex};
use bytes::Bytes;
use cid::Cid;
use multihash_codetable::{Code, MultihashDigest};
use std::time::Duration;

const BOTH_US: [Jurisdiction; 2] = [Jurisdiction::US, Jurisdiction::US];
const RECEIVER: ValidatorIndex = ValidatorIndex(1);

/// Takes portions, answering each with `answer`, until `count` blocks are in; returns them with the portions' number.
async fn take(node: &mut Node, count: usize, answer: Result<(), String>) -> (Vec<SealedBlock>, usize) {
    let (mut taken, mut portions) = (Vec::new(), 0);
    loop {
        match node.next().await {
            Event::Blocks { from: ValidatorIndex(0), manifest, blocks, done } => {
                assert_eq!(manifest, "what these are");
                taken.extend(blocks);
                portions += 1;
                done.send(answer.clone()).unwrap();
            }
            event => panic!("got {event:?}"),
        }
        if taken.len() >= count || answer.is_err() {
            return (taken, portions);
        }
    }
}

fn some_blocks(count: u32, length: usize) -> Vec<SealedBlock> {
    let bytes = |number: u32| number.to_be_bytes().into_iter().cycle().take(length).collect();
    let class = |number: u32| match number % 2 {
        0 => BlockClass::Identity(Jurisdiction::US),
        _ => BlockClass::Deidentified,
    };
    (0..count).map(|number| block(class(number), bytes(number))).collect()
}

#[tokio::test]
async fn any_number_of_blocks_is_handed_over_in_order() {
    let limits = Limits { portion_bytes_max: 64 << 10, portion_blocks_max: 40, ..Limits::default() };
    let (first, mut second) = pair(BOTH_US, limits).await;
    for (count, length, portions) in [(0, 0, 1), (1, 1, 1), (100, 4, 3), (64, 4 << 10, 4), (3, 100 << 10, 3)]
    {
        let blocks = some_blocks(count, length);
        let sent = first.network.send_blocks(RECEIVER, Bytes::from_static(b"what these are"), blocks.clone());
        let (sent, taken) =
            soon("the hand-over", async { tokio::join!(sent, take(&mut second, blocks.len(), Ok(()))) })
                .await;
        assert_eq!(sent, Ok(()));
        assert_eq!(taken, (blocks, portions), "{count} blocks of {length} bytes");
    }
}

#[tokio::test]
async fn what_is_not_stored_is_told_with_its_reason() {
    let (first, mut second) = pair(BOTH_US, Limits::default()).await;
    let manifest = Bytes::from_static(b"what these are");
    let sent = first.network.send_blocks(RECEIVER, manifest.clone(), some_blocks(2, 9));
    let full = Err("the disk is full".to_owned());
    let (sent, _) = tokio::join!(sent, take(&mut second, 2, full));
    let reason = "the disk is full".to_owned();
    assert_eq!(sent, Err(SendBlocksError::NotStored { peer: RECEIVER, reason }));

    // Reasons are cut to what fits, between characters.
    let sent = first.network.send_blocks(RECEIVER, manifest.clone(), some_blocks(2, 9));
    let (sent, _) = tokio::join!(sent, take(&mut second, 2, Err("ä".repeat(1000))));
    assert_eq!(sent, Err(SendBlocksError::NotStored { peer: RECEIVER, reason: "ä".repeat(256) }));

    let sent = first.network.send_blocks(RECEIVER, manifest, some_blocks(2, 9));
    let (sent, event) = tokio::join!(sent, async { drop(second.next().await) });
    assert_eq!(event, ());
    assert!(matches!(sent, Err(SendBlocksError::NotStored { .. })), "{sent:?}");
}

#[tokio::test]
async fn a_receiver_that_never_stores_is_given_up() {
    let (first, mut second) =
        pair(BOTH_US, Limits { portion_timeout: Duration::from_millis(100), ..Limits::default() }).await;
    let sent = first.network.send_blocks(RECEIVER, Bytes::new(), some_blocks(1, 9)).await;
    assert_eq!(sent, Err(ExchangeError::Timeout(RECEIVER).into()));
    let Event::Blocks { mut done, .. } = second.next().await else { panic!("no blocks came") };
    soon("the end at the receiver", done.closed()).await;
}

#[tokio::test]
async fn what_cannot_travel_is_refused_before_anything_is_sent() {
    let limits = Limits { block_bytes_max: 100, manifest_bytes_max: 10, ..Limits::default() };
    let (first, mut second) = pair(BOTH_US, limits).await;
    let send = |manifest: &'static str, block: SealedBlock| {
        first.network.send_blocks(RECEIVER, manifest.into(), vec![block])
    };
    let too_large = |size, limit| Err(ExchangeError::TooLarge { size, limit }.into());
    assert_eq!(send("", block(BlockClass::Deidentified, vec![0; 101])).await, too_large(101, 100));
    assert_eq!(send("01234567890", block(BlockClass::Deidentified, vec![0])).await, too_large(11, 10));
    let raw = Cid::new_v1(0x55, Code::Sha2_256.digest(b"raw"));
    let foreign = SealedBlock { cid: raw, ..block(BlockClass::Deidentified, b"raw".to_vec()) };
    assert_eq!(send("", foreign).await, Err(SendBlocksError::ForeignCid(raw)));
    second.expect_quiet();
}

/// A sender whose own store is damaged is told by the receiver, who recomputes every CID.
#[tokio::test]
async fn a_block_that_is_not_what_its_cid_names_is_refused() {
    let (first, mut second) = pair(BOTH_US, Limits::default()).await;
    let mut blocks = some_blocks(3, 1000);
    blocks[1].bytes = vec![0; 1000].into();
    let sent = first.network.send_blocks(RECEIVER, Bytes::new(), blocks).await;
    assert_eq!(sent, Err(SendBlocksError::Corrupt(RECEIVER)));
    second.expect_quiet();
}

#[tokio::test]
async fn blocks_are_fetched_by_their_cid() {
    let (Node { network: _first, mut events }, second) = pair(BOTH_US, Limits::default()).await;
    let held = block(BlockClass::Identity(Jurisdiction::US), vec![5; 300_000]);
    let answer = held.clone();
    let serving = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let Event::BlockWanted { from: RECEIVER, cid, reply } = event else { panic!("got {event:?}") };
            reply.send((cid == answer.cid).then(|| answer.clone())).unwrap();
        }
    });
    let fetch = |cid: Cid| {
        let network = second.network.clone();
        async move { network.fetch_block(ValidatorIndex(0), &cid).await }
    };
    assert_eq!(fetch(held.cid).await, Ok(Some(held)));
    assert_eq!(fetch(cid_of(b"another")).await, Ok(None));
    assert_eq!(fetch(Cid::new_v1(0x55, Code::Sha2_256.digest(b"raw"))).await, Ok(None));
    serving.abort();
}
