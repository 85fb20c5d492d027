//! Whether a value passes a test: for composites, for sorting out, and as the meaning that the index must agree with.

use super::query::{Prefix, Test, Window};
use crate::value::{Amount, Indexed, date::Span, text::fold};

impl Prefix {
    /// Whether a time compares so with the one that is asked for.
    pub(crate) fn holds(self, value: Span, asked: Span) -> bool {
        let within = asked.low <= value.low && value.high <= asked.high;
        match self {
            Self::Eq => within,
            Self::Ne => !within,
            Self::Gt => value.high > asked.high,
            Self::Lt => value.low < asked.low,
            Self::Ge => value.high > asked.high || within,
            Self::Le => value.low < asked.low || within,
            Self::Sa => value.low > asked.high,
            Self::Eb => value.high < asked.low,
            // The parser has widened what is asked for.
            Self::Ap => value.low <= asked.high && asked.low <= value.high,
        }
    }

    fn holds_for(self, value: Window, asked: Window) -> bool {
        let within = asked.low <= value.low && value.high <= asked.high;
        match self {
            Self::Eq => within,
            Self::Ne => !within,
            Self::Gt | Self::Sa => value.high > asked.high,
            Self::Lt | Self::Eb => value.low < asked.low,
            Self::Ge => value.high > asked.high || within,
            Self::Le => value.low < asked.low || within,
            Self::Ap => value.low <= asked.high && asked.low <= value.high,
        }
    }
}

/// Whether a value passes.
pub(super) fn passes(test: &Test, value: &Indexed) -> bool {
    match (test, value) {
        (Test::Token { system, code }, Indexed::Token { system: has_system, code: has_code, .. }) => {
            system.as_ref().is_none_or(|system| system == has_system)
                && code.as_ref().is_none_or(|code| code == has_code)
        }
        (Test::Label(text), Indexed::Token { label, .. }) => label.contains(text.as_str()),
        (Test::Starts(text), Indexed::Text(has)) => fold(has).starts_with(text.as_str()),
        (Test::Contains(text), Indexed::Text(has)) => fold(has).contains(text.as_str()),
        (Test::Exact(text), Indexed::Text(has)) => has == text,
        (Test::Date(prefix, asked), Indexed::Date(has)) => prefix.holds(*has, *asked),
        (Test::Amount { prefix, window, system, unit }, Indexed::Amount(has)) => {
            let value = Window { low: has.low, high: has.high };
            prefix.holds_for(value, *window) && is_unit(has, system.as_deref(), unit.as_deref())
        }
        (Test::Reference(targets), Indexed::Reference(has)) => targets.contains(has),
        (Test::Uri(uri), Indexed::Uri(has)) => uri == has,
        (Test::Below(uri), Indexed::Uri(has)) => has.starts_with(uri.as_str()),
        (Test::Above(uri), Indexed::Uri(has)) => uri.starts_with(has.as_str()),
        (
            Test::Near { latitude, longitude, kilometres },
            Indexed::Place { latitude: north, longitude: east },
        ) => distance_km((*latitude, *longitude), (*north, *east)) <= *kilometres,
        _ => false,
    }
}

/// The way along the surface of a sphere of the earth's mean radius (haversine).
fn distance_km(from: (f64, f64), to: (f64, f64)) -> f64 {
    const EARTH_KM: f64 = 6_371.0;
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let share = half(from.0, to.0) + from.0.to_radians().cos() * to.0.to_radians().cos() * half(from.1, to.1);
    2.0 * EARTH_KM * share.sqrt().min(1.0).asin()
}

fn is_unit(has: &Amount, system: Option<&str>, unit: Option<&str>) -> bool {
    system.is_none_or(|system| system == has.system)
        && unit.is_none_or(|unit| unit == has.unit || (system.is_none() && fold(unit) == has.label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::date::parse;

    #[test]
    fn prefixes_compare_ranges_as_r4_says() {
        let at = |text: &str| parse(text).unwrap();
        for (prefix, value, asked, holds) in [
            (Prefix::Eq, "2020-03-05", "2020-03", true),
            (Prefix::Eq, "2020", "2020-03", false),
            (Prefix::Ne, "2020", "2020-03", true),
            (Prefix::Gt, "2020-04-01", "2020-03", true),
            (Prefix::Gt, "2020-03-31", "2020-03", false),
            (Prefix::Ge, "2020-03-01", "2020-03", true),
            (Prefix::Lt, "2020-02-29", "2020-03", true),
            (Prefix::Le, "2020-03-31", "2020-03", true),
            (Prefix::Sa, "2020", "2020-03", false),
            (Prefix::Sa, "2020-04", "2020-03", true),
            (Prefix::Eb, "2020-02", "2020-03", true),
            (Prefix::Eb, "2020", "2020-03", false),
        ] {
            assert_eq!(prefix.holds(at(value), at(asked)), holds, "{prefix:?} {value} {asked}");
        }
    }
}
