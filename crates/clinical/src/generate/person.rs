//! The Patient resource: US Core in the United States, the base profile elsewhere.

use super::{
    draw::Draw,
    node::{Node, object},
    places::{City, Country},
    words::{HL7, coding, profile},
};
use crate::fhir::CivilDay;
use bxp_types::Jurisdiction;

/// A made-up person.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) country: &'static Country,
    pub(super) female: bool,
    pub(super) given: [&'static str; 2],
    pub(super) family: String,
    pub(super) birth: CivilDay,
    pub(super) record_number: String,
    city: &'static City,
    street: String,
    postal_code: &'static str,
    telephone: String,
    heritage: Heritage,
    married: bool,
    national_number: String,
}

#[derive(Clone, Copy)]
struct Heritage {
    race: (&'static str, &'static str),
    ethnicity: (&'static str, &'static str),
}

const NOT_HISPANIC: (&str, &str) = ("2186-5", "Not Hispanic or Latino");
const HERITAGES: [Heritage; 5] = [
    Heritage { race: ("2106-3", "White"), ethnicity: NOT_HISPANIC },
    Heritage { race: ("2054-5", "Black or African American"), ethnicity: NOT_HISPANIC },
    Heritage { race: ("2028-9", "Asian"), ethnicity: NOT_HISPANIC },
    Heritage { race: ("2106-3", "White"), ethnicity: ("2135-2", "Hispanic or Latino") },
    Heritage { race: ("1002-5", "American Indian or Alaska Native"), ethnicity: NOT_HISPANIC },
];

impl Person {
    /// A person of `country` who is between 40 and 92 on `today`. `number` keeps record numbers apart.
    pub(super) fn new(country: &'static Country, number: u32, today: CivilDay, draw: &mut Draw) -> Self {
        let female = draw.chance(50);
        let names = if female { country.women } else { country.men };
        let heritage = HERITAGES[draw.weighted(&[60, 13, 7, 18, 2])];
        let index = usize::try_from(draw.between(0, i32::try_from(country.cities.len()).unwrap_or(1) - 1))
            .unwrap_or(0);
        let city = &country.cities[index];
        Self {
            id: draw.uuid(),
            country,
            female,
            given: two_of(names, draw),
            family: draw.pick(country.families).to_owned(),
            birth: today.plus(-draw.between(40 * 365, 92 * 365)),
            record_number: format!("MRN-{number:08}"),
            city,
            street: country.street_line(draw),
            postal_code: draw.pick(city.postal_codes),
            telephone: format!("{}{}", city.telephone, draw.digits(2)),
            heritage,
            married: draw.chance(60),
            national_number: national_number(country.jurisdiction, draw),
        }
    }

    pub(super) fn full_name(&self) -> String {
        format!("{} {} {}", self.given[0], self.given[1], self.family)
    }

    pub(super) fn url(&self) -> String {
        format!("urn:uuid:{}", self.id)
    }

    pub(super) fn resource(&self) -> Node {
        let in_us = self.country.jurisdiction == Jurisdiction::US;
        let (language, language_name) = self.country.language;
        let title = if self.female { "Mrs." } else { "Mr." };
        object! {
            "resourceType": "Patient",
            "id": self.id.as_str(),
            "meta": in_us.then(|| profile("us-core-patient")),
            "text": object! {
                "status": "generated",
                "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}, {}</div>", self.full_name(), self.birth),
            },
            "extension": in_us.then(|| self.us_core_extensions()),
            "identifier": self.identifiers(),
            "active": true,
            "name": [object! {
                "use": "official",
                "family": self.family.as_str(),
                "given": [Node::from(self.given[0]), Node::from(self.given[1])],
                "prefix": in_us.then(|| vec![Node::from(title)]),
            }],
            "telecom": [
                object! { "system": "phone", "value": self.telephone.as_str(), "use": "home" },
                object! { "system": "email", "value": self.email() },
            ],
            "gender": if self.female { "female" } else { "male" },
            "birthDate": self.birth.to_string(),
            "address": [object! {
                "use": "home",
                "line": [Node::from(self.street.as_str())],
                "city": self.city.name,
                "state": self.city.state,
                "postalCode": self.postal_code,
                "country": self.country.jurisdiction.as_str(),
            }],
            "maritalStatus": object! {
                "coding": [coding(
                    &format!("{HL7}/v3-MaritalStatus"),
                    if self.married { ("M", "Married") } else { ("S", "Never Married") },
                )],
            },
            "communication": [object! {
                "language": object! { "coding": [coding("urn:ietf:bcp:47", (language, language_name))], "text": language_name },
            }],
        }
    }

    fn identifiers(&self) -> Node {
        let (system, code, display) = match self.country.jurisdiction {
            Jurisdiction::US => ("http://hl7.org/fhir/sid/us-ssn", "SS", "Social Security Number"),
            Jurisdiction::DE => ("http://fhir.de/sid/gkv/kvid-10", "NI", "Krankenversichertennummer"),
            _ => (
                "https://fhir.infoway-inforoute.ca/NamingSystem/ca-social-insurance-number",
                "NI",
                "Social Insurance Number",
            ),
        };
        let kind = |code, display| object! { "coding": [coding(&format!("{HL7}/v2-0203"), (code, display))], "text": display };
        Node::from([
            object! {
                "use": "usual",
                "type": kind("MR", "Medical Record Number"),
                "system": format!("https://{}/mrn", self.country.domain),
                "value": self.record_number.as_str(),
            },
            object! { "type": kind(code, display), "system": system, "value": self.national_number.as_str() },
        ])
    }

    fn us_core_extensions(&self) -> Node {
        let url = |name: &str| format!("http://hl7.org/fhir/us/core/StructureDefinition/{name}");
        let complex = |name: &str, value: (&'static str, &'static str)| {
            object! {
                "url": url(name),
                "extension": [
                    object! { "url": "ombCategory", "valueCoding": coding("urn:oid:2.16.840.1.113883.6.238", value) },
                    object! { "url": "text", "valueString": value.1 },
                ],
            }
        };
        Node::from([
            complex("us-core-race", self.heritage.race),
            complex("us-core-ethnicity", self.heritage.ethnicity),
            object! { "url": url("us-core-birthsex"), "valueCode": if self.female { "F" } else { "M" } },
        ])
    }

    fn email(&self) -> String {
        let plain =
            |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let local = format!("{}.{}.{}", plain(self.given[0]), plain(&self.family), &self.id[..4]);
        format!("{local}@{}", self.country.domain)
    }
}

/// Two different names.
fn two_of(names: &[&'static str], draw: &mut Draw) -> [&'static str; 2] {
    let (first, second) = (draw.pick(names), draw.pick(names));
    let other = || names.iter().copied().find(|name| *name != first).unwrap_or(second);
    [first, if first == second { other() } else { second }]
}

/// A number of the right form that is given to no one: US numbers above 900 are not social security numbers, Canadian
/// ones that begin with 0 are not issued, and a German one with 00000 in the middle is outside of what is assigned.
fn national_number(jurisdiction: Jurisdiction, draw: &mut Draw) -> String {
    match jurisdiction {
        Jurisdiction::US => format!("999-{}-{}", draw.digits(2), draw.digits(4)),
        Jurisdiction::DE => format!("X00000{}", draw.digits(4)),
        _ => format!("000 {} {}", draw.digits(3), draw.digits(3)),
    }
}
