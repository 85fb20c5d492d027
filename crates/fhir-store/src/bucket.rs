//! Coarse keyed lists of what is looked up by range, for a database server that must see neither the values nor their order.
//!
//! Times and numbers are put on a line of [`POSITIONS`] places. A value is in one list for each [`LEVELS`] of ranges of 1, 32,
//! 1,024 and 32,768 places; a search takes the few lists that make up its range. Texts are in lists by how they begin. A list
//! is known to the server by a keyed number. All lists together give more than what is searched for and never less; the
//! resource itself decides.

use crate::{
    sealing::Sealer,
    search::{Prefix, Test},
    value::{Amount, Indexed, date::Span, text::fold},
};

/// Places on the line.
const POSITIONS: i64 = 1 << 20;
/// Each level has ranges of this many of the one below.
const BITS: u32 = 5;
const LEVELS: u32 = 4;
/// Lists of the index begin here; no parameter's own list has such a number.
const FIRST: i64 = 1 << 24;
/// Lists that one parameter may have.
const OF_PARAMETER: i64 = 32;
/// By how many first characters texts are listed.
const BEGINNINGS: [usize; 2] = [2, 4];

const DAY_MS: i64 = 86_400_000;

/// Which end of a value a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Every value is listed by its low end.
    Low = 0,
    /// A value whose high end has another place is listed by it too.
    High = 1,
}

fn list(param: i64, end: End, level: u32) -> i64 {
    FIRST + param * OF_PARAMETER + end as i64 * 8 + i64::from(level)
}

fn beginning(param: i64, length: usize) -> i64 {
    FIRST + param * OF_PARAMETER + 16 + i64::try_from(length).unwrap_or(0)
}

/// The place of a time: its day, from about the year 535 to 3405.
fn place_of_time(time_ms: i64) -> i64 {
    (time_ms.div_euclid(DAY_MS) + POSITIONS / 2).clamp(0, POSITIONS - 1)
}

/// The place of a number: its sign, exponent and the first bits of what follows, in the order of numbers.
fn place_of_number(number: f64) -> i64 {
    // Zero has one place, whatever its sign.
    let bits = (number + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    i64::try_from(ordered >> 44).unwrap_or(0)
}

/// The lists that a value is in, by their numbers and keyed ranges.
pub(crate) fn lists_of(sealer: &Sealer, param: i64, value: &Indexed) -> Vec<(i64, i64)> {
    match value {
        Indexed::Date(Span { low, high }) => {
            on_line(sealer, param, place_of_time(*low), place_of_time(*high))
        }
        Indexed::Amount(Amount { low, high, .. }) => {
            on_line(sealer, param, place_of_number(*low), place_of_number(*high))
        }
        Indexed::Text(text) => {
            let folded = fold(text);
            let starts =
                BEGINNINGS.iter().filter_map(|length| start(&folded, *length).map(|it| (*length, it)));
            starts.map(|(length, it)| key(sealer, beginning(param, length), it.as_bytes())).collect()
        }
        _ => Vec::new(),
    }
}

fn on_line(sealer: &Sealer, param: i64, low: i64, high: i64) -> Vec<(i64, i64)> {
    let ends = [(End::Low, low), (End::High, high)];
    let ends = if low == high { &ends[..1] } else { &ends[..] };
    let levels = |(end, place): &(End, i64)| {
        let (end, place) = (*end, *place);
        (0..LEVELS).map(move |level| range(sealer, param, end, level, place >> (BITS * level)))
    };
    ends.iter().flat_map(levels).collect()
}

fn range(sealer: &Sealer, param: i64, end: End, level: u32, number: i64) -> (i64, i64) {
    key(sealer, list(param, end, level), &number.to_be_bytes())
}

fn key(sealer: &Sealer, list: i64, range: &[u8]) -> (i64, i64) {
    (list, sealer.bucket(list, range))
}

/// The first `length` characters, if there are so many.
fn start(text: &str, length: usize) -> Option<&str> {
    let end = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(length)?;
    text.get(..end)
}

/// The lists of which one has every resource that passes `test`; none where only the resources tell.
pub(crate) fn lists_for(sealer: &Sealer, param: i64, test: &Test) -> Option<Vec<(i64, i64)>> {
    match test {
        Test::Date(prefix, span) => window(*prefix, place_of_time(span.low), place_of_time(span.high))
            .map(|asked| asked.lists(sealer, param)),
        Test::Amount { prefix, window: asked, .. } => {
            let prefix = match prefix {
                Prefix::Sa => Prefix::Gt,
                Prefix::Eb => Prefix::Lt,
                other => *other,
            };
            let asked = window(prefix, place_of_number(asked.low), place_of_number(asked.high));
            asked.map(|asked| asked.lists(sealer, param))
        }
        Test::Starts(text) => begins(sealer, param, text),
        Test::Exact(text) => begins(sealer, param, &fold(text)),
        _ => None,
    }
}

fn begins(sealer: &Sealer, param: i64, folded: &str) -> Option<Vec<(i64, i64)>> {
    let longest = BEGINNINGS.iter().rev().find_map(|length| start(folded, *length).map(|it| (*length, it)));
    longest.map(|(length, it)| vec![key(sealer, beginning(param, length), it.as_bytes())])
}

/// Places between which one end of a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    end: End,
    from: i64,
    to: i64,
}

/// What a prefix asks of one end, a little more rather than less; the same as `test` says of values.
fn window(prefix: Prefix, low: i64, high: i64) -> Option<Asked> {
    const LAST: i64 = POSITIONS - 1;
    let (end, from, to) = match prefix {
        Prefix::Eq => (End::Low, low, high),
        Prefix::Gt => (End::High, high, LAST),
        Prefix::Ge => (End::High, low, LAST),
        Prefix::Sa => (End::Low, high, LAST),
        Prefix::Lt => (End::Low, 0, low),
        Prefix::Le | Prefix::Ap => (End::Low, 0, high),
        Prefix::Eb => (End::High, 0, low),
        Prefix::Ne => return None,
    };
    Some(Asked { end, from, to })
}

impl Asked {
    fn lists(self, sealer: &Sealer, param: i64) -> Vec<(i64, i64)> {
        let mut ranges = Vec::new();
        cover(self.from, self.to, &mut ranges);
        let of =
            |end: End| ranges.iter().map(move |(level, number)| range(sealer, param, end, *level, *number));
        match self.end {
            End::Low => of(End::Low).collect(),
            // Where both ends have one place, the value is listed by the low one alone.
            End::High => of(End::High).chain(of(End::Low)).collect(),
        }
    }
}

/// The fewest ranges that make up the places from `from` to `to`.
fn cover(from: i64, to: i64, ranges: &mut Vec<(u32, i64)>) {
    const EACH: i64 = 1 << BITS;
    let (mut from, mut to) = (from, to);
    for level in 0..LEVELS {
        if from > to {
            return;
        }
        if level + 1 == LEVELS {
            ranges.extend((from..=to).map(|number| (level, number)));
            return;
        }
        while from <= to && from % EACH != 0 {
            ranges.push((level, from));
            from += 1;
        }
        while from <= to && to % EACH != EACH - 1 {
            ranges.push((level, to));
            to -= 1;
        }
        if from > to {
            return;
        }
        (from, to) = (from / EACH, to / EACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_types::Secret;
    use proptest::prelude::*;

    fn sealer() -> Sealer {
        Sealer::new(&Secret::new([3; 32])).unwrap()
    }

    fn meets(one: &[(i64, i64)], other: &[(i64, i64)]) -> bool {
        one.iter().any(|entry| other.contains(entry))
    }

    proptest! {
        #[test]
        fn a_cover_has_each_place_once_and_is_small(a in 0..POSITIONS, b in 0..POSITIONS, probe in 0..POSITIONS) {
            let (from, to) = (a.min(b), a.max(b));
            let mut ranges = Vec::new();
            cover(from, to, &mut ranges);
            let times = ranges.iter().filter(|(level, number)| probe >> (BITS * level) == *number).count();
            prop_assert_eq!(times, usize::from((from..=to).contains(&probe)));
            prop_assert!(ranges.len() <= 3 * 62 + 32);
        }

        #[test]
        fn what_passes_a_test_of_times_is_in_its_lists(low in -90_000_000_000_000_i64..90_000_000_000_000, length in 0..400_000_000_000_i64,
            asked in -90_000_000_000_000_i64..90_000_000_000_000, wide in 0..40_000_000_000_i64, prefix in 0..9_usize) {
            let prefix = [Prefix::Eq, Prefix::Ne, Prefix::Gt, Prefix::Lt, Prefix::Ge, Prefix::Le, Prefix::Sa, Prefix::Eb, Prefix::Ap][prefix];
            let (value, asked) = (Span { low, high: low + length }, Span { low: asked, high: asked + wide });
            if prefix.holds(value, asked) && let Some(lists) = lists_for(&sealer(), 4, &Test::Date(prefix, asked)) {
                prop_assert!(meets(&lists, &lists_of(&sealer(), 4, &Indexed::Date(value))));
            }
        }

        #[test]
        fn numbers_keep_their_order(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            let (less, more) = if a <= b { (a, b) } else { (b, a) };
            prop_assert!(place_of_number(less) <= place_of_number(more));
            prop_assert!((0..POSITIONS).contains(&place_of_number(a)));
        }
    }

    #[test]
    fn texts_are_listed_by_how_they_begin() {
        let lists = |text: &str| lists_of(&sealer(), 6, &Indexed::Text(text.to_owned()));
        let asked = |text: &str| lists_for(&sealer(), 6, &Test::Starts(text.to_owned()));
        assert!(
            meets(&lists("Müller"), &asked("mull").unwrap()) && meets(&lists("Li"), &asked("li").unwrap())
        );
        assert!(!meets(&lists("Meier"), &asked("mu").unwrap()));
        assert!(asked("m").is_none() && lists("M").is_empty());
        let exact = lists_for(&sealer(), 6, &Test::Exact("Müller".to_owned())).unwrap();
        assert!(meets(&lists("Müller"), &exact));
    }
}
