//! Reading a text to its tokens.

use super::{Kind, Token, Unreadable};
use crate::rules::{Name, Names};
use std::ops::ControlFlow;

/// Reads values, each of them where it stands.
pub(super) struct Reader<'a, 't> {
    pub(super) bytes: &'a [u8],
    /// The next byte.
    pub(super) at: usize,
    pub(super) tokens: &'t mut Vec<Token>,
    pub(super) names: &'t Names,
}

impl Reader<'_, '_> {
    #[inline]
    fn peek(&self) -> u8 {
        // No value begins or goes on with a zero byte, so it may stand for the end.
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn blank(&mut self) {
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

    pub(super) fn value(&mut self, depth: usize) -> Result<(), Unreadable> {
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
