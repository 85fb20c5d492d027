//! Two nodes of a private swarm, over real sockets.

use crate::kit::{Node, RecordSet, list, raw};
use bxp_content::{
    ContentError, PeerId, Quota, Reader,
    bitswap::{Bitswap, FetchBounds, Limits, SwarmConfig, start},
};
use bxp_types::Secret;
use std::time::Duration;

pub(crate) const SWARM_KEY: [u8; 32] = [5; 32];

pub(crate) fn limits() -> Limits {
    Limits {
        answer_timeout: Duration::from_secs(3),
        handshake_timeout: Duration::from_secs(2),
        ..Limits::default()
    }
}

pub(crate) async fn swarm(node: &Node, identity: u8, swarm_key: [u8; 32], limits: Limits) -> Bitswap {
    let config = SwarmConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        identity: Secret::new([identity; 32]),
        swarm_key: Secret::new(swarm_key),
        limits,
    };
    start(config, node.content.clone()).await.unwrap()
}

struct Pair {
    holder: Node,
    holder_swarm: Bitswap,
    reader: Node,
    reader_swarm: Bitswap,
}

impl Pair {
    async fn new() -> Self {
        let (holder, reader) = (Node::new(), Node::new());
        let holder_swarm = swarm(&holder, 1, SWARM_KEY, limits()).await;
        let reader_swarm = swarm(&reader, 2, SWARM_KEY, limits()).await;
        Self { holder, holder_swarm, reader, reader_swarm }
    }

    fn publish(&self, seed: u8) -> RecordSet {
        self.holder.publish(seed, vec![Reader::Peer(self.reader_swarm.peer())]).1
    }

    async fn fetch(&self, set: &RecordSet) -> Result<bxp_content::bitswap::Fetched, ContentError> {
        self.reader_swarm.fetch(set.root, &[self.holder_swarm.multiaddr()], FetchBounds::default()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_named_fetches_the_whole_dag_and_keeps_it() {
    let pair = Pair::new().await;
    let set = pair.publish(1);
    let fetched = pair.fetch(&set).await.unwrap();
    assert_eq!((fetched.blocks, fetched.from_peers), (5, 5));
    assert_eq!(pair.reader.content.pins().unwrap(), [set.root]);
    let walked: Result<Vec<_>, _> = pair.reader.content.view(Reader::Operator).walk(&set.root).collect();
    let expected: Vec<_> = set.blocks.iter().map(|one| one.block.clone()).collect();
    assert_eq!(walked.unwrap(), expected);
    assert_eq!(pair.fetch(&set).await.unwrap().from_peers, 0, "what is here is not asked for");
    let peers = pair.holder_swarm.peers();
    assert_eq!((peers.len(), peers[0].ledger.sent_blocks), (1, 5));
    assert!(peers[0].ledger.sent_bytes > 300_000);
    pair.holder_swarm.shutdown().await;
    pair.reader_swarm.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_right_a_peer_is_told_that_nothing_is_there() {
    let pair = Pair::new().await;
    let (_, set) = pair.holder.publish(1, vec![Reader::Peer(PeerId::random())]);
    let refused = pair.fetch(&set).await.unwrap_err();
    assert!(matches!(refused, ContentError::NotFetched { cid, .. } if cid == set.root), "{refused}");
    let ledger = pair.holder_swarm.peers()[0].ledger;
    assert_eq!((ledger.sent_blocks, ledger.refused_wants), (0, 1));
    assert!(ledger.sent_bytes < 100, "DONT_HAVE and no more");
    assert_eq!(pair.reader.content.statistics().unwrap().blocks, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_ends_in_the_middle_leaves_nothing_half_kept() {
    let pair = Pair::new().await;
    let set = pair.publish(1);
    pair.holder.know(|known| assert!(known.denied.insert(set.records[2])));
    assert!(matches!(pair.fetch(&set).await, Err(ContentError::NotFetched { .. })));
    let statistics = pair.reader.content.statistics().unwrap();
    assert_eq!((statistics.blocks, statistics.pins), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_swarm_key_there_is_no_connection() {
    let pair = Pair::new().await;
    let stranger = Node::new();
    let other = swarm(&stranger, 3, [6; 32], limits()).await;
    let (_, set) = pair.holder.publish(1, vec![Reader::Peer(other.peer())]);
    let refused = other.fetch(set.root, &[pair.holder_swarm.multiaddr()], FetchBounds::default()).await;
    assert!(matches!(refused, Err(ContentError::Unreachable { .. })));
    assert!(pair.holder_swarm.peers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_the_block_is_passed_over_for_one_that_has_it() {
    let pair = Pair::new().await;
    let set = pair.publish(1);
    let empty = Node::new();
    let empty_swarm = swarm(&empty, 4, SWARM_KEY, limits()).await;
    let addresses = [empty_swarm.multiaddr(), pair.holder_swarm.multiaddr()];
    let fetched = pair.reader_swarm.fetch(set.root, &addresses, FetchBounds::default()).await.unwrap();
    assert_eq!(fetched.from_peers, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_are_bounded_by_blocks_bytes_depth_and_quota() {
    let pair = Pair::new().await;
    let set = pair.publish(1);
    let address = [pair.holder_swarm.multiaddr()];
    let bounds = FetchBounds::default();
    for bounds in [
        FetchBounds { blocks_max: 4, ..bounds },
        FetchBounds { bytes_max: 100_000, ..bounds },
        FetchBounds { depth_max: 1, ..bounds },
    ] {
        let refused = pair.reader_swarm.fetch(set.root, &address, bounds).await;
        assert!(matches!(refused, Err(ContentError::DagTooLarge { .. })), "{bounds:?}");
    }
    let small = Node::with_quota(Quota { bytes_max: 100_000, disk_free_bytes_min: 0 });
    let swarm = swarm(&small, 2, SWARM_KEY, limits()).await;
    let refused = swarm.fetch(set.root, &address, bounds).await;
    assert!(matches!(refused, Err(ContentError::Quota { .. })));
    for node in [&pair.reader, &small] {
        assert_eq!(node.content.statistics().unwrap().blocks, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_blocks_come_over_many_messages() {
    let pair = Pair::new().await;
    let leaves: Vec<_> = (0..300_u16).map(|n| raw([&n.to_be_bytes()[..], &[1; 20_000]].concat())).collect();
    let root = list(&leaves);
    let blocks = [vec![root.clone()], leaves].concat();
    let blocks = blocks.into_iter().map(|block| bxp_content::NewBlock { block, record: None, patient: None });
    let draft = bxp_content::Draft {
        root: *root.cid(),
        blocks: blocks.collect(),
        ..RecordSet::new(1).draft(vec![Reader::Peer(pair.reader_swarm.peer())])
    };
    pair.holder.content.publish(draft).unwrap();
    let address = [pair.holder_swarm.multiaddr()];
    let fetched = pair.reader_swarm.fetch(*root.cid(), &address, FetchBounds::default()).await.unwrap();
    assert_eq!((fetched.blocks, fetched.from_peers), (301, 301));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_needs_a_peers_id_and_somebody_there() {
    let pair = Pair::new().await;
    let root = RecordSet::new(1).root;
    let fetch = |address: &str| {
        let (swarm, address) = (pair.reader_swarm.clone(), address.parse().unwrap());
        async move { swarm.fetch(root, &[address], FetchBounds::default()).await.unwrap_err() }
    };
    assert!(matches!(fetch("/ip4/127.0.0.1/tcp/1").await, ContentError::Address(_)));
    let nobody = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", PeerId::random());
    assert!(matches!(fetch(&nobody).await, ContentError::Unreachable { .. }));
    let other =
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", pair.holder_swarm.local_addr().port(), PeerId::random());
    assert!(matches!(fetch(&other).await, ContentError::Unreachable { .. }), "someone else answers there");
}
