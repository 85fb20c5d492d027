//! Who reads what of a publication, and what stays of it on disk.

use crate::kit::{CANARY, NOW_S, Node, RecordSet, map, raw};
use bxp_content::{ContentError, Draft, NewBlock, PeerId, Reader, Terms};
use bxp_privacy::Purpose;
use std::{fs, path::Path};

fn peer() -> Reader {
    Reader::Peer(PeerId::random())
}

#[test]
fn who_is_named_reads_and_everyone_else_gets_nothing() {
    let node = Node::new();
    let (named, token) = (peer(), Reader::of_token("a token"));
    let (publication, set) = node.publish(1, vec![named.clone(), token.clone()]);
    assert_eq!(node.content.publication(&set.root).unwrap(), Some(publication));
    for reader in [&named, &token, &Reader::Operator] {
        assert_eq!(node.reads(reader, &set), [true; 5]);
        let walked: Result<Vec<_>, _> = node.content.view(reader.clone()).walk(&set.root).collect();
        assert_eq!(walked.unwrap().iter().map(|block| *block.cid()).collect::<Vec<_>>(), set.cids());
    }
    for reader in [peer(), Reader::of_token("another"), Reader::Token([0; 32])] {
        assert_eq!(node.reads(&reader, &set), [false; 5]);
        assert!(!node.content.knows(&reader).unwrap());
    }
    assert!(node.content.knows(&token).unwrap());
}

#[test]
fn the_gatekeeper_is_asked_at_every_read_and_the_term_ends() {
    let node = Node::new();
    let named = peer();
    let (_, set) = node.publish(1, vec![named.clone()]);
    node.know(|known| assert!(known.denied.insert(set.records[1])));
    assert_eq!(node.reads(&named, &set), [true, true, true, false, true], "one patient's switch was moved");
    let broken: Result<Vec<_>, _> = node.content.view(named.clone()).walk(&set.root).collect();
    assert!(matches!(broken, Err(ContentError::Incomplete(_))));
    node.know(|known| known.denied.clear());
    assert_eq!(node.reads(&named, &set), [true; 5]);
    node.know(|known| known.now_s = NOW_S + 100);
    assert_eq!(node.reads(&named, &set), [false; 5], "the term is over");
    assert_eq!(node.reads(&Reader::Operator, &set), [true; 5], "the holder's own");
    assert_eq!(node.content.sweep().unwrap(), (1, 0));
    assert_eq!(node.content.publications().unwrap(), []);
}

#[test]
fn what_is_withdrawn_is_given_to_nobody() {
    let node = Node::new();
    let named = peer();
    let (_, set) = node.publish(1, vec![named.clone()]);
    node.content.withdraw(&set.root).unwrap();
    assert_eq!(node.reads(&named, &set), [false; 5]);
    assert!(matches!(node.content.withdraw(&set.root), Err(ContentError::UnknownRoot(_))));
    assert_eq!(node.content.collect().unwrap().removed_blocks, 5);
}

#[test]
fn an_erasure_reaches_what_was_published() {
    let node = Node::new();
    let (_, set) = node.publish(1, vec![peer()]);
    let (_, other) = node.publish(2, vec![peer()]);
    // The keys go first, wherever a copy of the blocks may be.
    node.enclave.forget_patients(&[], &[set.patient.0]).unwrap();
    assert_eq!(node.reads(&Reader::Operator, &set), [true, true, false, false, false]);
    node.know(|known| known.gone.extend(set.records));
    let before = node.content.statistics().unwrap();
    assert_eq!(node.content.sweep().unwrap(), (0, 3));
    let after = node.content.statistics().unwrap();
    assert_eq!((before.blocks, after.blocks), (10, 7));
    assert!(after.used_bytes < before.used_bytes);
    assert_eq!(node.reads(&Reader::Operator, &other), [true; 5]);
}

#[test]
fn a_draft_is_a_whole_dag_for_someone_and_for_some_time() {
    let node = Node::new();
    let set = RecordSet::new(1);
    let draft = |change: &dyn Fn(&mut Draft)| {
        let mut draft = set.draft(vec![peer()]);
        change(&mut draft);
        node.content.publish(draft).unwrap_err()
    };
    assert!(matches!(draft(&|draft| draft.readers.clear()), ContentError::Draft(_)));
    assert!(matches!(draft(&|draft| draft.readers = vec![peer(); 65]), ContentError::Draft(_)));
    assert!(matches!(draft(&|draft| draft.readers = vec![Reader::Operator]), ContentError::Draft(_)));
    assert!(matches!(draft(&|draft| drop(draft.blocks.pop())), ContentError::Incomplete(_)));
    let stray = NewBlock { block: raw("stray"), record: None, patient: None };
    assert!(matches!(draft(&|draft| draft.blocks.push(stray.clone())), ContentError::Draft(_)));
    let over = Terms { purpose: Purpose::Oversight, until_s: NOW_S };
    assert!(matches!(draft(&|draft| draft.terms = over), ContentError::Draft(_)));
    let own = Terms { purpose: Purpose::Operations, until_s: NOW_S + 1 };
    assert!(matches!(draft(&|draft| draft.terms = own), ContentError::Draft(_)));
    let sealed = NewBlock { block: raw("identity of someone"), record: None, patient: None };
    let identity = |draft: &mut Draft| {
        let root = ipld_core::ipld::Ipld::Link(*sealed.block.cid());
        let root = crate::kit::dag_cbor(&map([("a", root)]));
        draft.root = *root.cid();
        draft.blocks = vec![NewBlock { block: root, record: None, patient: None }, sealed.clone()];
    };
    assert!(matches!(draft(&identity), ContentError::Identifying(_)));
    assert_eq!(node.content.statistics().unwrap().used_bytes, 0, "nothing was written");
}

/// Every file under `dir` that holds the canary.
fn files_with_canary(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with_canary(&path));
        } else if fs::read(&path).unwrap().windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn nothing_lies_on_disk_in_clear() {
    let node = Node::new();
    node.publish(1, vec![peer()]);
    let file = crate::kit::car(&[*raw(CANARY).cid()], &[raw(CANARY)]);
    node.content.import(file.as_slice()).unwrap();
    assert_eq!(files_with_canary(node.dir.path()), Vec::<std::path::PathBuf>::new());
    fs::write(node.dir.path().join("clear"), CANARY).unwrap();
    assert_eq!(files_with_canary(node.dir.path()).len(), 1, "the search finds it where it is");
}
