//! A validator's key in the hands of somebody who sends garbage: the node stays up and serves everyone else.

use crate::support::{Node, Raw, genesis, soon};
use bxp_network::{Channel, Event, ExchangeError, FetchBlockError, Limits, Service};
use bxp_types::{Jurisdiction, ValidatorIndex};
use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::StreamProtocol;
use std::time::{Duration, Instant};

const THREE_US: [Jurisdiction; 3] = [Jurisdiction::US; 3];
const MALFORMED: u8 = 7;

/// Deterministic noise.
fn garbage(length: usize) -> Vec<u8> {
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(state.to_be_bytes()[0])
    };
    std::iter::repeat(()).scan(7, |state, ()| next(state)).take(length).collect()
}

/// Bans that are over before the attacker is back.
fn forgiving() -> Limits {
    Limits { ban_min: Duration::from_nanos(1), ..Limits::default() }
}

/// Validators 1 and 2, honest and connected; validator 0's key is the attacker's.
async fn honest_two(limits: Limits) -> (bxp_types::Genesis, Node, Node) {
    let genesis = genesis(&THREE_US);
    let mut first = Node::start_with(&genesis, 1, limits.clone()).await;
    let mut second = Node::start_with(&genesis, 2, limits).await;
    first.expect_connected(2).await;
    second.expect_connected(1).await;
    (genesis, first, second)
}

/// The honest two still talk.
async fn expect_well(first: &Node, second: &mut Node) {
    first.network.send(ValidatorIndex(2), Channel::Consensus, Bytes::from_static(b"well?")).unwrap();
    let (from, channel, bytes) = second.expect_message().await;
    assert_eq!((from, channel, bytes), (ValidatorIndex(1), Channel::Consensus, Bytes::from_static(b"well?")));
}

#[tokio::test]
async fn garbage_on_a_channel_ends_the_connection_and_nothing_else() {
    let (genesis, mut first, mut second) = honest_two(forgiving()).await;
    for channel in 0..3_usize {
        let mut attacker = Raw::dial(&genesis, 0, 1).await;
        let mut channels = attacker.shake().await;
        first.expect_connected(0).await;
        let garbage = [b"\xff\xff\xff\xff".as_slice(), &garbage(10_000)].concat();
        channels[channel].write_all(&garbage).await.unwrap();
        channels[channel].flush().await.unwrap();
        first.expect_disconnected(0).await;
        attacker.closed().await;
    }
    expect_well(&first, &mut second).await;
}

#[tokio::test]
async fn who_breaks_the_protocol_is_left_alone_for_a_while() {
    let ban_min = Duration::from_secs(2);
    let (genesis, mut first, mut second) = honest_two(Limits { ban_min, ..Limits::default() }).await;
    let mut attacker = Raw::dial(&genesis, 0, 1).await;
    let mut channels = attacker.shake().await;
    first.expect_connected(0).await;
    let begun = Instant::now();
    channels[0].write_all(b"\xff\xff\xff\xff").await.unwrap();
    channels[0].flush().await.unwrap();
    first.expect_disconnected(0).await;
    drop(attacker);
    expect_well(&first, &mut second).await;
    // The same validator with honest software dials again and again.
    let reformed = Node::start(&genesis, 0).await;
    first.expect_connected(0).await;
    assert!(begun.elapsed() >= ban_min, "back after {:?}", begun.elapsed());
    // A breach that the owner of the network has seen counts as well.
    first.network.ban(ValidatorIndex(0));
    first.expect_disconnected(0).await;
    reformed.network.shutdown().await;
}

#[tokio::test]
async fn garbage_in_an_exchange_is_answered_or_dropped() {
    let (genesis, mut first, mut second) = honest_two(Limits::default()).await;
    let mut attacker = Raw::dial(&genesis, 0, 1).await;
    let _channels = attacker.shake().await;
    first.expect_connected(0).await;
    let malformed: [(&str, &[u8]); 6] = [
        ("request", b"\0"),
        ("request", b"\xff\xff\xff\xff\xff\xff"),
        ("request", b"\x01\xff\xff\xff\xff"),
        ("blocks", b"\xff\xff\xff\xff"),
        ("blocks", b"\0\0\0\x04\xff\xff\xff\xff"),
        // One block of 4 GiB.
        ("blocks", b"\0\0\0\x2d\0\0\0\0\0\0\0\x01\0\xff\xff\xff\xff01234567890123456789012345678901"),
    ];
    for (protocol, bytes) in malformed {
        let mut stream = attacker.open(protocol).await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        let mut verdict = [0];
        soon("a verdict", stream.read_exact(&mut verdict)).await.unwrap();
        assert_eq!(verdict, [MALFORMED], "{protocol} {bytes:?}");
    }
    for protocol in ["request", "blocks", "fetch"] {
        for torn in [&b""[..], b"\x01", b"\x01\0\0\0\x09torn"] {
            let mut stream = attacker.open(protocol).await;
            stream.write_all(torn).await.unwrap();
            stream.close().await.unwrap();
            let mut answer = Vec::new();
            let ended = soon("the stream's end", stream.read_to_end(&mut answer)).await;
            assert!(ended.is_err() || answer.len() <= 1, "{protocol} {torn:?}: {answer:?}");
        }
    }
    first.expect_quiet();
    expect_well(&first, &mut second).await;
}

#[tokio::test]
async fn a_second_stream_of_what_lasts_is_a_violation() {
    let (genesis, mut first, mut second) = honest_two(forgiving()).await;
    for lasting in ["consensus", "bodies", "attestation", "pulse"] {
        let mut attacker = Raw::dial(&genesis, 0, 1).await;
        let _channels = attacker.shake().await;
        first.expect_connected(0).await;
        // The node may hang up before it has answered.
        let _second = attacker.try_open(attacker.protocol(lasting)).await;
        first.expect_disconnected(0).await;
        attacker.closed().await;
    }
    expect_well(&first, &mut second).await;
}

#[tokio::test]
async fn streams_of_other_networks_and_protocols_are_not_negotiated() {
    let (genesis, mut first, _second) = honest_two(Limits::default()).await;
    let mut attacker = Raw::dial(&genesis, 0, 1).await;
    for name in ["/bxp/0000000000000000/consensus/1", "/bxp/consensus/1", "/ipfs/kad/1.0.0"] {
        let refused = attacker.try_open(StreamProtocol::new(name)).await;
        assert!(
            matches!(refused, Err(libp2p_stream::OpenStreamError::UnsupportedProtocol(_))),
            "{refused:?}"
        );
    }
    first.expect_quiet();
}

#[tokio::test]
async fn a_flood_of_streams_leaves_the_node_well() {
    let limits = Limits { exchanges_per_peer_max: 2, events_queued_max: 8, ..Limits::default() };
    let (genesis, mut first, mut second) = honest_two(limits).await;
    let mut attacker = Raw::dial(&genesis, 0, 1).await;
    let _channels = attacker.shake().await;
    first.expect_connected(0).await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        // The node may reset streams that it has no room for.
        if let Ok(mut stream) = attacker.try_open(attacker.protocol("request")).await {
            let _ = stream.write_all(b"\x01\0\0\0\0").await;
            let _ = stream.flush().await;
            streams.push(stream);
        }
    }
    expect_well(&first, &mut second).await;
    drop(attacker);
    // What came in is bounded; then the attacker is gone.
    let mut requests = 0;
    loop {
        match first.next().await {
            Event::Request { from: ValidatorIndex(0), .. } => requests += 1,
            Event::Disconnected(ValidatorIndex(0)) => break,
            event => panic!("got {event:?}"),
        }
    }
    assert!(requests >= 1);
}

/// Validator 1 asks the attacker, validator 0, who gives `answer` to it.
async fn ask_for(answer: &'static [u8], attacker: &mut Raw, first: &Node) {
    let protocol = attacker.protocol("request");
    let mut asked = attacker.control.accept(protocol).unwrap();
    let answering = tokio::spawn(async move {
        let (_, mut stream) = asked.next().await.unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await.unwrap();
        stream.write_all(answer).await.unwrap();
        // The node may hang up before.
        let _ = stream.close().await;
    });
    let asking = first.network.request(ValidatorIndex(0), Service::Sync, Bytes::from_static(b"?"));
    let answered = soon("a refused answer", asking).await;
    assert_eq!(answered, Err(ExchangeError::Protocol(ValidatorIndex(0)).into()), "{answer:?}");
    answering.await.unwrap();
}

/// Goal: who answers what no correct validator answers is banned, and who says that it does not understand is not.
#[tokio::test]
async fn an_answer_against_the_protocol_is_a_violation() {
    let (genesis, mut first, mut second) = honest_two(forgiving()).await;
    // A verdict that does not exist, an answer of 4 GiB, a verdict on blocks.
    for answer in [b"\xff".as_slice(), b"\0\xff\xff\xff\xff", b"\x06"] {
        let mut attacker = Raw::dial(&genesis, 0, 1).await;
        let _channels = attacker.shake().await;
        first.expect_connected(0).await;
        ask_for(answer, &mut attacker, &first).await;
        first.expect_disconnected(0).await;
        attacker.closed().await;
    }
    let mut attacker = Raw::dial(&genesis, 0, 1).await;
    let _channels = attacker.shake().await;
    first.expect_connected(0).await;
    ask_for(&[MALFORMED], &mut attacker, &first).await;
    first.expect_quiet();
    assert!(first.network.connected().contains(&ValidatorIndex(0)));
    expect_well(&first, &mut second).await;
}

#[tokio::test]
async fn a_fetched_block_is_checked_against_its_cid() {
    let (genesis, mut first, _second) = honest_two(Limits::default()).await;
    let mut attacker = Raw::dial(&genesis, 0, 1).await;
    let protocol = attacker.protocol("fetch");
    let mut wanted = attacker.control.accept(protocol).unwrap();
    let _channels = attacker.shake().await;
    first.expect_connected(0).await;
    let cid = crate::support::cid_of(b"what was wanted");
    let giving = tokio::spawn(async move {
        let (_, mut stream) = wanted.next().await.unwrap();
        let mut digest = [0; 32];
        stream.read_exact(&mut digest).await.unwrap();
        let head = [b"\0\0\0\0\x05".as_slice(), &digest].concat();
        stream.write_all(&[b"\0\0\0\0\x25", head.as_slice(), b"other"].concat()).await.unwrap();
        stream.close().await.unwrap();
    });
    let fetched = soon("a refused fetch", first.network.fetch_block(ValidatorIndex(0), &cid)).await;
    assert_eq!(fetched, Err(FetchBlockError::Corrupt { cid, peer: ValidatorIndex(0) }));
    giving.await.unwrap();
}
