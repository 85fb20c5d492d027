//! Garbage collection: what stays, and what goes.

use crate::kit::{Node, car, list, raw};
use bxp_content::{Block, Collected, ContentError, PeerId, Reader};
use std::sync::atomic::{AtomicBool, Ordering};

fn tree(seed: u8) -> (Block, Vec<Block>) {
    let leaves: Vec<_> = (0..4).map(|number| raw(vec![seed, number])).collect();
    let root = list(&leaves);
    (root.clone(), [vec![root], leaves].concat())
}

fn has(node: &Node, blocks: &[Block]) -> bool {
    let view = node.content.view(Reader::Operator);
    blocks.iter().all(|block| view.block(block.cid()).unwrap().is_some())
}

#[test]
fn pinned_published_and_anchored_stay_and_the_rest_goes() {
    let node = Node::new();
    let ((pinned, pinned_blocks), (anchored, anchored_blocks), (garbage, garbage_blocks)) =
        (tree(1), tree(2), tree(3));
    for (root, blocks) in
        [(&pinned, &pinned_blocks), (&anchored, &anchored_blocks), (&garbage, &garbage_blocks)]
    {
        node.content.import(car(&[*root.cid()], blocks).as_slice()).unwrap();
    }
    let (_, set) = node.publish(1, vec![Reader::Peer(PeerId::random())]);
    node.content.unpin(anchored.cid()).unwrap();
    node.content.unpin(garbage.cid()).unwrap();
    node.know(|known| assert!(known.anchored.insert(*anchored.cid())));
    let before = node.content.statistics().unwrap();
    let collected = node.content.collect().unwrap();
    assert_eq!((collected.removed_blocks, collected.kept_blocks), (5, 15));
    let after = node.content.statistics().unwrap();
    assert_eq!(before.used_bytes - after.used_bytes, collected.removed_bytes);
    assert!(has(&node, &pinned_blocks) && has(&node, &anchored_blocks) && !has(&node, &garbage_blocks[..1]));
    assert_eq!(node.reads(&Reader::Operator, &set), [true; 5]);
    assert_eq!(node.content.collect().unwrap(), Collected { kept_blocks: 15, ..Collected::default() });
    assert!(matches!(node.content.unpin(garbage.cid()), Err(ContentError::UnknownRoot(_))));
}

#[test]
fn what_two_roots_share_stays_for_the_one_that_is_pinned() {
    let node = Node::new();
    let shared = raw("shared");
    let (one, two) = (list(&[shared.clone(), raw("one")]), list(&[shared.clone(), raw("two")]));
    for (root, own) in [(&one, "one"), (&two, "two")] {
        let file = car(&[*root.cid()], &[root.clone(), shared.clone(), raw(own)]);
        node.content.import(file.as_slice()).unwrap();
    }
    node.content.unpin(one.cid()).unwrap();
    assert_eq!(node.content.collect().unwrap().removed_blocks, 2);
    assert!(has(&node, &[two, shared]));
}

#[test]
fn what_is_being_written_stays_until_its_writer_lets_go() {
    let node = Node::new();
    let (root, blocks) = tree(1);
    let mut hold = node.content.hold();
    hold.put(&blocks).unwrap();
    assert_eq!(node.content.collect().unwrap().removed_blocks, 0);
    hold.pin(&[*root.cid()]).unwrap();
    drop(hold);
    assert_eq!(node.content.collect().unwrap().removed_blocks, 0);
    node.content.unpin(root.cid()).unwrap();
    let mut again = node.content.hold();
    again.put(&blocks[1..]).unwrap();
    assert_eq!(
        node.content.collect().unwrap().removed_blocks,
        1,
        "blocks that were here before are held too"
    );
    drop(again);
    assert_eq!(node.content.collect().unwrap().removed_blocks, 4);
}

/// Goal: collecting never takes what an import has just pinned. Way: one thread collects without a pause while others
/// import, pin and unpin the same DAGs.
#[test]
fn imports_and_collections_at_once() {
    let node = Node::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut removed = 0;
            while !stop.load(Ordering::SeqCst) {
                removed += node.content.collect().unwrap().removed_blocks;
            }
            removed
        });
        let writers: Vec<_> = (1..=3)
            .map(|seed| {
                let node = &node;
                scope.spawn(move || {
                    let (root, blocks) = tree(seed);
                    let file = car(&[*root.cid()], &blocks);
                    for _ in 0..60 {
                        node.content.import(file.as_slice()).unwrap();
                        assert!(has(node, &blocks));
                        node.content.unpin(root.cid()).unwrap();
                    }
                    node.content.import(file.as_slice()).unwrap();
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        assert!(collector.join().unwrap() > 0, "there was garbage in between");
    });
    for seed in 1..=3 {
        assert!(has(&node, &tree(seed).1));
    }
    node.content.collect().unwrap();
    assert_eq!(node.content.statistics().unwrap().blocks, 15);
}
