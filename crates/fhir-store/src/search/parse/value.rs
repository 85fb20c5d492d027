//! Values of single parameters, as they are written in a query.

use super::{split, unescape};
use crate::{
    search::query::{Prefix, Test, Window},
    value::date::{self, EARLIEST, LATEST, Span},
};

/// `ap` means within a tenth (R4 section 3.1.1.4.4).
const APPROXIMATELY: f64 = 0.1;

/// `[system]|[code]`, `code`, `|code`, `system|`.
pub(super) fn token(text: &str) -> Test {
    let parts = split(text, '|');
    let part = |at: usize| parts.get(at).map(|part| unescape(part)).unwrap_or_default();
    match parts.len() {
        1 => Test::Token { system: None, code: Some(part(0)) },
        _ => Test::Token { system: Some(part(0)), code: Some(part(1)).filter(|code| !code.is_empty()) },
    }
}

fn prefix(text: &str) -> (Prefix, &str) {
    let Some((start, rest)) = text.split_at_checked(2) else { return (Prefix::Eq, text) };
    let prefix = match start {
        "eq" => Prefix::Eq,
        "ne" => Prefix::Ne,
        "gt" => Prefix::Gt,
        "lt" => Prefix::Lt,
        "ge" => Prefix::Ge,
        "le" => Prefix::Le,
        "sa" => Prefix::Sa,
        "eb" => Prefix::Eb,
        "ap" => Prefix::Ap,
        _ => return (Prefix::Eq, text),
    };
    (prefix, rest)
}

/// A time with its prefix; `ap` widens it by a tenth of its distance from now.
pub(super) fn date(text: &str, now_ms: i64) -> Option<(Prefix, Span)> {
    let (prefix, rest) = prefix(text);
    let span = date::parse(rest)?;
    if prefix != Prefix::Ap {
        return Some((prefix, span));
    }
    let gap = (now_ms - span.low).abs() / 10;
    let (low, high) = (span.low.saturating_sub(gap).max(EARLIEST), span.high.saturating_add(gap).min(LATEST));
    Some((prefix, Span { low, high }))
}

/// `[prefix]number`, for a quantity with `|system|code` behind.
pub(super) fn amount(text: &str, units: bool) -> Option<Test> {
    let parts = split(text, '|');
    let (prefix, number) = prefix(parts.first()?);
    let (value, half) = number_and_half(number)?;
    let window = match prefix {
        // What is written with two digits means all that rounds to it.
        Prefix::Eq | Prefix::Ne => Window { low: value - half, high: value + half },
        Prefix::Ap => {
            let gap = (value * APPROXIMATELY).abs();
            Window { low: value - gap, high: value + gap }
        }
        _ => Window { low: value, high: value },
    };
    let part = |at: usize| parts.get(at).map(|part| unescape(part)).filter(|part| !part.is_empty());
    let (system, unit) = match (units, parts.len()) {
        (_, 1) => (None, None),
        (true, 2) => (None, part(1)),
        (true, 3) => (part(1), part(2)),
        _ => return None,
    };
    Some(Test::Amount { prefix, window, system, unit })
}

/// A number and half of the unit of its last digit.
fn number_and_half(text: &str) -> Option<(f64, f64)> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let exponent: i32 = exponent.parse().ok()?;
    let places = exponent.checked_sub(i32::try_from(decimals).ok()?)?;
    let allowed = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    allowed.then(|| (value, 0.5 * 10_f64.powi(places)))
}

/// `latitude|longitude[|distance[|km]]`.
pub(super) fn near(text: &str) -> Option<Test> {
    let parts = split(text, '|');
    let number = |at: usize| parts.get(at)?.parse::<f64>().ok().filter(|number| number.is_finite());
    let (latitude, longitude) = (number(0)?, number(1)?);
    let per_unit = match parts.get(3).map_or("km", String::as_str) {
        "km" | "" => 1.0,
        "m" => 0.001,
        "mi" | "[mi_i]" | "[mi_us]" => 1.609_344,
        _ => return None,
    };
    let kilometres = if parts.len() > 2 { number(2)? } else { 10.0 } * per_unit;
    let possible = latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && kilometres >= 0.0;
    possible.then_some(Test::Near { latitude, longitude, kilometres })
}
