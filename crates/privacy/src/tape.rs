//! JSON text as a tape: where each value of it begins and ends, read once.
//!
//! A split takes most values over as they stand in the text, and needs to look at few. So nothing is copied out of the
//! text: a value that stays behind is copied to the other side as one piece, and passing it over is one step.

use crate::{
    json::DEPTH_MAX,
    rules::{Name, Names},
};
use std::{borrow::Cow, cell::RefCell, ops::ControlFlow};

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

struct Reader<'a, 't> {
    bytes: &'a [u8],
    at: usize,
    tokens: &'t mut Vec<Token>,
    names: &'t Names,
}

impl Reader<'_, '_> {
    #[inline]
    fn peek(&self) -> u8 {
        // No value begins or goes on with a zero byte, so it may stand for the end.
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn take_byte(&mut self, byte: u8) -> Result<(), Unreadable> {
        if self.peek() != byte {
            return Err(Unreadable::Damaged);
        }
        self.at += 1;
        Ok(())
    }

    /// Puts a token down whose end is not known yet.
    #[inline]
    fn open(&mut self, kind: Kind) -> usize {
        let place = self.tokens.len();
        let start = u32::try_from(self.at).unwrap_or(u32::MAX);
        self.tokens.push(Token { start, end: 0, next: 0, kind, name: Name::UNKNOWN });
        place
    }

    #[inline]
    fn close(&mut self, place: usize) {
        let next = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        if let Some(token) = self.tokens.get_mut(place) {
            (token.end, token.next) = (u32::try_from(self.at).unwrap_or(u32::MAX), next);
        }
    }

    /// Puts down a token without tokens in it that began at `start`.
    #[inline]
    fn leaf(&mut self, start: usize, kind: Kind) {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let next = place(self.tokens.len() + 1);
        self.tokens.push(Token { start: place(start), end: place(self.at), next, kind, name: Name::UNKNOWN });
    }

    fn value(&mut self, depth: usize) -> Result<(), Unreadable> {
        match self.peek() {
            b'"' => self.string(),
            b'{' => self.object(depth.checked_sub(1).ok_or(Unreadable::TooDeep)?),
            b'[' => self.array(depth.checked_sub(1).ok_or(Unreadable::TooDeep)?),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => Err(Unreadable::Damaged),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), Unreadable> {
        let start = self.at;
        if !self.bytes[start..].starts_with(word) {
            return Err(Unreadable::Damaged);
        }
        self.at += word.len();
        self.leaf(start, kind);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Unreadable> {
        let place = self.open(Kind::Object);
        self.at += 1;
        self.blank();
        if self.peek() != b'}' {
            loop {
                self.key()?;
                self.blank();
                self.take_byte(b':')?;
                self.blank();
                self.value(depth)?;
                if self.is_last(b'}')? {
                    break;
                }
            }
        }
        self.at += 1;
        self.close(place);
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), Unreadable> {
        let place = self.open(Kind::Array);
        self.at += 1;
        self.blank();
        if self.peek() != b']' {
            loop {
                self.value(depth)?;
                if self.is_last(b']')? {
                    break;
                }
            }
        }
        self.at += 1;
        self.close(place);
        Ok(())
    }

    /// Whether `bracket` follows, and no comma.
    fn is_last(&mut self, bracket: u8) -> Result<bool, Unreadable> {
        self.blank();
        match self.peek() {
            b',' => {
                self.at += 1;
                self.blank();
                Ok(false)
            }
            byte if byte == bracket => Ok(true),
            _ => Err(Unreadable::Damaged),
        }
    }

    fn digits(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Unreadable::Damaged) }
    }

    fn number(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        self.leaf(start, Kind::Number);
        Ok(())
    }

    fn key(&mut self) -> Result<(), Unreadable> {
        let (start, place) = (self.at, self.tokens.len());
        self.string()?;
        if let Some(token) = self.tokens.get_mut(place) {
            token.name = match (token.kind, self.bytes.get(start + 1..self.at - 1)) {
                (Kind::Plain, Some(name)) => self.names.get(name),
                _ => {
                    let name: Result<String, _> = sonic_rs::from_slice(&self.bytes[start..self.at]);
                    self.names.get(name.map_err(|_| Unreadable::Damaged)?.as_bytes())
                }
            };
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        self.take_byte(b'"')?;
        let mut kind = Kind::Plain;
        loop {
            self.at += plain_bytes(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    kind = Kind::Escaped;
                    self.at += 2;
                }
                _ => return Err(Unreadable::Damaged),
            }
        }
        self.at += 1;
        if kind == Kind::Escaped {
            let string = self.bytes.get(start..self.at).ok_or(Unreadable::Damaged)?;
            sonic_rs::from_slice::<String>(string).map_err(|_| Unreadable::Damaged)?;
        }
        self.leaf(start, kind);
        Ok(())
    }
}

/// How many bytes there are before the first quotation mark, backslash or control character, looked at by eights.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let passed = words.iter().try_fold(0, |passed, word| {
        let found = special(u64::from_le_bytes(*word));
        match found.trailing_zeros() / 8 {
            8 => ControlFlow::Continue(passed + 8),
            at => ControlFlow::Break(passed + at as usize),
        }
    });
    match passed {
        ControlFlow::Break(at) => at,
        ControlFlow::Continue(passed) => {
            let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            passed + rest.iter().position(is_special).unwrap_or(rest.len())
        }
    }
}

/// The high bits of the bytes that end a run of plain ones. Bits above the lowest set one may be wrong, the lowest is not: a
/// borrow goes upwards only (Anderson, Bit Twiddling Hacks, "Determine if a word has a zero byte").
#[inline]
const fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    ((quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash) | control) & HIGHS
}
