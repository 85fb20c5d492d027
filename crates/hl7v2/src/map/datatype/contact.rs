//! XAD to Address and XTN to ContactPoint.

use super::{code_of, datetime, period_of};
use crate::{
    Repetition,
    map::{concept::concept, context::Context, json::Json},
};

/// An Address.
pub(crate) fn address(context: &mut Context<'_>, one: &Repetition<'_>) -> Option<Json> {
    let mut address = Json::default();
    let kind = one.component(7);
    match concept("AddressTypeKind", &kind) {
        Some(found) => address.put("type", found.code),
        None if kind.is_empty() => {}
        None => {
            if let Some(code) = code_of(context, &one.nested(7), "AddressUse") {
                address.put("use", code);
            }
        }
    }
    let street = one.nested(1);
    // SAD: street address, or street name and dwelling number apart.
    let apart = [street.component(3), street.component(2)];
    let apart = apart.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    for line in [street.component(1), apart, one.component(2), one.component(19)] {
        address.push("line", line);
    }
    for (number, name) in [(3, "city"), (9, "district"), (4, "state"), (5, "postalCode"), (6, "country")] {
        address.put(name, one.component(number));
    }
    if address.get("line").is_none()
        && ["city", "district", "state", "postalCode", "country"].iter().all(|name| !address.has(name))
    {
        return None;
    }
    let tract = one.component(10);
    if !tract.is_empty() {
        let url = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-censusTract";
        address.push("extension", Json::object([("url", url.into()), ("valueString", tract.into())]));
    }
    let period = if one.has(13) || one.has(14) {
        period_of(context, &one.component(13), &one.component(14))
    } else {
        let range = one.nested(12);
        period_of(context, &range.component(1), &range.component(2))
    };
    address.put("period", period.unwrap_or_default());
    Some(address)
}

/// A ContactPoint. `usual` is its use where it names none.
pub(crate) fn telecom(context: &mut Context<'_>, one: &Repetition<'_>, usual: &str) -> Option<Json> {
    let (equipment, use_code) = (one.component(3), one.component(2));
    let is_mail = matches!(equipment.as_str(), "Internet" | "X.400" | "INTERNET")
        || (use_code == "NET" && !one.component(4).is_empty())
        || (equipment.is_empty() && one.component(1).is_empty() && one.component(7).is_empty() && one.has(4));
    let value = if is_mail { first([one.component(4), one.component(1)]) } else { number(one) };
    let value = value.filter(|value| !value.is_empty())?;
    let system = match equipment.as_str() {
        _ if is_mail => "email",
        "" => "phone",
        "CP" => "phone",
        other => concept("TelecomSystem", other).map_or("other", |found| found.code),
    };
    let mut point = Json::object([("system", system.into()), ("value", value.into())]);
    let mobile = equipment == "CP" || use_code == "PRS";
    if mobile {
        point.put("use", "mobile");
    } else if let Some(found) = concept("TelecomUse", &use_code) {
        point.put("use", found.code);
    } else {
        point.put("use", usual);
    }
    if !is_mail {
        for (number, name) in [(5, "country"), (6, "area"), (7, "local"), (8, "extension")] {
            let part = one.component(number);
            if !part.is_empty() {
                let url = format!("http://hl7.org/fhir/StructureDefinition/contactpoint-{name}");
                point.push("extension", Json::object([("url", url.into()), ("valueString", part.into())]));
            }
        }
    }
    let rank = one.component(18).parse::<i32>().ok().filter(|rank| *rank > 0);
    point.put("rank", rank.map(|rank| Json::Number(rank.to_string())).unwrap_or_default());
    let start = datetime(context, &one.component(13)).unwrap_or_default();
    let end = datetime(context, &one.component(14)).unwrap_or_default();
    point.put("period", Json::object([("start", start), ("end", end)]));
    Some(point)
}

/// A telephone number: in parts where it was sent in parts, else as one text.
fn number(one: &Repetition<'_>) -> Option<String> {
    let [country, area, local, extension] = [5, 6, 7, 8].map(|part| one.component(part));
    if local.is_empty() {
        return first([one.component(1), one.component(12)]);
    }
    let mut parts = Vec::new();
    if !country.is_empty() {
        parts.push(format!("+{}", country.trim_start_matches('+')));
    }
    parts.extend([area, local].into_iter().filter(|part| !part.is_empty()));
    if !extension.is_empty() {
        parts.push(format!("X{extension}"));
    }
    Some(parts.join(" "))
}

fn first(texts: [String; 2]) -> Option<String> {
    texts.into_iter().find(|text| !text.is_empty())
}
