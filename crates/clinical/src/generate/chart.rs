//! One patient's chart in the making: the moment, the open encounter, and the entries so far.

use super::{
    draw::Draw,
    hospital::Hospital,
    node::{Node, object},
    person::Person,
    words::{Coded, HL7, SNOMED, coding, concept, entry, named_reference, profile, reference},
};
use crate::fhir::CivilDay;
use bxp_types::Jurisdiction;

/// A chart that is being written.
pub(super) struct Chart<'a> {
    pub(super) draw: Draw,
    pub(super) person: Person,
    pub(super) hospital: &'a Hospital,
    pub(super) entries: Vec<Node>,
    /// What the person is like on average.
    pub(super) body: Body,
    /// The names of the conditions so far.
    pub(super) problems: Vec<&'static str>,
    visit: Visit,
}

/// A person's usual measures.
pub(super) struct Body {
    pub(super) height_mm: i32,
    pub(super) weight_hg: i32,
    pub(super) systolic: i32,
    pub(super) heart_rate: i32,
    pub(super) diabetic: bool,
}

/// The encounter that is going on.
#[derive(Default)]
pub(super) struct Visit {
    pub(super) url: String,
    pub(super) day: i32,
    pub(super) minute: i32,
    pub(super) physician: usize,
    pub(super) title: &'static str,
}

/// How a patient is seen (v3 ActCode).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Ambulatory,
    Emergency,
}

impl<'a> Chart<'a> {
    pub(super) fn new(person: Person, hospital: &'a Hospital, mut draw: Draw) -> Self {
        let height_mm = draw.around(if person.female { 1_630 } else { 1_760 }, 160);
        let body = Body {
            height_mm,
            weight_hg: draw.around(if person.female { 720 } else { 850 }, 260),
            systolic: draw.around(128, 26),
            heart_rate: draw.around(72, 18),
            diabetic: draw.chance(18),
        };
        let first = entry(&person.id, "Patient", person.resource());
        Self {
            draw,
            person,
            hospital,
            entries: vec![first],
            body,
            problems: Vec::new(),
            visit: Visit::default(),
        }
    }

    pub(super) fn day(&self) -> CivilDay {
        CivilDay(self.visit.day)
    }

    pub(super) fn title(&self) -> &'static str {
        self.visit.title
    }

    /// `minutes` after the encounter's begin, as a dateTime.
    pub(super) fn time(&self, minutes: i32) -> String {
        let total = self.visit.minute + minutes;
        let day = CivilDay(self.visit.day).plus(total.div_euclid(1_440));
        let minute = total.rem_euclid(1_440);
        format!("{day}T{:02}:{:02}:00{}", minute / 60, minute % 60, self.person.country.utc_offset)
    }

    /// The same as an instant with milliseconds.
    pub(super) fn instant(&self, minutes: i32) -> String {
        let time = self.time(minutes);
        let (clock, zone) = time.split_at(19);
        format!("{clock}.000{zone}")
    }

    pub(super) fn subject(&self) -> Node {
        reference(&self.person.url())
    }

    pub(super) fn encounter(&self) -> Node {
        reference(&self.visit.url)
    }

    pub(super) fn physician(&self) -> Node {
        self.hospital.physician_reference(self.visit.physician)
    }

    pub(super) fn physician_name(&self) -> String {
        self.hospital.physicians[self.visit.physician % self.hospital.physicians.len()].name.clone()
    }

    /// `name` as a US Core profile, where the hospital is in the United States.
    pub(super) fn profile(&self, name: &str) -> Option<Node> {
        (self.person.country.jurisdiction == Jurisdiction::US).then(|| profile(name))
    }

    /// Adds a resource of which `build` gives everything; returns its URL.
    pub(super) fn add(&mut self, kind: &str, build: impl FnOnce(&mut Self, &str) -> Node) -> String {
        let id = self.draw.uuid();
        let resource = build(self, &id);
        self.entries.push(entry(&id, kind, resource));
        format!("urn:uuid:{id}")
    }

    /// Opens an encounter on `day`; what is added later belongs to it.
    pub(super) fn visit(&mut self, day: CivilDay, setting: Setting, kind: Coded, reason: Option<Coded>) {
        let physician = usize::try_from(self.draw.between(0, 5)).unwrap_or(0);
        let minute = self.draw.between(8 * 60, 16 * 60);
        self.visit = Visit { url: String::new(), day: day.0, minute, physician, title: kind.1 };
        let minutes = if setting == Setting::Emergency { self.draw.between(3, 6) * 1_440 } else { 30 };
        let url = self.add("Encounter", |chart, id| {
            let act = match setting {
                Setting::Ambulatory => ("AMB", "ambulatory"),
                Setting::Emergency => ("EMER", "emergency"),
            };
            let discharge = (setting == Setting::Emergency).then(|| {
                let home = coding(&format!("{HL7}/discharge-disposition"), ("home", "Home"));
                object! { "dischargeDisposition": object! { "coding": [home] } }
            });
            object! {
                "resourceType": "Encounter",
                "id": id,
                "meta": chart.profile("us-core-encounter"),
                "status": "finished",
                "class": coding(&format!("{HL7}/v3-ActCode"), act),
                "type": [concept(SNOMED, kind)],
                "subject": named_reference(&chart.person.url(), &chart.person.full_name()),
                "participant": [object! { "individual": chart.physician() }],
                "period": object! { "start": chart.time(0), "end": chart.time(minutes) },
                "reasonCode": reason.map(|reason| vec![concept(SNOMED, reason)]),
                "hospitalization": discharge,
                "location": [object! { "location": chart.hospital.location_reference() }],
                "serviceProvider": chart.hospital.organization_reference(),
            }
        });
        self.visit.url = url;
    }
}
