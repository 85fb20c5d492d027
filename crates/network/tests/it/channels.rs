//! Messages on channels: order, size, and what happens to a peer that does not read.

use crate::support::{Node, Raw, genesis, pair};
use bxp_network::{Channel, Limits, SendError};
use bxp_types::{Jurisdiction, ValidatorIndex};
use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};

const BOTH_US: [Jurisdiction; 2] = [Jurisdiction::US, Jurisdiction::US];

#[tokio::test]
async fn messages_arrive_in_order_on_each_channel_in_both_directions() {
    const COUNT: u32 = 2000;
    let (mut first, mut second) = pair(BOTH_US, Limits::default()).await;
    for number in 0..COUNT {
        for channel in Channel::ALL {
            let message = Bytes::copy_from_slice(&number.to_be_bytes());
            first.network.send(ValidatorIndex(1), channel, message.clone()).unwrap();
            assert_eq!(second.network.broadcast(channel, &message), 1);
        }
    }
    for (node, peer) in [(&mut first, 1), (&mut second, 0)] {
        let mut next = [0_u32; 3];
        for _ in 0..3 * COUNT {
            let (from, channel, bytes) = node.expect_message().await;
            assert_eq!(from, ValidatorIndex(peer));
            let position = Channel::ALL.iter().position(|other| *other == channel).unwrap();
            let next = &mut next[position];
            assert_eq!(bytes, next.to_be_bytes().as_slice());
            *next += 1;
        }
        assert_eq!(next, [COUNT; 3]);
    }
}

#[tokio::test]
async fn large_messages_pass_and_larger_ones_are_refused() {
    let limits = Limits { queue_bytes_max: 128 << 20, ..Limits::default() };
    let (first, mut second) = pair(BOTH_US, limits.clone()).await;
    let large =
        Bytes::from((0..limits.frame_bytes_max).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>());
    first.network.send(ValidatorIndex(1), Channel::Consensus, large.clone()).unwrap();
    first.network.send(ValidatorIndex(1), Channel::Consensus, Bytes::new()).unwrap();
    let (_, _, bytes) = second.expect_message().await;
    assert!(bytes == large, "the large message is changed");
    assert_eq!(second.expect_message().await.2, Bytes::new());
    let (size, limit) = (limits.frame_bytes_max + 1, limits.frame_bytes_max);
    let larger = first.network.send(ValidatorIndex(1), Channel::Consensus, vec![0; size].into());
    assert_eq!(larger, Err(SendError::TooLarge { size, limit }));
    assert_eq!(first.network.connected(), [ValidatorIndex(1)]);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped() {
    let genesis = genesis(&BOTH_US);
    let limits = Limits { frame_bytes_max: 1 << 20, queue_bytes_max: 1 << 20, ..Limits::default() };
    let mut node = Node::start_with(&genesis, 1, limits).await;
    let mut idle = Raw::dial(&genesis, 0, 1).await;
    let _unread = idle.shake().await;
    node.expect_connected(0).await;
    let message = Bytes::from(vec![7; 256 << 10]);
    let refused = loop {
        if let Err(error) = node.network.send(ValidatorIndex(0), Channel::Consensus, message.clone()) {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, SendError::Overflow(ValidatorIndex(0)));
    assert_eq!(node.network.connected(), []);
    node.expect_disconnected(0).await;
    idle.closed().await;
}

/// Events wait for their owner in a bounded queue; nothing is lost, and the sender feels it in the end.
#[tokio::test]
async fn a_slow_owner_loses_no_messages() {
    let limits = Limits { events_queued_max: 2, ..Limits::default() };
    let (first, mut second) = pair(BOTH_US, limits).await;
    for number in 0..500_u32 {
        first
            .network
            .send(ValidatorIndex(1), Channel::Consensus, number.to_be_bytes().to_vec().into())
            .unwrap();
    }
    for number in 0..500_u32 {
        assert_eq!(second.expect_message().await.2, number.to_be_bytes().as_slice());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_channel_has_a_fixed_form_on_the_wire() {
    let genesis = genesis(&BOTH_US);
    let mut node = Node::start(&genesis, 1).await;
    let mut raw = Raw::dial(&genesis, 0, 1).await;
    let [mut consensus, _bodies, mut attestation, _pulse] = raw.shake().await;
    node.expect_connected(0).await;
    consensus.write_all(b"\0\0\0\x02hi").await.unwrap();
    consensus.flush().await.unwrap();
    assert_eq!(
        node.expect_message().await,
        (ValidatorIndex(0), Channel::Consensus, Bytes::from_static(b"hi"))
    );
    node.network.send(ValidatorIndex(0), Channel::Attestation, Bytes::from_static(b"yes")).unwrap();
    let mut wire = [0; 7];
    attestation.read_exact(&mut wire).await.unwrap();
    assert_eq!(&wire, b"\0\0\0\x03yes");
}
