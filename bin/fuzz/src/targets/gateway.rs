//! What clients of the trustless gateway ask for, and the way of a name through folders in shards.

use super::{content, joined, pieces};
use bxp_content::{
    dag_pb::{self as pb, Kind},
    fuzz,
    gateway::{Asked, Scope, Wish, wish},
};

/// Sizes of files of which ranges are asked for.
const SIZES: [u64; 5] = [0, 1, 1_000, 1 << 63, u64::MAX];
/// A hash has 64 bits, of which each level takes one at least.
const LEVELS_MAX: usize = 64;

/// A request is its `Accept` header, then its query, a parameter in each line. What the header says is the same in the query,
/// and ranges are within their files.
pub(crate) fn request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let accept = lines.next().filter(|line| !line.is_empty());
    let pairs = lines.filter_map(|line| line.split_once('='));
    let query: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let asked = match wish(accept, &query) {
        Ok(asked) => asked,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty(), "a client is told why");
            return;
        }
    };
    if let Wish::Car { scope: Scope::Entity(range), .. } = asked.wish {
        for size in SIZES {
            let within = range.within(size);
            assert!(within.is_none_or(|(from, end)| from < end && end <= size), "{range:?} of {size}");
        }
    }
    let by_header = asked.by_header.into_iter().map(|(name, value)| (name.to_owned(), value));
    let whole: Vec<_> = query.into_iter().chain(by_header).collect();
    let expected = Asked { wish: asked.wish, by_header: Vec::new(), overruled: false };
    assert_eq!(wish(None, &whole), Ok(expected), "what the header said can be said in the query");
}

/// A name goes through shards by links that they have, to an entry or to nowhere.
pub(crate) fn shards(bytes: &[u8]) {
    let pieces = pieces(bytes);
    let Some((name, nodes)) = pieces.split_first() else { return };
    let way = fuzz::way(&String::from_utf8_lossy(name), nodes);
    assert!(way.len() <= nodes.len().min(LEVELS_MAX));
    for ((cid, to_shard), node) in way.iter().zip(nodes) {
        let Ok(Kind::Shard { fanout, .. }) = pb::kind(node) else { panic!("a way leads through shards") };
        let links = pb::named_links(node).expect("a shard that was gone through is read");
        let taken = |link: &pb::Link| link.cid == *cid && fuzz::is_shard(fanout, link) == *to_shard;
        assert!(links.iter().any(taken), "it leads where a link of the shard does");
    }
    assert!(way.iter().rev().skip(1).all(|(_, to_shard)| *to_shard), "an entry is its end");
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    let texts = [
        "application/vnd.ipld.raw\n",
        "text/html, application/vnd.ipld.raw;q=0.5, application/vnd.ipld.car; version=1; order=dfs; dups=y\n",
        "\nformat=raw",
        "*/*\nformat=car\ndag-scope=entity\nentity-bytes=499:-1000",
        "\nformat=car\nentity-bytes=0:1023\ncar-version=1\ncar-order=unk\ncar-dups=n",
        "application/vnd.ipld.car;order=foo, application/vnd.ipld.car;dups=\"y\";q=0.5\nentity-bytes=-1024:*",
        "application/vnd.ipld.car;dups=y\nformat=car\ncar-dups=n\ndag-scope=block",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A node of DAG-PB that is a shard of so many places, which a varint of one byte or two says.
fn shard(places: &[u8], names: &[&str]) -> Vec<u8> {
    let leaf = content::block(b"leaf").cid().to_bytes();
    let link = |name: &&str| {
        let link = [content::field(1, &leaf), content::field(2, name.as_bytes())].concat();
        content::field(2, &link)
    };
    let data = [&[0x08, 5, 0x28, 0x22, 0x30][..], places].concat();
    [names.iter().flat_map(link).collect(), content::field(1, &data)].concat()
}

/// Ways through one shard and two, of 256 places and of two.
pub(crate) fn ways() -> Vec<Vec<u8>> {
    let many = |names: &[&str]| shard(&[0x80, 0x02], names);
    let two = |names: &[&str]| shard(&[0x02], names);
    vec![
        joined([b"hello".to_vec(), many(&["00x", "CBhello", "34"])]),
        joined([b"hello, world".to_vec(), many(&["00x", "34"]), many(&["2Fhello, world"])]),
        joined([b"hello".to_vec(), two(&["0", "1"]), two(&["1hello"])]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_end_at_entries_and_requests_are_understood() {
        for (way, levels) in ways().iter().zip([1, 2, 2]) {
            let pieces = pieces(way);
            let gone = fuzz::way(std::str::from_utf8(pieces[0]).unwrap(), &pieces[1..]);
            assert_eq!(gone.len(), levels);
            assert!(!gone[levels - 1].1, "an entry");
        }
        for request in requests() {
            let text = String::from_utf8(request).unwrap();
            let (accept, query) = text.split_once('\n').unwrap();
            let query: Vec<(String, String)> = query
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            assert!(wish(Some(accept), &query).is_ok(), "{text}");
        }
    }
}
