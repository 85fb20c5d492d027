//! Dates as days, counted from 1970-01-01.

use super::scalar;

/// Days from 1970-01-01.
pub(crate) type DayNumber = i32;

/// Whether `text` has the form of a FHIR date or dateTime.
pub(crate) fn is_date(text: &str) -> bool {
    text.split_at_checked(4).is_some_and(|(year, rest)| scalar::digits(year) && scalar::is_rest_of_date(rest))
}

/// The day of a date that names one (hl7.org/fhir/R4/datatypes.html#dateTime), by its own clock.
pub(crate) fn day_number(text: &str) -> Option<DayNumber> {
    let date = text.get(..10).filter(|_| is_date(text))?;
    let number = |at: std::ops::Range<usize>| date.get(at)?.parse::<DayNumber>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Counting years from March puts the leap day last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The year that a day lies in.
pub(crate) fn year_of(day: DayNumber) -> i32 {
    let shifted = day.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let january_or_february = (5 * day_of_year + 2) / 153 >= 10;
    era * 400 + year_of_era + i32::from(january_or_february)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-01-01", 10_957),
            ("2000-02-29", 11_016),
            ("2000-07-01T10:00:00Z", 11_139),
            ("2026-11-22", 20_779),
        ] {
            assert_eq!(day_number(text), Some(day), "{text}");
        }
        for text in ["1970", "1970-01", "1970-13-01", "1970-01-32", "70-01-01", "1970-01-01x", "éé70-01-01"]
        {
            assert_eq!(day_number(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_lies_in_its_year() {
        for year in 1890..2110 {
            let first = day_number(&format!("{year:04}-01-01")).unwrap();
            let last = day_number(&format!("{year:04}-12-31")).unwrap();
            assert_eq!((year_of(first), year_of(last), year_of(first - 1)), (year, year, year - 1));
        }
    }
}
