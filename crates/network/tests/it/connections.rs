//! Who connects to whom, and what happens when somebody goes and comes back.

use crate::support::{Node, Raw, address, config, free_port, genesis, metric, pair, soon, until};
use bxp_network::{Event, Limits, NetworkConfig, NetworkError, SendError, start, start_with};
use bxp_types::{Jurisdiction, Secret, ValidatorIndex};
use bytes::Bytes;
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

const COUNTRIES: [Jurisdiction; 4] = [Jurisdiction::US, Jurisdiction::US, Jurisdiction::DE, Jurisdiction::CA];

#[tokio::test]
async fn four_nodes_connect_each_to_each() {
    let genesis = genesis(&COUNTRIES);
    let mut nodes = Vec::new();
    for index in 0..4 {
        nodes.push(Node::start(&genesis, index).await);
    }
    for (index, node) in (0_u16..).zip(&mut nodes) {
        let mut connected = BTreeSet::new();
        while connected.len() < 3 {
            match node.next().await {
                Event::Connected(peer) => assert!(connected.insert(peer), "{peer} connected twice"),
                event => panic!("node {index} got {event:?}"),
            }
        }
        let others: Vec<_> = (0..4).filter(|other| *other != index).map(ValidatorIndex).collect();
        assert_eq!(node.network.connected(), others);
        node.expect_quiet();
    }
}

/// Both the side that dials and the side that is dialled may be the one that restarts.
#[tokio::test]
async fn a_restarted_node_is_connected_again_and_events_stay_paired() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let mut nodes = [Node::start(&genesis, 0).await, Node::start(&genesis, 1).await];
    nodes[0].expect_connected(1).await;
    nodes[1].expect_connected(0).await;
    for restarted in [0_u16, 1, 1, 0] {
        let stays = 1 - restarted;
        let [gone, there] = [restarted, stays].map(usize::from);
        nodes[gone].network.shutdown().await;
        nodes[there].expect_disconnected(restarted).await;
        assert_eq!(nodes[there].network.connected(), []);
        let lost = nodes[there].network.send(
            ValidatorIndex(restarted),
            bxp_network::Channel::Consensus,
            Bytes::new(),
        );
        assert_eq!(lost, Err(SendError::NotConnected(ValidatorIndex(restarted))));
        nodes[gone] = Node::start(&genesis, restarted).await;
        nodes[there].expect_connected(restarted).await;
        nodes[gone].expect_connected(stays).await;
        nodes[there].expect_quiet();
    }
}

/// A peer that lost its connection without this node noticing dials anew: the old session gives way.
#[tokio::test]
async fn a_second_connection_replaces_the_first() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let mut node = Node::start(&genesis, 1).await;
    let mut first = Raw::dial(&genesis, 0, 1).await;
    let _first_channels = first.shake().await;
    node.expect_connected(0).await;
    let mut second = Raw::dial(&genesis, 0, 1).await;
    let _second_channels = second.shake().await;
    node.expect_disconnected(0).await;
    node.expect_connected(0).await;
    first.closed().await;
    assert_eq!(node.network.connected(), [ValidatorIndex(0)]);
}

#[tokio::test]
async fn a_stranger_is_refused_at_the_handshake() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let mut node = Node::start(&genesis, 1).await;
    let mut stranger = Raw::dial_with_seed(&genesis, [0xee; 32], 1).await;
    stranger.closed().await;
    node.expect_quiet();
}

/// Two validators have one connection because only the lower index dials; the other direction is refused.
#[tokio::test]
async fn a_validator_that_should_wait_to_be_dialled_is_refused() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let mut node = Node::start(&genesis, 0).await;
    let mut eager = Raw::dial(&genesis, 1, 0).await;
    eager.closed().await;
    node.expect_quiet();
}

#[tokio::test]
async fn nodes_of_another_network_are_refused() {
    let ours = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let mut theirs = ours.clone();
    theirs.chain_id += 1;
    let mut first = Node::start(&ours, 0).await;
    let mut second = Node::start(&theirs, 1).await;
    let refused = || metric("bxp_network_ended_connections_total{reason=\"other-network\"}") >= 1.0;
    until("a refusal of the other network", refused).await;
    first.expect_quiet();
    second.expect_quiet();
    assert_eq!((first.network.connected(), second.network.connected()), (vec![], vec![]));
}

#[tokio::test]
async fn a_connection_without_channels_is_closed_in_time() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let limits = Limits { handshake_timeout: Duration::from_millis(100), ..Limits::default() };
    let mut node = Node::start_with(&genesis, 1, limits).await;
    let mut idle = Raw::dial(&genesis, 0, 1).await;
    idle.closed().await;
    node.expect_quiet();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let genesis = genesis(&[Jurisdiction::US]);
    let _node = Node::start(&genesis, 0).await;
    let error = Node::try_start(&genesis, 0, Limits::default()).await.err().unwrap();
    assert!(matches!(error, NetworkError::Listen { .. }));
    assert!(error.to_string().contains(&address(&genesis, 0).to_string()), "{error}");
}

#[tokio::test]
async fn a_configuration_against_genesis_is_refused() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let mut unknown = config(&genesis, 0);
    unknown.me = ValidatorIndex(2);
    assert!(matches!(start(unknown).await, Err(NetworkError::UnknownValidator(ValidatorIndex(2)))));
    let mut foreign = config(&genesis, 0);
    foreign.signing_key = Secret::new([9; 32]);
    assert!(matches!(start(foreign).await, Err(NetworkError::ForeignKey(ValidatorIndex(0)))));
    for wrong in ["node", "node:", ":7000", "node:0", "node:70000"] {
        let mut genesis = genesis.clone();
        genesis.validators[1].p2p_address = wrong.to_owned();
        let refused = Node::try_start(&genesis, 0, Limits::default()).await;
        assert!(
            matches!(refused, Err(NetworkError::Address { validator: ValidatorIndex(1), .. })),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn shutdown_ends_the_events_and_frees_the_port_even_when_nobody_listens() {
    let limits = Limits { events_queued_max: 1, ..Limits::default() };
    let (first, mut second) = pair([Jurisdiction::US, Jurisdiction::US], limits).await;
    for _ in 0..100 {
        second
            .network
            .send(ValidatorIndex(0), bxp_network::Channel::Consensus, Bytes::from_static(b"x"))
            .unwrap();
    }
    soon("the shutdown", first.network.shutdown()).await;
    second.expect_disconnected(0).await;
    let Node { mut events, .. } = first;
    soon("the end of events", async { while events.recv().await.is_some() {} }).await;
}

/// Passes bytes between whoever connects to `from` and `to`, until `pass` turns false: then every connection through
/// it goes silent without being closed, as when a cable is cut.
async fn wire(from: SocketAddr, to: SocketAddr, pass: watch::Receiver<bool>) {
    let listener = TcpListener::bind(from).await.unwrap();
    while let Ok((incoming, _)) = listener.accept().await {
        let Ok(outgoing) = TcpStream::connect(to).await else { continue };
        let mut pass = pass.clone();
        tokio::spawn(async move {
            let (mut incoming, mut outgoing) = (incoming, outgoing);
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut incoming, &mut outgoing) => return,
                _ = pass.wait_for(|pass| !pass) => {}
            }
            // Both ends stay open, and nothing passes any more.
            std::future::pending::<()>().await;
        });
    }
}

#[tokio::test]
async fn a_silent_connection_is_found_dead_and_dialled_anew() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let (pulse_interval, handshake_timeout) = (Duration::from_millis(100), Duration::from_secs(1));
    let limits = Limits { pulse_interval, handshake_timeout, ..Limits::default() };
    let behind: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let (pass, passes) = watch::channel(true);
    let cable = tokio::spawn(wire(address(&genesis, 1), behind, passes));
    let listening = NetworkConfig { listen: behind, ..config(&genesis, 1) };
    let (network, events) = start_with(listening, limits.clone()).await.unwrap();
    let mut second = Node { network, events };
    let mut first = Node::start_with(&genesis, 0, limits).await;
    first.expect_connected(1).await;
    second.expect_connected(0).await;
    pass.send(false).unwrap();
    first.expect_disconnected(1).await;
    second.expect_disconnected(0).await;
    pass.send(true).unwrap();
    first.expect_connected(1).await;
    second.expect_connected(0).await;
    cable.abort();
}

#[tokio::test]
async fn a_peer_without_a_pulse_is_given_up() {
    let genesis = genesis(&[Jurisdiction::US, Jurisdiction::US]);
    let limits = Limits { pulse_interval: Duration::from_millis(20), ..Limits::default() };
    let mut node = Node::start_with(&genesis, 1, limits).await;
    let mut still = Raw::dial(&genesis, 0, 1).await;
    let _channels = still.shake().await;
    node.expect_connected(0).await;
    node.expect_disconnected(0).await;
    still.closed().await;
}
