//! XPN, and the name in an XCN, to HumanName.

use super::{code_of, datetime};
use crate::{
    Repetition,
    map::{context::Context, json::Json},
};

/// A HumanName whose family name is in component `before + 1`: 0 for an XPN, 1 for an XCN.
pub(crate) fn human_name(context: &mut Context<'_>, one: &Repetition<'_>, before: usize) -> Option<Json> {
    let is_person = before == 0;
    let mut name = Json::default();
    let code = if is_person { one.nested(7) } else { one.nested(10) };
    if !code.is_empty()
        && let Some(kind) = code_of(context, &code, "NameType")
    {
        name.put("use", kind);
    }
    let family = one.nested(before + 1);
    name.put("family", family.component(1));
    family_parts(&family, &mut name);
    for given in [before + 2, before + 3] {
        name.push("given", one.component(given));
    }
    name.push("prefix", one.component(before + 5));
    for suffix in [before + 4, before + 6, if is_person { 14 } else { 21 }] {
        name.push("suffix", one.component(suffix));
    }
    let (start, end) = if is_person { (12, 13) } else { (19, 20) };
    let start = datetime(context, &one.component(start)).unwrap_or_default();
    let end = datetime(context, &one.component(end)).unwrap_or_default();
    let said = ["family", "given", "prefix", "suffix"].iter().any(|part| name.has(part));
    name.put("period", Json::object([("start", start), ("end", end)]));
    said.then_some(name)
}

/// Own and partner's parts of a family name (FN.2 to FN.5).
fn family_parts(family: &Repetition<'_>, name: &mut Json) {
    let parts = ["own-prefix", "own-name", "partner-prefix", "partner-name"];
    let mut beside = Json::default();
    for (at, part) in parts.iter().enumerate() {
        let text = family.component(at + 2);
        if !text.is_empty() {
            let url = format!("http://hl7.org/fhir/StructureDefinition/humanname-{part}");
            beside.push("extension", Json::object([("url", url.into()), ("valueString", text.into())]));
        }
    }
    if name.has("family") {
        name.put("_family", beside);
    }
}

/// A name as one text: given names, then the family name.
pub(super) fn as_text(_: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    let parts = [one.component(5), one.component(2), one.component(3), one.component(1), one.component(4)];
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    super::visible(text)
}
