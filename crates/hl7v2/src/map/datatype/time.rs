//! DT, TM, TS, DTM and DR. HL7 writes `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`; FHIR wants a zone where there is a
//! time of day.

use crate::{
    Repetition,
    map::{context::Context, json::Json},
};

/// How exact a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    Year,
    Month,
    Day,
    Time,
}

/// A time as HL7 says it.
struct Stamp {
    day: String,
    precision: Precision,
    /// `hh:mm:ss` with a fraction where one was sent.
    time: String,
    /// Minutes east of UTC.
    zone: Option<i32>,
}

impl Stamp {
    fn read(text: &str) -> Option<Self> {
        let (text, zone) = match text.rfind(['+', '-']).filter(|at| *at >= 4) {
            Some(at) => (text[..at].trim_end(), Some(zone(text.get(at..)?)?)),
            None => (text, None),
        };
        let (whole, fraction) =
            text.split_once('.').map_or((text, ""), |(whole, fraction)| (whole, fraction));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let lengths = [4, 6, 8, 10, 12, 14].contains(&whole.len());
        if !lengths || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return None;
        }
        if !fraction.is_empty() && whole.len() != 14 {
            return None;
        }
        let part = |at: usize| whole.get(at..at + 2);
        let number = |at: usize| part(at).map_or(Some(0), |text| text.parse::<u32>().ok());
        let year = whole.get(..4)?;
        let (month, day) = (number(4)?, number(6)?);
        let (hour, minute, second) = (number(8)?, number(10)?, number(12)?);
        let months = whole.len() < 6 || (1..=12).contains(&month);
        let days = whole.len() < 8 || (1..=days_in(year.parse().ok()?, month)).contains(&day);
        if year == "0000" || !months || !days || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let precision = match whole.len() {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            _ => Precision::Time,
        };
        let mut text = year.to_owned();
        for at in [4, 6] {
            if let Some(part) = part(at) {
                text.push('-');
                text.push_str(part);
            }
        }
        let mut time = format!("{hour:02}:{minute:02}:{second:02}");
        if !fraction.is_empty() {
            time.push('.');
            time.push_str(fraction);
        }
        Some(Self { day: text, precision, time, zone })
    }
}

/// The zone of a time, in minutes.
pub(crate) fn zone_of(text: &str) -> Option<i32> {
    Stamp::read(text)?.zone
}

fn zone(text: &str) -> Option<i32> {
    let (sign, digits) = (if text.starts_with('-') { -1 } else { 1 }, text.get(1..)?.replace(':', ""));
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours * 60 + minutes <= 14 * 60 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn zone_text(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

fn read(context: &mut Context<'_>, text: &str) -> Option<Stamp> {
    if text.is_empty() {
        return None;
    }
    let stamp = Stamp::read(text);
    if stamp.is_none() {
        context.note_here("no date or time in HL7's form");
    }
    stamp
}

/// A dateTime.
pub(crate) fn datetime(context: &mut Context<'_>, text: &str) -> Option<Json> {
    let stamp = read(context, text)?;
    if stamp.precision < Precision::Time {
        return Some(stamp.day.into());
    }
    match stamp.zone.or(context.zone) {
        Some(zone) => Some(format!("{}T{}{}", stamp.day, stamp.time, zone_text(zone)).into()),
        None => {
            context.note_here("a time without a time zone, and MSH-7 has none; kept to the day");
            Some(stamp.day.into())
        }
    }
}

/// A dateTime of HL7's form; nothing if it is none. A time without a zone becomes a day.
#[must_use]
pub fn datetime_json(text: &str) -> Json {
    let Some(stamp) = Stamp::read(text) else { return Json::default() };
    match stamp.zone.filter(|_| stamp.precision == Precision::Time) {
        Some(zone) => format!("{}T{}{}", stamp.day, stamp.time, zone_text(zone)).into(),
        None => stamp.day.into(),
    }
}

/// A date.
pub(crate) fn date(context: &mut Context<'_>, text: &str) -> Option<Json> {
    read(context, text).map(|stamp| stamp.day.into())
}

/// An instant. What is less exact than a second begins at midnight, and without any zone in UTC: that is noted.
pub(crate) fn instant(context: &mut Context<'_>, text: &str) -> Option<Json> {
    let stamp = read(context, text)?;
    if stamp.precision < Precision::Day {
        context.note_here("an instant needs a day");
        return None;
    }
    let zone = stamp.zone.or(context.zone);
    if zone.is_none() || stamp.precision < Precision::Time {
        context
            .note_here("no exact instant; taken as of its first second, in UTC where no time zone is known");
    }
    let zone = zone.unwrap_or_default();
    Some(format!("{}T{}{}", stamp.day, stamp.time, zone_text(zone)).into())
}

/// The time of birth, where there is a time of day.
pub(super) fn birth_time(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    let text = one.component(1);
    let exact = Stamp::read(&text).is_some_and(|stamp| stamp.precision == Precision::Time);
    if exact {
        datetime(context, &text).filter(|json| matches!(json, Json::Text(text) if text.contains('T')))
    } else {
        None
    }
}

/// A Period.
pub(crate) fn period_of(context: &mut Context<'_>, start: &str, end: &str) -> Option<Json> {
    let (start, end) = (datetime(context, start), datetime(context, end));
    let period = Json::object([("start", start.unwrap_or_default()), ("end", end.unwrap_or_default())]);
    (!period.is_empty()).then_some(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, zone: Option<i32>) -> Option<String> {
        let stamp = Stamp::read(text)?;
        Some(match (stamp.precision, stamp.zone.or(zone)) {
            (Precision::Time, Some(zone)) => format!("{}T{}{}", stamp.day, stamp.time, zone_text(zone)),
            _ => stamp.day,
        })
    }

    #[test]
    fn times_of_every_precision_are_read() {
        let table = [
            ("2012", "2012"),
            ("201202", "2012-02"),
            ("20120229", "2012-02-29"),
            ("2012022914", "2012-02-29T14:00:00+01:00"),
            ("201202291459", "2012-02-29T14:59:00+01:00"),
            ("20120229145901.1234-0500", "2012-02-29T14:59:01.1234-05:00"),
            ("201203141259-0215", "2012-03-14T12:59:00-02:15"),
            ("20201231235959+1400", "2020-12-31T23:59:59+14:00"),
        ];
        for (hl7, fhir) in table {
            assert_eq!(said(hl7, Some(60)).as_deref(), Some(fhir), "{hl7}");
        }
        assert_eq!(said("201202291459", None).as_deref(), Some("2012-02-29"));
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for wrong in [
            "",
            "12",
            "20",
            "20121",
            "20121301",
            "20120230",
            "2012022924",
            "201202291460",
            "20120229.5",
            "00000101",
            "2012-02-29",
            "20120229+99",
            "Jan 2012",
        ] {
            assert!(Stamp::read(wrong).is_none(), "{wrong}");
        }
    }
}
