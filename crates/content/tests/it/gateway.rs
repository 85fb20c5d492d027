//! Which blocks the gateway gives for a path and a scope.

use crate::kit::{Node, car, dag_cbor, map, raw};
use bxp_content::{
    Block, Codec, ContentError, PeerId, Reader,
    dag::{BLOCKS_MAX, Walk},
    gateway::{ByteRange, Scope, Selection},
};
use cid::{Cid, multihash::Multihash};
use ipld_core::ipld::Ipld;
use std::collections::HashMap;

const ENTITY: Scope = Scope::Entity(ByteRange::ALL);

fn select(node: &Node, root: &Cid, path: &str) -> Option<Selection> {
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    Selection::follow(node.content.view(Reader::Operator), root, &segments).unwrap()
}

fn given(node: &Node, root: &Block, path: &str, scope: Scope) -> Option<Vec<Block>> {
    Some(select(node, root.cid(), path)?.blocks(scope, false).collect::<Result<_, _>>().unwrap())
}

/// The same with each block as often as it is met.
fn given_twice(node: &Node, root: &Block, path: &str, scope: Scope) -> Vec<Block> {
    select(node, root.cid(), path).unwrap().blocks(scope, true).collect::<Result<_, _>>().unwrap()
}

/// A CID of raw bytes that holds them.
fn inline(bytes: &[u8]) -> Cid {
    Cid::new_v1(0x55, Multihash::wrap(0, bytes).unwrap())
}

fn protobuf(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in fields {
        out.push(number << 3 | 2);
        out.push(u8::try_from(bytes.len()).unwrap());
        out.extend_from_slice(bytes);
    }
    out
}

fn link(child: &Block, name: &str) -> Vec<u8> {
    link_to(child.cid(), name)
}

fn link_to(child: &Cid, name: &str) -> Vec<u8> {
    protobuf(&[(1, &child.to_bytes()), (2, name.as_bytes())])
}

/// A UnixFS node: its kind, the sizes of its children, its links. A shard has 256 places, found by MurmurHash3.
fn unixfs(kind: u8, sizes: &[u8], links: &[Vec<u8>]) -> Block {
    let mut data = vec![0x08, kind];
    for size in sizes {
        data.extend([0x20, *size]);
    }
    if kind == 5 {
        data.extend([0x28, 0x22, 0x30, 0x80, 0x02]);
    }
    let mut fields: Vec<(u8, &[u8])> = links.iter().map(|link| (2, link.as_slice())).collect();
    fields.push((1, &data));
    Block::new(Codec::DagPb, protobuf(&fields).into()).unwrap()
}

#[test]
fn paths_go_through_records_and_scopes_widen_the_answer() {
    let node = Node::new();
    let (leaf, other) = (raw("leaf"), raw("other"));
    let chart =
        dag_cbor(&map([("records", Ipld::List(vec![Ipld::Link(*leaf.cid()), Ipld::Link(*other.cid())]))]));
    let value = map([("n", Ipld::Integer(1)), ("charts", Ipld::List(vec![Ipld::Link(*chart.cid())]))]);
    let root = dag_cbor(&value);
    let all = [root.clone(), chart.clone(), leaf.clone(), other.clone()];
    node.content.import(car(&[*root.cid()], &all).as_slice()).unwrap();
    let given = |path: &str, scope| given(&node, &root, path, scope);
    assert_eq!(given("", Scope::All).unwrap(), all);
    assert_eq!(given("", Scope::Block).unwrap(), std::slice::from_ref(&root));
    assert_eq!(given("", ENTITY).unwrap(), std::slice::from_ref(&root), "of a map it is the block");
    assert_eq!(given("charts/0", Scope::Block).unwrap(), [root.clone(), chart.clone()]);
    assert_eq!(given("charts/0", Scope::All).unwrap(), all);
    assert_eq!(given("charts/0/records/1", Scope::All).unwrap(), [root.clone(), chart.clone(), other]);
    assert_eq!(given("n", Scope::All).unwrap(), std::slice::from_ref(&root), "a value within a block");
    assert_eq!(given("charts/0/records", Scope::All).unwrap(), [root.clone(), chart]);
    for missing in ["charts/1", "x", "n/x", "charts/0/records/1/x", &"charts/".repeat(40)] {
        assert!(given(missing, Scope::All).is_none(), "{missing}");
    }
}

#[test]
fn files_and_folders_of_other_peers_are_served_by_their_bytes() {
    let node = Node::new();
    let parts = ["aaaa", "bbbb", "cccc"].map(raw);
    let links = [link(&parts[0], ""), link(&parts[1], ""), link(&parts[2], "")];
    let file = unixfs(2, &[4, 4, 4], &links);
    let small = raw("small");
    let shard = unixfs(5, &[], &[link(&small, "00small")]);
    let shards = unixfs(5, &[], &[link(&shard, "0A"), link(&file, "0Bfile")]);
    let folder = unixfs(1, &[], &[link(&file, "file"), link(&shards, "large"), link(&small, "small")]);
    let blocks =
        [&[folder.clone(), file.clone(), shards.clone(), shard.clone(), small.clone()][..], &parts].concat();
    node.content.import(car(&[*folder.cid()], &blocks).as_slice()).unwrap();
    let given = |path: &str, scope| given(&node, &folder, path, scope).unwrap();
    let bytes = |from, to| Scope::Entity(ByteRange { from, to });
    assert_eq!(given("", ENTITY), std::slice::from_ref(&folder), "a folder's entries stand in its block");
    let whole = [&[folder.clone(), file.clone()][..], &parts].concat();
    assert_eq!(given("file", ENTITY), whole);
    let middle = [folder.clone(), file.clone(), parts[1].clone()];
    assert_eq!(given("file", bytes(4, Some(7))), middle);
    assert_eq!(given("file", bytes(-1, None)), [folder.clone(), file.clone(), parts[2].clone()]);
    assert_eq!(given("file", bytes(3, Some(4))), whole[..4]);
    assert_eq!(given("file", bytes(12, None)), [folder.clone(), file], "outside: its first block shows why");
    assert_eq!(given("large", ENTITY), [folder.clone(), shards, shard], "the shards, not what they name");
    assert_eq!(given("small", ENTITY), [folder, small]);
}

/// Ranges over a file of five parts, with what the ends of a range may be.
#[test]
fn a_range_needs_the_parts_that_it_touches_and_no_others() {
    let node = Node::new();
    let parts = ["aaaa", "bbbb", "cccc", "dddd", "ee"].map(raw);
    let links: Vec<_> = parts.iter().map(|part| link(part, "")).collect();
    let file = unixfs(2, &[4, 4, 4, 4, 2], &links);
    let all = [&[file.clone()][..], &parts].concat();
    node.content.import(car(&[*file.cid()], &all).as_slice()).unwrap();
    for (from, to, first, end) in [
        (0, None, 0, 5),
        (8, None, 2, 5),
        (8, Some(15), 2, 4),
        (8, Some(-4), 2, 4),
        (-2, None, 4, 5),
        (-5, None, 3, 5),
        (-9999, None, 0, 5),
        (-9999, Some(-3), 0, 4),
        (0, Some(0), 0, 1),
        (17, Some(9999), 4, 5),
        (18, None, 0, 0),
        (0, Some(-9999), 0, 0),
    ] {
        let scope = Scope::Entity(ByteRange { from, to });
        let expected = [&[file.clone()][..], &parts[first..end]].concat();
        assert_eq!(given(&node, &file, "", scope).unwrap(), expected, "{from}:{to:?}");
    }
}

#[test]
fn a_range_is_served_where_other_parts_of_the_file_are_missing() {
    let node = Node::new();
    let parts = ["aaaa", "bbbb", "cccc"].map(raw);
    let links = [link(&parts[0], ""), link(&parts[1], ""), link(&parts[2], "")];
    let file = unixfs(2, &[4, 4, 4], &links);
    let mut hold = node.content.hold();
    hold.put(&[file.clone(), parts[0].clone(), parts[2].clone()]).unwrap();
    let given = |from, to| given(&node, &file, "", Scope::Entity(ByteRange { from, to })).unwrap();
    assert_eq!(given(0, Some(3)), [file.clone(), parts[0].clone()]);
    assert_eq!(given(9, None), [file.clone(), parts[2].clone()]);
    let broken: Vec<_> = select(&node, file.cid(), "").unwrap().blocks(Scope::All, false).collect();
    assert_eq!(broken.len(), 3);
    assert!(matches!(broken[2], Err(ContentError::Incomplete(cid)) if cid == *parts[1].cid()));
    drop(hold);
}

/// Names and their hashes: `hello` begins with CB D8, `hello, world` with 34 2F.
#[test]
fn a_name_is_found_in_a_folder_of_shards_by_its_hash() {
    let node = Node::new();
    let (hello, world, other) = (raw("1"), raw("2"), raw("3"));
    let parts = ["aaaa", "bbbb"].map(raw);
    let file = unixfs(2, &[4, 4], &[link(&parts[0], ""), link(&parts[1], "")]);
    let below = unixfs(5, &[], &[link(&world, "2Fhello, world"), link(&other, "30x")]);
    let root = unixfs(
        5,
        &[],
        &[link(&below, "34"), link(&hello, "CBhello"), link(&file, "B819 Jan 2038 at 3:14:07 AM")],
    );
    let folder = unixfs(1, &[], &[link(&root, "many")]);
    let leaves =
        [hello.clone(), world.clone(), other.clone(), file.clone(), parts[0].clone(), parts[1].clone()];
    let blocks = [&[folder.clone(), root.clone(), below.clone()][..], &leaves].concat();
    node.content.import(car(&[*folder.cid()], &blocks).as_slice()).unwrap();
    let given = |path: &str, scope| given(&node, &folder, path, scope).unwrap();
    assert_eq!(given("many/hello", Scope::All), [folder.clone(), root.clone(), hello.clone()]);
    let deep = [folder.clone(), root.clone(), below.clone(), world.clone()];
    assert_eq!(given("many/hello, world", Scope::Block), deep, "with the shards between");
    let multiblock = [folder.clone(), root.clone(), file.clone(), parts[0].clone(), parts[1].clone()];
    assert_eq!(given("many/19 Jan 2038 at 3:14:07 AM", Scope::All), multiblock);
    assert_eq!(given("many", ENTITY), [folder.clone(), root.clone(), below.clone()]);
    let selection = select(&node, folder.cid(), "many/hello, world").unwrap();
    assert_eq!(selection.roots(), [*folder.cid(), *root.cid(), *world.cid()], "one of each segment");
    for missing in ["many/x", "many/hell", "many/34", "many/CBhello", "many/hello/x"] {
        assert!(select(&node, folder.cid(), missing).is_none(), "{missing}");
    }
}

#[test]
fn a_block_that_is_met_twice_is_sent_once_or_twice() {
    let node = Node::new();
    let (part, hello) = (raw("aaaa"), raw("hello"));
    let file = unixfs(2, &[4, 4], &[link(&part, ""), link(&part, "")]);
    let root = unixfs(1, &[], &[link(&hello, "a"), link(&file, "b"), link(&hello, "c"), link(&file, "d")]);
    let blocks = [root.clone(), hello.clone(), file.clone(), part.clone()];
    node.content.import(car(&[*root.cid()], &blocks).as_slice()).unwrap();
    assert_eq!(given(&node, &root, "", Scope::All).unwrap(), blocks);
    let in_file = [file.clone(), part.clone(), part.clone()];
    let twice = [&[root.clone(), hello.clone()][..], &in_file, &[hello], &in_file].concat();
    assert_eq!(given_twice(&node, &root, "", Scope::All), twice);
    assert_eq!(given(&node, &root, "d", ENTITY).unwrap(), [root.clone(), file.clone(), part.clone()]);
    let of_path = [&[root.clone()][..], &in_file].concat();
    assert_eq!(given_twice(&node, &root, "d", ENTITY), of_path);
    assert_eq!(given_twice(&node, &root, "d", Scope::All), of_path);
    assert_eq!(given_twice(&node, &root, "d", Scope::Block), [root, file]);
}

/// What a CID holds itself is a part of the DAG, and is neither kept nor sent.
#[test]
fn blocks_that_their_cids_hold_are_followed_and_not_sent() {
    let node = Node::new();
    let (part, tail) = (raw("aaaa"), inline(b"tail"));
    let file = unixfs(2, &[4, 4], &[link(&part, ""), link_to(&tail, "")]);
    let root = unixfs(1, &[], &[link(&file, "file"), link_to(&tail, "tail")]);
    let blocks = [root.clone(), file.clone(), part.clone()];
    node.content.import(car(&[*root.cid()], &blocks).as_slice()).unwrap();
    for duplicates in [false, true] {
        let sent = |root: &Cid, path: &str, scope| -> Vec<Block> {
            let selection = select(&node, root, path).unwrap();
            selection.blocks(scope, duplicates).collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(sent(root.cid(), "", Scope::All), blocks);
        assert_eq!(sent(root.cid(), "file", ENTITY), blocks);
        assert_eq!(sent(root.cid(), "tail", Scope::All), std::slice::from_ref(&root));
        assert_eq!(sent(&tail, "", Scope::All), []);
    }
    assert_eq!(
        node.content.view(Reader::of_token("guess")).block(&tail).unwrap().unwrap().bytes().as_ref(),
        b"tail"
    );
    assert_eq!(node.content.collect().unwrap().kept_blocks, 3);
    // A file may hold such a block, which then takes no place.
    let own = Block::inline(&tail).unwrap().unwrap();
    node.content.import(car(&[*own.cid()], std::slice::from_ref(&own)).as_slice()).unwrap();
    assert_eq!(node.content.statistics().unwrap().blocks, 3);
}

/// `ipfs add` names folders by CIDs of version 0, and web pages by those of version 1: it is one block.
#[test]
fn a_folder_is_found_by_both_of_its_names() {
    let node = Node::new();
    let leaf = raw("leaf");
    let inner = unixfs(1, &[], &[link(&leaf, "leaf")]);
    let old = |block: &Block| Cid::new_v0(*block.cid().hash()).unwrap();
    let root = unixfs(1, &[], &[link_to(&old(&inner), "inner")]);
    let of_old = |block: &Block| Block::verify(old(block), block.bytes().clone()).unwrap();
    let kept = [of_old(&root), of_old(&inner), leaf.clone()];
    node.content.import(car(&[old(&root)], &kept).as_slice()).unwrap();
    assert_eq!(
        given(&node, &root, "inner/leaf", Scope::All).unwrap(),
        [root.clone(), of_old(&inner), leaf.clone()]
    );
    assert_eq!(given(&node, &kept[0], "", Scope::All).unwrap(), kept);
    // One that links to the new name keeps the block that lies under the old one.
    let other = unixfs(1, &[], &[link(&inner, "inner")]);
    node.content.import(car(&[*other.cid()], std::slice::from_ref(&other)).as_slice()).unwrap();
    node.content.unpin(&old(&root)).unwrap();
    assert_eq!(node.content.collect().unwrap().removed_blocks, 1);
    assert_eq!(given(&node, &other, "", Scope::All).unwrap(), [other.clone(), inner, leaf]);
}

#[test]
fn a_reader_gets_no_further_than_the_right_reaches() {
    let node = Node::new();
    let named = Reader::Peer(PeerId::random());
    let (_, set) = node.publish(1, vec![named.clone()]);
    node.know(|known| assert!(known.denied.insert(set.records[2])));
    let follow = |reader: &Reader, path: &[&str]| {
        Selection::follow(node.content.view(reader.clone()), &set.root, path).unwrap()
    };
    assert!(follow(&Reader::of_token("guess"), &[]).is_none());
    assert!(follow(&named, &["charts", "0", "records", "1"]).is_some());
    assert!(follow(&named, &["charts", "0", "records", "2"]).is_none());
    let mut blocks = follow(&named, &[]).unwrap().blocks(Scope::All, false);
    assert!((0..4).all(|_| blocks.next().unwrap().is_ok()));
    assert!(matches!(blocks.next(), Some(Err(ContentError::Incomplete(_)))));
    assert!(blocks.next().is_none());
}

/// A file whose every level names the next one twice has 2^60 paths: what is read is bounded, not what is said.
#[test]
fn a_file_of_endless_repetition_ends() {
    let node = Node::new();
    let (mut top, mut blocks) = (raw("x"), vec![raw("x")]);
    for _ in 0..21 {
        top = unixfs(2, &[1, 1], &[link(&top, ""), link(&top, "")]);
        blocks.push(top.clone());
    }
    node.content.import(car(&[*top.cid()], &blocks).as_slice()).unwrap();
    let view = node.content.view(Reader::Operator);
    let selection = Selection::follow(view, top.cid(), &[]).unwrap().unwrap();
    // The sizes in it are lies: each level claims two bytes, so that the walk is cut to the first two.
    let given: Result<Vec<_>, _> = selection.blocks(ENTITY, false).collect();
    assert!(given.unwrap().len() <= 22);
    // Given as often as it is met, it is cut at the bound.
    let by_cid: HashMap<_, _> = blocks.iter().map(|block| (*block.cid(), block.clone())).collect();
    let read = |cid: &Cid| by_cid.get(cid).cloned().ok_or(ContentError::Incomplete(*cid));
    let (mut met, mut last) = (0, None);
    for block in Walk::new(*top.cid(), read).with_duplicates() {
        met += 1;
        last = Some(block);
    }
    assert_eq!(met, BLOCKS_MAX + 1);
    assert!(matches!(last, Some(Err(ContentError::DagTooLarge { what: "blocks", .. }))));
}
