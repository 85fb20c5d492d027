//! CDA's data types as FHIR's. What cannot be converted is noted; what is not there gives an empty value.

use super::{context::Context, identity};
use crate::element::{Element, tidy};
use bxp_hl7v2::build::{Json, concept, datetime_json, decimal_json, system_of_oid};

/// The template of an Indication.
pub(crate) const INDICATION: &str = "2.16.840.1.113883.10.20.22.4.19";

/// The most bytes of a text in an entry.
const TEXT_BYTES_MAX: usize = 16_384;
/// HL7's extension for a value that is not there.
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// An element that stands for a value that is not there.
pub(crate) fn absent(reason: &str) -> Json {
    let extension = Json::object([("url", ABSENT.into()), ("valueCode", reason.into())]);
    Json::object([("extension", Json::List(vec![extension]))])
}

/// FHIR's reason for a null flavor.
pub(crate) fn absent_reason(flavor: &str) -> &'static str {
    match flavor {
        "ASKU" => "asked-unknown",
        "NAV" => "temp-unknown",
        "NASK" => "not-asked",
        "MSK" => "masked",
        "NA" => "not-applicable",
        "NINF" => "negative-infinity",
        "PINF" => "positive-infinity",
        "OTH" => "unsupported",
        _ => "unknown",
    }
}

/// The identifiers of an element.
pub(crate) fn identifiers(element: &Element) -> Json {
    let ids = element.all("id").filter(|id| !id.is_null()).filter_map(identifier);
    Json::List(ids.collect())
}

/// An II.
pub(crate) fn identifier(id: &Element) -> Option<Json> {
    let (system, value) = identity::names(id)?;
    let mut json = Json::object([("system", system.into()), ("value", value.into())]);
    if let Some(name) = id.attribute("assigningAuthorityName").map(tidy) {
        json.put("assigner", Json::object([("display", name.into())]));
    }
    Some(json)
}

/// A CD, CE, CV or CO with its translations and its original text.
pub(crate) fn codeable(context: &mut Context<'_>, code: &Element) -> Json {
    let mut json = Json::default();
    if let Some(one) = coding(code) {
        json.push("coding", one);
    }
    for translation in code.all("translation") {
        if let Some(one) = coding(translation) {
            json.push("coding", one);
        }
    }
    for qualifier in code.all("qualifier") {
        qualifier.see_all();
        context.within("qualifier", |context| context.note("a qualifier of a code has no place in FHIR"));
    }
    if let Some(original) = code.child("originalText") {
        let text = text_of(context, original);
        json.put("text", text);
    }
    if !json.has("text") && !json.has("coding") {
        json.put("text", code.attribute("displayName").map(tidy).unwrap_or_default());
    }
    json
}

/// As [`codeable`], of a child.
pub(crate) fn codeable_at(context: &mut Context<'_>, element: &Element, name: &str) -> Json {
    element
        .child(name)
        .map(|code| context.within(name, |context| codeable(context, code)))
        .unwrap_or_default()
}

fn coding(code: &Element) -> Option<Json> {
    let value = tidy(code.attribute("code")?);
    let system = code.attribute("codeSystem").map(system_of_oid).unwrap_or_default();
    let display = code.attribute("displayName").map(tidy).unwrap_or_default();
    (!value.is_empty()).then(|| {
        Json::object([("system", system.into()), ("code", value.into()), ("display", display.into())])
    })
}

/// A concept of a null flavor, where a concept is required.
pub(crate) fn or_absent(json: Json, code: Option<&Element>) -> Json {
    if !json.is_empty() {
        return json;
    }
    let flavor = code.and_then(|code| code.attribute("nullFlavor")).unwrap_or("UNK");
    absent(absent_reason(flavor))
}

/// An ED or ST: its own text, and else what it refers to in the narrative.
pub(crate) fn text_of(context: &mut Context<'_>, text: &Element) -> String {
    let own = text.text(TEXT_BYTES_MAX);
    let reference = text.child("reference").and_then(|one| one.attribute("value"));
    if !own.is_empty() {
        return own;
    }
    reference.and_then(|reference| context.narrative(reference)).unwrap_or_default()
}

/// A TS as dateTime.
pub(crate) fn time(context: &mut Context<'_>, value: Option<&str>) -> Json {
    let Some(value) = value else { return Json::default() };
    let json = datetime_json(&context.zoned(value));
    match &json {
        Json::Text(text) if !text.contains('T') && value.len() > 8 => {
            context.note("a time without a time zone, and the document has none; kept to the day");
        }
        json if json.is_empty() => context.note("no date or time in HL7's form"),
        _ => {}
    }
    json
}

/// A TS as date.
pub(crate) fn date(context: &mut Context<'_>, value: Option<&str>) -> Json {
    match time(context, value) {
        Json::Text(text) => text.split('T').next().unwrap_or_default().into(),
        other => other,
    }
}

/// A TS as instant, where it has a time of day and a zone.
pub(crate) fn instant(context: &mut Context<'_>, value: Option<&str>) -> Json {
    match time(context, value) {
        Json::Text(text) if text.contains('T') => text.into(),
        _ => Json::default(),
    }
}

/// An IVL_TS.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interval {
    /// A time without a length.
    pub(crate) point: Json,
    pub(crate) low: Json,
    pub(crate) high: Json,
    /// The end is said to be unknown: it has ended.
    pub(crate) ended_somewhen: bool,
}

impl Interval {
    /// Of `effectiveTime`, the first that is an interval or a point.
    pub(crate) fn of(context: &mut Context<'_>, element: &Element) -> Self {
        let times = element.all("effectiveTime").find(|time| !is_periodic(time));
        times.map(|time| Self::read(context, time)).unwrap_or_default()
    }

    pub(crate) fn read(context: &mut Context<'_>, element: &Element) -> Self {
        context.within("effectiveTime", |context| {
            let center = element.of("center", "value");
            let high = element.child("high");
            Self {
                point: time(context, element.attribute("value").or(center)),
                low: time(context, element.of("low", "value")),
                high: time(context, high.and_then(|high| high.attribute("value"))),
                ended_somewhen: high.is_some_and(|high| high.attribute("nullFlavor") == Some("UNK")),
            }
        })
    }

    /// The point, else the beginning.
    pub(crate) fn start(&self) -> Json {
        if self.point.is_empty() { self.low.clone() } else { self.point.clone() }
    }

    /// A Period; a point begins and ends at once.
    pub(crate) fn period(&self) -> Json {
        if self.point.is_empty() {
            return Json::object([("start", self.low.clone()), ("end", self.high.clone())]);
        }
        Json::object([("start", self.point.clone()), ("end", self.point.clone())])
    }

    /// Puts it as `{name}DateTime` where it is a point, else as `{name}Period`.
    pub(crate) fn put(&self, json: &mut Json, name: &str) {
        if self.high.is_empty() && !self.start().is_empty() {
            json.put(&format!("{name}DateTime"), self.start());
        } else {
            json.put(&format!("{name}Period"), self.period());
        }
    }
}

/// Whether a time says how often, rather than when.
pub(crate) fn is_periodic(time: &Element) -> bool {
    let kind = time.attribute("type").unwrap_or_default();
    kind.ends_with("PIVL_TS") || kind.ends_with("EIVL_TS")
}

/// A PQ, INT or REAL.
pub(crate) fn quantity(context: &mut Context<'_>, element: &Element) -> Json {
    element.all("translation").for_each(Element::see_all);
    let Some(text) = element.attribute("value") else { return Json::default() };
    let value = decimal_json(text);
    if value.is_empty() {
        context.note("no number");
        return value;
    }
    let mut json = Json::object([("value", value)]);
    unit(&mut json, element.attribute("unit"));
    json
}

/// Units of CDA are UCUM; annotations in braces alone, and what has spaces, are words.
fn unit(json: &mut Json, unit: Option<&str>) {
    let Some(unit) = unit.map(tidy).filter(|unit| !unit.is_empty() && unit != "1") else { return };
    let ucum = unit.is_ascii() && !unit.contains(' ');
    json.put("unit", unit.as_str());
    if ucum {
        json.put("system", "http://unitsofmeasure.org");
        json.put("code", unit);
    }
}

/// An IVL_PQ as Range.
pub(crate) fn range(context: &mut Context<'_>, element: &Element) -> Json {
    let low = element.child("low").map(|low| quantity(context, low)).unwrap_or_default();
    let high = element.child("high").map(|high| quantity(context, high)).unwrap_or_default();
    Json::object([("low", low), ("high", high)])
}

/// The `value` of an observation, put under the name of its type.
pub(crate) fn value(context: &mut Context<'_>, json: &mut Json, element: &Element) {
    let kind = element.attribute("type").unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    if let Some(flavor) = element.attribute("nullFlavor")
        && !matches!(kind, "CD" | "CE" | "CV" | "CO")
    {
        json.put("dataAbsentReason", concept("data-absent-reason", absent_reason(flavor), ""));
        return;
    }
    let before = json.clone();
    match kind {
        "PQ" | "REAL" | "MO" => json.put("valueQuantity", quantity(context, element)),
        "INT" => {
            let whole = element.attribute("value").and_then(|text| text.parse::<i32>().ok());
            json.put("valueInteger", whole.map(|one| Json::Number(one.to_string())).unwrap_or_default());
        }
        "CD" | "CE" | "CV" | "CO" | "CS" => {
            let found = codeable(context, element);
            if found.is_empty() && element.is_null() {
                let reason = absent_reason(element.attribute("nullFlavor").unwrap_or_default());
                json.put("dataAbsentReason", concept("data-absent-reason", reason, ""));
            } else {
                json.put("valueCodeableConcept", found);
            }
        }
        "ST" | "ED" => json.put("valueString", text_of(context, element)),
        "BL" => match element.attribute("value") {
            Some("true") => json.put("valueBoolean", Json::Bool(true)),
            Some("false") => json.put("valueBoolean", Json::Bool(false)),
            _ => {}
        },
        "TS" => json.put("valueDateTime", time(context, element.attribute("value"))),
        "IVL_TS" => json.put("valuePeriod", Interval::read(context, element).period()),
        "IVL_PQ" | "IVL_INT" | "IVL_REAL" => bounded(context, json, element),
        "RTO_PQ_PQ" | "RTO" | "RTO_QTY_QTY" => {
            let part = |context: &mut Context<'_>, name| {
                element.child(name).map(|one| quantity(context, one)).unwrap_or_default()
            };
            let (numerator, denominator) = (part(context, "numerator"), part(context, "denominator"));
            if !numerator.is_empty() && !denominator.is_empty() {
                json.put(
                    "valueRatio",
                    Json::object([("numerator", numerator), ("denominator", denominator)]),
                );
            }
        }
        _ => {}
    }
    if *json == before {
        context.within("value", |context| context.note("a value that FHIR does not take here"));
    }
}

/// An interval of quantities: of one bound alone a quantity with a comparator, else a Range.
fn bounded(context: &mut Context<'_>, json: &mut Json, element: &Element) {
    let exclusive = |name: &str| element.of(name, "inclusive") == Some("false");
    let found = range(context, element);
    let (mut one, comparator) = match (found.get("low"), found.get("high")) {
        (Some(low), None) => (low.clone(), if exclusive("low") { ">" } else { ">=" }),
        (None, Some(high)) => (high.clone(), if exclusive("high") { "<" } else { "<=" }),
        _ => return json.put("valueRange", found),
    };
    one.put("comparator", comparator);
    json.put("valueQuantity", one);
}

/// A status by a table of CDA's codes to FHIR's.
pub(crate) fn status(element: &Element, table: &[(&str, &'static str)]) -> Option<&'static str> {
    let code = element.of("statusCode", "code")?;
    table.iter().find(|(from, _)| *from == code).map(|(_, to)| *to)
}

/// Whether the element says that something is not so.
pub(crate) fn is_negated(element: &Element) -> bool {
    element.attribute("negationInd") == Some("true")
}

/// The comments on an entry (LOINC 48767-8) as Annotations.
pub(crate) fn comments(context: &mut Context<'_>, element: &Element) -> Json {
    let mut notes = Vec::new();
    for act in related(element, "act") {
        if act.of("code", "code") == Some("48767-8") {
            act.see_all();
            let text = act.child("text").map(|text| text_of(context, text)).unwrap_or_default();
            if !text.is_empty() {
                notes.push(Json::object([("text", text.into())]));
            }
        }
    }
    Json::List(notes)
}

/// Puts what an entry was done for, the values of its Indications, into `reasonCode`.
pub(crate) fn indications(context: &mut Context<'_>, json: &mut Json, element: &Element) {
    for indication in related(element, "observation").filter(|one| one.follows(INDICATION)) {
        indication.mark();
        for said in ["id", "code", "statusCode", "effectiveTime"] {
            indication.all(said).for_each(Element::see_all);
        }
        let value = indication.child("value").map(|value| codeable(context, value)).unwrap_or_default();
        json.push("reasonCode", value);
    }
}

/// Entries of a name that stand below an entry. Who uses one marks it.
pub(crate) fn related<'a>(element: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    let relations = element.elements().filter(|one| one.name == "entryRelationship");
    relations.flat_map(Element::elements).filter(move |inner| inner.name == name)
}

/// The value of the first observation of a LOINC code below an entry.
pub(crate) fn related_value<'a>(element: &'a Element, loinc: &str) -> Option<&'a Element> {
    let found = related(element, "observation").find(|one| one.of("code", "code") == Some(loinc))?;
    found.mark();
    for said in ["text", "statusCode", "effectiveTime", "templateId"] {
        found.all(said).for_each(Element::see_all);
    }
    found.child("value")
}
