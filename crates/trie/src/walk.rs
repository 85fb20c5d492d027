//! The first half of an update: the nodes in memory are changed, and what was stored of them is noted.
//!
//! The batch is sorted by key and handed down: a branch gives each child the part of the batch below it, so that a node is
//! looked at once, whatever the size of the batch. A node on the way is opened: read if it is not in memory, noted as it is
//! stored, and its parent's link to it emptied. The second half ([`crate::settle`]) encodes and hashes all open nodes. Small
//! parts of the trie are given to it as soon as they are changed, while they are in the processor's cache, into which they were
//! asked for before ([`crate::ahead`]).

use crate::{
    NodeReader, TrieError, ahead,
    batch::{Replaced, Update, below, nibble, run, shared_with},
    changes::{Changes, Rows, difference_of_rows},
    settle::settle_part,
    shape::{built, grown, prefix},
    tree::{self, Branch, Child, Extension, Hole, Link, Node},
    update::{decode, read},
};
use alloy_primitives::Bytes;
use alloy_trie::Nibbles;
use rayon::prelude::*;

/// From this many updates below a branch on, its children are worked on in parallel, at the two highest places of the
/// trie; with fewer, threads cost more than they give.
const PARALLEL_UPDATES_MIN: usize = 256;

/// Below this many nibbles nothing is handed out to other threads.
const PARALLEL_DEPTH_END: usize = 2;

/// Below this many nibbles parts are settled as soon as all below them is changed, where there are so many updates.
const PARTS: [(usize, usize); 2] = [(8_192, 2), (256, 1)];

/// Whether children at `depth` are handed out when `updates` concern them.
pub(crate) const fn is_parallel(depth: usize, updates: usize) -> bool {
    depth < PARALLEL_DEPTH_END && updates >= PARALLEL_UPDATES_MIN
}

/// The path of a branch's child.
pub(crate) fn child_path(mut path: Nibbles, nibble: u8) -> Nibbles {
    path.push(nibble);
    path
}

/// One walk through a part of the trie.
pub(crate) struct Walk<'a, R> {
    reader: &'a R,
    generation: u32,
    /// Branches below this many nibbles are settled as soon as all below them is changed, if at all. They stay where they
    /// are, whatever becomes of the nodes above.
    settled_depth: Option<usize>,
    /// What was stored of the nodes that were opened and are not settled, without those that other threads opened.
    opened: Rows,
    /// What they opened.
    opened_elsewhere: Vec<(Nibbles, Bytes)>,
    /// What has been settled, part by part.
    settled: Vec<Changes>,
    /// Every key that was changed, with its value before.
    before: Replaced,
    before_elsewhere: Vec<Replaced>,
    /// Memory that has been taken up.
    bytes: usize,
    /// Nodes that are noted have no holes.
    no_holes: Vec<Hole>,
}

/// What a walk has found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// What was stored of nodes that are open still.
    pub(crate) opened: Vec<(Nibbles, Bytes)>,
    /// What is settled already, part by part.
    pub(crate) settled: Vec<Changes>,
    pub(crate) before: Vec<Replaced>,
    pub(crate) bytes: usize,
}

impl<'a, R: NodeReader> Walk<'a, R> {
    /// A walk with so many updates.
    pub(crate) fn new(reader: &'a R, generation: u32, updates: usize) -> Self {
        let depth = PARTS.iter().find(|(updates_min, _)| updates >= *updates_min).map(|(_, depth)| *depth);
        let here = if depth.is_none() { updates } else { 0 };
        Self::to_depth(reader, generation, depth, here)
    }

    fn to_depth(reader: &'a R, generation: u32, settled_depth: Option<usize>, updates: usize) -> Self {
        Self {
            reader,
            generation,
            settled_depth,
            opened: Rows::with_room_for(updates),
            opened_elsewhere: Vec::new(),
            settled: Vec::new(),
            before: Replaced::default(),
            before_elsewhere: Vec::new(),
            bytes: 0,
            no_holes: Vec::new(),
        }
    }

    pub(crate) fn finish(mut self) -> Walked {
        // Rows of this thread are above those of others, and few where there are others.
        let mut opened: Vec<(Nibbles, Bytes)> = self.opened.nodes().collect();
        opened.extend(self.opened_elsewhere);
        self.before_elsewhere.push(self.before);
        Walked { opened, settled: self.settled, before: self.before_elsewhere, bytes: self.bytes }
    }

    /// Opens the root.
    pub(crate) fn open_root(&mut self, root: &mut Child) -> Result<(), TrieError> {
        if root.is_settled() || !matches!(root.node, Node::Unread) {
            return self.open(&Nibbles::new(), root);
        }
        // Nothing is known, not even the root's hash.
        let path = Nibbles::new();
        let node = match read(self.reader, &path)? {
            None => Node::Empty,
            Some(rlp) => {
                self.opened.push(path, |bytes| bytes.extend_from_slice(&rlp));
                decode(&path, &rlp)?
            }
        };
        *root = self.made(node);
        Ok(())
    }

    /// Asks for the memory that the update will need, where it is not asked for part by part.
    pub(crate) fn ask_ahead(&self, root: &Child, updates: &[Update]) {
        if self.settled_depth.is_none() {
            ahead::ask_for(root, 0, updates);
        }
    }

    /// A node that this update read or made.
    fn made(&mut self, node: Node) -> Child {
        self.bytes += node.bytes();
        Child::new(node, self.generation)
    }

    /// Opens the node at `path`.
    fn open(&mut self, path: &Nibbles, child: &mut Child) -> Result<(), TrieError> {
        child.used = self.generation;
        if matches!(child.node, Node::Unread) {
            let (node, stored) = self.read(path, child)?;
            *child = self.made(node);
            if let Some(rlp) = stored {
                self.opened.push(*path, |bytes| bytes.extend_from_slice(&rlp));
            }
            return Ok(());
        }
        self.note(path, child);
        child.link = Link::Open;
        Ok(())
    }

    /// Notes how a node in memory is stored.
    fn note(&mut self, path: &Nibbles, child: &Child) {
        if child.is_stored() && !matches!(child.node, Node::Empty) {
            let holes = &mut self.no_holes;
            self.opened.push(*path, |bytes| child.node.encode(path.len(), bytes, holes));
        }
    }

    /// Reads the node at `path`, which is not in memory; with its RLP where it has an entry of its own.
    fn read(&self, path: &Nibbles, child: &Child) -> Result<(Node, Option<Bytes>), TrieError> {
        let malformed = |reason| TrieError::Malformed { path: *path, reason };
        if let Link::Short(short) = &child.link {
            return Ok((tree::inline(path, short).map_err(malformed)?, None));
        }
        let rlp = read(self.reader, path)?.ok_or(TrieError::Missing { path: *path })?;
        Ok((decode(path, &rlp)?, Some(rlp)))
    }

    /// Applies `updates`, all of them below `path`, to the open node that begins there.
    pub(crate) fn apply(
        &mut self,
        path: &Nibbles,
        child: &mut Child,
        updates: &mut [Update],
    ) -> Result<(), TrieError> {
        if updates.is_empty() {
            return Ok(());
        }
        match &mut child.node {
            Node::Unread | Node::Empty => child.node = self.build(path.len(), updates),
            Node::Leaf(_) => self.apply_to_leaf(path.len(), child, updates),
            Node::Extension(_) => self.apply_to_extension(path, child, updates)?,
            Node::Branch(branch) => {
                self.apply_to_branch(path, branch, updates)?;
                self.join(path, child)?;
            }
        }
        Ok(())
    }

    /// Applies `updates` to a subtree that so far is one leaf.
    fn apply_to_leaf(&mut self, depth: usize, child: &mut Child, updates: &mut [Update]) {
        let Node::Leaf(leaf) = &mut child.node else { return };
        let key = leaf.key();
        let found = updates.binary_search_by_key(&key, |update| update.key);
        let updated = found.ok().and_then(|at| updates.get(at));
        if let Some(update) = updated {
            self.before.push(key, Some(leaf.value()));
            leaf.set(update.value.as_deref().unwrap_or_default());
        }
        let is_gone = updated.is_some_and(|update| update.value.is_none());
        let others = updates.iter_mut().filter(|update| update.key != key);
        let mut pairs: Vec<Update> = others.filter_map(take_set).collect();
        if pairs.is_empty() {
            if is_gone {
                child.node = Node::Empty;
            }
            return;
        }
        pairs.iter().for_each(|pair| self.before.push(pair.key, None));
        if !is_gone {
            let kept = Update { key, value: Some(leaf.value().to_vec()) };
            pairs.insert(pairs.partition_point(|pair| pair.key < key), kept);
        }
        child.node = self.built(depth, &pairs);
    }

    /// Builds the subtree at `depth` of what `updates` set, where so far there is none.
    fn build(&mut self, depth: usize, updates: &mut [Update]) -> Node {
        let set = updates.iter().filter(|update| update.value.is_some());
        set.for_each(|update| self.before.push(update.key, None));
        if updates.iter().all(|update| update.value.is_some()) {
            return self.built(depth, updates);
        }
        let pairs: Vec<Update> = updates.iter_mut().filter_map(take_set).collect();
        self.built(depth, &pairs)
    }

    /// The subtree at `depth` of pairs in key order.
    fn built(&mut self, depth: usize, pairs: &[Update]) -> Node {
        let (node, bytes) = built(self.generation, depth, pairs);
        self.bytes += bytes;
        node
    }

    /// Applies `updates` to the extension at `path`.
    fn apply_to_extension(
        &mut self,
        path: &Nibbles,
        child: &mut Child,
        updates: &mut [Update],
    ) -> Result<(), TrieError> {
        let Node::Extension(extension) = &mut child.node else { return Ok(()) };
        let end = path.join(&extension.key);
        let (part, others_set) = below(&end, updates);
        if !others_set {
            if part.is_empty() {
                return Ok(());
            }
            self.open(&end, &mut extension.child)?;
            self.apply(&end, &mut extension.child, part)?;
            prefix(child);
            return Ok(());
        }
        // Some keys leave the extension's way: a branch comes to stand where the first does so, and what remains of
        // the extension below it is the branch's one child so far.
        let shared = shared_with(&end, updates);
        let (fork, rest) = (end.slice(..shared), end.slice((shared + 1).min(end.len())..));
        let remainder = std::mem::take(&mut extension.child);
        let remainder = if rest.is_empty() {
            remainder
        } else {
            self.made(Node::Extension(Box::new(Extension { key: rest, child: remainder })))
        };
        let mut branch = Branch::default();
        if let Some(nibble) = end.get(shared) {
            branch.insert(nibble, remainder);
        }
        let mut forked = self.made(Node::Branch(branch));
        self.apply(&fork, &mut forked, updates)?;
        if shared == path.len() {
            child.node = forked.node;
        } else {
            let key = fork.slice(path.len()..);
            child.node = Node::Extension(Box::new(Extension { key, child: forked }));
            prefix(child);
        }
        Ok(())
    }

    /// Applies `updates` to the children of the branch at `path`.
    fn apply_to_branch(
        &mut self,
        path: &Nibbles,
        branch: &mut Branch,
        updates: &mut [Update],
    ) -> Result<(), TrieError> {
        let depth = path.len();
        // What is settled at once is one thread's, with all that it opens.
        let is_above_parts = self.settled_depth.is_some_and(|settled| depth < settled);
        if is_above_parts && is_parallel(depth, updates.len()) {
            self.apply_in_parallel(path, branch, updates)?;
        } else {
            let mut rest = updates;
            while let Some(first) = rest.first() {
                let nibble = nibble(&first.key, depth);
                let (part, others) = rest.split_at_mut(run(depth, nibble, rest));
                rest = others;
                if let Ok(at) = branch.place(nibble)
                    && let Some(child) = branch.children.get_mut(at)
                {
                    let below = child_path(*path, nibble);
                    self.apply_to_child(&below, child, part)?;
                } else {
                    let node = self.build(depth + 1, part);
                    let child = Child::new(node, self.generation);
                    self.bytes += size_of::<Child>();
                    branch.insert(nibble, child);
                }
            }
        }
        branch.retain_present();
        Ok(())
    }

    fn apply_to_child(
        &mut self,
        path: &Nibbles,
        child: &mut Child,
        updates: &mut [Update],
    ) -> Result<(), TrieError> {
        if self.settled_depth != Some(path.len()) {
            if !matches!(child.node, Node::Empty) {
                self.open(path, child)?;
            }
            return self.apply(path, child, updates);
        }
        ahead::ask_for(child, path.len(), updates);
        let above = std::mem::replace(&mut self.opened, Rows::with_room_for(updates.len()));
        if !matches!(child.node, Node::Empty) {
            self.open(path, child)?;
        }
        self.apply(path, child, updates)?;
        let opened = std::mem::replace(&mut self.opened, above);
        if matches!(child.node, Node::Branch(_)) {
            let settled = settle_part(*path, child, updates.len());
            self.settled.push(difference_of_rows(opened, settled));
        } else {
            self.opened.append(&opened);
        }
        Ok(())
    }

    /// Applies each part of the updates on a thread of its own; every child's changes are disjoint from the others'.
    fn apply_in_parallel(
        &mut self,
        path: &Nibbles,
        branch: &mut Branch,
        updates: &mut [Update],
    ) -> Result<(), TrieError> {
        let (reader, generation, depth) = (self.reader, self.generation, path.len());
        let settled_depth = self.settled_depth;
        let nibbles: Vec<u8> = branch.nibbles().collect();
        let mut children =
            nibbles.into_iter().zip(std::mem::take(&mut branch.children).into_vec()).peekable();
        let mut rest = updates;
        let work: Vec<(u8, Child, &mut [Update])> = (0..16)
            .map(|nibble| {
                let length = run(depth, nibble, rest);
                let (part, others) = std::mem::take(&mut rest).split_at_mut(length);
                rest = others;
                let child = children.next_if(|(place, _)| *place == nibble).map(|(_, child)| child);
                (nibble, child.unwrap_or_else(|| Child::new(Node::Empty, generation)), part)
            })
            .collect();
        let done: Vec<(u8, Child, Walked)> = work
            .into_par_iter()
            .map(|(nibble, mut child, part)| {
                let mut walk = Walk::to_depth(reader, generation, settled_depth, 0);
                if !part.is_empty() {
                    walk.apply_to_child(&child_path(*path, nibble), &mut child, part)?;
                }
                Ok((nibble, child, walk.finish()))
            })
            .collect::<Result<_, TrieError>>()?;
        let (mut mask, mut list) = (0, Vec::with_capacity(done.len()));
        for (nibble, child, walked) in done {
            if !matches!(child.node, Node::Empty) {
                mask |= 1 << nibble;
                list.push(child);
            }
            self.opened_elsewhere.extend(walked.opened);
            self.settled.extend(walked.settled);
            self.before_elsewhere.extend(walked.before);
            self.bytes += walked.bytes;
        }
        list.shrink_to_fit();
        *branch = Branch::new(mask, list);
        Ok(())
    }

    /// Makes of the open branch at `path` what it is with the children it is left with: nothing, its only child grown
    /// by a nibble, or a branch.
    fn join(&mut self, path: &Nibbles, child: &mut Child) -> Result<(), TrieError> {
        let Node::Branch(branch) = &mut child.node else { return Ok(()) };
        if branch.children.len() > 1 {
            return Ok(());
        }
        let (Some(nibble), Some(last)) = (branch.nibbles().next(), branch.children.first_mut()) else {
            child.node = Node::Empty;
            return Ok(());
        };
        let mut last = std::mem::take(last);
        // A leaf or an extension moves up into the branch's place; a branch stays where it is, below an extension.
        let below = child_path(*path, nibble);
        if matches!(last.node, Node::Unread) {
            let (node, stored) = self.read(&below, &last)?;
            self.bytes += node.bytes();
            (last.node, last.used) = (node, self.generation);
            if let Some(rlp) = stored.filter(|_| !matches!(last.node, Node::Branch(_))) {
                self.opened.push(below, |bytes| bytes.extend_from_slice(&rlp));
            }
        } else if !matches!(last.node, Node::Branch(_)) {
            self.note(&below, &last);
        }
        child.node = grown(Nibbles::from_nibbles([nibble]), last);
        Ok(())
    }
}

/// Takes an update out that sets a value.
fn take_set(update: &mut Update) -> Option<Update> {
    let value = update.value.take()?;
    Some(Update { key: update.key, value: Some(value) })
}
