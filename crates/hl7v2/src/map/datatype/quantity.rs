//! NM, CQ and units. Decimals keep the digits that were sent.

use crate::{
    Repetition,
    map::{concept::system_uri, context::Context, json::Json},
};

/// The most characters of a number.
const DIGITS_MAX: usize = 60;

/// A number in JSON's form; nothing if it is none.
pub(crate) fn decimal(text: &str) -> Option<Json> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(whole, part)| (whole, Some(part)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let some = !whole.is_empty() || fraction.is_some_and(|part| !part.is_empty());
    if !some || rest.len() > DIGITS_MAX || !digits(whole) || !fraction.is_none_or(digits) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction =
        fraction.filter(|part| !part.is_empty()).map(|part| format!(".{part}")).unwrap_or_default();
    Some(Json::Number(format!("{sign}{whole}{fraction}")))
}

/// As a number in JSON's form; nothing if the text is none.
#[must_use]
pub fn decimal_json(text: &str) -> Json {
    decimal(text).unwrap_or_default()
}

fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text
        .split_once('.')
        .map_or(text, |(whole, part)| if part.trim_matches('0').is_empty() { whole } else { text });
    text.parse().ok()
}

fn bounded(context: &mut Context<'_>, one: Repetition<'_>, least: i64) -> Option<Json> {
    let text = one.component(1);
    if text.is_empty() {
        return None;
    }
    let number = whole(&text).filter(|number| (least..=i64::from(i32::MAX)).contains(number));
    if number.is_none() {
        context.note_here("no whole number that FHIR takes here");
    }
    number.map(|number| Json::Number(number.to_string()))
}

pub(super) fn integer(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    bounded(context, one, i64::from(i32::MIN))
}

pub(super) fn positive_integer(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    bounded(context, one, 1)
}

pub(super) fn count(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    bounded(context, one, 0)
}

/// A MO: amount, and a currency of ISO 4217.
pub(super) fn money(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    let (amount, currency) = (decimal(&one.component(1)), one.component(2).to_uppercase());
    if amount.is_none() {
        context.note_here("no amount of money");
    }
    let currency = if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        currency
    } else {
        String::new()
    };
    Some(Json::object([("value", amount?), ("currency", currency.into())]))
}

/// A length in minutes, by the number of the field that names the unit. Minutes are what it is without one.
pub(super) fn minutes(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    positive_integer(context, one, "")
}

/// A CQ: number, and unit in subcomponents.
pub(crate) fn quantity(context: &mut Context<'_>, one: &Repetition<'_>) -> Option<Json> {
    let text = one.component(1);
    let value = decimal(&text);
    if value.is_none() && !text.is_empty() {
        context.note_here("no number");
    }
    let unit = one.nested(2);
    if value.is_none() && unit.is_empty() {
        return None;
    }
    Some(with_unit(value, &unit))
}

/// A Quantity of a number and a unit that is a CWE.
pub(crate) fn with_unit(value: Option<Json>, unit: &Repetition<'_>) -> Json {
    let (code, name, system) = (unit.component(1), unit.component(2), unit.component(3));
    let mut quantity = Json::object([("value", value.unwrap_or_default())]);
    quantity.put("unit", if name.is_empty() { code.clone() } else { name });
    // ISO+ and ANSI+ units (HL7 table 0396) are no system of FHIR's own.
    if let Some(system) = system_uri(&system).filter(|_| !code.is_empty()) {
        quantity.put("system", system);
        quantity.put("code", super::code::tidy_code(&code));
    }
    quantity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_what_is_none_is_not_taken() {
        let table = [
            ("1.50", "1.50"),
            ("+7", "7"),
            ("-0.5", "-0.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("007", "7"),
            ("0", "0"),
        ];
        for (text, number) in table {
            assert_eq!(decimal(text), Some(Json::Number(number.to_owned())), "{text}");
        }
        for wrong in ["", ".", "-", "1,5", "1e3", "5 mg", "٣", "--1"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
        assert_eq!((whole("12.0"), whole("12.5"), whole("x")), (Some(12), None, None));
    }
}
