//! Which bytes of an answer a client asks for (RFC 9110 section 14): one range is served. Of several, the first that there
//! is, which the RFC lets a server do.

use axum::http::{
    HeaderMap,
    header::{IF_RANGE, RANGE},
};

/// Ranges of one header that are looked at.
const RANGES_MAX: usize = 16;

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: no range is asked for, or one that is not understood, or of another version.
    Whole,
    /// From the first byte to the one behind the last.
    Part(u64, u64),
    /// Bytes that there are not.
    Nothing,
}

/// What `headers` ask for of an answer of `size` bytes under the strong entity tag `tag`.
pub(crate) fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let of_this = headers.get(IF_RANGE).is_none_or(|version| version.as_bytes() == tag.as_bytes());
    let ranges = headers.get(RANGE).filter(|_| of_this).and_then(|value| value.to_str().ok());
    let Some(ranges) = ranges.and_then(|text| text.split_once('=')).filter(|(unit, _)| is_bytes(unit)) else {
        return Wanted::Whole;
    };
    let read: Option<Vec<_>> =
        ranges.1.split(',').take(RANGES_MAX).map(|one| read(one.trim(), size)).collect();
    match read {
        None => Wanted::Whole,
        Some(read) => {
            read.into_iter().flatten().next().map_or(Wanted::Nothing, |(from, end)| Wanted::Part(from, end))
        }
    }
}

fn is_bytes(unit: &str) -> bool {
    unit.trim().eq_ignore_ascii_case("bytes")
}

/// `FIRST-LAST`, `FIRST-` or `-LENGTH`: nothing where it is none of them, and no bytes where there are none.
#[allow(clippy::option_option, reason = "the outer is the form, the inner the bytes")]
fn read(text: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.split_once('-')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let (from, end) = match (first, last) {
        ("", last) => (size.saturating_sub(number(last)?), size),
        (first, "") => (number(first)?, size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(size))
        }
    };
    Some((from < end).then_some((from, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str, version: Option<&str>) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        if let Some(version) = version {
            headers.insert(IF_RANGE, version.parse().unwrap());
        }
        wanted(&headers, "\"tag\"", 31)
    }

    #[test]
    fn one_range_is_served() {
        for (range, expected) in [
            ("bytes=6-16", Wanted::Part(6, 17)),
            ("Bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=6-", Wanted::Part(6, 31)),
            ("bytes=-5", Wanted::Part(26, 31)),
            ("bytes=-500", Wanted::Part(0, 31)),
            ("bytes=6-500", Wanted::Part(6, 31)),
            ("bytes=6-16, 0-4", Wanted::Part(6, 17)),
            ("bytes=40-50,0-4", Wanted::Part(0, 5)),
            ("bytes=31-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=6", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes", Wanted::Whole),
        ] {
            assert_eq!(asked(range, None), expected, "{range}");
        }
        assert_eq!(wanted(&HeaderMap::new(), "\"tag\"", 31), Wanted::Whole);
    }

    #[test]
    fn a_range_of_another_version_is_not_served() {
        assert_eq!(asked("bytes=0-4", Some("\"tag\"")), Wanted::Part(0, 5));
        assert_eq!(asked("bytes=0-4", Some("\"other\"")), Wanted::Whole);
        assert_eq!(asked("bytes=0-4", Some("W/\"tag\"")), Wanted::Whole, "a weak tag vouches for no bytes");
    }

    #[test]
    fn what_is_served_is_there() {
        for size in 0_u64..6 {
            for (a, b) in (0_u64..8).flat_map(|a| (0_u64..8).map(move |b| (a, b))) {
                for range in [format!("bytes={a}-{b}"), format!("bytes={a}-"), format!("bytes=-{b}")] {
                    let mut headers = HeaderMap::new();
                    headers.insert(RANGE, range.parse().unwrap());
                    if let Wanted::Part(from, end) = wanted(&headers, "\"t\"", size) {
                        assert!(from < end && end <= size, "{range} of {size}");
                    }
                }
            }
        }
    }
}
