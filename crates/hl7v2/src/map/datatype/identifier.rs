//! CX, EI, EIP, DLN and bare numbers to Identifier.

use super::{date, datetime, people::system_organization};
use crate::{
    Repetition,
    map::{
        concept::concept,
        context::Context,
        identity::{assigner, cx_system},
        json::Json,
        table,
    },
};

const TYPES: &str = "v2-0203";

/// An Identifier of a type of HL7 table 0203.
pub(crate) fn typed(value: String, system: Option<String>, kind: &str) -> Option<Json> {
    if value.is_empty() {
        return None;
    }
    let kind = if kind.is_empty() { Json::default() } else { type_of(kind) };
    Some(Json::object([
        ("type", kind),
        ("system", system.unwrap_or_default().into()),
        ("value", value.into()),
    ]))
}

fn type_of(code: &str) -> Json {
    let display = concept("IdentifierType", code).map_or("", |concept| concept.display);
    table::concept(TYPES, code, display)
}

/// A CX. `usual` is its type where it names none.
pub(crate) fn cx(context: &mut Context<'_>, one: &Repetition<'_>, usual: &str) -> Option<Json> {
    let kind = match super::code::tidy_code(&one.component(5)) {
        kind if kind.is_empty() => usual.to_owned(),
        kind => kind,
    };
    let system = cx_system(one, &context.home);
    let mut identifier = typed(one.component(1), Some(system), &kind)?;
    let (start, end) = (date(context, &one.component(7)), date(context, &one.component(8)));
    identifier.put(
        "period",
        Json::object([("start", start.unwrap_or_default()), ("end", end.unwrap_or_default())]),
    );
    for (number, name) in [(2, "identifier-checkDigit"), (3, "namingsystem-checkDigit")] {
        let value = one.component(number);
        if !value.is_empty() {
            let url = format!("http://hl7.org/fhir/StructureDefinition/{name}");
            identifier.push("extension", Json::object([("url", url.into()), ("valueString", value.into())]));
        }
    }
    let authority = if one.has(4) { one.nested(4) } else { one.nested(6) };
    if !authority.is_empty()
        && let Some(organization) = system_organization(context, &authority)
    {
        identifier.put("assigner", organization);
    }
    Some(identifier)
}

/// An EI: number, and its assigner as an HD. `kind` is its type: PLAC, FILL, PGN, …
pub(crate) fn ei(context: &mut Context<'_>, one: &Repetition<'_>, kind: &str) -> Option<Json> {
    let system = ei_system(one).unwrap_or_else(|| context.home.clone());
    typed(one.component(1), Some(system), kind)
}

/// The assigner of an EI.
fn ei_system(one: &Repetition<'_>) -> Option<String> {
    let parts = [one.component(2), one.component(3), one.component(4)];
    if parts.iter().all(String::is_empty) {
        return None;
    }
    from_parts(&parts)
}

/// System and number of an EI, to name what it is of; nothing where there is no number.
pub(crate) fn ei_names(context: &Context<'_>, one: &Repetition<'_>) -> Option<(String, String)> {
    let number = one.component(1);
    (!number.is_empty()).then(|| (ei_system(one).unwrap_or_else(|| context.home.clone()), number))
}

/// [`assigner`] of three components that do not stand in one.
fn from_parts(parts: &[String; 3]) -> Option<String> {
    let text =
        parts.iter().map(|part| part.replace(['|', '^', '~', '\\', '&'], "_")).collect::<Vec<_>>().join("^");
    assigner(&Repetition::usual(&text))
}

/// One of the two EI of an EIP.
pub(super) fn of_pair(context: &mut Context<'_>, one: &Repetition<'_>, number: usize) -> Option<Json> {
    ei(context, &one.nested(number), if number == 1 { "PLAC" } else { "FILL" })
}

/// A number alone; the argument is its type.
pub(super) fn bare(context: &mut Context<'_>, one: Repetition<'_>, kind: &str) -> Option<Json> {
    let home = context.home.clone();
    typed(one.component(1), Some(home), kind)
}

pub(super) fn social_security(_: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    typed(one.component(1), Some("http://hl7.org/fhir/sid/us-ssn".to_owned()), "SS")
}

/// A DLN: number, issuer, expiry.
pub(super) fn driver(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    let issuer = one.component(2);
    let system = if issuer.is_empty() {
        context.home.clone()
    } else {
        format!("urn:id:driver:{}", crate::map::concept::urn_safe(&issuer))
    };
    let mut identifier = typed(one.component(1), Some(system), "DL")?;
    let end = datetime(context, &one.component(3)).unwrap_or_default();
    identifier.put("period", Json::object([("end", end)]));
    Some(identifier)
}
