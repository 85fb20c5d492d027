//! Whose record each entry of a submission is, and under which country's law.

use super::{
    names::{Names, contained_logical},
    tables::{LogicalId, Named, Patient, Tables},
};
use crate::{
    ClinicalError,
    compartment::{ReferenceIndex, Subject, Target, subject},
    fhir::{
        CivilDay,
        element::{resource_type, text},
    },
    residence::country_of_residence,
    source::Entry,
};
use bxp_types::{Address, Jurisdiction, SubjectId};
use sonic_rs::Value;
use std::collections::HashMap;

/// Through how many resources a patient is looked for (Provenance -> Observation -> Patient).
const STEPS_MAX: usize = 3;

/// Whose record an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The institution's own: an organization, a practitioner, a location.
    Institution,
    /// The patient's, by number in [`Subjects::patients`].
    Patient(usize),
    /// A patient's who is not in the submission and not known here.
    Unknown,
    /// A patient's whose Patient resource was refused.
    RefusedPatient,
}

/// A patient of the submission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubjectPlan {
    pub(crate) logical: LogicalId,
    pub(crate) patient: Patient,
    /// Not known before: gets an account.
    pub(crate) new: bool,
    /// The Patient resource names no country.
    pub(crate) defaulted: bool,
}

pub(crate) struct Subjects<'a> {
    pub(crate) patients: Vec<SubjectPlan>,
    tables: &'a Tables,
    names: &'a Names<'a>,
    entries: &'a [Entry],
    /// The pseudonym of each entry; none for refused ones.
    own: &'a [Option<Named>],
    index: &'a ReferenceIndex,
    by_logical: HashMap<LogicalId, usize>,
    default_home: Jurisdiction,
    today: CivilDay,
}

impl<'a> Subjects<'a> {
    pub(crate) fn new(
        tables: &'a Tables,
        names: &'a Names<'a>,
        entries: &'a [Entry],
        own: &'a [Option<Named>],
        index: &'a ReferenceIndex,
        (default_home, today): (Jurisdiction, CivilDay),
    ) -> Self {
        let (patients, by_logical) = (Vec::new(), HashMap::new());
        Self { patients, tables, names, entries, own, index, by_logical, default_home, today }
    }

    /// Whose record entry number `at` is.
    pub(crate) fn whose(&mut self, at: usize) -> Result<Whose, ClinicalError> {
        self.search(at, STEPS_MAX)
    }

    fn search(&mut self, at: usize, steps: usize) -> Result<Whose, ClinicalError> {
        let resource = self.entries[at].resource.expose();
        let references = match subject(resource) {
            Subject::Itself => return self.entry_patient(at),
            Subject::None => return Ok(Whose::Institution),
            Subject::Referred(references) => references,
        };
        let mut unknown = false;
        for reference in references {
            let found = match self.index.follow(resource, reference) {
                Some(Target::Entry(other)) if is_patient(self.entries[other].resource.expose()) => {
                    self.entry_patient(other)?
                }
                Some(Target::Entry(other)) if steps > 0 && other != at => self.search(other, steps - 1)?,
                Some(Target::Contained(inner)) if is_patient(inner) => self.contained_patient(at, inner)?,
                Some(Target::Outside(name)) => self.outside_patient(name.expose())?,
                _ => Whose::Institution,
            };
            match found {
                Whose::Institution => {}
                Whose::Unknown => unknown = true,
                other => return Ok(other),
            }
        }
        Ok(if unknown { Whose::Unknown } else { Whose::Institution })
    }

    fn entry_patient(&mut self, at: usize) -> Result<Whose, ClinicalError> {
        let Some(named) = &self.own[at] else { return Ok(Whose::RefusedPatient) };
        let logical = named.logical;
        self.with_resource(logical, self.entries[at].resource.expose())
    }

    fn contained_patient(&mut self, at: usize, inner: &Value) -> Result<Whose, ClinicalError> {
        let Some(named) = &self.own[at] else { return Ok(Whose::RefusedPatient) };
        let logical = contained_logical(self.tables, &named.logical, text(inner, "id").unwrap_or_default());
        self.with_resource(logical, inner)
    }

    /// A patient whose resource is here to say the country.
    fn with_resource(&mut self, logical: LogicalId, patient: &Value) -> Result<Whose, ClinicalError> {
        if let Some(number) = self.by_logical.get(&logical) {
            return Ok(Whose::Patient(*number));
        }
        let country = country_of_residence(patient, self.today);
        let earlier = self.tables.patient(&logical)?;
        let new = earlier.is_none();
        let unborn =
            Patient { subject: SubjectId(rand::random()), account: Address::ZERO, home: self.default_home };
        let mut patient = earlier.unwrap_or(unborn);
        patient.home = country.unwrap_or(patient.home);
        Ok(self.insert(SubjectPlan { logical, patient, new, defaulted: country.is_none() }))
    }

    /// A patient who was handed in earlier.
    fn outside_patient(&mut self, name: &str) -> Result<Whose, ClinicalError> {
        let about_patient = name.starts_with("Patient/") || name.starts_with("Patient?");
        let unknown = if about_patient { Whose::Unknown } else { Whose::Institution };
        let Some(named) = self.names.named(name) else { return Ok(unknown) };
        let logical = named.logical;
        if let Some(number) = self.by_logical.get(&logical) {
            return Ok(Whose::Patient(*number));
        }
        if let Some(patient) = self.tables.patient(&logical)? {
            return Ok(self.insert(SubjectPlan { logical, patient, new: false, defaulted: false }));
        }
        // A resource that was handed in earlier leads to its own patient.
        let Some(version) = self.tables.version(&logical)? else { return Ok(unknown) };
        let Some((logical, patient)) = self.tables.patient_of_subject(version.subject)? else {
            return Ok(unknown);
        };
        if let Some(number) = self.by_logical.get(&logical) {
            return Ok(Whose::Patient(*number));
        }
        Ok(self.insert(SubjectPlan { logical, patient, new: false, defaulted: false }))
    }

    fn insert(&mut self, plan: SubjectPlan) -> Whose {
        let number = self.patients.len();
        self.by_logical.insert(plan.logical, number);
        self.patients.push(plan);
        Whose::Patient(number)
    }
}

fn is_patient(resource: &Value) -> bool {
    resource_type(resource) == Some("Patient")
}
