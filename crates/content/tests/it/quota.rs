//! The quota, and imports that are there wholly or not at all.

use crate::kit::{Node, RecordSet, car, list, raw};
use bxp_content::{Block, ContentError, PeerId, Quota, Reader, Statistics};
use proptest::prelude::*;

fn blocks(count: u16) -> Vec<Block> {
    (0..count).map(|number| raw([number.to_be_bytes().as_slice(), &[7; 10_000]].concat())).collect()
}

#[test]
fn writes_above_the_quota_are_refused_and_leave_nothing() {
    let node = Node::with_quota(Quota { bytes_max: 1 << 20, disk_free_bytes_min: 0 });
    let (few, many) = (blocks(50), blocks(200));
    let root = list(&few);
    let file = car(&[*root.cid()], &[vec![root.clone()], few].concat());
    assert_eq!(node.content.import(file.as_slice()).unwrap(), [*root.cid()]);
    let before = node.content.statistics().unwrap();
    assert_eq!((before.blocks, before.pins), (51, 1));
    let large = list(&many);
    let file = car(&[*large.cid()], &[vec![large], many].concat());
    let refused = node.content.import(file.as_slice()).unwrap_err();
    assert!(matches!(refused, ContentError::Quota { max: 1_048_576, .. }), "{refused}");
    assert!(refused.is_full() && refused.to_string().contains("bxp content gc"));
    let after = node.content.statistics().unwrap();
    let counts = |statistics: &Statistics| (statistics.blocks, statistics.used_bytes, statistics.pins);
    assert_eq!(counts(&after), counts(&before), "half of it had been written, and is gone again");
    let set = RecordSet::new(1);
    node.enclave.ensure_patients(&[set.patient.0]).unwrap();
    node.content.publish(set.draft(vec![Reader::Peer(PeerId::random())])).unwrap();
    let again = RecordSet::new(2);
    node.enclave.ensure_patients(&[again.patient.0]).unwrap();
    let refused = node.content.publish(again.draft(vec![Reader::Peer(PeerId::random())]));
    assert!(matches!(refused, Err(ContentError::Quota { .. })));
}

#[test]
fn a_nearly_full_disk_refuses_the_first_byte() {
    let node = Node::with_quota(Quota { bytes_max: 1 << 30, disk_free_bytes_min: u64::MAX / 2 });
    let block = raw("small");
    let refused = node.content.import(car(&[*block.cid()], &[block]).as_slice()).unwrap_err();
    assert!(matches!(refused, ContentError::DiskNearlyFull { .. }) && refused.is_full(), "{refused}");
    assert_eq!(node.content.statistics().unwrap().blocks, 0);
}

#[test]
fn what_is_in_use_is_counted_again_after_a_restart() {
    let node = Node::new();
    let all = blocks(5);
    node.content.import(car(&[*all[0].cid()], &all).as_slice()).unwrap();
    let before = node.content.statistics().unwrap();
    assert!(before.used_bytes > 50_000);
    let Node { dir, content, keeper, enclave } = node;
    drop((content, keeper, enclave));
    let quota = Quota { bytes_max: 64 << 20, disk_free_bytes_min: 0 };
    let after = crate::kit::open(dir.path(), quota).0.statistics().unwrap();
    assert_eq!((after.used_bytes, after.blocks), (before.used_bytes, 5));
}

#[test]
fn a_file_that_is_not_whole_or_holds_identities_leaves_nothing() {
    let node = Node::new();
    let all = blocks(3);
    let root = list(&all);
    let parts = [vec![root.clone()], all[..2].to_vec()].concat();
    let cut = node.content.import(car(&[*root.cid()], &parts).as_slice());
    assert!(matches!(cut, Err(ContentError::Incomplete(cid)) if cid == *all[2].cid()));
    let identity = raw("identity of someone");
    let refused = node.content.import(car(&[*all[0].cid()], &[all[0].clone(), identity]).as_slice());
    assert!(matches!(refused, Err(ContentError::Identifying(_))));
    assert_eq!(node.content.statistics().unwrap().blocks, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the damage: either all of the file is there and pinned, or nothing of it.
    #[test]
    fn an_import_is_all_or_nothing(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let node = Node::new();
        let all = blocks(3);
        let root = list(&all);
        let mut file = car(&[*root.cid()], &[vec![root.clone()], all].concat());
        let at = at.index(file.len());
        if cut { file.truncate(at) } else { file[at] = byte }
        match node.content.import(file.as_slice()) {
            Ok(roots) => {
                let walked: Result<Vec<_>, _> = node.content.view(Reader::Operator).walk(&roots[0]).collect();
                prop_assert!(walked.is_ok());
                prop_assert_eq!(node.content.pins().unwrap(), roots);
            }
            Err(_) => {
                let statistics = node.content.statistics().unwrap();
                prop_assert_eq!((statistics.blocks, statistics.used_bytes, statistics.pins), (0, 0, 0));
            }
        }
    }
}
