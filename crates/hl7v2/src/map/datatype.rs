//! HL7 v2 data types to FHIR data types. A converter gets one repetition and gives an element, or nothing: then it has
//! noted why, unless there was nothing to convert.

mod code;
mod contact;
mod identifier;
mod name;
mod people;
mod place;
mod quantity;
mod time;
mod value;

pub(crate) use code::{code_of, codeable};
pub(crate) use contact::{address, telecom};
use identifier::ei;
pub(crate) use identifier::{cx, ei_names};
pub(crate) use name::human_name;
pub(crate) use people::{organization, person_name, practitioner, system_organization};
use place::location;
pub use quantity::decimal_json;
pub(crate) use quantity::{decimal, quantity, with_unit};
use time::date;
pub use time::datetime_json;
pub(crate) use time::{datetime, instant, period_of, zone_of};
pub(crate) use value::attachment;
pub use value::base64;

use super::{context::Context, json::Json};
use crate::Repetition;

/// A converter; the text is the argument that the map gives it.
pub(crate) type Convert = fn(&mut Context<'_>, Repetition<'_>, &str) -> Option<Json>;

/// The converter of a name in the maps.
pub(crate) fn named(name: &str) -> Option<Convert> {
    Some(match name {
        "st" => text,
        "whole" => whole,
        "sub" => subcomponent,
        "nm" => |_, one, _| decimal(&one.component(1)),
        "int" => quantity::integer,
        "posint" => quantity::positive_integer,
        "minutes" => quantity::minutes,
        "count" => quantity::count,
        "money" => quantity::money,
        "qty" => |context, one, _| quantity(context, &one),
        "bool" => boolean,
        "date" => |context, one, _| date(context, &one.component(1)),
        "ts" => |context, one, _| datetime(context, &one.component(1)),
        "instant" => |context, one, _| instant(context, &one.component(1)),
        "birthtime" => time::birth_time,
        "period" => |context, one, _| period_of(context, &one.component(1), &one.component(2)),
        "start" => |context, one, _| datetime(context, &one.component(1)),
        "end" => |context, one, _| datetime(context, &one.component(2)),
        "code" => code::code,
        "tag" => code::tag,
        "cc" => |context, one, map| codeable(context, &one, map),
        "coding" => code::first_coding,
        "cc-text" => |_, one, _| {
            Some(Json::object([("text", one.whole_text().into())])).filter(|json| !json.is_empty())
        },
        "cx" => |context, one, kind| cx(context, &one, kind),
        "ei" => |context, one, kind| ei(context, &one, kind),
        "eip-placer" => |context, one, _| identifier::of_pair(context, &one, 1),
        "eip-filler" => |context, one, _| identifier::of_pair(context, &one, 2),
        "id" => identifier::bare,
        "ssn" => identifier::social_security,
        "dln" => identifier::driver,
        "xpn" => |context, one, _| human_name(context, &one, 0),
        "xpn-text" => name::as_text,
        "xad" => |context, one, _| address(context, &one),
        "xtn" => |context, one, usual| telecom(context, &one, usual),
        "practitioner" => |context, one, _| practitioner(context, &one),
        "organization" => |context, one, _| organization(context, &one),
        "org-hd" => |context, one, _| system_organization(context, &one),
        "loc-hd" => place::of_system,
        "org-code" => people::coded_organization,
        "pl" => |context, one, _| location(context, &one),
        "annotation" => |_, one, _| {
            Some(Json::object([("text", one.whole_text().into())])).filter(|json| !json.is_empty())
        },
        _ => return None,
    })
}

fn text(_: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    visible(one.component(1))
}

fn whole(_: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    visible(one.whole_text())
}

/// A component by its number.
fn subcomponent(_: &mut Context<'_>, one: Repetition<'_>, number: &str) -> Option<Json> {
    visible(one.component(number.parse().ok()?))
}

fn boolean(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    match one.component(1).to_uppercase().as_str() {
        "Y" | "1" | "T" | "YES" | "TRUE" => Some(Json::Bool(true)),
        "N" | "0" | "F" | "NO" | "FALSE" => Some(Json::Bool(false)),
        "" => None,
        _ => {
            context.note_here("neither yes nor no");
            None
        }
    }
}

/// A text with something to see in it.
pub(crate) fn visible(text: String) -> Option<Json> {
    (!text.trim().is_empty()).then(|| text.into())
}
