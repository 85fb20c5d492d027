//! Applying a batch of updates.
//!
//! The batch is sorted by key and handed down: a branch gives each child the part of the batch below it, so a node
//! is read, decoded and encoded once, whatever the size of the batch. A node comes back up undecided about where it
//! stands, because a parent that loses its other children merges with the one that is left; it is settled (encoded,
//! hashed, put under its path) as soon as its parent is known to stay a branch.

use crate::{
    EMPTY_ROOT, NodeReader, TrieError,
    batch::{Update, partition, present, run, shared_length, sorted},
    changes::{Change, Changes},
    known::{KnownNode, KnownTrie, Link},
    node::{self, Reference, TrieNode},
    tree::{Children, Tree},
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{Nibbles, nodes::RlpNode};
use rayon::prelude::*;

/// From this many updates on, the root's children are worked on in parallel; below, threads cost more than they give.
const PARALLEL_UPDATES_MIN: usize = 256;

/// A trie's root after an update, and how its stored nodes change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrieUpdate {
    /// The new root hash.
    pub root: B256,
    /// By path, in this order: the node's RLP as it is stored and as it is to be stored.
    pub nodes: Vec<(Nibbles, Change<Bytes>)>,
}

/// Applies `updates` to the trie in `reader`. Keys are hashed (keccak256), values RLP; none deletes. Order does not
/// matter, except that of several updates of one key the last counts. Deleting an absent key changes nothing.
///
/// Stored nodes are trusted to be what their parents refer to: checking would double the hashing. [`crate::prove`]
/// checks.
///
/// # Errors
/// [`TrieError`]; of a value without bytes, a node that cannot be read, is missing or is malformed.
pub fn update(
    reader: &impl NodeReader,
    updates: Vec<(B256, Option<Vec<u8>>)>,
) -> Result<TrieUpdate, TrieError> {
    Ok(update_known(reader, &KnownTrie::default(), updates)?.0)
}

/// [`update`], with what is `known` of the trie from an earlier update, which is not read again; and what is known of it
/// after this one.
///
/// What is known is trusted to be of the trie in `reader`: the caller knows it by its root.
///
/// # Errors
/// As [`update`].
pub fn update_known(
    reader: &impl NodeReader,
    known: &KnownTrie,
    updates: Vec<(B256, Option<Vec<u8>>)>,
) -> Result<(TrieUpdate, KnownTrie), TrieError> {
    let updates = sorted(updates)?;
    let generation = known.generation.saturating_add(1);
    let mut walk = Walk { reader, generation, changes: Changes::default() };
    let top = match walk.root(known)? {
        Some(tree) => walk.apply(Nibbles::new(), tree, &updates)?,
        None => walk.insert(Nibbles::new(), &updates)?,
    };
    let (root, top) = match top {
        Tree::Empty => (EMPTY_ROOT, None),
        tree => {
            let (rlp, _) = tree.encode();
            let (root, rlp) = (keccak256(&rlp), Bytes::from(rlp));
            walk.changes.put(Nibbles::new(), rlp.clone());
            (root, Some(KnownNode::new(rlp, tree, generation)))
        }
    };
    let update = TrieUpdate { root, nodes: walk.changes.into_difference() };
    Ok((update, KnownTrie { root: top, generation }))
}

/// The root hash of the trie in `reader`.
///
/// # Errors
/// [`TrieError::Read`] where the store fails.
pub fn root(reader: &impl NodeReader) -> Result<B256, TrieError> {
    Ok(read(reader, &Nibbles::new())?.map_or(EMPTY_ROOT, keccak256))
}

/// Reads the node stored under `path`.
pub(crate) fn read(reader: &impl NodeReader, path: &Nibbles) -> Result<Option<Bytes>, TrieError> {
    reader.node(path).map_err(|source| TrieError::Read { path: *path, source })
}

/// Decodes the node that begins at `path`.
pub(crate) fn decode(path: &Nibbles, rlp: &[u8]) -> Result<TrieNode, TrieError> {
    node::decode(path.len(), rlp).map_err(|reason| TrieError::Malformed { path: *path, reason })
}

/// Reads what a parent says of the child at `path`.
pub(crate) fn reference<'a>(path: &Nibbles, child: &'a RlpNode) -> Result<Reference<'a>, TrieError> {
    node::reference(child).map_err(|reason| TrieError::Malformed { path: *path, reason })
}

/// A child on the way up.
enum Slot {
    /// There is none.
    Empty,
    /// Untouched: the parent's reference to it holds.
    Kept(Link),
    /// New or changed, and not yet settled.
    Node(Tree),
    /// A new or changed branch, settled.
    Settled(Link),
}

/// One walk through a part of the trie.
struct Walk<'a, R> {
    reader: &'a R,
    generation: u32,
    changes: Changes,
}

impl<R: NodeReader> Walk<'_, R> {
    /// Takes the root out of the store.
    fn root(&mut self, known: &KnownTrie) -> Result<Option<Tree>, TrieError> {
        let path = Nibbles::new();
        if let Some(root) = &known.root {
            self.changes.take(path, root.rlp().clone());
            return Ok(Some(root.tree().clone()));
        }
        let Some(rlp) = read(self.reader, &path)? else { return Ok(None) };
        let node = decode(&path, &rlp)?;
        self.changes.take(path, rlp);
        Ok(Some(node.into()))
    }

    /// Loads the child at `path`, and takes it out of the store if it has an entry and `moves` says so of it.
    fn load(
        &mut self,
        path: Nibbles,
        child: &Link,
        moves: impl Fn(&Tree) -> bool,
    ) -> Result<Tree, TrieError> {
        if let Some(known) = &child.known {
            if moves(known.tree()) {
                self.changes.take(path, known.rlp().clone());
            }
            return Ok(known.tree().clone());
        }
        match reference(&path, &child.reference)? {
            Reference::Inline(rlp) => Ok(decode(&path, rlp)?.into()),
            Reference::Hash(_) => {
                let rlp = read(self.reader, &path)?.ok_or(TrieError::Missing { path })?;
                let tree = decode(&path, &rlp)?.into();
                if moves(&tree) {
                    self.changes.take(path, rlp);
                }
                Ok(tree)
            }
        }
    }

    /// Applies `updates`, all of them below `path`, to the node that begins there.
    fn apply<V: AsRef<[u8]> + Sync>(
        &mut self,
        path: Nibbles,
        node: Tree,
        updates: &[Update<V>],
    ) -> Result<Tree, TrieError> {
        match node {
            _ if updates.is_empty() => Ok(node),
            Tree::Empty => self.insert(path, updates),
            Tree::Leaf { key, value } => self.insert_beside(path, path.join(&key), &value, updates),
            Tree::Extension { key, child } => self.apply_to_extension(path, key, child, updates),
            Tree::Branch(children) => {
                let slots = children.map(|child| child.map_or(Slot::Empty, Slot::Kept));
                self.apply_to_slots(path, slots, updates)
            }
        }
    }

    /// Applies `updates` to a subtree that so far is one leaf.
    fn insert_beside<V: AsRef<[u8]>>(
        &mut self,
        path: Nibbles,
        leaf_key: Nibbles,
        leaf_value: &[u8],
        updates: &[Update<V>],
    ) -> Result<Tree, TrieError> {
        let mut pairs = present(updates);
        if let Err(at) = updates.binary_search_by(|update| update.0.cmp(&leaf_key)) {
            let deleted = updates[..at].iter().filter(|update| update.1.is_none()).count();
            pairs.insert(at - deleted, (leaf_key, leaf_value));
        }
        Ok(self.build(path, &pairs))
    }

    /// Builds the subtree at `path`, where so far there is none.
    fn insert<V: AsRef<[u8]> + Sync>(
        &mut self,
        path: Nibbles,
        updates: &[Update<V>],
    ) -> Result<Tree, TrieError> {
        if works_in_parallel(&path, updates) {
            return self.apply_to_slots(path, [const { Slot::Empty }; 16], updates);
        }
        Ok(self.build(path, &present(updates)))
    }

    /// Applies `updates` to the extension at `path`.
    fn apply_to_extension<V: AsRef<[u8]> + Sync>(
        &mut self,
        path: Nibbles,
        key: Nibbles,
        child: Link,
        updates: &[Update<V>],
    ) -> Result<Tree, TrieError> {
        let end = path.join(&key);
        let shared = shared_length(&end, updates);
        if shared == end.len() {
            let below = self.load(end, &child, |_| true)?;
            let below = self.apply(end, below, updates)?;
            return Ok(self.prefixed(path, key, below));
        }
        // Some keys leave the extension's way: a branch comes to stand where the first does so, and what remains of
        // the extension below it is the branch's one child so far.
        let fork = end.slice(..shared);
        let rest = end.slice(shared + 1..);
        let remainder = if rest.is_empty() {
            Slot::Kept(child)
        } else {
            Slot::Node(Tree::Extension { key: rest, child })
        };
        let mut slots = [const { Slot::Empty }; 16];
        slots[usize::from(end.get_unchecked(shared))] = remainder;
        let below = self.apply_to_slots(fork, slots, updates)?;
        Ok(self.prefixed(path, fork.slice(path.len()..), below))
    }

    /// Applies `updates` to the children of a branch at `path`.
    fn apply_to_slots<V: AsRef<[u8]> + Sync>(
        &mut self,
        path: Nibbles,
        slots: [Slot; 16],
        updates: &[Update<V>],
    ) -> Result<Tree, TrieError> {
        let parts = partition(path.len(), updates);
        let work: Vec<(u8, Slot, &[Update<V>])> =
            (0u8..).zip(slots).zip(parts).map(|((nibble, slot), part)| (nibble, slot, part)).collect();
        let slots = if works_in_parallel(&path, updates) {
            self.apply_in_parallel(path, work)?
        } else {
            work.into_iter()
                .map(|(nibble, slot, part)| {
                    Ok((nibble, self.apply_to_slot(child_path(path, nibble), slot, part)?))
                })
                .collect::<Result<Vec<_>, TrieError>>()?
        };
        self.joined(path, slots)
    }

    /// Applies each part of the work on a thread of its own; every child's changes are disjoint from the others'.
    fn apply_in_parallel<V: AsRef<[u8]> + Sync>(
        &mut self,
        path: Nibbles,
        work: Vec<(u8, Slot, &[Update<V>])>,
    ) -> Result<Vec<(u8, Slot)>, TrieError> {
        let (reader, generation) = (self.reader, self.generation);
        let done: Vec<_> = work
            .into_par_iter()
            .map(|(nibble, slot, part)| {
                let mut walk = Walk { reader, generation, changes: Changes::default() };
                let path = child_path(path, nibble);
                let slot = match walk.apply_to_slot(path, slot, part)? {
                    // Settling is most of the hashing. A leaf or an extension waits: it may yet move up.
                    Slot::Node(node @ Tree::Branch(_)) => Slot::Settled(walk.settled(path, node)),
                    slot => slot,
                };
                Ok((nibble, slot, walk.changes))
            })
            .collect::<Result<_, TrieError>>()?;
        let mut slots = Vec::with_capacity(done.len());
        for (nibble, slot, changes) in done {
            self.changes.absorb(changes);
            slots.push((nibble, slot));
        }
        Ok(slots)
    }

    /// Applies `updates` to one child.
    fn apply_to_slot<V: AsRef<[u8]> + Sync>(
        &mut self,
        path: Nibbles,
        slot: Slot,
        updates: &[Update<V>],
    ) -> Result<Slot, TrieError> {
        if updates.is_empty() {
            return Ok(slot);
        }
        let node = match slot {
            Slot::Empty => self.insert(path, updates)?,
            Slot::Kept(child) | Slot::Settled(child) => {
                let node = self.load(path, &child, |_| true)?;
                self.apply(path, node, updates)?
            }
            Slot::Node(node) => self.apply(path, node, updates)?,
        };
        Ok(if matches!(node, Tree::Empty) { Slot::Empty } else { Slot::Node(node) })
    }

    /// What a branch at `path` with these children is: nothing, its only child grown by a nibble, or a branch.
    fn joined(&mut self, path: Nibbles, slots: Vec<(u8, Slot)>) -> Result<Tree, TrieError> {
        let present = |(_, slot): &&(u8, Slot)| !matches!(slot, Slot::Empty);
        if slots.iter().filter(present).count() > 1 {
            let mut children = Children::default();
            for (nibble, slot) in slots {
                let link = match slot {
                    Slot::Empty => continue,
                    Slot::Kept(child) | Slot::Settled(child) => child,
                    Slot::Node(node) => self.settled(child_path(path, nibble), node),
                };
                if let Some(child) = children.get_mut(usize::from(nibble)) {
                    *child = Some(link);
                }
            }
            return Ok(Tree::Branch(Box::new(children)));
        }
        let last = slots.into_iter().find(|(_, slot)| !matches!(slot, Slot::Empty));
        let Some((nibble, slot)) = last else { return Ok(Tree::Empty) };
        let key = Nibbles::from_nibbles([nibble]);
        match slot {
            Slot::Empty => Ok(Tree::Empty),
            Slot::Node(node) => Ok(self.prefixed(path, key, node)),
            Slot::Kept(child) => self.merged(path, key, child),
            Slot::Settled(child) => Ok(Tree::Extension { key, child }),
        }
    }

    /// The untouched last child of a branch at `path` that ends with it. A leaf or an extension moves up into the
    /// branch's place; a branch stays where it is, below an extension.
    fn merged(&mut self, path: Nibbles, key: Nibbles, child: Link) -> Result<Tree, TrieError> {
        let moves = |node: &Tree| !matches!(node, Tree::Branch(_));
        match self.load(path.join(&key), &child, moves)? {
            Tree::Branch(_) => Ok(Tree::Extension { key, child }),
            node => Ok(self.prefixed(path, key, node)),
        }
    }

    /// The subtree at `path` that leads by `key` to `node`.
    fn prefixed(&mut self, path: Nibbles, key: Nibbles, node: Tree) -> Tree {
        match node {
            _ if key.is_empty() => node,
            Tree::Empty => Tree::Empty,
            Tree::Leaf { key: rest, value } => Tree::Leaf { key: key.join(&rest), value },
            Tree::Extension { key: rest, child } => Tree::Extension { key: key.join(&rest), child },
            Tree::Branch(_) => {
                let child = self.settled(path.join(&key), node);
                Tree::Extension { key, child }
            }
        }
    }

    /// Encodes a node whose place is certain, puts it there if it gets an entry, and returns the link to it.
    fn settled(&mut self, path: Nibbles, node: Tree) -> Link {
        let (rlp, reference) = node.encode();
        if rlp.len() < B256::len_bytes() {
            return Link::unknown(reference);
        }
        let rlp = Bytes::from(rlp);
        self.changes.put(path, rlp.clone());
        Link::known(reference, KnownNode::new(rlp, node, self.generation))
    }

    /// Builds the subtree at `path` of pairs in key order.
    fn build(&mut self, path: Nibbles, pairs: &[(Nibbles, &[u8])]) -> Tree {
        let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else { return Tree::Empty };
        if pairs.len() == 1 {
            return Tree::Leaf { key: first.0.slice(path.len()..), value: Bytes::copy_from_slice(first.1) };
        }
        let fork = first.0.slice(..first.0.common_prefix_length(&last.0));
        let mut children = Children::default();
        let mut rest = pairs;
        while let Some((key, _)) = rest.first() {
            let nibble = key.get_unchecked(fork.len());
            let (below, others) = rest.split_at(run(fork.len(), nibble, rest));
            let child = child_path(fork, nibble);
            let node = self.build(child, below);
            if let Some(place) = children.get_mut(usize::from(nibble)) {
                *place = Some(self.settled(child, node));
            }
            rest = others;
        }
        self.prefixed(path, fork.slice(path.len()..), Tree::Branch(Box::new(children)))
    }
}

/// Whether the children of the branch at `path` are worth a thread each.
fn works_in_parallel<V>(path: &Nibbles, updates: &[Update<V>]) -> bool {
    path.is_empty() && updates.len() >= PARALLEL_UPDATES_MIN
}

/// The path of a branch's child.
fn child_path(mut path: Nibbles, nibble: u8) -> Nibbles {
    path.push(nibble);
    path
}
