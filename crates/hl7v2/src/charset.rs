//! The character set of a message: MSH-18 (HL7 table 0211), read before the message is text.

use crate::Hl7Error;
use encoding_rs::Encoding;

/// How far MSH is looked through for its fields.
const HEADER_BYTES_MAX: usize = 8 << 10;

/// A message as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text.
    pub text: String,
    /// MSH-18 says nothing, or ASCII, and the bytes are neither ASCII nor UTF-8: they were read as windows-1252.
    pub guessed: bool,
}

/// Reads bytes as text by the character set that their own MSH-18 names.
///
/// Without one, or with ASCII, bytes are UTF-8 where they can be, else windows-1252: that is what interfaces send that
/// do not think of it.
///
/// # Errors
/// [`Hl7Error::CharacterSet`], [`Hl7Error::NotOfCharacterSet`].
pub fn decode(bytes: &[u8]) -> Result<Decoded, Hl7Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let named = named(bytes);
    let encoding = match named.as_deref() {
        None | Some("ASCII" | "ISO IR6" | "ISO IR14") => return Ok(undeclared(bytes)),
        Some("UNICODE UTF-8" | "UTF-8" | "UTF8" | "UNICODE") => encoding_rs::UTF_8,
        Some(name) => by_name(name).ok_or(Hl7Error::CharacterSet)?,
    };
    if encoding == encoding_rs::UTF_8 {
        return match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Decoded { text: text.to_owned(), guessed: false }),
            Err(error) => Err(Hl7Error::NotOfCharacterSet { offset: error.valid_up_to() }),
        };
    }
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Ok(Decoded { text: text.into_owned(), guessed: false }),
        None => {
            let offset = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or_default();
            Err(Hl7Error::NotOfCharacterSet { offset })
        }
    }
}

fn undeclared(bytes: &[u8]) -> Decoded {
    match std::str::from_utf8(bytes) {
        Ok(text) => Decoded { text: text.to_owned(), guessed: false },
        Err(_) => {
            let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes);
            Decoded { text: text.into_owned(), guessed: true }
        }
    }
}

/// The first character set of MSH-18, in capitals. All supported ones write ASCII as ASCII, so that it can be found
/// before it is known.
fn named(bytes: &[u8]) -> Option<String> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let header = bytes.get(start..)?.strip_prefix(b"MSH")?;
    let separator = *header.first()?;
    let end = header.iter().take(HEADER_BYTES_MAX).position(|byte| matches!(byte, b'\r' | b'\n'));
    let header = header.get(..end.unwrap_or(header.len().min(HEADER_BYTES_MAX)))?;
    let repetition = *header.get(2)?;
    let field = header.split(|byte| *byte == separator).nth(17)?;
    let first = field.split(|byte| *byte == repetition).next()?.trim_ascii();
    let name = String::from_utf8_lossy(first).to_uppercase();
    (!name.is_empty() && name != "\"\"").then_some(name)
}

fn by_name(name: &str) -> Option<&'static Encoding> {
    let label = match name.strip_prefix("8859/").or_else(|| name.strip_prefix("ISO-8859-")) {
        // Latin-1 is read as its superset, which differs where Latin-1 has control characters only.
        Some("1") => "windows-1252",
        Some("9") => "windows-1254",
        Some(part) if part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Encoding::for_label(format!("iso-8859-{part}").as_bytes());
        }
        Some(_) => return None,
        None => match name {
            "WINDOWS-1252" | "CP1252" | "ANSI" | "8859" => "windows-1252",
            "WINDOWS-1250" => "windows-1250",
            "WINDOWS-1251" => "windows-1251",
            "GB 18030-2000" => "gb18030",
            "KS X 1001" => "euc-kr",
            "BIG-5" => "big5",
            _ => return None,
        },
    };
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(set: &str, name: &[u8]) -> Vec<u8> {
        let header = format!("MSH|^~\\&|A|B|C|D|2020||ADT^A01|1|P|2.5||||||{set}|\rPID|||||");
        [header.as_bytes(), name].concat()
    }

    fn name(set: &str, bytes: &[u8]) -> Result<String, Hl7Error> {
        decode(&message(set, bytes)).map(|decoded| decoded.text.rsplit('|').next().unwrap().to_owned())
    }

    #[test]
    fn each_character_set_is_read() {
        let table: [(&str, &[u8], &str); 11] = [
            ("", "Müller".as_bytes(), "Müller"),
            ("", b"M\xfcller", "Müller"),
            ("ASCII", b"M\xfcller", "Müller"),
            ("UNICODE UTF-8", "Müller".as_bytes(), "Müller"),
            ("8859/1", b"M\xfcller", "Müller"),
            ("8859/1~UNICODE UTF-8", b"M\xfcller", "Müller"),
            ("8859/2", b"\xa3", "Ł"),
            ("8859/5", b"\xb8\xd2\xd0\xdd", "Иван"),
            ("8859/15", b"\xa4", "€"),
            ("WINDOWS-1252", b"\x80", "€"),
            ("GB 18030-2000", b"\xc0\xee", "李"),
        ];
        for (set, bytes, text) in table {
            assert_eq!(name(set, bytes).unwrap(), text, "{set}");
        }
        assert!(decode(&message("", b"M\xfcller")).unwrap().guessed);
        assert!(!decode(&message("8859/1", b"M\xfcller")).unwrap().guessed);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(name("ISO IR87", b"x"), Err(Hl7Error::CharacterSet));
        assert_eq!(name("8859/77", b"x"), Err(Hl7Error::CharacterSet));
        let offset = message("UNICODE UTF-8", b"").len();
        assert_eq!(name("UNICODE UTF-8", b"\xfc"), Err(Hl7Error::NotOfCharacterSet { offset }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), set in "[A-Z0-9/ -]{0,16}") {
            let _ = decode(&bytes);
            let _ = decode(&message(&set, &bytes));
        }
    }
}
