//! Paths of the table of profiles, and the elements that they lead to.

use crate::fhir::element::child;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The most elements that one path leads to.
const NODES_MAX: usize = 1_000;

/// A path, by its steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path(pub(super) Vec<Step>);

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// `name[x]`: any property of the choice.
    pub(super) choice: bool,
    pub(super) filter: Option<Filter>,
}

/// Which items of a step are meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    /// The child that tells; empty for the item itself.
    pub(super) of: &'static str,
    pub(super) wanted: Wanted,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// One of these codes.
    Codes(Vec<Coded>),
    /// This text.
    Text(String),
}

/// A code, with its system where the element has one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coded {
    pub(super) system: Option<&'static str>,
    pub(super) code: &'static str,
}

/// An element, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) at: String,
    /// A primitive that is said to be absent: only its extensions are there.
    pub(super) bare: bool,
}

impl Path {
    /// What the path leads to.
    pub(super) fn nodes<'a>(&self, resource: &'a Value, name: &str) -> Vec<Node<'a>> {
        walk(&self.0, vec![Node { value: resource, at: name.to_owned(), bare: false }])
    }

    /// What leads to the last step, and the last step.
    pub(super) fn parents<'a>(&self, resource: &'a Value, name: &str) -> (Vec<Node<'a>>, Option<&Step>) {
        match self.0.split_last() {
            Some((last, before)) => {
                (walk(before, vec![Node { value: resource, at: name.to_owned(), bare: false }]), Some(last))
            }
            None => (Vec::new(), None),
        }
    }
}

fn walk<'a>(steps: &[Step], mut nodes: Vec<Node<'a>>) -> Vec<Node<'a>> {
    for step in steps {
        nodes = nodes.iter().flat_map(|node| step.of(node)).take(NODES_MAX).collect();
    }
    nodes
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), |array| array.as_slice())
}

impl Step {
    /// The items of this step under a node.
    pub(super) fn of<'a>(&self, node: &Node<'a>) -> Vec<Node<'a>> {
        let mut found = Vec::new();
        for (name, value, bare) in self.properties(node) {
            for (index, item) in items(value).iter().enumerate().filter(|(_, item)| self.takes(item)) {
                let at = if value.is_array() {
                    format!("{}.{name}[{index}]", node.at)
                } else {
                    format!("{}.{name}", node.at)
                };
                found.push(Node { value: item, at, bare });
            }
        }
        found
    }

    /// Whether there are items of this step under a node.
    pub(super) fn is_under(&self, node: &Node<'_>) -> bool {
        self.properties(node).any(|(_, value, _)| items(value).iter().any(|item| self.takes(item)))
    }

    /// The properties of a node that are meant, by their plain names, and whether only what is beside them is there.
    fn properties<'a>(&self, node: &Node<'a>) -> impl Iterator<Item = (&'a str, &'a Value, bool)> {
        let of = node.value;
        let members = of.as_object().into_iter().flat_map(|object| object.iter());
        members.filter_map(move |(name, value)| {
            let (plain, bare) = name.strip_prefix('_').map_or((name, false), |plain| (plain, true));
            // Beside a value that is there, its extensions say nothing new.
            let meant = self.is(plain) && !(bare && child(of, plain).is_some());
            meant.then_some((plain, value, bare))
        })
    }

    fn takes(&self, item: &Value) -> bool {
        !item.is_null() && self.filter.as_ref().is_none_or(|filter| filter.passes(item))
    }

    fn is(&self, name: &str) -> bool {
        match name.strip_prefix(self.name) {
            Some("") => !self.choice,
            Some(kind) => self.choice && kind.starts_with(|letter: char| letter.is_ascii_uppercase()),
            None => false,
        }
    }

    /// The step as R4 writes it.
    pub(super) fn shown(&self) -> String {
        if self.choice { format!("{}[x]", self.name) } else { self.name.to_owned() }
    }
}

impl Filter {
    fn passes(&self, item: &Value) -> bool {
        if self.of.is_empty() {
            self.wanted.is(item)
        } else {
            child(item, self.of).is_some_and(|value| self.wanted.is(value))
        }
    }
}

impl Filter {
    /// What is wanted, as it is said to a submitter: facts of the profile, nothing of the resource.
    pub(super) fn shown(&self) -> String {
        let wanted = match &self.wanted {
            Wanted::Text(text) => text.clone(),
            Wanted::Codes(codes) => {
                let shown = codes.iter().map(|one| match one.system {
                    Some(system) => format!("{system}|{}", one.code),
                    None => one.code.to_owned(),
                });
                shown.collect::<Vec<_>>().join(" or ")
            }
        };
        if self.of.is_empty() { wanted } else { format!("with {} {wanted}", self.of) }
    }
}

impl Wanted {
    /// Whether a code, Coding, CodeableConcept, text or Identifier is, or has, what is wanted.
    pub(super) fn is(&self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text.as_str()),
            Self::Codes(codes) => codes.iter().any(|wanted| wanted.is(value)),
        }
    }
}

impl Coded {
    fn is(&self, value: &Value) -> bool {
        if let Some(plain) = value.as_str() {
            return plain == self.code;
        }
        if let Some(codings) = child(value, "coding").and_then(|list| list.as_array()) {
            return codings.iter().any(|coding| self.is(coding));
        }
        let text = |name: &str| child(value, name).and_then(|value| value.as_str());
        text("code") == Some(self.code) && self.system.is_none_or(|system| text("system") == Some(system))
    }
}
