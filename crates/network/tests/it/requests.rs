//! Requests: answers, silence, time and numbers.

use crate::support::{Node, Raw, genesis, metric, pair, soon, until};
use bxp_network::{Event, ExchangeError, Limits, Network, RequestError, Service};
use bxp_types::{Jurisdiction, ValidatorIndex};
use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, future::join_all};
use std::time::Duration;

const BOTH_US: [Jurisdiction; 2] = [Jurisdiction::US, Jurisdiction::US];

/// Answers every request with its own bytes, doubled, until the node stops.
fn echo(Node { network, mut events }: Node) -> Network {
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Request { bytes, reply, .. } = event {
                // The one who asked may have given up.
                let _ = reply.send([&bytes[..], &bytes[..]].concat().into());
            }
        }
    });
    network
}

#[tokio::test]
async fn requests_are_answered_in_both_directions_more_than_fit_at_once() {
    let (first, second) = pair(BOTH_US, Limits { exchanges_per_peer_max: 3, ..Limits::default() }).await;
    let networks = [(echo(first), ValidatorIndex(1)), (echo(second), ValidatorIndex(0))];
    for (network, to) in &networks {
        let asked = (0..50_u8).map(|number| network.request(*to, Service::Sync, vec![number].into()));
        for (number, answer) in (0..50_u8).zip(soon("all answers", join_all(asked)).await) {
            assert_eq!(answer, Ok(vec![number, number].into()));
        }
    }
}

#[tokio::test]
async fn large_requests_and_answers_pass_and_larger_ones_are_refused() {
    let limits = Limits { request_bytes_max: 1 << 20, answer_bytes_max: 2 << 20, ..Limits::default() };
    let (first, second) = pair(BOTH_US, limits).await;
    let _second = echo(second);
    let ask =
        |length: usize| first.network.request(ValidatorIndex(1), Service::Market, vec![3; length].into());
    assert_eq!(ask(1 << 20).await.map(|answer| answer.len()), Ok(2 << 20));
    let too_large = ExchangeError::TooLarge { size: (1 << 20) + 1, limit: 1 << 20 };
    assert_eq!(ask((1 << 20) + 1).await, Err(too_large.into()));
}

/// Goal: the bytes of each service are counted apart. Both ends are counted, since both are in this process; other tests
/// use other services.
#[tokio::test]
async fn bytes_are_counted_by_service() {
    let (first, second) = pair(BOTH_US, Limits::default()).await;
    let _second = echo(second);
    let counted = |direction: &str, service: &str| {
        metric(&format!("bxp_network_{direction}_bytes_total{{stream=\"request\",service=\"{service}\"}}"))
    };
    for (service, length) in [(Service::Erasure, 5), (Service::Keeping, 300)] {
        let asked = first.network.request(ValidatorIndex(1), service, vec![7; length].into()).await;
        assert_eq!(asked.map(|answer| answer.len()), Ok(2 * length));
    }
    // The answering side counts when it has written, which is after the other has read.
    for direction in ["sent", "received"] {
        for (service, bytes) in [("erasure", 3 * 5), ("keeping", 3 * 300)] {
            let all = || counted(direction, service).to_string() == bytes.to_string();
            until("requests and answers of a service are counted", all).await;
        }
    }
}

#[tokio::test]
async fn a_dropped_reply_is_told() {
    let (first, mut second) = pair(BOTH_US, Limits::default()).await;
    let asked = first.network.request(ValidatorIndex(1), Service::KeyRelease, Bytes::from_static(b"?"));
    let answering = async {
        match second.next().await {
            Event::Request { from: ValidatorIndex(0), service: Service::KeyRelease, reply, .. } => {
                drop(reply);
            }
            event => panic!("got {event:?}"),
        }
    };
    let (answer, ()) = tokio::join!(asked, answering);
    assert_eq!(answer, Err(RequestError::Unanswered(ValidatorIndex(1))));
}

#[tokio::test]
async fn silence_ends_in_time() {
    let limits = Limits { request_timeout: Duration::from_millis(100), ..Limits::default() };
    let (first, mut second) = pair(BOTH_US, limits).await;
    let answer = first.network.request(ValidatorIndex(1), Service::Sync, Bytes::new()).await;
    assert_eq!(answer, Err(ExchangeError::Timeout(ValidatorIndex(1)).into()));
    let Event::Request { mut reply, .. } = second.next().await else { panic!("no request came") };
    soon("the end of the request at its server", reply.closed()).await;
}

#[tokio::test]
async fn a_lost_connection_ends_requests_at_once() {
    let (first, mut second) = pair(BOTH_US, Limits::default()).await;
    let asked = first.network.request(ValidatorIndex(1), Service::Sync, Bytes::new());
    let going = async {
        let event = second.next().await;
        assert!(matches!(event, Event::Request { .. }));
        second.network.shutdown().await;
    };
    let (answer, ()) = soon("the failure", async { tokio::join!(asked, going) }).await;
    assert!(matches!(answer, Err(RequestError::Exchange(ExchangeError::Broken { .. }))), "{answer:?}");
}

#[tokio::test]
async fn nobody_is_asked_who_is_not_connected() {
    let genesis = genesis(&BOTH_US);
    let node = Node::start(&genesis, 0).await;
    for stranger in [0, 1, 2] {
        let answer = node.network.request(ValidatorIndex(stranger), Service::Sync, Bytes::new()).await;
        assert_eq!(answer, Err(ExchangeError::NotConnected(ValidatorIndex(stranger)).into()));
    }
}

/// Storing blocks may take long; requests go on meanwhile.
#[tokio::test]
async fn hand_overs_do_not_hold_up_requests() {
    let limits = Limits { exchanges_per_peer_max: 1, hand_overs_per_peer_max: 1, ..Limits::default() };
    let (first, mut second) = pair(BOTH_US, limits).await;
    let handing_over = first.network.send_blocks(ValidatorIndex(1), Bytes::new(), Vec::new());
    let asking = async {
        let Event::Blocks { done, .. } = second.next().await else { panic!("no blocks came") };
        let asked = first.network.request(ValidatorIndex(1), Service::Sync, Bytes::new());
        let answering = async {
            let Event::Request { reply, .. } = second.next().await else { panic!("no request came") };
            reply.send(Bytes::from_static(b"meanwhile")).unwrap();
        };
        let (answer, ()) = tokio::join!(asked, answering);
        done.send(Ok(())).unwrap();
        answer
    };
    let (handed_over, answer) = soon("both", async { tokio::join!(handing_over, asking) }).await;
    assert_eq!((handed_over, answer), (Ok(()), Ok(Bytes::from_static(b"meanwhile"))));
}

/// A peer that begins more exchanges than allowed is told so, and the node's memory stays bounded.
#[tokio::test]
async fn a_greedy_peer_is_told_to_wait() {
    const BUSY: u8 = 2;
    let genesis = genesis(&BOTH_US);
    let mut node =
        Node::start_with(&genesis, 1, Limits { exchanges_per_peer_max: 2, ..Limits::default() }).await;
    let mut greedy = Raw::dial(&genesis, 0, 1).await;
    let _channels = greedy.shake().await;
    node.expect_connected(0).await;
    let mut pending = Vec::new();
    let mut replies = Vec::new();
    for _ in 0..4 {
        let mut stream = greedy.open("request").await;
        stream.write_all(b"\x01\0\0\0\0").await.unwrap();
        stream.flush().await.unwrap();
        pending.push(stream);
        match node.next().await {
            Event::Request { reply, .. } => replies.push(reply),
            event => panic!("got {event:?}"),
        }
    }
    let mut fifth = greedy.open("request").await;
    let mut verdict = [0];
    soon("an answer", fifth.read_exact(&mut verdict)).await.unwrap();
    assert_eq!(verdict, [BUSY]);
    drop(replies);
}
