//! Problem concerns and problem observations: Condition.

use super::{
    context::Context,
    datatype::{
        Interval, codeable, comments, identifiers, is_negated, or_absent, related, related_value, status,
        text_of,
    },
    people::author,
    section::Section,
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, concept};

/// A concern's status, where the problem has none of its own.
const CONCERN: [(&str, &str); 4] =
    [("active", "active"), ("completed", "inactive"), ("aborted", "inactive"), ("suspended", "inactive")];

/// Whether an observation is a problem: by its template, of a problem or of what something was done for.
pub(super) fn is_problem(element: &Element) -> bool {
    ["2.16.840.1.113883.10.20.22.4.4", "2.16.840.1.113883.10.20.22.4.19"]
        .iter()
        .any(|one| element.follows(one))
}

/// A wrapper of problems.
pub(super) fn concern(context: &mut Context<'_>, section: Section, element: &Element) -> bool {
    // Of a wrapper, id and times are about the concern and not about the problem; FHIR has no place for it.
    for wrapper in ["code", "id", "effectiveTime", "statusCode", "text", "priorityCode"] {
        element.all(wrapper).for_each(Element::see_all);
    }
    let said = status(element, &CONCERN);
    let concern_author = author(context, element);
    let problems: Vec<&Element> = related(element, "observation").collect();
    let mut any = false;
    for problem in problems {
        problem.mark();
        any |= context.within("observation", |context| {
            condition_by(context, section, problem, said, concern_author.clone())
        });
    }
    any
}

/// A problem without a wrapper.
pub(super) fn condition(
    context: &mut Context<'_>,
    section: Section,
    element: &Element,
    concern: Option<&'static str>,
) -> bool {
    condition_by(context, section, element, concern, (None, Json::default()))
}

fn condition_by(
    context: &mut Context<'_>,
    section: Section,
    element: &Element,
    concern: Option<&'static str>,
    outer: (Option<Json>, Json),
) -> bool {
    let Some(value) = element.child("value") else { return false };
    // What kind of problem it is (a finding, a symptom) is not the problem.
    element.all("code").for_each(Element::see_all);
    element.all("statusCode").for_each(Element::mark);
    let times = Interval::of(context, element);
    let mut json = Json::object([("identifier", identifiers(element))]);
    let clinical = related_value(element, "33999-4").and_then(|value| value.attribute("code"));
    let clinical = clinical.and_then(clinical_of);
    let ended = !times.high.is_empty() || times.ended_somewhen;
    let clinical = clinical.or(if ended { Some("resolved") } else { concern }).unwrap_or("active");
    let negated = is_negated(element);
    if !negated {
        json.put("clinicalStatus", concept("condition-clinical", clinical, ""));
    }
    let verification = if negated { "refuted" } else { "confirmed" };
    json.put("verificationStatus", concept("condition-ver-status", verification, ""));
    let (system, category) = match section {
        Section::HealthConcerns => {
            ("http://hl7.org/fhir/us/core/CodeSystem/condition-category", "health-concern")
        }
        Section::Encounters | Section::EncounterDiagnoses => ("condition-category", "encounter-diagnosis"),
        _ => ("condition-category", "problem-list-item"),
    };
    json.push("category", concept(system, category, ""));
    if let Some(severity) = related_value(element, "SEV") {
        json.put("severity", codeable(context, severity));
    }
    let code = codeable(context, value);
    json.put("code", or_absent(code, Some(value)));
    for site in element.all("targetSiteCode") {
        let site = codeable(context, site);
        json.push("bodySite", site);
    }
    json.put("subject", context.patient());
    json.put("onsetDateTime", times.start());
    json.put("abatementDateTime", times.high.clone());
    if times.high.is_empty() && times.ended_somewhen {
        json.put("abatementString", "unknown");
    }
    recorded(context, &mut json, element, outer);
    if let Some(text) = element.child("text") {
        // It is what the code says, in the narrative; kept where the code says nothing.
        let text = text_of(context, text);
        if !matches!(json.get("code"), Some(code) if code.has("coding") || code.has("text"))
            && !text.is_empty()
        {
            json.replace("code", Json::object([("text", text.into())]));
        }
    }
    json.put("note", comments(context, element));
    if section == Section::EncounterDiagnoses {
        json.put("encounter", context.encounter.clone().unwrap_or_default());
    }
    context.add("Condition", element, json);
    true
}

/// Who recorded it and when: the problem's author, else the concern's.
fn recorded(context: &mut Context<'_>, json: &mut Json, element: &Element, outer: (Option<Json>, Json)) {
    let (who, when) = author(context, element);
    let is_practitioner =
        |who: &Json| who.text("reference").is_some_and(|reference| reference.starts_with("Practitioner/"));
    json.put("recordedDate", if when.is_empty() { outer.1 } else { when });
    json.put("recorder", who.or(outer.0).filter(is_practitioner).unwrap_or_default());
}

/// The clinical status of a Problem Status observation: SNOMED CT and HL7's own words.
pub(super) fn clinical_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "55561003" | "active" => "active",
        "73425007" | "inactive" => "inactive",
        "413322009" | "723506003" | "resolved" => "resolved",
        "246455001" | "recurrence" => "recurrence",
        "255227004" => "recurrence",
        "263855007" | "relapse" => "relapse",
        "277022003" | "remission" => "remission",
        _ => return None,
    })
}
