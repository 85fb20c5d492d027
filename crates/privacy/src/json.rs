//! Writes JSON text from values, keeping key order and number literals, and never deeper than a bound.

use sonic_rs::{JsonContainerTrait as _, JsonType, JsonValueTrait as _, Value};

/// The deepest nesting that is split or joined. FHIR resources stay below twenty.
pub const DEPTH_MAX: usize = 64;

/// The value is nested deeper than [`DEPTH_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooDeep;

/// Reads text whose nesting is bounded: the parser goes down one call for each bracket. `None` if it is no JSON.
pub(crate) fn read(text: &[u8], depth_max: usize) -> Option<Value> {
    (!is_deeper(text, depth_max)).then(|| sonic_rs::from_slice(text).ok()).flatten()
}

fn is_deeper(text: &[u8], depth_max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    text.iter().any(|&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth = depth.saturating_add(1),
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > depth_max
    })
}

/// Appends `text` in quotes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    // Looking at every byte without a way out lets the compiler look at many at once.
    if bytes.iter().fold(false, |found, &byte| found | is_escaped(byte)) {
        write_escaped(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if is_escaped(byte) => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// Appends `value` without spaces.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<(), TooDeep> {
    write_bounded(out, value, DEPTH_MAX)
}

fn write_bounded(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), TooDeep> {
    let inner = depth.checked_sub(1).ok_or(TooDeep)?;
    // Most values are strings, and asking for the type costs as much as asking for the string.
    if let Some(text) = value.as_str() {
        write_string(out, text);
        return Ok(());
    }
    match value.get_type() {
        JsonType::Null | JsonType::String => out.extend_from_slice(b"null"),
        JsonType::Boolean => out.extend_from_slice(if value.is_true() { b"true" } else { b"false" }),
        JsonType::Number => write_number(out, value),
        JsonType::Array => {
            out.push(b'[');
            for (index, element) in value.as_array().into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_bounded(out, element, inner)?;
            }
            out.push(b']');
        }
        JsonType::Object => {
            out.push(b'{');
            for (index, (key, member)) in value.as_object().into_iter().flatten().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                write_bounded(out, member, inner)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends the literal as it was read; of a number that was made in memory, its shortest form.
fn write_number(out: &mut Vec<u8>, value: &Value) {
    match (value.as_raw_number(), value.as_number()) {
        (Some(literal), _) => out.extend_from_slice(literal.as_str().as_bytes()),
        (None, Some(number)) => out.extend_from_slice(number.to_string().as_bytes()),
        (None, None) => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_as_it_went_in() {
        let text =
            r#"{"b":1.10,"a":[null,true,false,-0.0,1e400,12345678901234567890123],"":{},"q":"\"\\\u0001é"}"#;
        let value: Value = sonic_rs::from_str(text).unwrap();
        let mut out = Vec::new();
        write_value(&mut out, &value).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn brackets_in_strings_are_no_depth() {
        assert!(read(br#"{"a":"[[[[\"[[","b":[[1]]}"#, 3).is_some());
        assert!(read(br#"{"a":"[[[[\"[[","b":[[[1]]]}"#, 3).is_none());
        assert!(read(b"[[[", 3).is_none());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let deepest: Value = sonic_rs::from_str(&nested(DEPTH_MAX)).unwrap();
        assert_eq!(write_value(&mut Vec::new(), &deepest), Ok(()));
        let deeper: Value = sonic_rs::from_str(&nested(DEPTH_MAX + 1)).unwrap();
        assert_eq!(write_value(&mut Vec::new(), &deeper), Err(TooDeep));
    }
}
