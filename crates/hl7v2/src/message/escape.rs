//! Escape sequences (HL7 2.8 section 2.7).

use super::Separators;

/// The text that an escaped text stands for. Formatting commands become line breaks and spaces, highlighting is left
/// out, and what is unknown or never ends stays as it was sent.
pub(super) fn unescape(text: &str, separators: Separators) -> String {
    let Some(escape) = separators.escape else { return text.to_owned() };
    if !text.contains(escape) {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(escape) {
        plain.push_str(before);
        rest = match after.split_once(escape).filter(|(command, _)| command.len() <= 512) {
            Some((command, after)) if say(command, separators, &mut plain) => after,
            _ => {
                plain.push(escape);
                after
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// Writes what a command stands for; false if it is none.
fn say(command: &str, separators: Separators, plain: &mut String) -> bool {
    let one = match command {
        "F" => Some(separators.field),
        "S" => Some(separators.component),
        "R" => Some(separators.repetition),
        "E" => separators.escape,
        "T" => separators.subcomponent,
        "P" => Some('#'),
        "H" | "N" => return true,
        _ => None,
    };
    if let Some(one) = one {
        plain.push(one);
        return true;
    }
    if let Some(digits) = command.strip_prefix('X') {
        return bytes(digits, plain);
    }
    let Some(format) = command.strip_prefix('.') else { return false };
    let count =
        format.get(2..).unwrap_or_default().trim_start_matches('+').parse().unwrap_or(1_usize).min(80);
    match format.get(..2).unwrap_or_default() {
        "br" | "ce" | "sp" => (0..count).for_each(|_| plain.push('\n')),
        "sk" => (0..count).for_each(|_| plain.push(' ')),
        "fi" | "nf" | "in" | "ti" => {}
        _ => return false,
    }
    true
}

/// Hexadecimal bytes: as UTF-8 where they are, else one character a byte.
fn bytes(digits: &str, plain: &mut String) -> bool {
    let Ok(bytes) = hex::decode(digits) else { return false };
    match String::from_utf8(bytes) {
        Ok(text) => plain.push_str(&text.replace('\r', "\n")),
        Err(other) => plain.extend(other.into_bytes().into_iter().map(char::from)),
    }
    true
}
