//! Numbers, dates and tokens, told by their form.

/// A date of more years back than this tells an age over 89: its year stays behind.
const AGE_YEARS_MAX: i32 = 89;

/// A planned date, such as the expiry of a device, is not further ahead.
const YEARS_AHEAD_MAX: i32 = 50;

/// The year of a FHIR date or dateTime (hl7.org/fhir/R4/datatypes.html#dateTime), if it may leave.
pub(super) fn year(text: &str, now_year: i32) -> Option<&str> {
    let (year, rest) = text.split_at_checked(4)?;
    let number: i32 = if digits(year) { year.parse().ok()? } else { return None };
    let age = now_year.checked_sub(number)?;
    (is_rest_of_date(rest) && (-YEARS_AHEAD_MAX..=AGE_YEARS_MAX).contains(&age)).then_some(year)
}

/// `-MM`, `-MM-DD` or `-MM-DDThh:mm:ss` with a fraction and a zone.
pub(super) fn is_rest_of_date(rest: &str) -> bool {
    let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    let whole = shaped(date, "-99-99");
    match time {
        None => date.is_empty() || shaped(date, "-99") || whole,
        Some(time) => whole && is_time(time),
    }
}

fn is_time(time: &str) -> bool {
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) =
        clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let zone_known = zone.is_empty() || zone == "Z" || shaped(zone, "+99:99") || shaped(zone, "-99:99");
    let clock_known = shaped(clock, "99:99:99") || (fraction.is_none() && shaped(clock, "99:99"));
    let fraction_known =
        fraction.is_none_or(|fraction| (1..=9).contains(&fraction.len()) && digits(fraction));
    zone_known && clock_known && fraction_known
}

fn shaped(text: &str, shape: &str) -> bool {
    let same = |(byte, kind): (u8, u8)| if kind == b'9' { byte.is_ascii_digit() } else { byte == kind };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(same)
}

pub(super) fn digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How much of a number may leave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Number<'a> {
    /// All of it.
    Whole,
    /// Its first digits: a measurement has no more, and more could hide an identifier.
    Shortened(&'a str),
    /// None: it has the length of an identifier.
    None,
}

/// The most digits before the point. Record, telephone and social security numbers have more.
const INTEGER_DIGITS_MAX: usize = 6;

/// A longer number may leave if it is round: no more leading digits than this, then zeros.
const ROUND_DIGITS_MAX: usize = 3;
const ROUND_LENGTH_MAX: usize = 12;

/// The most digits in all.
const DIGITS_MAX: usize = 8;

/// Looks at a JSON number's literal. An exponent is not taken: clinical systems do not write it.
pub(super) fn number(literal: &str, fraction_allowed: bool) -> Number<'_> {
    let unsigned = literal.strip_prefix('-').unwrap_or(literal);
    let (integer, fraction) = match unsigned.split_once('.') {
        Some((integer, fraction)) if fraction_allowed => (integer, fraction),
        Some(_) => return Number::None,
        None => (unsigned, ""),
    };
    if integer.is_empty() || !digits(integer) || !digits(fraction) {
        return Number::None;
    }
    let leading = integer.trim_end_matches('0').len();
    let round = leading <= ROUND_DIGITS_MAX && integer.len() <= ROUND_LENGTH_MAX && fraction.is_empty();
    if integer.len() > INTEGER_DIGITS_MAX && !round {
        return Number::None;
    }
    // Zeros that lead say how small the number is; the digits are counted behind them.
    let zeros = if integer == "0" { fraction.len() - fraction.trim_start_matches('0').len() } else { 0 };
    let integer_digits = if integer == "0" { 0 } else { integer.len() };
    let fraction_max = zeros.min(DIGITS_MAX).saturating_add(DIGITS_MAX.saturating_sub(integer_digits));
    if fraction.len() <= fraction_max {
        return Number::Whole;
    }
    let cut = fraction.len().saturating_sub(fraction_max);
    Number::Shortened(literal.get(..literal.len().saturating_sub(cut)).unwrap_or("0"))
}

/// Whether a number's literal is above `bound`; one that cannot be told is.
pub(super) fn is_above(literal: &str, bound: u64) -> bool {
    let (integer, fraction) = literal.split_once('.').unwrap_or((literal, ""));
    if integer.starts_with('-') {
        return false;
    }
    let above_zero = fraction.bytes().any(|byte| byte != b'0');
    integer.parse::<u64>().map_or(true, |integer| integer > bound || (integer == bound && above_zero))
}

/// An id that FHIR would take (hl7.org/fhir/R4/datatypes.html#id).
pub(super) fn is_id(text: &str) -> bool {
    // Looking at every byte without a way out lets the compiler look at many at once.
    let of_id = |byte: &u8| byte.is_ascii_alphanumeric() | (*byte == b'-') | (*byte == b'.');
    (1..=64).contains(&text.len()) && text.as_bytes().iter().fold(true, |all, byte| all & of_id(byte))
}

/// Whether `id`, which has no separator in it, is what stands behind the last `/` or `:` of `reference`.
pub(super) fn ends_in_part(reference: &str, id: &str) -> bool {
    let before = reference.strip_suffix(id);
    before.is_some_and(|before| before.is_empty() || before.ends_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_year_of_a_date_is_taken() {
        for (text, expected) in [
            ("1985", Some("1985")),
            ("1985-04", Some("1985")),
            ("1985-04-12", Some("1985")),
            ("1985-04-12T10:15:00Z", Some("1985")),
            ("1985-04-12T10:15:00.123+02:00", Some("1985")),
            ("1985-04-12T10:15+02:00", Some("1985")),
            ("1937-01-01", Some("1937")),
            ("1936-12-31", None),
            ("2077-01-01", None),
            ("1985-04-12 Jane", None),
            ("1985-04-12TJane", None),
            ("1985Jane", None),
            ("198-22-4433", None),
            ("+985", None),
            ("", None),
            ("éé", None),
        ] {
            assert_eq!(year(text, 2026), expected, "{text}");
        }
    }

    #[test]
    fn the_last_part_of_a_reference_is_told() {
        for (reference, id, expected) in [
            ("Patient/12", "12", true),
            ("urn:uuid:12", "12", true),
            ("12", "12", true),
            ("Patient/112", "12", false),
            ("Patient/12/x", "12", false),
            ("Patient/", "", true),
        ] {
            assert_eq!(ends_in_part(reference, id), expected, "{reference} {id}");
        }
        for (id, expected) in [("a-B.9", true), ("", false), ("a/b", false), ("é", false), ("a b", false)] {
            assert_eq!(is_id(id), expected, "{id}");
        }
        assert!(is_id(&"x".repeat(64)) && !is_id(&"x".repeat(65)));
    }

    #[test]
    fn numbers_that_could_be_identifiers_stay_behind() {
        for literal in
            ["0", "1.10", "-0.5", "120", "28446.99", "0.00039091", "999999", "1500000", "10000000000"]
        {
            assert_eq!(number(literal, true), Number::Whole, "{literal}");
        }
        for literal in
            ["999825655", "5559428848", "1234567", "1234567.89", "1e5", "-19700101", "9999999999999"]
        {
            assert_eq!(number(literal, true), Number::None, "{literal}");
        }
        assert_eq!(number("42.066461868220706", true), Number::Shortened("42.066461"));
        assert_eq!(number("0.0026517809580117384", true), Number::Shortened("0.0026517809"));
        assert_eq!(number("1.5", false), Number::None);
    }

    #[test]
    fn bounds_are_compared_exactly() {
        for (literal, above) in
            [("89", false), ("89.0", false), ("89.01", true), ("90", true), ("-95", false), ("1e3", true)]
        {
            assert_eq!(is_above(literal, 89), above, "{literal}");
        }
    }
}
