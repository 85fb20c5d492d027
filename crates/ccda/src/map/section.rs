//! Which entries stand in which section. An entry is told by its element and its section, and where templates of several
//! kinds stand together, by its template or code.

use super::{
    allergy, care, context::Context, coverage, device, encounter, family, immunization, medication,
    observation, people, plan, problem, procedure,
};
use crate::element::Element;

/// What a section is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Problems,
    HealthConcerns,
    History,
    EncounterDiagnoses,
    Allergies,
    Medications,
    Immunizations,
    Results,
    Vitals,
    Procedures,
    Encounters,
    Social,
    Family,
    Plan,
    Function,
    CareTeams,
    Goals,
    Devices,
    Payers,
    Notes,
}

/// Sections by their LOINC code, with the name that reports give them.
const SECTIONS: [(&str, Section, &str); 48] = [
    ("11450-4", Section::Problems, "problems"),
    ("75310-3", Section::HealthConcerns, "health-concerns"),
    ("11348-0", Section::History, "past-illness"),
    ("46241-6", Section::EncounterDiagnoses, "admission-diagnosis"),
    ("11535-2", Section::EncounterDiagnoses, "discharge-diagnosis"),
    ("10219-4", Section::EncounterDiagnoses, "preoperative-diagnosis"),
    ("10218-6", Section::EncounterDiagnoses, "postoperative-diagnosis"),
    ("59769-0", Section::EncounterDiagnoses, "postprocedure-diagnosis"),
    ("48765-2", Section::Allergies, "allergies"),
    ("10160-0", Section::Medications, "medications"),
    ("42346-7", Section::Medications, "admission-medications"),
    ("10183-2", Section::Medications, "discharge-medications"),
    ("75311-1", Section::Medications, "discharge-medications"),
    ("29549-3", Section::Medications, "medications-administered"),
    ("11369-6", Section::Immunizations, "immunizations"),
    ("30954-2", Section::Results, "results"),
    ("8716-3", Section::Vitals, "vital-signs"),
    ("47519-4", Section::Procedures, "procedures"),
    ("46240-8", Section::Encounters, "encounters"),
    ("29762-2", Section::Social, "social-history"),
    ("10157-6", Section::Family, "family-history"),
    ("18776-5", Section::Plan, "plan-of-treatment"),
    ("51847-2", Section::Plan, "assessment-and-plan"),
    ("59772-4", Section::Plan, "planned-procedure"),
    ("47420-5", Section::Function, "functional-status"),
    ("10190-7", Section::Function, "mental-status"),
    ("29545-1", Section::Function, "physical-exam"),
    ("42348-3", Section::Function, "advance-directives"),
    ("61144-2", Section::Function, "nutrition"),
    ("55109-3", Section::History, "complications"),
    ("59768-2", Section::History, "procedure-indications"),
    ("59776-5", Section::History, "procedure-findings"),
    ("85847-2", Section::CareTeams, "care-teams"),
    ("61146-7", Section::Goals, "goals"),
    ("46264-8", Section::Devices, "medical-equipment"),
    ("48768-6", Section::Payers, "payers"),
    ("34109-9", Section::Notes, "notes"),
    ("11488-4", Section::Notes, "consultation-note"),
    ("18842-5", Section::Notes, "discharge-summary"),
    ("34117-2", Section::Notes, "history-and-physical"),
    ("28570-0", Section::Notes, "procedure-note"),
    ("11506-3", Section::Notes, "progress-note"),
    ("18748-4", Section::Notes, "imaging-narrative"),
    ("11502-2", Section::Notes, "laboratory-narrative"),
    ("11526-1", Section::Notes, "pathology-narrative"),
    ("28653-4", Section::Notes, "social-work-note"),
    ("34746-8", Section::Notes, "nurse-note"),
    ("8648-8", Section::Notes, "hospital-course"),
];

/// The LOINC codes of sections by the last number of their template of C-CDA (2.16.840.1.113883.10.20.22.2.N), for those in
/// which no code stands.
const TEMPLATES: [(&str, &str); 33] = [
    ("1", "10160-0"),
    ("2", "11369-6"),
    ("3", "30954-2"),
    ("4", "8716-3"),
    ("5", "11450-4"),
    ("6", "48765-2"),
    ("7", "47519-4"),
    ("9", "51847-2"),
    ("10", "18776-5"),
    ("11", "10183-2"),
    ("14", "47420-5"),
    ("15", "10157-6"),
    ("17", "29762-2"),
    ("18", "48768-6"),
    ("20", "11348-0"),
    ("21", "42348-3"),
    ("22", "46240-8"),
    ("23", "46264-8"),
    ("24", "11535-2"),
    ("28", "59776-5"),
    ("29", "59768-2"),
    ("30", "59772-4"),
    ("34", "10219-4"),
    ("35", "10218-6"),
    ("36", "59769-0"),
    ("37", "55109-3"),
    ("38", "29549-3"),
    ("43", "46241-6"),
    ("44", "42346-7"),
    ("56", "10190-7"),
    ("57", "61144-2"),
    ("58", "75310-3"),
    ("60", "61146-7"),
];

/// The LOINC code of a section that follows a template of C-CDA, with entries required (`.1`) or not.
fn code_by_template(section: &Element) -> &'static str {
    let numbers: Vec<&str> = section
        .all("templateId")
        .filter_map(|id| id.attribute("root")?.strip_prefix("2.16.840.1.113883.10.20.22.2."))
        .map(|number| number.strip_suffix(".1").unwrap_or(number))
        .collect();
    TEMPLATES.iter().find(|(number, _)| numbers.contains(number)).map_or("", |(_, loinc)| loinc)
}

/// Maps all sections.
pub(super) fn all(context: &mut Context<'_>) {
    let root = &context.document.root;
    let bodies: Vec<&Element> = root.all("component").collect();
    for body in bodies {
        if let Some(other) = body.child("nonXMLBody") {
            other.see_all();
            context.within("nonXMLBody", |context| {
                context.note("a body that is no CDA; it is kept in the document only");
            });
        }
        if let Some(structured) = body.child("structuredBody") {
            inner(context, structured);
        }
    }
}

fn inner(context: &mut Context<'_>, parent: &Element) {
    let sections: Vec<&Element> = parent.all("component").filter_map(|one| one.child("section")).collect();
    for section in sections {
        one(context, section);
        inner(context, section);
    }
}

/// Maps a section.
fn one(context: &mut Context<'_>, section: &Element) {
    let code = section.of("code", "code").unwrap_or_else(|| code_by_template(section));
    for said in ["title", "text", "id", "code", "confidentialityCode", "languageCode"] {
        section.all(said).for_each(Element::see_all);
    }
    let Some((_, kind, name)) = SECTIONS.iter().find(|(loinc, ..)| *loinc == code) else {
        section.see_all();
        context.within("section", |context| {
            context.note("a section that has no entries of a known kind; it is kept in the document only");
        });
        return;
    };
    context.within(name, |context| {
        let _ = people::author(context, section);
        let entries = section.all("entry").flat_map(Element::elements);
        let entries: Vec<&Element> = entries.inspect(|entry| entry.mark()).collect();
        if entries.is_empty() {
            context.note("a section of narrative alone; it is kept in the document only");
        }
        for element in entries {
            context.within(known_name(&element.name), |context| entry(context, *kind, element));
        }
    });
}

/// The names of entries, so that no name of a sender's making stands in a report.
pub(crate) fn known_name(name: &str) -> &'static str {
    const NAMES: [&str; 7] =
        ["act", "observation", "organizer", "substanceAdministration", "supply", "procedure", "encounter"];
    NAMES.into_iter().find(|known| *known == name).unwrap_or("entry")
}

/// Maps an entry.
fn entry(context: &mut Context<'_>, section: Section, element: &Element) {
    if element.is_null() {
        return;
    }
    let planned = is_planned(element);
    let taken = match (element.name.as_str(), section) {
        ("act", _) => act(context, section, element),
        ("observation", Section::Allergies) => allergy::allergy(context, element, None),
        ("observation", _) if element.attribute("moodCode") == Some("GOL") => plan::goal(context, element),
        ("observation", Section::Plan) if planned => plan::request(context, element),
        ("observation", _) if problem::is_problem(element) => {
            problem::condition(context, section, element, None)
        }
        ("observation", _) => observation::observation(context, section, element).is_some(),
        ("organizer", Section::Family) => family::history(context, element),
        ("organizer", Section::CareTeams) => care::team(context, element),
        ("organizer", Section::Devices) => device::organizer(context, element),
        ("organizer", _) => observation::organizer(context, section, element),
        ("substanceAdministration", Section::Immunizations) => immunization::immunization(context, element),
        ("substanceAdministration", _) => medication::medication(context, section, element),
        ("supply", Section::Devices) => device::supply(context, element),
        ("procedure", _) if planned => plan::request(context, element),
        ("procedure", _) => procedure::procedure(context, section, element),
        ("encounter", _) => encounter::encounter(context, element),
        _ => false,
    };
    if !taken {
        element.see_all();
        context.note("an entry that has no place in FHIR here; it is kept in the document only");
    }
}

/// An act wraps problems, allergies and coverage, or is a procedure, a plan or a note of its own.
fn act(context: &mut Context<'_>, section: Section, element: &Element) -> bool {
    let code = element.of("code", "code").unwrap_or_default();
    // An allergy concern follows .30, a problem concern .3, a health concern .132.
    let template = |number: &str| element.follows(&format!("2.16.840.1.113883.10.20.22.4.{number}"));
    if template("30") || section == Section::Allergies {
        return allergy::concern(context, element);
    }
    if section == Section::Payers {
        return coverage::coverage(context, element);
    }
    if template("202") || code == "34109-9" || section == Section::Notes {
        return care::note(context, element);
    }
    let wraps = template("3") || template("132") || template("33") || template("34") || code == "CONC";
    if wraps || matches!(section, Section::Problems | Section::HealthConcerns | Section::EncounterDiagnoses) {
        return problem::concern(context, section, element);
    }
    match section {
        Section::Plan if is_planned(element) => plan::request(context, element),
        Section::Procedures => procedure::procedure(context, section, element),
        _ => false,
    }
}

/// Whether an entry is meant to be, rather than was.
pub(crate) fn is_planned(element: &Element) -> bool {
    matches!(element.attribute("moodCode"), Some("INT" | "RQO" | "PRP" | "PRMS" | "ARQ" | "APT"))
}
