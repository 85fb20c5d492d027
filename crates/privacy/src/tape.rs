//! JSON text as a tape: where each value of it begins and ends, read once.
//!
//! A split takes most values over as they stand in the text, and needs to look at few. So nothing is copied out of the
//! text: a value that stays behind is copied to the other side as one piece, and passing it over is one step.

use crate::{
    json::DEPTH_MAX,
    rules::{Name, Names},
};
use read::Reader;
use std::{borrow::Cow, cell::RefCell};

mod read;

/// Why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// No JSON text (RFC 8259).
    Damaged,
    /// Nested deeper than [`DEPTH_MAX`].
    TooDeep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    False,
    True,
    Number,
    /// A string without escapes.
    Plain,
    /// A string with an escape somewhere.
    Escaped,
    Array,
    Object,
}

/// One value, or the key of a member, which stands before its value.
#[derive(Clone, Copy, Debug)]
struct Token {
    start: u32,
    end: u32,
    /// The place of the token behind this value and all that is in it.
    next: u32,
    kind: Kind,
    /// Of a key.
    name: Name,
}

/// A text that was read.
#[derive(Debug)]
pub(crate) struct Tape<'a> {
    text: &'a str,
    tokens: Vec<Token>,
}

thread_local! {
    // The tokens of the text before, for their memory.
    static TOKENS: RefCell<Vec<Token>> = const { RefCell::new(Vec::new()) };
}

/// What a token of a FHIR text has at least, on average.
const BYTES_A_TOKEN: usize = 8;

/// More tokens than this are not kept for the next text.
const TOKENS_KEPT: usize = 1 << 16;

impl Drop for Tape<'_> {
    fn drop(&mut self) {
        let mut tokens = std::mem::take(&mut self.tokens);
        if tokens.capacity() <= TOKENS_KEPT {
            tokens.clear();
            TOKENS.set(tokens);
        }
    }
}

impl<'a> Tape<'a> {
    pub(crate) fn read(text: &'a str, names: &Names) -> Result<Self, Unreadable> {
        if u32::try_from(text.len()).is_err() {
            return Err(Unreadable::Damaged);
        }
        let mut tape = Self { text, tokens: TOKENS.take() };
        tape.tokens.reserve(text.len() / BYTES_A_TOKEN);
        let mut reader = Reader { bytes: text.as_bytes(), at: 0, tokens: &mut tape.tokens, names };
        reader.blank();
        reader.value(DEPTH_MAX)?;
        reader.blank();
        if reader.at == text.len() { Ok(tape) } else { Err(Unreadable::Damaged) }
    }

    pub(crate) const fn root(&self) -> Element<'_> {
        Element { tape: self, at: 0 }
    }
}

/// A value of a tape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    tape: &'a Tape<'a>,
    at: u32,
}

/// What a value is, as a split asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'a> {
    Null,
    Boolean(bool),
    /// The literal.
    Number(&'a str),
    /// A string without escapes.
    Plain(&'a str),
    /// A string with escapes; ask for [`Element::string`].
    Escaped,
    Array(Array<'a>),
    Object(Object<'a>),
}

impl<'a> Element<'a> {
    #[inline]
    fn token(&self) -> Option<&'a Token> {
        self.tape.tokens.get(self.at as usize)
    }

    #[inline]
    fn next_at(&self) -> u32 {
        self.token().map_or(u32::MAX, |token| token.next)
    }

    #[inline]
    const fn behind(&self) -> Self {
        Self { tape: self.tape, at: self.at.saturating_add(1) }
    }

    /// The value as it stands in the text.
    #[inline]
    pub(crate) fn raw(&self) -> &'a [u8] {
        let place = self.token().map(|token| token.start as usize..token.end as usize);
        place.and_then(|place| self.tape.text.as_bytes().get(place)).unwrap_or(b"null")
    }

    /// The name of a key.
    #[inline]
    pub(crate) fn name(&self) -> Name {
        self.token().map_or(Name::UNKNOWN, |token| token.name)
    }

    /// Whether the string stands in the text as it is, without escapes.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.token().is_some_and(|token| token.kind == Kind::Plain)
    }

    /// The text between the first byte and the last.
    #[inline]
    fn inner(&self, cut: usize) -> &'a str {
        let place =
            self.token().map(|token| token.start as usize + cut..(token.end as usize).saturating_sub(cut));
        place.and_then(|place| self.tape.text.get(place)).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn shape(&self) -> Shape<'a> {
        let Some(token) = self.token() else { return Shape::Null };
        let (first, end) = (self.behind(), token.next);
        match token.kind {
            Kind::Null => Shape::Null,
            Kind::False => Shape::Boolean(false),
            Kind::True => Shape::Boolean(true),
            Kind::Number => Shape::Number(self.inner(0)),
            Kind::Plain => Shape::Plain(self.inner(1)),
            Kind::Escaped => Shape::Escaped,
            Kind::Array => Shape::Array(Array { first, end }),
            Kind::Object => Shape::Object(Object { first, end }),
        }
    }

    /// The string, without its escapes.
    #[inline]
    pub(crate) fn string(&self) -> Option<Cow<'a, str>> {
        match self.token()?.kind {
            Kind::Plain => Some(Cow::Borrowed(self.inner(1))),
            Kind::Escaped => sonic_rs::from_str(self.inner(0)).ok().map(Cow::Owned),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn array(&self) -> Option<Array<'a>> {
        let token = self.token().filter(|token| token.kind == Kind::Array)?;
        Some(Array { first: self.behind(), end: token.next })
    }

    #[inline]
    pub(crate) fn object(&self) -> Option<Object<'a>> {
        let token = self.token().filter(|token| token.kind == Kind::Object)?;
        Some(Object { first: self.behind(), end: token.next })
    }
}

/// The elements of an array, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Array<'a> {
    first: Element<'a>,
    end: u32,
}

impl<'a> Iterator for Array<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.first.at >= self.end {
            return None;
        }
        let element = self.first;
        self.first.at = element.next_at();
        Some(element)
    }
}

/// The members of an object, key and value, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    first: Element<'a>,
    end: u32,
}

impl<'a> Iterator for Object<'a> {
    type Item = (Element<'a>, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Element<'a>, Element<'a>)> {
        if self.first.at >= self.end {
            return None;
        }
        let key = self.first;
        let value = key.behind();
        self.first.at = value.next_at();
        Some((key, value))
    }
}

impl<'a> Object<'a> {
    /// The first member of that name.
    #[inline]
    pub(crate) fn get(self, name: Name) -> Option<Element<'a>> {
        let mut members = self;
        members.find(|(key, _)| key.name() == name).map(|(_, value)| value)
    }

    /// The first member of that name, if it is a string.
    #[inline]
    pub(crate) fn get_str(self, name: Name) -> Option<Cow<'a, str>> {
        self.get(name)?.string()
    }
}
