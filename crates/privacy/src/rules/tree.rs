//! The path tree: one node for each object that may leave, one rule for each of its members.

use super::names::{Name, Names};
use std::collections::BTreeMap;

/// A node's place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(pub(super) usize);

/// A value set's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetId(pub(super) usize);

/// What happens to a listed element. `safe-harbor-r4.txt` says what each word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// An object with rules of its own.
    Node(NodeId),
    /// Extensions: the node's members are URLs.
    Extensions(NodeId),
    /// The URL of a listed extension.
    Url(NodeId),
    Coding,
    Code(SetId),
    Quantity,
    Decimal,
    Integer,
    Boolean,
    Year,
    Reference,
    /// The `reference` member of a Reference.
    ReferenceTarget,
    Id,
    Address,
    /// A United States ZIP code.
    Zip,
    Contained,
    ResourceType,
    /// A string whose object has been checked already.
    Checked,
}

/// The most members that a node may have: a walk marks those that it has seen in the bits of a `u128`.
const MEMBERS_MAX: usize = 128;

#[derive(Debug, Default)]
struct Node {
    members: Vec<(Box<str>, Rule)>,
    url: Option<Box<str>>,
}

/// A node of a finished tree.
#[derive(Debug)]
pub(super) struct Finished {
    /// The members' names, each near the place of its number; mostly unknown, which is none.
    slots: Vec<Name>,
    /// Beside each name its place among the members, and its rule.
    rules: Vec<(usize, Rule)>,
    /// The URL, if the node is an extension.
    pub(super) url: Option<Box<str>>,
}

impl Finished {
    fn new(node: Node, names: &Names) -> Self {
        let size = node.members.len().saturating_mul(2).max(1).next_power_of_two();
        let mut finished =
            Self { slots: vec![Name::UNKNOWN; size], rules: vec![(0, Rule::Checked); size], url: node.url };
        for (place, (name, rule)) in node.members.iter().enumerate() {
            let name = names.get(name.as_bytes());
            let mut slot = usize::from(name.0) & (size - 1);
            while finished.slots[slot] != Name::UNKNOWN {
                slot = (slot + 1) & (size - 1);
            }
            finished.slots[slot] = name;
            finished.rules[slot] = (place, *rule);
        }
        finished
    }

    /// The rule for a member, and its place among the members.
    #[inline]
    pub(super) fn member(&self, name: Name) -> Option<(usize, Rule)> {
        let mut slot = usize::from(name.0) & (self.slots.len() - 1);
        // At most half of the slots are taken, so an unknown name is always met.
        loop {
            match self.slots[slot] {
                Name::UNKNOWN => return None,
                known if known == name => return self.rules.get(slot).copied(),
                _ => slot = (slot + 1) & (self.slots.len() - 1),
            }
        }
    }
}

/// All nodes, and the names of those that stand for a type.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    roots: BTreeMap<String, NodeId>,
}

impl Tree {
    pub(super) fn root(&self, name: &str) -> Option<NodeId> {
        self.roots.get(name).copied()
    }

    /// The node of a type, made if there is none.
    pub(super) fn root_or_new(&mut self, name: &str) -> NodeId {
        if let Some(&node) = self.roots.get(name) {
            return node;
        }
        let node = self.add(None);
        self.roots.insert(name.to_owned(), node);
        node
    }

    fn add(&mut self, url: Option<&str>) -> NodeId {
        self.nodes.push(Node { members: Vec::new(), url: url.map(Into::into) });
        NodeId(self.nodes.len().saturating_sub(1))
    }

    pub(super) fn member(&self, node: NodeId, name: &str) -> Option<(usize, Rule)> {
        let members = &self.nodes.get(node.0)?.members;
        let index = members.binary_search_by(|(member, _)| (**member).cmp(name)).ok()?;
        members.get(index).map(|&(_, rule)| (index, rule))
    }

    /// The nodes in the form in which a walk asks for them.
    pub(super) fn finish(self, names: &Names) -> Vec<Finished> {
        self.nodes.into_iter().map(|node| Finished::new(node, names)).collect()
    }

    /// Puts a rule in place; false if another stands there or the node is full.
    pub(super) fn insert(&mut self, node: NodeId, name: &str, rule: Rule) -> bool {
        let Some(members) = self.nodes.get_mut(node.0).map(|node| &mut node.members) else { return false };
        match members.binary_search_by(|(member, _)| (**member).cmp(name)) {
            Err(index) if members.len() < MEMBERS_MAX => {
                members.insert(index, (name.into(), rule));
                true
            }
            _ => false,
        }
    }

    /// The node of the object `name` within `node`, made if there is none.
    pub(super) fn child(&mut self, node: NodeId, name: &str) -> Option<NodeId> {
        match self.member(node, name) {
            Some((_, Rule::Node(child))) => Some(child),
            Some(_) => None,
            None => {
                let child = self.add(None);
                self.insert(node, name, Rule::Node(child)).then_some(child)
            }
        }
    }

    /// The node of the extension with this URL within `node`, made if there is none.
    pub(super) fn extension(&mut self, node: NodeId, name: &str, url: &str) -> Option<NodeId> {
        let list = match self.member(node, name) {
            Some((_, Rule::Extensions(list))) => list,
            Some(_) => return None,
            None => {
                let list = self.add(None);
                self.insert(node, name, Rule::Extensions(list));
                list
            }
        };
        if let Some((_, Rule::Node(extension))) = self.member(list, url) {
            return Some(extension);
        }
        let extension = self.add(Some(url));
        self.insert(list, url, Rule::Node(extension));
        self.insert(extension, "url", Rule::Url(extension)).then_some(extension)
    }

    /// Gives every root but the data types the members of the root `base`.
    pub(super) fn inherit(&mut self, base: NodeId, is_resource: impl Fn(&str) -> bool) -> bool {
        let inherited: Vec<_> = match self.nodes.get(base.0) {
            Some(node) => node.members.clone(),
            None => return false,
        };
        let resources: Vec<_> =
            self.roots.iter().filter(|(name, _)| is_resource(name)).map(|(_, &node)| node).collect();
        resources.iter().all(|&node| inherited.iter().all(|(name, rule)| self.insert(node, name, *rule)))
    }

    /// All names of members, and URLs of extensions.
    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        let members =
            self.nodes.iter().flat_map(|node| node.members.iter().map(|(name, _)| name.to_string()));
        members.chain(self.nodes.iter().filter_map(|node| node.url.as_deref().map(str::to_owned)))
    }

    /// The name of a type that is spoken of but has no lines.
    pub(super) fn empty_root(&self) -> Option<&str> {
        let empty = |node: &NodeId| self.nodes.get(node.0).is_none_or(|node| node.members.is_empty());
        self.roots.iter().find(|(_, node)| empty(node)).map(|(name, _)| name.as_str())
    }
}
