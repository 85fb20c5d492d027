//! Primitive values (R4 section 2.24.0.1).

use super::{Code, reference};
use crate::fhir::{FhirDate, date::second_of_day, definitions::Primitive};
use sonic_rs::{JsonValueTrait, Value};

/// The most bytes of a string (R4: "Strings SHALL NOT exceed 1MB").
const STRING_BYTES_MAX: usize = 1 << 20;

/// What an id looks like.
pub(super) const ID: &str = "an id has 1 to 64 of the characters A-Z a-z 0-9 - .";

/// Whether `text` is an id.
pub(crate) fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// Checks a value that is neither null nor an array; gives what is wrong.
pub(super) fn check(kind: Primitive, codes: Option<&str>, value: &Value) -> Result<(), (Code, &'static str)> {
    let wrong = |what| Err((Code::Value, what));
    match kind {
        Primitive::Boolean if value.is_boolean() => return Ok(()),
        Primitive::Boolean => return wrong("must be true or false, without quotes"),
        Primitive::Decimal if value.is_number() => return Ok(()),
        Primitive::Decimal => return wrong("must be a number, without quotes"),
        Primitive::Integer => return number(value, i64::from(i32::MIN), "must be a whole number of 32 bits"),
        Primitive::UnsignedInt => return number(value, 0, "must be a whole number from 0 to 2147483647"),
        Primitive::PositiveInt => return number(value, 1, "must be a whole number from 1 to 2147483647"),
        _ => {}
    }
    let Some(text) = value.as_str() else {
        return wrong("must be a text in quotes");
    };
    if text.is_empty() {
        return wrong("must not be empty; leave the element out");
    }
    match textual(kind, text) {
        Some(what) => wrong(what),
        None => match codes {
            Some(codes) if !codes.split(',').any(|code| code == text) => {
                Err((Code::CodeInvalid, "is not in the code set that R4 requires here"))
            }
            _ => Ok(()),
        },
    }
}

fn number(value: &Value, least: i64, what: &'static str) -> Result<(), (Code, &'static str)> {
    let raw = value.as_raw_number();
    let whole = raw.as_ref().and_then(|raw| raw.as_str().parse::<i64>().ok());
    let fits = whole.is_some_and(|number| (least..=i64::from(i32::MAX)).contains(&number));
    if fits { Ok(()) } else { Err((Code::Value, what)) }
}

/// What is wrong with a text of the given type.
fn textual(kind: Primitive, text: &str) -> Option<&'static str> {
    let (right, what) = match kind {
        Primitive::String | Primitive::Markdown => {
            (is_string(text), "must have visible text of at most 1 MB")
        }
        Primitive::Code => (is_code(text), "a code has no spaces around it and single ones inside"),
        Primitive::Id => (is_id(text), ID),
        Primitive::Uri | Primitive::Url | Primitive::Canonical => (!has_space(text), "a URI has no spaces"),
        Primitive::Oid => (reference::is_oid(text), "an OID looks like urn:oid:1.2.3"),
        Primitive::Uuid => (reference::is_uuid(text), "a UUID looks like urn:uuid: and 36 characters"),
        Primitive::Date => (is_date(text), "a date looks like 2015, 2015-03 or 2015-03-01"),
        Primitive::DateTime => (
            FhirDate::parse(text).is_some(),
            "a dateTime looks like 2015, 2015-03, 2015-03-01 or 2015-03-01T10:00:00Z",
        ),
        Primitive::Instant => {
            let instant = FhirDate::parse(text).is_some_and(|date| date.has_time());
            (instant, "an instant looks like 2015-03-01T10:00:00.000Z")
        }
        Primitive::Time => (second_of_day(text).is_some(), "a time looks like 10:00:00"),
        Primitive::Base64Binary => (is_base64(text), "must be base64"),
        Primitive::Xhtml => (is_narrative(text), "a narrative is one <div> without scripts"),
        Primitive::Boolean
        | Primitive::Decimal
        | Primitive::Integer
        | Primitive::UnsignedInt
        | Primitive::PositiveInt => (true, ""),
    };
    (!right).then_some(what)
}

fn has_space(text: &str) -> bool {
    has_any(text, |byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
}

fn is_string(text: &str) -> bool {
    let control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\r' | b'\n');
    let is_visible = || text.chars().any(|letter| !letter.is_whitespace());
    text.len() <= STRING_BYTES_MAX && !has_any(text, control) && is_visible()
}

/// Looks at every byte, which is faster than to stop at the first: nearly all texts have none.
fn has_any(text: &str, is: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |found, byte| found | is(byte))
}

fn is_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    let around = bytes.first().is_some_and(u8::is_ascii_whitespace)
        || bytes.last().is_some_and(u8::is_ascii_whitespace);
    let double = bytes.windows(2).any(|pair| pair.iter().all(u8::is_ascii_whitespace));
    !around && !double && !text.bytes().any(|byte| byte.is_ascii_control())
}

fn is_date(text: &str) -> bool {
    FhirDate::parse(text).is_some_and(|date| !date.has_time())
}

fn is_base64(text: &str) -> bool {
    // A space may stand anywhere, padding at the end alone.
    let symbols_and_spaces =
        text.trim_end_matches(|letter: char| letter == '=' || letter.is_ascii_whitespace());
    let is_symbol = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if has_any(symbols_and_spaces, |byte| !is_symbol(byte) && !byte.is_ascii_whitespace()) {
        return false;
    }
    let symbols = symbols_and_spaces.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    let padding = text[symbols_and_spaces.len()..].bytes().filter(|&byte| byte == b'=').count();
    symbols > 0 && padding <= 2 && (symbols + padding).is_multiple_of(4)
}

fn is_narrative(text: &str) -> bool {
    let trimmed = text.trim();
    let is_script =
        |tag: &str| tag.as_bytes().get(..6).is_some_and(|name| name.eq_ignore_ascii_case(b"script"));
    let scripted = trimmed.split('<').skip(1).any(is_script);
    trimmed.starts_with("<div") && trimmed.ends_with('>') && !scripted
}

#[cfg(test)]
mod tests {
    use super::{has_space, is_base64, is_narrative, is_string};
    use proptest::prelude::*;

    #[test]
    fn strings_have_something_to_see_and_uris_no_spaces() {
        for good in ["a", " a\t", "\r\n\u{a0}é", "\u{7f}"] {
            assert!(is_string(good), "{good:?}");
        }
        for bad in ["", " ", "\t\r\n", "\u{a0}\u{2003}", "a\u{0}", "\u{1f}a"] {
            assert!(!is_string(bad), "{bad:?}");
        }
        assert!(!has_space("urn:x-é") && !has_space("a\u{a0}"));
        for spaced in ["a b", "a\n", "\u{7f}", "\u{0}"] {
            assert!(has_space(spaced), "{spaced:?}");
        }
    }

    #[test]
    fn a_narrative_has_no_script_wherever_it_stands() {
        for good in ["<div></div>", " <div>a < script </div> ", "<div><scrip</div>", "<div>script</div>"] {
            assert!(is_narrative(good), "{good}");
        }
        for bad in
            ["<div><script>", "<div><<ScRiPt src=\"x\"></div>", "<div>é<SCRIPT</div>", "<p></p>", "<div"]
        {
            assert!(!is_narrative(bad), "{bad}");
        }
    }

    /// As the definition says it, letter by letter.
    fn is_base64_by_letters(text: &str) -> bool {
        let letters: Vec<char> = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        let symbols = letters.iter().take_while(|letter| **letter != '=').count();
        let (symbols, padding) = letters.split_at(symbols);
        let is_symbol = |letter: &char| letter.is_ascii_alphanumeric() || "+/".contains(*letter);
        let fits = !symbols.is_empty() && padding.len() <= 2 && letters.len().is_multiple_of(4);
        fits && symbols.iter().all(is_symbol) && padding.iter().all(|letter| *letter == '=')
    }

    proptest! {
        #[test]
        fn base64_is_known_by_its_letters(text in "[aZ9+/ \\n]{0,12}(=| |\\n|é|-|a){0,4}") {
            prop_assert_eq!(is_base64(&text), is_base64_by_letters(&text), "{:?}", text);
        }
    }
}
