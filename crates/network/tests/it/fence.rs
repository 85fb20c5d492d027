//! The residency fence at both ends (white paper row A12). Validator 0 stands in the US, validator 1 in Germany.

use crate::support::{Node, Raw, block, genesis, metric, pair, soon};
use bxp_network::{Event, FetchBlockError, Limits, SendBlocksError};
use bxp_types::{BlockClass, Genesis, Jurisdiction, SealedBlock, ValidatorIndex};
use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::Stream;

const US_AND_DE: [Jurisdiction; 2] = [Jurisdiction::US, Jurisdiction::DE];
const DONE: u8 = 0;
const FENCE: u8 = 5;

fn refusals(end: &str) -> f64 {
    metric(&format!("bxp_network_fence_refusals_total{{end=\"{end}\"}}"))
}

fn american() -> SealedBlock {
    block(BlockClass::Identity(Jurisdiction::US), b"sealed in the US".to_vec())
}

fn german() -> SealedBlock {
    block(BlockClass::Identity(Jurisdiction::DE), b"sealed in Germany".to_vec())
}

fn anybodys() -> SealedBlock {
    block(BlockClass::Deidentified, b"sealed anywhere".to_vec())
}

/// Asserts that these blocks pass both ends of the fence.
async fn assert_passes(first: &Node, second: &mut Node, blocks: Vec<SealedBlock>) {
    let sent = first.network.send_blocks(ValidatorIndex(1), Bytes::new(), blocks.clone());
    let taken = async {
        match second.next().await {
            Event::Blocks { blocks, done, .. } => {
                done.send(Ok(())).unwrap();
                blocks
            }
            event => panic!("got {event:?}"),
        }
    };
    assert_eq!(tokio::join!(sent, taken), (Ok(()), blocks));
}

#[tokio::test]
async fn the_sender_refuses_and_sends_nothing_at_all() {
    let (first, mut second) = pair(US_AND_DE, Limits::default()).await;
    let before = refusals("sender");
    let blocks = vec![anybodys(), german(), american()];
    let sent = first.network.send_blocks(ValidatorIndex(1), Bytes::new(), blocks).await;
    let SealedBlock { cid, class, .. } = american();
    assert_eq!(sent, Err(SendBlocksError::Fence { cid, class, peer: ValidatorIndex(1) }));
    assert!(refusals("sender") > before);
    second.expect_quiet();
}

#[tokio::test]
async fn what_may_travel_passes_both_ends() {
    let (first, mut second) = pair(US_AND_DE, Limits::default()).await;
    assert_passes(&first, &mut second, vec![anybodys(), german()]).await;
}

/// Goal: the fence stands where the nodes stand now. Way: Germany's node moves to the US, and then out of the network.
#[tokio::test]
async fn a_node_that_moves_moves_the_fence() {
    let (first, mut second) = pair(US_AND_DE, Limits::default()).await;
    let both_in_the_us = |_: ValidatorIndex| Some(Jurisdiction::US);
    first.network.set_countries(both_in_the_us);
    second.network.set_countries(both_in_the_us);
    assert_passes(&first, &mut second, vec![american()]).await;
    let refused = |block: SealedBlock| {
        let SealedBlock { cid, class, .. } = block.clone();
        let sending = first.network.send_blocks(ValidatorIndex(1), Bytes::new(), vec![block]);
        async move {
            assert_eq!(sending.await, Err(SendBlocksError::Fence { cid, class, peer: ValidatorIndex(1) }));
        }
    };
    refused(german()).await;
    first.network.set_countries(|node| (node == ValidatorIndex(0)).then_some(Jurisdiction::US));
    refused(american()).await;
    second.expect_quiet();
}

#[tokio::test]
async fn a_holder_gives_no_identity_block_to_a_foreign_node() {
    let (mut first, second) = pair(US_AND_DE, Limits::default()).await;
    let before = refusals("sender");
    let wanted = american().cid;
    let giving = async {
        match first.next().await {
            Event::BlockWanted { cid, reply, .. } if cid == wanted => reply.send(Some(american())).unwrap(),
            event => panic!("got {event:?}"),
        }
    };
    let (fetched, ()) = tokio::join!(second.network.fetch_block(ValidatorIndex(0), &wanted), giving);
    assert_eq!(fetched, Ok(None), "the answer does not even tell that the block exists");
    assert!(refusals("sender") > before);
}

/// A validator with a genuine key whose software has no fence, connected to an honest German node.
async fn lawless_peer() -> (Genesis, Node, Raw, [Stream; 4]) {
    let genesis = genesis(&US_AND_DE);
    let mut node = Node::start(&genesis, 1).await;
    let mut lawless = Raw::dial(&genesis, 0, 1).await;
    let channels = lawless.shake().await;
    node.expect_connected(0).await;
    (genesis, node, lawless, channels)
}

/// `class | length | digest`.
fn head(block: &SealedBlock) -> Vec<u8> {
    let class: &[u8] = match block.class {
        BlockClass::Deidentified => b"\0",
        BlockClass::Identity(Jurisdiction::US) => b"\x01US",
        BlockClass::Identity(_) => b"\x01DE",
    };
    let length = u32::try_from(block.bytes.len()).unwrap().to_be_bytes();
    [class, &length, block.cid.hash().digest()].concat()
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

#[tokio::test]
async fn the_receiver_refuses_what_a_lawless_sender_pushes() {
    let (_genesis, mut node, mut lawless, _channels) = lawless_peer().await;
    let before = refusals("receiver");
    // An honest portion first, to show that the raw peer is understood.
    for (block, expected) in [(german(), DONE), (american(), FENCE)] {
        let mut stream = lawless.open("blocks").await;
        let manifest = frame(&[b"\0\0\0\0\0\0\0\x01".as_slice(), &head(&block)].concat());
        stream.write_all(&[manifest.as_slice(), &block.bytes].concat()).await.unwrap();
        stream.flush().await.unwrap();
        if expected == DONE {
            match node.next().await {
                Event::Blocks { blocks, done, .. } if blocks == [block] => done.send(Ok(())).unwrap(),
                event => panic!("got {event:?}"),
            }
        }
        let mut verdict = [0];
        soon("a verdict", stream.read_exact(&mut verdict)).await.unwrap();
        assert_eq!(verdict, [expected]);
    }
    assert!(refusals("receiver") > before);
    node.expect_quiet();
}

#[tokio::test]
async fn a_fetch_takes_no_identity_block_from_a_lawless_holder() {
    let (_genesis, node, mut lawless, _channels) = lawless_peer().await;
    let before = refusals("receiver");
    let protocol = lawless.protocol("fetch");
    let mut wanted = lawless.control.accept(protocol).unwrap();
    let giving = tokio::spawn(async move {
        while let Some((_, mut stream)) = wanted.next().await {
            let mut digest = [0; 32];
            stream.read_exact(&mut digest).await.unwrap();
            stream
                .write_all(&[[DONE].as_slice(), &frame(&head(&american())), &american().bytes].concat())
                .await
                .unwrap();
            stream.close().await.unwrap();
        }
    });
    let cid = american().cid;
    let fetched = soon("a refused fetch", node.network.fetch_block(ValidatorIndex(0), &cid)).await;
    assert_eq!(fetched, Err(FetchBlockError::Fence { cid, peer: ValidatorIndex(0) }));
    assert!(refusals("receiver") > before);
    giving.abort();
}
