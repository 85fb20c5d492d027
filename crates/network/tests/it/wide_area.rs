//! Two nodes with an ocean between them: a relay on loopback that delays, is slow, and breaks connections.

use crate::support::{Node, PATIENCE, free_port, genesis, soon};
use bxp_network::{Channel, Event};
use bxp_types::{Jurisdiction, ValidatorIndex};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
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
/// Bytes that are on their way at most, each way, so that what is sent faster waits at the sender.
const CHUNK_BYTES: usize = 16 << 10;
const CHUNKS_UNDER_WAY: usize = 64;

/// The relay. Each connection through it breaks when `cut` changes.
struct Relay {
    cut: watch::Sender<u32>,
    connections: Arc<AtomicU64>,
}

impl Relay {
    async fn start(listen: SocketAddr, upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let (cut, cuts) = watch::channel(0);
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(upstream).await else { continue };
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(relay(near, far, cuts.clone()));
            }
        });
        Self { cut, connections }
    }
}

async fn relay(near: TcpStream, far: TcpStream, mut cuts: watch::Receiver<u32>) {
    cuts.mark_unchanged();
    let ((near_reader, near_writer), (far_reader, far_writer)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(near_reader, far_writer) => {}
        () = pump(far_reader, near_writer) => {}
        _ = cuts.changed() => {}
    }
}

/// Carries bytes over, each after [`DELAY`].
async fn pump(mut reader: OwnedReadHalf, mut writer: OwnedWriteHalf) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_UNDER_WAY);
    let reading = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(length @ 1..) = reader.read(&mut chunk).await {
            if sender.send((Instant::now() + DELAY, chunk[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if writer.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

/// Validators 0 and 1; whoever dials 1 goes through the relay.
async fn apart() -> (Relay, Node, Node) {
    let genesis = genesis(&[Jurisdiction::US; 2]);
    let real: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let relayed = genesis.validators[1].p2p_address.parse().unwrap();
    let relay = Relay::start(relayed, real).await;
    let mut second = Node::listening(&genesis, 1, real).await;
    let mut first = Node::start(&genesis, 0).await;
    first.expect_connected(1).await;
    second.expect_connected(0).await;
    (relay, first, second)
}

#[tokio::test]
async fn votes_overtake_proposals_over_200_ms() {
    let (_relay, first, mut second) = apart().await;
    let body = Bytes::from(vec![7; 12 << 20]);
    first.network.send(ValidatorIndex(1), Channel::Bodies, body.clone()).unwrap();
    // The proposal fills the line before the vote is said.
    tokio::time::sleep(2 * DELAY).await;
    let said_at = Instant::now();
    first.network.send(ValidatorIndex(1), Channel::Consensus, Bytes::from_static(b"vote")).unwrap();
    let (_, channel, bytes) = second.expect_message().await;
    assert_eq!((channel, bytes.as_ref()), (Channel::Consensus, b"vote".as_slice()));
    assert!(said_at.elapsed() >= DELAY, "nothing is faster than the line");
    let (_, channel, bytes) = second.expect_message().await;
    assert!(channel == Channel::Bodies && bytes == body, "the proposal is changed");
}

#[tokio::test]
async fn a_broken_line_is_found_and_joined_again() {
    let (relay, first, mut second) = apart().await;
    for cut in 1..=3_u32 {
        relay.cut.send_replace(cut);
        second.expect_disconnected(0).await;
        second.expect_connected(0).await;
        // What is said before this side has seen the break is lost with it; it is said until it is heard.
        let heard = async {
            loop {
                let _ = first.network.send(
                    ValidatorIndex(1),
                    Channel::Consensus,
                    Bytes::copy_from_slice(&cut.to_be_bytes()),
                );
                match tokio::time::timeout(3 * DELAY, second.events.recv()).await {
                    Ok(Some(Event::Message { bytes, .. })) if bytes == cut.to_be_bytes().as_slice() => return,
                    Ok(Some(Event::Message { .. })) | Err(_) => {}
                    Ok(other) => panic!("got {other:?}"),
                }
            }
        };
        soon("a message over the new connection", heard).await;
    }
    let connections = relay.connections.load(Ordering::Relaxed);
    assert!((4..=16).contains(&connections), "{connections} connections for three cuts within {PATIENCE:?}");
}
