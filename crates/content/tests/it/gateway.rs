//! Which blocks the gateway gives for a path and a scope.

use crate::kit::{Node, car, dag_cbor, map, raw};
use bxp_content::{
    Block, Codec, ContentError, PeerId, Reader,
    gateway::{ByteRange, Scope, Selection},
};
use ipld_core::ipld::Ipld;

const ENTITY: Scope = Scope::Entity(ByteRange::ALL);

fn given(node: &Node, root: &Block, path: &str, scope: Scope) -> Option<Vec<Block>> {
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let view = node.content.view(Reader::Operator);
    let selection = Selection::follow(view, root.cid(), &segments).unwrap()?;
    Some(selection.blocks(scope).collect::<Result<_, _>>().unwrap())
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
    protobuf(&[(1, &child.cid().to_bytes()), (2, name.as_bytes())])
}

/// A UnixFS node: its kind, the sizes of its children, its links.
fn unixfs(kind: u8, sizes: &[u8], links: &[Vec<u8>]) -> Block {
    let mut data = vec![0x08, kind];
    for size in sizes {
        data.extend([0x20, *size]);
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
    let mut blocks = follow(&named, &[]).unwrap().blocks(Scope::All);
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
    let given: Result<Vec<_>, _> = selection.blocks(ENTITY).collect();
    assert!(given.unwrap().len() <= 22);
}
