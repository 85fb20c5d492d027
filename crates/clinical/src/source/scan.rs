//! A look at a JSON text before it is parsed: how deep it is nested, and whether the serialiser would write the same.

use std::ops::ControlFlow;

/// How a text is written, if it is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Without spaces between its values and without escapes. The serialiser writes members in their order and numbers as
    /// they were read, so that it writes the same text again.
    Compact,
    /// Otherwise: the serialiser may write another text.
    Free,
}

/// The form of a text; or the place in bytes of the bracket that opens more than `depth_max` arrays and objects.
pub(super) fn scan(text: &[u8], depth_max: usize) -> Result<Form, usize> {
    let (mut at, mut depth, mut form) = (0, 0_usize, Form::Compact);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let (length, escaped) = string(text.get(at + 1..).unwrap_or_default());
                if escaped {
                    form = Form::Free;
                }
                at += 1 + length;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return Err(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            0..=b' ' => form = Form::Free,
            _ => {}
        }
        at += 1;
    }
    Ok(form)
}

/// How many bytes stand before the quotation mark that ends a string, and whether there is an escape among them.
fn string(text: &[u8]) -> (usize, bool) {
    let (mut at, mut escaped) = (0, false);
    loop {
        at += plain_bytes(text.get(at..).unwrap_or_default());
        if text.get(at) != Some(&b'\\') {
            return (at, escaped);
        }
        escaped = true;
        at += 2;
    }
}

/// How many bytes there are before the first quotation mark or backslash, looked at by eights.
#[inline]
fn plain_bytes(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
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
            passed + rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len())
        }
    }
}

/// The high bits of the bytes that are a quotation mark or a backslash. Bits above the lowest set one may be wrong, the
/// lowest is not: a borrow goes upwards only (Anderson, Bit Twiddling Hacks, "Determine if a word has a zero byte").
#[inline]
const fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    ((quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash)) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where a text is nested too deep, byte by byte.
    fn too_deep(text: &[u8], depth_max: usize) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        text.iter().position(|&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => depth += 1,
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > depth_max
        })
    }

    #[test]
    fn spaces_and_escapes_tell_a_free_text() {
        for compact in ["{}", r#"{"a":[1.50,"b c d e f g h i",null,"é"],"b":{}}"#, "\"\u{7f}\""] {
            assert_eq!(scan(compact.as_bytes(), 64), Ok(Form::Compact), "{compact}");
        }
        for free in ["{ }", "[1,\n2]", r#"{"a":"\/"}"#, r#"{"a1234567\"":1}"#, r#"["\u00e9"]"#, "\t1"] {
            assert_eq!(scan(free.as_bytes(), 64), Ok(Form::Free), "{free}");
        }
    }

    #[test]
    fn brackets_in_strings_are_no_depth() {
        assert_eq!(scan(br#"{"a":"[[[[\"[[","b":[[1]]}"#, 3), Ok(Form::Free));
        assert_eq!(scan(br#"{"a":"[[[[\"[[","b":[[[1]]]}"#, 3), Err(22));
        assert_eq!(scan(br#"["\"#, 3), Ok(Form::Free));
    }

    proptest! {
        #[test]
        fn depth_is_that_of_a_look_at_every_byte(text in "[\\[\\]{}\":,\\\\a-z é]{0,80}", depth_max in 0..6_usize) {
            let found = scan(text.as_bytes(), depth_max);
            prop_assert_eq!(found.err(), too_deep(text.as_bytes(), depth_max));
        }
    }
}
