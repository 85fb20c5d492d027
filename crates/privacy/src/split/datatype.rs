//! FHIR data types whose members decide together what leaves (hl7.org/fhir/R4/datatypes.html).

use super::{
    SplitError, scalar,
    walk::{Listed, Outcome, Walk},
};
use crate::{
    IdentifierKind,
    rules::{Name, Rule, Rules},
    tape::{Element, Object, Shape},
};

const UCUM: &str = "http://unitsofmeasure.org";
const LOINC: &str = "http://loinc.org";

/// 89 years in the units of time in which an age is told: the mean, the Julian, the Gregorian and the others' years and months.
const AGE_LIMITS: [(&str, u64); 11] = [
    ("a", 89),
    ("a_g", 89),
    ("a_j", 89),
    ("a_t", 89),
    ("mo", 1079),
    ("mo_g", 1079),
    ("mo_j", 1079),
    ("mo_s", 1079),
    ("wk", 4679),
    ("d", 32_849),
    ("h", 788_399),
];

/// See [`is_of_ages`].
const OF_AGES: [&str; 4] = ["AllergyIntolerance", "Condition", "FamilyMemberHistory", "Procedure"];

/// Whether the quantities of a type are ages, all of them.
pub(super) fn is_of_ages(resource_type: &str) -> bool {
    OF_AGES.contains(&resource_type)
}

/// Whether the numbers of a resource may be ages without saying so: of some types all are, and of an Observation if its code, or
/// one of its components', is of an age.
pub(super) fn tells_age(rules: &Rules, resource_type: &str, resource: Object<'_>) -> bool {
    if is_of_ages(resource_type) {
        return true;
    }
    if resource_type != "Observation" {
        return false;
    }
    let coding_is_age = |coding: Object<'_>| {
        coding.get_str(Name::SYSTEM).as_deref() == Some(LOINC)
            && coding.get_str(Name::CODE).is_some_and(|code| rules.contains(rules.known.age_loinc, &code))
    };
    let code_is_age = |object: Object<'_>| {
        let codings = object.get(Name::CODE).and_then(|code| code.object()?.get(Name::CODING)?.array());
        codings.into_iter().flatten().filter_map(|coding| coding.object()).any(coding_is_age)
    };
    let components = resource.get(Name::COMPONENT).and_then(|components| components.array());
    code_is_age(resource)
        || components.into_iter().flatten().filter_map(|component| component.object()).any(code_is_age)
}

impl<'a> Walk<'a> {
    /// A code of a known system leaves with its system. `display` and `version` are free text.
    pub(super) fn coding(&mut self, coding: Object<'a>) -> Result<Outcome, SplitError> {
        let (system, code) = (coding.get_str(Name::SYSTEM), coding.get_str(Name::CODE));
        let known = system.zip(code).is_some_and(|(system, code)| self.rules.knows_code(&system, &code));
        if !known {
            return Ok(Outcome::Removed);
        }
        self.object(coding, |name| match name {
            Name::SYSTEM => Some((0, Rule::Checked)),
            Name::CODE => Some((1, Rule::Checked)),
            _ => None,
        })
    }

    /// A number leaves with its unit. If it has a unit that is not known, it stays behind: a number without its unit
    /// would be read wrongly.
    pub(super) fn quantity(&mut self, quantity: Object<'a>) -> Result<Outcome, SplitError> {
        let rules = self.rules;
        let [system, code, unit] = [Name::SYSTEM, Name::CODE, Name::UNIT].map(|name| quantity.get_str(name));
        let known = |unit: Option<&str>| unit.is_some_and(|unit| rules.knows_code(UCUM, unit));
        let code_known = system.as_deref() == Some(UCUM) && known(code.as_deref());
        let unit_known = known(unit.as_deref());
        let has_unit = quantity.get(Name::CODE).or(quantity.get(Name::UNIT)).is_some();
        if (has_unit && !code_known && !unit_known) || self.is_old_age(quantity) {
            return Ok(Outcome::Removed);
        }
        let comparator = rules.known.comparator;
        self.object(quantity, |name| match name {
            Name::VALUE => Some((0, Rule::Decimal)),
            Name::COMPARATOR => Some((1, Rule::Code(comparator))),
            Name::UNIT if unit_known => Some((2, Rule::Checked)),
            Name::SYSTEM if code_known => Some((3, Rule::Checked)),
            Name::CODE if code_known => Some((4, Rule::Checked)),
            _ => None,
        })
    }

    /// Whether a quantity is a time of more than 89 years (45 CFR 164.514(b)(2)(i)(C)).
    fn is_old_age(&self, quantity: Object<'_>) -> bool {
        let limit_of =
            |unit: &str| AGE_LIMITS.iter().find(|(name, _)| *name == unit).map(|(_, limit)| *limit);
        // Either may leave, so the stricter one counts.
        let said = [Name::CODE, Name::UNIT].map(|name| quantity.get_str(name));
        let limit = said.iter().flatten().filter_map(|unit| limit_of(unit)).min();
        let limit = limit.or(self.tells_age.then_some(89));
        let mut values = quantity.filter(|(key, _)| key.name() == Name::VALUE);
        limit.is_some_and(|limit| {
            values.any(|(_, value)| match value.shape() {
                Shape::Number(literal) => scalar::is_above(literal, limit),
                _ => true,
            })
        })
    }

    pub(super) fn number(
        &mut self,
        literal: &str,
        value: Element<'_>,
        rule: Rule,
    ) -> Result<Outcome, SplitError> {
        if self.tells_age && rule == Rule::Integer && scalar::is_above(literal, 89) {
            return Ok(Outcome::Removed);
        }
        match scalar::number(literal, rule == Rule::Decimal) {
            scalar::Number::Whole => {
                self.out.extend_from_slice(literal.as_bytes());
                Ok(Outcome::Kept)
            }
            scalar::Number::Shortened(short) => {
                self.out.extend_from_slice(short.as_bytes());
                self.removed.add(IdentifierKind::Other, 1);
                self.original(value);
                Ok(Outcome::Changed)
            }
            scalar::Number::None => Ok(Outcome::Removed),
        }
    }

    pub(super) fn reference(&mut self, reference: Object<'a>) -> Result<Outcome, SplitError> {
        self.object(reference, |name| match name {
            Name::REFERENCE => Some((0, Rule::ReferenceTarget)),
            Name::TYPE => Some((1, Rule::ResourceType)),
            _ => None,
        })
    }

    /// Puts the pseudonym in the place of the original.
    pub(super) fn reference_target(&mut self, text: &str, value: Element<'_>) -> Result<Outcome, SplitError> {
        if let Some(local) = text.strip_prefix('#') {
            return self.contained_target(local, text, value);
        }
        match (self.context.mapping)(text) {
            Some(pseudonym) => {
                self.check_pseudonym(text, &pseudonym)?;
                self.replace(&pseudonym, text, value, IdentifierKind::Other)
            }
            None => Ok(Outcome::Removed),
        }
    }

    /// A contained resource is named by its place; `#` alone is the resource around it.
    fn contained_target(
        &mut self,
        local: &str,
        text: &str,
        value: Element<'_>,
    ) -> Result<Outcome, SplitError> {
        match (local, self.contained.get(local)) {
            ("", _) => self.replace("#", text, value, IdentifierKind::Other),
            (_, Some(place)) => self.replace(&format!("#c{place}"), text, value, IdentifierKind::Other),
            (_, None) => Ok(Outcome::Removed),
        }
    }

    pub(super) fn id(&mut self, id: &str, value: Element<'_>) -> Result<Outcome, SplitError> {
        if let Some(place) = self.within {
            return self.replace(&format!("c{place}"), id, value, IdentifierKind::Other);
        }
        let own = format!("{}/{id}", self.resource_type);
        match (self.context.mapping)(&own) {
            Some(pseudonym) => {
                self.check_pseudonym(&own, &pseudonym)?;
                self.replace(last_part(&pseudonym), id, value, IdentifierKind::Other)
            }
            None => Ok(Outcome::Removed),
        }
    }

    /// `Type/pseudonym`, `urn:uuid:pseudonym` or `pseudonym`, and not the original again.
    fn check_pseudonym(&self, original: &str, pseudonym: &str) -> Result<(), SplitError> {
        let id = match (pseudonym.strip_prefix("urn:uuid:"), pseudonym.split_once('/')) {
            (Some(id), _) => id,
            (None, Some((resource_type, id))) if self.rules.is_resource_type(resource_type) => id,
            (None, Some(_)) => return Err(SplitError::Pseudonym),
            (None, None) => pseudonym,
        };
        let fresh = !scalar::ends_in_part(original, id);
        if scalar::is_id(id) && fresh { Ok(()) } else { Err(SplitError::Pseudonym) }
    }

    /// The country; in the United States the state and the area of the ZIP code too.
    pub(super) fn address(&mut self, address: Object<'a>) -> Result<Outcome, SplitError> {
        let (rules, known) = (self.rules, self.rules.known);
        let country = address.get_str(Name::COUNTRY).unwrap_or_default();
        let united_states = rules.contains(known.united_states, &country);
        self.object(address, |name| -> Listed {
            match name {
                Name::COUNTRY => Some((0, Rule::Code(known.country))),
                Name::STATE if united_states => Some((1, Rule::Code(known.state))),
                Name::POSTAL_CODE if united_states => Some((2, Rule::Zip)),
                _ => None,
            }
        })
    }

    /// The first three digits of a ZIP code, or 000 for an area of few people.
    pub(super) fn zip(&mut self, text: &str, value: Element<'_>) -> Result<Outcome, SplitError> {
        let digits = |part: &str, length: usize| part.len() == length && scalar::digits(part);
        let (zip, extension) = text.split_once('-').map_or((text, None), |(zip, rest)| (zip, Some(rest)));
        let area = zip.get(..3).filter(|_| digits(zip, 5) && extension.is_none_or(|rest| digits(rest, 4)));
        match area {
            Some(area) if self.rules.contains(self.rules.known.zip3_restricted, area) => {
                self.replace("000", text, value, IdentifierKind::Geography)
            }
            Some(area) => self.replace(area, text, value, IdentifierKind::Geography),
            None => Ok(Outcome::Removed),
        }
    }
}

/// The id at the end of a reference.
fn last_part(reference: &str) -> &str {
    let separator = reference.bytes().rposition(|byte| matches!(byte, b'/' | b':'));
    separator.and_then(|at| reference.get(at + 1..)).unwrap_or(reference)
}
