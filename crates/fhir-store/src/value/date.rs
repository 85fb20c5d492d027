//! Dates as ranges of milliseconds (R4 section 3.1.1.4.7): `2015-03` is the whole of March.

/// A range of time in milliseconds since 1970, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first millisecond.
    pub low: i64,
    /// Its last millisecond.
    pub high: i64,
}

/// Before every date.
pub const EARLIEST: i64 = i64::MIN / 4;
/// After every date.
pub const LATEST: i64 = i64::MAX / 4;

const DAY_MS: i64 = 86_400_000;

/// Reads a FHIR date, dateTime or instant of any precision. A time without a zone is taken as UTC.
#[must_use]
pub fn parse(text: &str) -> Option<Span> {
    let bytes = text.as_bytes();
    let year = digits(bytes.get(0..4)?)?;
    if bytes.len() == 4 {
        return span(days(year, 1, 1)?, days(year + 1, 1, 1)?);
    }
    let month = digits(after(bytes, 4, b'-', 2)?)?;
    if bytes.len() == 7 {
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        return span(days(year, month, 1)?, days(next_year, next_month, 1)?);
    }
    let day = digits(after(bytes, 7, b'-', 2)?)?;
    let start = days(year, month, day)?;
    if bytes.len() == 10 {
        return span(start, start + 1);
    }
    let (hour, minute) = (digits(after(bytes, 10, b'T', 2)?)?, digits(after(bytes, 13, b':', 2)?)?);
    if hour > 24 || minute > 59 {
        return None;
    }
    let mut at = 16;
    let (mut start, mut length) = (start * DAY_MS + hour * 3_600_000 + minute * 60_000, 60_000);
    if bytes.get(at) == Some(&b':') {
        let second = digits(after(bytes, 16, b':', 2)?)?;
        if second > 60 {
            return None;
        }
        (start, length, at) = (start + second * 1_000, 1_000, 19);
        if bytes.get(at) == Some(&b'.') {
            let end = (at + 1..bytes.len()).find(|&end| !bytes[end].is_ascii_digit()).unwrap_or(bytes.len());
            let fraction = &bytes[at + 1..end];
            if fraction.is_empty() {
                return None;
            }
            let milli = |place: usize| i64::from(fraction.get(place).map_or(0, |digit| digit - b'0'));
            start += milli(0) * 100 + milli(1) * 10 + milli(2);
            (length, at) = (10_i64.pow(3 - u32::try_from(fraction.len().min(3)).ok()?), end);
        }
    }
    let offset = zone(bytes.get(at..)?)?;
    let low = start - offset;
    Some(Span { low, high: low + length - 1 })
}

/// The offset of a zone in milliseconds.
fn zone(bytes: &[u8]) -> Option<i64> {
    let sign = match bytes.first() {
        None => return Some(0),
        Some(b'Z') if bytes.len() == 1 => return Some(0),
        // In a query that was not escaped, a plus arrives as a space.
        Some(b'+' | b' ') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    if bytes.len() != 6 || bytes[3] != b':' {
        return None;
    }
    let (hours, minutes) = (digits(&bytes[1..3])?, digits(&bytes[4..6])?);
    (hours <= 14 && minutes <= 59).then_some(sign * (hours * 3_600_000 + minutes * 60_000))
}

fn after(bytes: &[u8], at: usize, separator: u8, length: usize) -> Option<&[u8]> {
    (bytes.get(at) == Some(&separator)).then(|| bytes.get(at + 1..at + 1 + length)).flatten()
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

fn span(first_day: i64, end_day: i64) -> Option<Span> {
    Some(Span { low: first_day * DAY_MS, high: end_day * DAY_MS - 1 })
}

/// Days since 1970-01-01 of the proleptic Gregorian calendar (Hinnant's days_from_civil).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=most).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// A moment as FHIR writes an instant in UTC.
#[must_use]
pub fn instant(time_ms: i64) -> String {
    let (day, ms) = (time_ms.div_euclid(DAY_MS), time_ms.rem_euclid(DAY_MS));
    // Hinnant's civil_from_days.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * part + 2) / 5 + 1, if part < 10 { part + 3 } else { part - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_date_is_as_long_as_its_precision() {
        for (text, low, length) in [
            ("1970", 0, 365 * DAY_MS),
            ("1970-02", 31 * DAY_MS, 28 * DAY_MS),
            ("2000-02", 951_782_400_000 - 28 * DAY_MS, 29 * DAY_MS),
            ("1970-01-02", DAY_MS, DAY_MS),
            ("1970-01-01T01:00Z", 3_600_000, 60_000),
            ("1970-01-01T01:00:00+01:00", 0, 1_000),
            ("1970-01-01T00:00:00.5Z", 500, 100),
            ("1970-01-01T00:00:00.123456-00:30", 1_800_123, 1),
            ("1969-12-31", -DAY_MS, DAY_MS),
        ] {
            let low = if text == "2000-02" { 949_363_200_000 } else { low };
            assert_eq!(parse(text), Some(Span { low, high: low + length - 1 }), "{text}");
        }
        for wrong in
            ["", "19", "1970-13", "1970-02-29", "1970-01-01T", "1970-01-01T25:00Z", "1970-01-01T00:00:00.Z"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_instant_comes_back(time_ms in -60_000_000_000_000_i64..250_000_000_000_000) {
            prop_assert_eq!(parse(&instant(time_ms)), Some(Span { low: time_ms, high: time_ms }));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,40}", near in "[0-9TZ:.+-]{0,32}") {
            let _ = (parse(&text), parse(&near));
        }
    }
}
