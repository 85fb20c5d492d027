//! Elements of a document, which know whether the mapping has looked at them: what it has not is reported.

use std::cell::Cell;

/// A text with single spaces between its words, without control characters.
pub(crate) fn tidy(text: &str) -> String {
    let words = text.split(|one: char| one.is_whitespace() || one.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What stands in an element.
pub(crate) enum Child {
    Element(Element),
    Text(String),
}

/// An element without its prefix.
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Child>,
    seen: Cell<bool>,
}

impl Element {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), attributes: Vec::new(), children: Vec::new(), seen: Cell::new(false) }
    }

    /// Whether the mapping has looked at it.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen.get()
    }

    /// Marks it as looked at.
    pub(crate) fn mark(&self) {
        self.seen.set(true);
    }

    /// Marks it, and everything in it, as looked at.
    pub(crate) fn see_all(&self) {
        self.seen.set(true);
        self.elements().for_each(Self::see_all);
    }

    /// The elements in it, without looking at them.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|child| match child {
            Child::Element(element) => Some(element),
            Child::Text(_) => None,
        })
    }

    /// The elements of a name, which are looked at by that.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.name == name).inspect(|element| element.seen.set(true))
    }

    /// The first element of a name.
    pub(crate) fn child<'a>(&'a self, name: &'a str) -> Option<&'a Element> {
        self.all(name).next()
    }

    /// The first element at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| {
            element.elements().find(|child| child.name == *name).inspect(|child| child.seen.set(true))
        })
    }

    /// An attribute with something in it.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// An attribute of a child.
    pub(crate) fn of<'a>(&'a self, child: &'a str, attribute: &str) -> Option<&'a str> {
        self.child(child)?.attribute(attribute)
    }

    /// Whether it says that there is no value.
    pub(crate) fn is_null(&self) -> bool {
        self.attribute("nullFlavor").is_some()
    }

    /// Whether it follows a template, by the template's OID.
    pub(crate) fn follows(&self, root: &str) -> bool {
        self.all("templateId").any(|id| id.attribute("root") == Some(root))
    }

    /// The text in it, white space put together, of at most `bytes_max` bytes.
    pub(crate) fn text(&self, bytes_max: usize) -> String {
        let mut out = String::new();
        self.collect(&mut out, bytes_max);
        let mut short = tidy(&out);
        let end = (0..=bytes_max.min(short.len())).rev().find(|at| short.is_char_boundary(*at));
        short.truncate(end.unwrap_or_default());
        short.trim_end().to_owned()
    }

    fn collect(&self, out: &mut String, bytes_max: usize) {
        for child in &self.children {
            if out.len() > bytes_max {
                return;
            }
            match child {
                Child::Text(text) => out.push_str(text),
                Child::Element(element) => {
                    element.collect(out, bytes_max);
                    // Cells and paragraphs are set apart; within a word there is no element in practice.
                    out.push(' ');
                }
            }
        }
    }
}
