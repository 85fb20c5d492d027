//! Files of messages: one after the other, with or without batch envelopes (FHS, BHS, BTS, FTS; HL7 2.8 section 2.10.3).

use crate::{Hl7Error, Place};

/// A message of a file, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// Which one, counted from 1.
    pub number: usize,
    /// The line at which it begins, counted from 1.
    pub line: usize,
    /// Its bytes, from MSH to before the next message or envelope.
    pub bytes: &'a [u8],
}

/// Takes a file apart. MLLP's frame bytes between messages are passed over.
///
/// # Errors
/// [`Hl7Error::Empty`], [`Hl7Error::NoHeader`] where something else comes before the first message, and
/// [`Hl7Error::BatchCount`] where an envelope counts otherwise: then some message is missing.
pub fn split(bytes: &[u8]) -> Result<Vec<Split<'_>>, Hl7Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut messages: Vec<Split<'_>> = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let (mut in_batch, mut batches) = (0, 0);
    let mut any = false;
    for (line, start, text) in lines(bytes) {
        let envelope = matches!(text.get(..3), Some(b"FHS" | b"BHS" | b"BTS" | b"FTS"));
        if envelope || text.starts_with(b"MSH") {
            close(&mut messages, &mut open, bytes, start);
        }
        match text.get(..3) {
            Some(b"MSH") => {
                in_batch += 1;
                open = Some((line, start));
            }
            Some(b"BHS") => in_batch = 0,
            Some(b"BTS") => {
                batches += 1;
                agree(text, "BTS", batches, in_batch)?;
                in_batch = 0;
            }
            Some(b"FHS" | b"FTS") => {}
            _ if open.is_none() && !text.trim_ascii().is_empty() => return Err(Hl7Error::NoHeader),
            _ => {}
        }
        any |= !text.trim_ascii().is_empty();
    }
    close(&mut messages, &mut open, bytes, bytes.len());
    match (messages.is_empty(), any) {
        (false, _) => Ok(messages),
        (true, true) => Err(Hl7Error::NoHeader),
        (true, false) => Err(Hl7Error::Empty),
    }
}

fn close<'a>(messages: &mut Vec<Split<'a>>, open: &mut Option<(usize, usize)>, bytes: &'a [u8], end: usize) {
    if let Some((line, start)) = open.take() {
        let mut bytes = bytes.get(start..end).unwrap_or_default();
        while let [before @ .., b'\r' | b'\n' | b' ' | b'\t' | 0x1c | 0x0b | 0x1a] = bytes {
            bytes = before;
        }
        messages.push(Split { number: messages.len() + 1, line, bytes });
    }
}

/// BTS-1 says how many messages the batch has. Many senders leave it out.
fn agree(text: &[u8], name: &str, occurrence: usize, found: usize) -> Result<(), Hl7Error> {
    let Some(separator) = text.get(3) else { return Ok(()) };
    let field = text.split(|byte| byte == separator).nth(1).unwrap_or_default().trim_ascii();
    let Some(said) = std::str::from_utf8(field).ok().and_then(|text| text.parse::<usize>().ok()) else {
        return Ok(());
    };
    if said == found {
        return Ok(());
    }
    Err(Hl7Error::BatchCount { place: Place::field(name, occurrence, 1), said, found })
}

/// Lines with their number and the place where their text begins, after MLLP's start byte.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let (mut at, mut line) = (0, 0);
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let rest = &bytes[at..];
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let ending = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        let text = &rest[..end];
        let skipped =
            text.iter().take_while(|byte| matches!(byte, 0x0b | 0x1c | 0x1a | b' ' | b'\t')).count();
        let start = at + skipped;
        at += end + ending;
        line += 1;
        Some((line, start, &text[skipped..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(bytes: &[u8]) -> Result<Vec<String>, Hl7Error> {
        Ok(split(bytes)?.iter().map(|one| String::from_utf8_lossy(one.bytes).into_owned()).collect())
    }

    #[test]
    fn files_are_taken_apart() {
        let two = ["MSH|^~\\&|1\rPID|1", "MSH|^~\\&|2\rPID|2"];
        let files: [String; 4] = [
            format!("{}\r{}\r", two[0], two[1]),
            format!("FHS|^~\\&|x\rBHS|^~\\&|x\r{}\r{}\rBTS|2\rFTS|1\r", two[0], two[1]),
            format!("\u{feff}{}\r\n\r\n{}\r\n", two[0], two[1]),
            format!("\u{b}{}\r\u{1c}\r\u{b}{}\r\u{1c}\r", two[0], two[1]),
        ];
        for file in files {
            assert_eq!(texts(file.as_bytes()).unwrap(), two, "{file:?}");
        }
        assert_eq!(split(b"MSH|1\nPID\n\nMSH|2").unwrap()[1].line, 4);
    }

    #[test]
    fn what_is_no_file_of_messages_is_refused() {
        assert_eq!(texts(b""), Err(Hl7Error::Empty));
        assert_eq!(texts(b"\r\n \r\n"), Err(Hl7Error::Empty));
        assert_eq!(texts(b"hello\rMSH|^~\\&"), Err(Hl7Error::NoHeader));
        assert_eq!(texts(b"FHS|^~\\&\rFTS|0"), Err(Hl7Error::NoHeader));
        let missing = texts(b"BHS|^~\\&\rMSH|^~\\&|1\rBTS|2").unwrap_err();
        assert_eq!(missing.to_string(), "BTS-1: the batch says 2 messages and has 1");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_apart_or_refused(bytes in "([MBF][SHT][HS][|][A-Z|\r\n]{0,12}|[\\PC\r\n]{0,8}){0,12}") {
            let _ = split(bytes.as_bytes());
        }
    }
}
