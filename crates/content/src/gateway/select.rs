//! Which blocks answer a request for a CAR file: those of the path, then those of the scope.

use super::{
    ByteRange, Scope,
    shard::{Place, Way, is_shard},
};
use crate::{
    Block, Codec, ContentError, View,
    dag::{BLOCKS_MAX, DEPTH_MAX},
    dag_cbor::{self, Found},
    dag_pb::{self, Kind},
};
use cid::Cid;
use std::collections::HashSet;

/// Segments of one path. The paths of publications have five.
const SEGMENTS_MAX: usize = 64;

/// A path that was followed.
#[derive(Clone, Debug)]
pub struct Selection {
    view: View,
    /// The blocks from the root to the end, that one included.
    path: Vec<Block>,
    /// Those of them that the root and the segments name, without the shards between them.
    roots: Vec<Cid>,
    /// The end of the path lies within its block, not at its beginning.
    within_block: bool,
}

impl Selection {
    /// Follows `segments` from `root` through links; nothing where there is no such path, or the reader may not go it.
    ///
    /// # Errors
    /// [`ContentError::Storage`], [`ContentError::Gatekeeper`].
    pub fn follow(view: View, root: &Cid, segments: &[&str]) -> Result<Option<Self>, ContentError> {
        if segments.len() > SEGMENTS_MAX {
            return Ok(None);
        }
        let Some(block) = view.block(root)? else { return Ok(None) };
        let mut made = Self { view, path: vec![block], roots: vec![*root], within_block: false };
        let mut rest = segments;
        // A step without a segment goes from a link's place to what it names: at most one for each segment.
        for _ in 0..=SEGMENTS_MAX {
            let Some(block) = made.path.last() else { return Ok(None) };
            match step(block, rest) {
                Step::Link(cid, used) => {
                    if !made.go(cid)? {
                        return Ok(None);
                    }
                    made.roots.push(cid);
                    rest = rest.get(used..).unwrap_or_default();
                }
                Step::Shards(way) => {
                    if !made.go_through_shards(way)? {
                        return Ok(None);
                    }
                    rest = rest.get(1..).unwrap_or_default();
                }
                Step::End => {
                    made.within_block = !rest.is_empty();
                    return Ok(Some(made));
                }
                Step::Nowhere => return Ok(None),
            }
            if rest.is_empty() {
                break;
            }
        }
        Ok(rest.is_empty().then_some(made))
    }

    /// Goes to a block; tells whether there is one for the reader.
    fn go(&mut self, cid: Cid) -> Result<bool, ContentError> {
        let next = self.view.block(&cid)?;
        let found = next.is_some();
        self.path.extend(next);
        Ok(found)
    }

    /// Goes from a shard to the entry of a name. The bits of the name's hash bound the levels.
    fn go_through_shards(&mut self, mut way: Way<'_>) -> Result<bool, ContentError> {
        while let Some(block) = self.path.last()
            && let Some((fanout, hash)) = shard(block)
        {
            let links = dag_pb::named_links(block.bytes()).unwrap_or_default();
            match way.step(fanout, hash, &links) {
                Place::Entry(cid) => {
                    self.roots.push(cid);
                    return self.go(cid);
                }
                Place::Shard(cid) if self.go(cid)? => {}
                Place::Shard(_) | Place::Nowhere => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The CID of the block in which the path ends.
    #[must_use]
    pub fn end(&self) -> Option<&Cid> {
        self.path.last().map(Block::cid)
    }

    /// The CIDs that the root and each segment name, where a segment leads to another block.
    #[must_use]
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// The blocks of the answer, one after the other, and with `duplicates` as often as they are met. A block that is not
    /// here or not the reader's ends them with [`ContentError::Incomplete`]. Blocks that their CIDs hold are not among them.
    pub fn blocks(
        self,
        scope: Scope,
        duplicates: bool,
    ) -> Box<dyn Iterator<Item = Result<Block, ContentError>> + Send> {
        let Self { view, path, within_block, .. } = self;
        let Some(end) = path.last().cloned() else { return Box::new(std::iter::empty()) };
        let given: HashSet<Cid> = path.iter().map(|block| *block.cid()).collect();
        let path = path.into_iter().map(Ok);
        // What lies within a block has no blocks of its own.
        let scope = if within_block { Scope::Block } else { scope };
        let is_sent =
            |block: &Result<Block, ContentError>| block.as_ref().map_or(true, |block| !block.is_inline());
        match scope {
            Scope::Block => Box::new(path.filter(is_sent)),
            Scope::All if duplicates => {
                let mut all = view.walk(end.cid()).with_duplicates();
                // The path has its end already.
                let first = all.next().and_then(Result::err).map(Err);
                Box::new(path.chain(first).chain(all).filter(is_sent))
            }
            Scope::All => {
                let all = view.walk(end.cid());
                let new = all
                    .filter(move |block| block.as_ref().map_or(true, |block| !given.contains(block.cid())));
                Box::new(path.chain(new).filter(is_sent))
            }
            Scope::Entity(range) => {
                let given = if duplicates { None } else { Some(given) };
                Box::new(path.chain(Entity::new(&view, end, range, given)).filter(is_sent))
            }
        }
    }
}

enum Step<'s> {
    /// To a block, with so many segments used.
    Link(Cid, usize),
    /// To an entry of a folder in shards.
    Shards(Way<'s>),
    /// All segments are used within the block.
    End,
    Nowhere,
}

fn step<'s>(block: &Block, segments: &[&'s str]) -> Step<'s> {
    let Some(first) = segments.first() else { return Step::End };
    match Codec::of(block.cid()) {
        Ok(Codec::DagCbor) => match dag_cbor::follow(block.bytes(), segments) {
            Ok(Found::Link(cid, used)) => Step::Link(cid, used),
            Ok(Found::Value) => Step::End,
            Ok(Found::Missing) | Err(_) => Step::Nowhere,
        },
        Ok(Codec::DagPb) if shard(block).is_some() => Step::Shards(Way::new(first)),
        Ok(Codec::DagPb) => {
            let links = dag_pb::named_links(block.bytes()).unwrap_or_default();
            links
                .into_iter()
                .find(|link| link.name == *first)
                .map_or(Step::Nowhere, |link| Step::Link(link.cid, 1))
        }
        Ok(Codec::Raw) | Err(_) => Step::Nowhere,
    }
}

/// The places of a shard and its hash function; nothing where the block is none.
fn shard(block: &Block) -> Option<(u64, u64)> {
    match (Codec::of(block.cid()), dag_pb::kind(block.bytes())) {
        (Ok(Codec::DagPb), Ok(Kind::Shard { fanout, hash })) => Some((fanout, hash)),
        _ => None,
    }
}

/// The blocks of a file or a folder under its first block, which was given before.
struct Entity {
    view: View,
    /// What was given, where each block is given once.
    given: Option<HashSet<Cid>>,
    /// Blocks to come with the place of their first byte in the file, and how deep they are.
    waiting: Vec<(Cid, u64, u16)>,
    /// The bytes that are asked for, where it is a file.
    bytes: Option<(u64, u64)>,
    root: Cid,
    /// A file may name one block any number of times, which costs it nothing and its reader a read each time.
    visits: u64,
}

impl Entity {
    fn new(view: &View, end: Block, range: ByteRange, given: Option<HashSet<Cid>>) -> Self {
        let root = *end.cid();
        let mut entity =
            Self { view: view.clone(), given, waiting: Vec::new(), bytes: None, root, visits: 0 };
        if matches!(Codec::of(&root), Ok(Codec::DagPb)) {
            if let Ok(Kind::File { own_bytes, child_bytes }) = dag_pb::kind(end.bytes()) {
                let size = child_bytes.iter().fold(own_bytes, |sum, bytes| sum.saturating_add(*bytes));
                // Nothing of the file is asked for: its first block shows the client why.
                entity.bytes = Some(range.within(size).unwrap_or((0, 0)));
            }
            entity.open(&end, 0, 0);
        }
        entity
    }

    /// Queues what belongs to the entity under `block`.
    fn open(&mut self, block: &Block, start: u64, depth: u16) {
        if !matches!(Codec::of(block.cid()), Ok(Codec::DagPb)) {
            return;
        }
        let links = dag_pb::named_links(block.bytes()).unwrap_or_default();
        let below = depth.saturating_add(1);
        match (dag_pb::kind(block.bytes()), self.bytes) {
            (Ok(Kind::File { own_bytes, child_bytes }), Some((from, end))) => {
                let mut place = start.saturating_add(own_bytes);
                let mut children = Vec::new();
                for (link, bytes) in links.iter().zip(child_bytes) {
                    let next = place.saturating_add(bytes);
                    if place < end && from < next {
                        children.push((link.cid, place, below));
                    }
                    place = next;
                }
                self.waiting.extend(children.into_iter().rev());
            }
            (Ok(Kind::Shard { fanout, .. }), None) => {
                let shards = links.iter().rev().filter(|link| is_shard(fanout, link));
                self.waiting.extend(shards.map(|link| (link.cid, 0, below)));
            }
            _ => {}
        }
    }

    /// A block of the entity; nothing where it was given before. Its children are queued either way: a block may come
    /// twice in a file, at different places.
    fn visit(&mut self, cid: Cid, start: u64, depth: u16) -> Result<Option<Block>, ContentError> {
        let too_large = |what, max| Err(ContentError::DagTooLarge { root: Box::new(self.root), what, max });
        self.visits += 1;
        if self.visits > BLOCKS_MAX {
            return too_large("blocks", BLOCKS_MAX);
        }
        if depth > DEPTH_MAX {
            return too_large("levels", DEPTH_MAX.into());
        }
        let block = self.view.block(&cid)?.ok_or(ContentError::Incomplete(cid))?;
        self.open(&block, start, depth);
        Ok(self.given.as_mut().is_none_or(|given| given.insert(cid)).then_some(block))
    }
}

impl Iterator for Entity {
    type Item = Result<Block, ContentError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((cid, start, depth)) = self.waiting.pop() {
            match self.visit(cid, start, depth) {
                Ok(None) => {}
                Ok(Some(block)) => return Some(Ok(block)),
                Err(error) => {
                    self.waiting.clear();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
