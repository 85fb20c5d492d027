//! ID, IS, CE, CNE and CWE.

use crate::{
    Repetition,
    map::{
        concept::{concept, system_uri},
        context::Context,
        json::Json,
    },
};

/// A code of a required code set, by a concept map.
pub(super) fn code(context: &mut Context<'_>, one: Repetition<'_>, map: &str) -> Option<Json> {
    code_of(context, &one, map).map(Json::from)
}

/// As [`code`], as text.
pub(crate) fn code_of(context: &mut Context<'_>, one: &Repetition<'_>, map: &str) -> Option<String> {
    let codes = [one.component(1), one.component(4)];
    let found = codes.iter().find_map(|code| concept(map, code));
    if found.is_none() && codes.iter().any(|code| !code.is_empty()) {
        context.note_here("a code for which HL7's concept map has no FHIR code");
    }
    found.map(|concept| concept.code.to_owned())
}

/// A code as it is, of one of the kinds that the argument names.
pub(super) fn tag(_: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    let code = tidy_code(&one.component(1));
    (!code.is_empty()).then(|| code.into())
}

/// The first coding; see [`codeable`].
pub(super) fn first_coding(context: &mut Context<'_>, one: Repetition<'_>, map: &str) -> Option<Json> {
    match codeable(context, &one, map)?.get("coding") {
        Some(Json::List(codings)) => codings.first().cloned(),
        _ => None,
    }
}

/// A CodeableConcept. `map` is the four digits of the HL7 table from which codes without a system are, or the name of a
/// concept map: what it translates comes first, and the code as it was sent after it where it is another.
pub(crate) fn codeable(_: &mut Context<'_>, one: &Repetition<'_>, map: &str) -> Option<Json> {
    let is_table = map.len() == 4 && map.bytes().all(|byte| byte.is_ascii_digit());
    let mut codings = Vec::new();
    for (code, display, system, version) in [(1, 2, 3, 7), (4, 5, 6, 8), (10, 11, 12, 13)] {
        let (code, display) = (tidy_code(&one.component(code)), one.component(display));
        if code.is_empty() {
            continue;
        }
        let named = system_uri(&one.component(system));
        let usual = is_table.then(|| format!("http://terminology.hl7.org/CodeSystem/v2-{map}"));
        let of_table = named.as_ref().is_none_or(|uri| uri.contains("/CodeSystem/v2-"));
        let translated = concept(map, &code).filter(|_| of_table && !is_table);
        if let Some(to) = translated {
            let display = if to.display.is_empty() { display.clone() } else { to.display.to_owned() };
            codings.push(Json::object([
                ("system", to.system.into()),
                ("code", to.code.into()),
                ("display", display.into()),
            ]));
            if to.code == code {
                continue;
            }
        }
        codings.push(Json::object([
            ("system", named.or(usual).unwrap_or_default().into()),
            ("version", one.component(version).into()),
            ("code", code.into()),
            ("display", display.into()),
        ]));
    }
    let mut said = one.component(9);
    if said.is_empty() && codings.is_empty() {
        said = [2, 5, 11]
            .into_iter()
            .map(|number| one.component(number))
            .find(|text| !text.is_empty())
            .unwrap_or_default();
    }
    codings.dedup();
    let concept = Json::object([("coding", Json::List(codings)), ("text", said.into())]);
    (!concept.is_empty()).then_some(concept)
}

/// A code in the form that FHIR wants: no space around it, single ones within.
pub(crate) fn tidy_code(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
