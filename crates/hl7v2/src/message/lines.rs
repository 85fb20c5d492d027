//! The text of a message, line by line.

use super::Separators;

/// The lines of a message with their numbers, without blank ones.
pub(super) struct Lines<'a> {
    rest: &'a str,
    line: usize,
    field: char,
    /// The header ends with a bare `\r`: then a line feed ends a segment only where the next one begins.
    returns: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str, separators: Separators) -> Self {
        let returns = text
            .find(['\r', '\n'])
            .is_some_and(|at| text[at..].starts_with('\r') && !text[at..].starts_with("\r\n"));
        Self { rest: text, line: 0, field: separators.field, returns }
    }

    fn end(&self) -> usize {
        let mut from = 0;
        while let Some(at) = self.rest[from..].find(['\r', '\n']).map(|at| from + at) {
            let after = &self.rest[at + 1..];
            let ends = !self.returns
                || self.rest[at..].starts_with('\r')
                || after.is_empty()
                || begins_segment(after, self.field);
            if ends {
                return at;
            }
            from = at + 1;
        }
        self.rest.len()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = self.end();
            let (text, after) = self.rest.split_at(end);
            let ending = if after.starts_with("\r\n") { 2 } else { after.len().min(1) };
            self.rest = &after[ending..];
            self.line += 1;
            let text = text.trim_matches(['\n', '\u{1a}', '\u{feff}']);
            if !text.trim().is_empty() {
                return Some((self.line, text));
            }
        }
        None
    }
}

/// Whether a line begins as a segment does: with its name, and then a field or nothing.
pub(super) fn begins_segment(text: &str, field: char) -> bool {
    let mut all = text.chars();
    let named = (0..3)
        .all(|at| all.next().is_some_and(|one| one.is_ascii_uppercase() || (at > 0 && one.is_ascii_digit())));
    named && all.next().is_none_or(|one| one == field || matches!(one, '\r' | '\n'))
}
