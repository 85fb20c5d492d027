//! FHIR's `date`, `dateTime` and `instant`: possibly partial, possibly with a time zone (R4 section 2.24.0.1).

/// A day of the proleptic Gregorian calendar, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CivilDay(pub i32);

/// A date as FHIR writes it, with the precision that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FhirDate {
    year: i16,
    month: Option<u8>,
    day: Option<u8>,
    clock: Option<Clock>,
}

/// Time of day with its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    second_of_day: i32,
    offset_minutes: i32,
}

impl CivilDay {
    /// The day of a date; nothing if there is no such date.
    #[must_use]
    pub fn of(year: i32, month: i32, day: i32) -> Option<Self> {
        let exists = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        exists.then(|| day_number(year, month, day))
    }

    /// The day, in UTC, of a time in milliseconds since the epoch.
    #[must_use]
    pub fn of_time_ms(time_ms: u64) -> Self {
        Self(i32::try_from(time_ms / 86_400_000).unwrap_or(i32::MAX))
    }

    /// Year, month and day.
    #[must_use]
    pub fn civil(self) -> (i32, i32, i32) {
        let shifted = self.0 + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        (era * 400 + year_of_era + i32::from(month <= 2), month, day)
    }

    /// The day so many days later, or earlier.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl std::fmt::Display for CivilDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

const MINUTES_PER_DAY: i32 = 24 * 60;

impl FhirDate {
    /// Reads a `date`, `dateTime` or `instant`; nothing if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let year = digits(parts.next()?, 4).filter(|&year| year > 0)?;
        let month = parts.next().map(|part| digits(part, 2)).map_or(Some(None), |part| part.map(Some))?;
        let day = parts.next().map(|part| digits(part, 2)).map_or(Some(None), |part| part.map(Some))?;
        if parts.next().is_some() || month.is_some_and(|month| !(1..=12).contains(&month)) {
            return None;
        }
        if let (Some(month), Some(day)) = (month, day)
            && !(1..=days_in_month(year, month)).contains(&day)
        {
            return None;
        }
        let clock = match time {
            Some(time) => Some(Clock::parse(time).filter(|_| day.is_some())?),
            None => None,
        };
        let narrow = |part: Option<i32>| part.and_then(|part| u8::try_from(part).ok());
        Some(Self { year: i16::try_from(year).ok()?, month: narrow(month), day: narrow(day), clock })
    }

    /// Whether the value has a time of day, and so is a whole `instant` to the second.
    #[must_use]
    pub const fn has_time(&self) -> bool {
        self.clock.is_some()
    }

    /// The calendar year.
    #[must_use]
    pub const fn year(&self) -> i16 {
        self.year
    }

    /// The first day that the value may mean: `2015-03` may mean 2015-03-01.
    #[must_use]
    pub fn earliest_day(&self) -> CivilDay {
        let month = self.month.map_or(1, i32::from);
        day_number(i32::from(self.year), month, self.day.map_or(1, i32::from))
    }

    /// The last day that the value may mean: `2015-03` may mean 2015-03-31.
    #[must_use]
    pub fn latest_day(&self) -> CivilDay {
        let (year, month) = (i32::from(self.year), self.month.map_or(12, i32::from));
        day_number(year, month, self.day.map_or(days_in_month(year, month), i32::from))
    }

    /// The fewest calendar days that can lie from `earlier` to `self`; negative when `earlier` may be the later one.
    ///
    /// Partial dates are taken at their worst. Where both have a time and a zone, both are read on the clock of
    /// `self`, so that two zones cannot add a day.
    #[must_use]
    pub fn days_since_at_least(&self, earlier: &Self) -> i32 {
        let earlier_day = match (self.clock, earlier.clock) {
            (Some(here), Some(there)) => {
                let minutes = there.second_of_day.div_euclid(60) - there.offset_minutes + here.offset_minutes;
                earlier.latest_day().0 + minutes.div_euclid(MINUTES_PER_DAY)
            }
            _ => earlier.latest_day().0,
        };
        self.earliest_day().0 - earlier_day
    }
}

impl Clock {
    fn parse(text: &str) -> Option<Self> {
        let zone_at = text.find(['Z', '+', '-'])?;
        let (time, zone) = text.split_at(zone_at);
        Some(Self { second_of_day: second_of_day(time)?, offset_minutes: offset_minutes(zone)? })
    }
}

/// Reads `hh:mm:ss` with an optional fraction: FHIR's `time` (a leap second 60 is allowed).
#[must_use]
pub fn second_of_day(text: &str) -> Option<i32> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    if fraction.is_some_and(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let mut parts = whole.split(':');
    let hour = digits(parts.next()?, 2).filter(|&hour| hour < 24)?;
    let minute = digits(parts.next()?, 2).filter(|&minute| minute < 60)?;
    let second = digits(parts.next()?, 2).filter(|&second| second <= 60)?;
    parts.next().is_none().then_some(hour * 3600 + minute * 60 + second)
}

fn offset_minutes(zone: &str) -> Option<i32> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.strip_prefix('+').map_or((-1, zone.strip_prefix('-')), |rest| (1, Some(rest)));
    let (hour, minute) = rest?.split_once(':')?;
    let hour = digits(hour, 2).filter(|&hour| hour <= 14)?;
    let minute = digits(minute, 2).filter(|&minute| minute < 60 && (hour < 14 || minute == 0))?;
    Some(sign * (hour * 60 + minute))
}

fn digits(text: &str, count: usize) -> Option<i32> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, by counting years from March so that the leap day comes last.
fn day_number(year: i32, month: i32, day: i32) -> CivilDay {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    CivilDay(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> FhirDate {
        FhirDate::parse(text).unwrap_or_else(|| panic!("{text} is a FHIR date"))
    }

    #[test]
    fn dates_of_every_precision_are_read_and_others_are_not() {
        for good in [
            "2015",
            "2015-03",
            "2016-02-29",
            "2015-03-01T10:00:00Z",
            "2015-03-01T10:00:00.123+14:00",
            "1905-08-23T00:00:60-05:00",
        ] {
            assert!(FhirDate::parse(good).is_some(), "{good}");
        }
        for wrong in [
            "",
            "15",
            "0000",
            "2015-3",
            "2015-13",
            "2015-02-29",
            "2015-03-",
            "2015-03-01T10:00Z",
            "2015-03-01T10:00:00",
            "2015-03T10:00:00Z",
            "2015-03-01T24:00:00Z",
            "2015-03-01T10:00:00.Z",
            "2015-03-01T10:00:00+15:00",
            "2015-03-01 10:00:00Z",
            "２０１５",
            "2015-03-01-01",
        ] {
            assert!(FhirDate::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn days_are_counted_from_1970() {
        for (text, day) in
            [("1970-01-01", 0), ("1969-12-31", -1), ("2000-02-29", 11_016), ("2026-11-22", 20_779)]
        {
            assert_eq!(date(text).earliest_day(), CivilDay(day), "{text}");
        }
        assert_eq!(date("2015-02").latest_day(), date("2015-02-28").latest_day());
        assert_eq!(date("2016").latest_day(), date("2016-12-31").latest_day());
    }

    #[test]
    fn the_distance_is_the_least_that_the_values_allow() {
        let table = [
            ("2015-03-01", "2015-03-15", 14),
            ("2015-03-01T23:59:00+01:00", "2015-03-15T00:01:00+01:00", 14),
            ("2015-03-01T23:30:00-05:00", "2015-03-15T00:30:00+02:00", 13),
            ("2015-03-01T00:30:00+02:00", "2015-03-15T00:30:00Z", 15),
            ("2015-03", "2015-04-14", 14),
            ("2015-03", "2015-04-13", 13),
            ("2015-03-01", "2015-04", 31),
            ("2015-03-01", "2015-03", 0),
            ("2014", "2015", 1),
            ("2015", "2015", -364),
            ("2015-03-01", "2015-03-15T08:00:00Z", 14),
        ];
        for (earlier, later, days) in table {
            assert_eq!(date(later).days_since_at_least(&date(earlier)), days, "{earlier} .. {later}");
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_one_to_one(day in -700_000_i32..2_000_000) {
            let (year, month, date) = CivilDay(day).civil();
            prop_assert_eq!(CivilDay::of(year, month, date), Some(CivilDay(day)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9TZ:+.\\-]{0,30}|\\PC{0,20}") {
            if let Some(date) = FhirDate::parse(&text) {
                prop_assert!(date.earliest_day() <= date.latest_day());
            }
        }

        #[test]
        fn the_next_day_has_the_next_number(year in 1_i32..9999, month in 1_i32..=12) {
            let last = day_number(year, month, days_in_month(year, month));
            let next = if month == 12 { day_number(year + 1, 1, 1) } else { day_number(year, month + 1, 1) };
            prop_assert_eq!(last.0 + 1, next.0);
        }
    }
}
