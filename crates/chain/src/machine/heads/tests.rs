//! What a node says again, and what it does not ask for twice: each once found by a seed (`crates/sim/tests/it/found.rs`).

use super::*;
use crate::{
    Input,
    machine::{
        LOOK_EVERY,
        start::tests::node::{Node, after, at},
    },
    proposal::tests::transfer,
    sync::{SyncItem, SyncRequest, SyncResponse},
};
use alloy_consensus::Header;
use bxp_types::{Certificate, ValidatorIndex};

mod readers;

/// The blocks whose own attestations go to everybody.
fn attested(effects: &[Effect]) -> Vec<Height> {
    let heights = effects.iter().filter_map(|effect| match effect {
        Effect::Broadcast { channel: Channel::Attestation, bytes } => {
            Some(codec::decode_attestation(bytes).unwrap().height)
        }
        _ => None,
    });
    heights.collect()
}

/// The requests for blocks.
fn asked(effects: &[Effect]) -> Vec<Vec<u8>> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Fetch { request, .. } => Some(request.to_vec()),
        _ => None,
    });
    requests.collect()
}

/// What is said in the three looks after `from`, of which the last one is late enough to say it again.
fn attested_again(node: &mut Node, from: Moment) -> Vec<Height> {
    (1..=3).flat_map(|looks| attested(&node.turns(after(from, LOOK_EVERY * looks)))).collect()
}

/// Goal: an attestation is said to everybody again and again while its certificate does not come, although no peer comes
/// back, and no longer once it has come. Seed 2,006 with 3 validators stood still for ever without that.
#[test]
fn own_attestations_are_said_again_until_their_certificates_come() {
    let mut node = Node::open();
    node.turns(at(0));
    let [one, two] = [Height(1), Height(2)];
    assert_eq!(attested(&node.block(0, at(0))), [one]);
    assert_eq!(attested(&node.block(1, at(0))), [two]);
    let mut now = at(0);
    for period in 0..3 {
        assert_eq!(attested_again(&mut node, now), [one, two], "period {period}");
        now = after(now, LOOK_EVERY * 3);
    }
    node.attest_by_others(one, now);
    assert_eq!(attested_again(&mut node, now), [two], "the first one has its certificate");
    now = after(now, LOOK_EVERY * 3);
    node.attest_by_others(two, now);
    assert_eq!(attested_again(&mut node, now), [], "both have");
}

/// A while passes in which peers come back and speak of heights far above: every reason to ask for blocks.
fn reasons_to_ask(node: &mut Node, from: Moment) -> Vec<Effect> {
    let mut effects = Vec::new();
    for looks in 1..=5 {
        let now = after(from, LOOK_EVERY * looks);
        for peer in [1, 2] {
            node.machine.handle(Input::Connected(ValidatorIndex(peer)), now).unwrap();
            node.hears(peer, Height(1_000 + now.elapsed.as_secs()), now);
        }
        effects.extend(node.turns(now));
    }
    effects
}

/// Goal: while blocks that a peer gave wait for their import, and while they are imported, nobody is asked for blocks, and
/// then for the ones above them. Seed 1,018 with 7 validators took the same blocks many times without that.
#[test]
fn nobody_is_asked_for_blocks_while_some_wait_for_their_import() {
    let mut node = Node::open();
    node.admit(&transfer(1, 0, 1)).unwrap();
    node.turns(at(0));
    node.decide(Height(1), at(0));
    let execution = node.jobs.pop_front().unwrap();
    node.machine.handle(Input::Connected(ValidatorIndex(1)), at(0)).unwrap();
    assert_eq!(asked(&node.turns(at(0))), [SyncRequest { from: 1, has: 0 }.encode()]);

    // The disk is slow: the same block comes from the peer before it is written.
    node.machine.handle(execution.run(&node.machine.shared), at(0)).unwrap();
    node.turns(at(0));
    node.do_job(0, at(0));
    let written = node.jobs.pop_front().unwrap().run(&node.machine.shared);
    let Input::Done(Ok(Done::Written(block))) = &written else { panic!("{written:?}") };
    let item = SyncItem { block: Some(StoredBlock::clone(block)), certificate: node.certificate(block) };
    let answer = Some(SyncResponse { certified: Height(1_000), items: vec![item] });
    node.machine.handle(Input::Fetched { from: ValidatorIndex(1), answer }, at(0)).unwrap();
    let none: [Vec<u8>; 0] = [];
    assert_eq!(asked(&reasons_to_ask(&mut node, at(0))), none, "the import waits for the block");
    assert_eq!((node.jobs.len(), node.machine.load().jobs), (0, 1), "one import waits");

    let later = after(at(0), LOOK_EVERY * 5);
    node.machine.handle(written, later).unwrap();
    assert_eq!(asked(&reasons_to_ask(&mut node, later)), none, "the import is being done");
    assert_eq!((node.jobs.len(), node.machine.load().jobs), (1, 0), "nothing else waits");

    let last = after(later, LOOK_EVERY * 5);
    assert_eq!(asked(&node.work(last)), [SyncRequest { from: 2, has: 1 }.encode()]);
}

/// A block that nobody has made.
fn foreign_block(number: u64) -> StoredBlock {
    let header = Header { number, ..Header::default() };
    StoredBlock { hash: header.hash_slow(), header, transactions: Vec::new(), time_ms: 0 }
}

/// Whom the node bans once it has imported these heights from validator 1.
fn banned_for(node: &mut Node, items: Vec<SyncItem>) -> Vec<ValidatorIndex> {
    let answer = Some(SyncResponse { certified: Height(9), items });
    node.machine.handle(Input::Fetched { from: ValidatorIndex(1), answer }, at(0)).unwrap();
    let mut effects = node.turns(at(0));
    effects.extend(node.work(at(0)));
    let banned = effects.iter().filter_map(|effect| match effect {
        Effect::Ban(peer) => Some(*peer),
        _ => None,
    });
    banned.collect()
}

/// Goal: whoever sends a certificate that n - t have not signed is banned; whoever leaves heights out, has another's block
/// at a height, or tells what is known is not, since a correct peer may be stale and this node may lack the parent.
#[test]
fn a_forged_certificate_is_banned_and_a_block_that_does_not_fit_is_not() {
    let mut node = Node::open();
    node.turns(at(0));
    node.block(0, at(0));
    let own = node.machine.shared.blocks.block(Height(1)).unwrap().unwrap();
    let good = node.certificate(&own);
    let mut forged = good.clone();
    *forged.signatures.get_mut(&ValidatorIndex(2)).unwrap() = [7; 64];
    let bare = |certificate: &Certificate| SyncItem { block: None, certificate: certificate.clone() };
    let none: [ValidatorIndex; 0] = [];

    let gap = node.certificate(&foreign_block(3));
    assert_eq!(banned_for(&mut node, vec![bare(&gap)]), none, "a height is left out");
    assert_eq!(banned_for(&mut node, vec![bare(&forged)]), [ValidatorIndex(1)]);
    assert_eq!(node.machine.certificates.certified(), Height(0), "nothing is taken from it");

    let next = node.certificate(&foreign_block(2));
    let other = SyncItem { block: Some(foreign_block(7)), certificate: next };
    assert_eq!(banned_for(&mut node, vec![bare(&good), other]), none, "not the block that is certified");
    assert_eq!(node.machine.certificates.certified(), Height(1));
    assert_eq!(
        banned_for(&mut node, vec![bare(&forged)]),
        none,
        "its height is certified: stale, and not read"
    );
}
