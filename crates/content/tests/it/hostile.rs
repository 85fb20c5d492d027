//! Peers that hold the swarm key and do what no correct one does; played with libp2p's bare streams.

use crate::{
    bitswap::{SWARM_KEY, limits, swarm},
    kit::{Node, RecordSet},
};
use bxp_content::{
    PeerId, Reader,
    bitswap::{Bitswap, Limits},
};
use cid::Cid;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, Transport,
    core::upgrade::Version,
    identity::Keypair,
    noise,
    pnet::{PnetConfig, PreSharedKey},
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use std::time::Duration;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");
const PATIENCE: Duration = Duration::from_secs(20);

/// A peer that says whatever a test makes it say.
struct Stranger {
    id: PeerId,
    control: libp2p_stream::Control,
    incoming: libp2p_stream::IncomingStreams,
    /// Ends when the connection does.
    closed: tokio::task::JoinHandle<()>,
    target: PeerId,
}

impl Stranger {
    fn key() -> Keypair {
        Keypair::generate_ed25519()
    }

    async fn connect(key: Keypair, to: &Bitswap) -> Self {
        let id = key.public().to_peer_id();
        let noise = noise::Config::new(&key).unwrap();
        let transport = tcp::tokio::Transport::new(tcp::Config::default())
            .and_then(|socket, _| PnetConfig::new(PreSharedKey::new(SWARM_KEY)).handshake(socket))
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(yamux::Config::default());
        let mut swarm: Swarm<libp2p_stream::Behaviour> = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_other_transport(|_| transport)
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let mut control = swarm.behaviour().new_control();
        let incoming = control.accept(PROTOCOL).unwrap();
        let options = DialOpts::peer_id(to.peer()).addresses(vec![to.multiaddr()]).build();
        swarm.dial(options).unwrap();
        while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
        let closed = tokio::spawn(async move {
            while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
        });
        Self { id, control, incoming, closed, target: to.peer() }
    }

    async fn say(&mut self, bytes: &[u8]) {
        let mut stream = self.control.open_stream(self.target, PROTOCOL).await.unwrap();
        // The other side may cut the connection before everything is written.
        let _ = stream.write_all(bytes).await;
        let _ = stream.close().await;
    }

    /// The next message of the node, as its bytes.
    async fn hear(&mut self) -> Vec<u8> {
        let heard = tokio::time::timeout(PATIENCE, async {
            let (_, mut stream) = self.incoming.next().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        });
        heard.await.expect("the node says something")
    }

    async fn ends_cut_off(self) {
        tokio::time::timeout(PATIENCE, self.closed).await.expect("the node closes the connection").unwrap();
    }
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len()), bytes.to_vec()].concat()
}

/// An entry of a wantlist; the rest are the fields after the CID.
fn entry(cid: &Cid, rest: &[u8]) -> Vec<u8> {
    field(1, &[field(1, &cid.to_bytes()), rest.to_vec()].concat())
}

fn framed(message: &[u8]) -> Vec<u8> {
    [varint(message.len()), message.to_vec()].concat()
}

fn wantlist(entries: &[Vec<u8>]) -> Vec<u8> {
    framed(&field(1, &entries.concat()))
}

const WANT_HAVE: &[u8] = &[0x20, 1, 0x28, 1];
const WANT_BLOCK: &[u8] = &[0x28, 1];
const CANCEL: &[u8] = &[0x18, 1];

async fn holder(limits: Limits) -> (Node, Bitswap) {
    let node = Node::new();
    let swarm = swarm(&node, 1, SWARM_KEY, limits).await;
    (node, swarm)
}

#[tokio::test(flavor = "multi_thread")]
async fn have_and_dont_have_are_what_the_protocol_says() {
    let (node, swarm) = holder(limits()).await;
    let key = Stranger::key();
    let reader = Reader::Peer(key.public().to_peer_id());
    let (_, mine) = node.publish(1, vec![reader]);
    let (_, others) = node.publish(2, vec![Reader::Peer(PeerId::random())]);
    let mut peer = Stranger::connect(key, &swarm).await;
    peer.say(&wantlist(&[entry(&mine.root, WANT_HAVE), entry(&others.root, WANT_HAVE)])).await;
    let presence = |cid: &Cid, rest: &[u8]| field(4, &[field(1, &cid.to_bytes()), rest.to_vec()].concat());
    let expected = [presence(&mine.root, &[]), presence(&others.root, &[0x10, 1])].concat();
    assert_eq!(
        peer.hear().await,
        framed(&expected),
        "HAVE for the own, DONT_HAVE for what exists and is not for it"
    );
    peer.say(&wantlist(&[entry(&others.root, WANT_BLOCK)])).await;
    assert_eq!(peer.hear().await, framed(&presence(&others.root, &[0x10, 1])));
    assert_eq!(swarm.peers()[0].peer, peer.id.to_string());
    assert_eq!(swarm.peers()[0].ledger.sent_blocks, 0);
}

/// Goal: a want stays open until it is cancelled. Way: two wants for what is not there yet, one of them cancelled; then
/// both are published.
#[tokio::test(flavor = "multi_thread")]
async fn what_appears_later_is_sent_unless_it_was_cancelled() {
    let (node, swarm) = holder(limits()).await;
    let key = Stranger::key();
    let reader = Reader::Peer(key.public().to_peer_id());
    let (cancelled, wanted) = (RecordSet::new(1), RecordSet::new(2));
    let mut peer = Stranger::connect(key, &swarm).await;
    peer.say(&wantlist(&[entry(&cancelled.root, WANT_BLOCK), entry(&wanted.root, WANT_BLOCK)])).await;
    peer.hear().await;
    peer.say(&wantlist(&[entry(&cancelled.root, CANCEL), entry(&RecordSet::new(3).root, WANT_HAVE)])).await;
    // The answer to the second want shows that the cancel was read.
    peer.hear().await;
    node.publish(1, vec![reader.clone()]);
    node.publish(2, vec![reader]);
    let heard = peer.hear().await;
    let root = wanted.blocks[0].block.bytes();
    assert!(heard.windows(root.len()).any(|window| window == root), "the block that is wanted");
    let other = cancelled.blocks[0].block.bytes();
    assert!(!heard.windows(other.len()).any(|window| window == other), "not the one that was cancelled");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(swarm.peers()[0].ledger.sent_blocks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_and_floods_are_cut_off_and_refused_for_a_while() {
    let few = Limits { messages_burst: 20, messages_per_second: 1, unwanted_blocks_max: 2, ..limits() };
    let unwanted = framed(&field(3, &[field(1, &[1, 0x55, 0x12, 0x20]), field(2, b"nobody asked")].concat()));
    for (what, said, times) in [
        ("no message", framed(b"\xff\xff\xff"), 1),
        ("a length above the bound", varint((4 << 20) + 1), 1),
        ("a length that is no varint", vec![0xff; 9], 1),
        ("an entry without a CID", wantlist(&[field(1, b"")]), 1),
        ("blocks that nobody asked for", unwanted, 3),
        ("a flood", framed(b""), 21),
    ] {
        let (_node, swarm) = holder(few).await;
        let key = Stranger::key();
        let mut peer = Stranger::connect(key.clone(), &swarm).await;
        // All on one stream, so that their order is that of the bounds.
        peer.say(&said.repeat(times)).await;
        peer.ends_cut_off().await;
        assert!(swarm.peers().is_empty(), "{what}");
        let again = Stranger::connect(key, &swarm).await;
        again.ends_cut_off().await;
        swarm.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wants_above_the_bound_are_dropped_and_the_rest_is_answered() {
    let (_node, swarm) = holder(Limits { wants_per_peer_max: 3, ..limits() }).await;
    let mut peer = Stranger::connect(Stranger::key(), &swarm).await;
    let roots: Vec<_> = (0..10).map(|seed| RecordSet::new(seed).root).collect();
    let entries: Vec<_> = roots.iter().map(|root| entry(root, WANT_BLOCK)).collect();
    peer.say(&wantlist(&entries)).await;
    let heard = peer.hear().await;
    let told = roots.iter().filter(|root| {
        let name = root.to_bytes();
        heard.windows(name.len()).any(|window| window == name)
    });
    assert_eq!(told.count(), 3);
    // Cancelling makes room.
    let cancels: Vec<_> = roots.iter().map(|root| entry(root, CANCEL)).collect();
    peer.say(&wantlist(&[cancels, vec![entry(&roots[9], WANT_HAVE)]].concat())).await;
    let heard = peer.hear().await;
    assert!(heard.windows(36).any(|window| window == roots[9].to_bytes()));
}
