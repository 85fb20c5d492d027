//! The hospital of each country and its physicians: what every chart refers to.

use super::{
    draw::Draw,
    node::{Node, object},
    places::Country,
    words::{coding, entry, profile, reference},
};
use bxp_types::Jurisdiction;

/// A hospital as charts refer to it.
#[derive(Clone)]
pub(super) struct Hospital {
    pub(super) country: &'static Country,
    pub(super) organization: String,
    pub(super) location: String,
    pub(super) physicians: Vec<Physician>,
}

/// A physician.
#[derive(Clone)]
pub(super) struct Physician {
    id: String,
    pub(super) name: String,
    given: &'static str,
    family: &'static str,
    number: String,
}

const PHYSICIANS: usize = 6;
const NPI: &str = "http://hl7.org/fhir/sid/us-npi";

impl Hospital {
    pub(super) fn new(country: &'static Country, draw: &mut Draw) -> Self {
        let physician = |draw: &mut Draw| {
            let given = if draw.chance(50) { draw.pick(country.women) } else { draw.pick(country.men) };
            let family = draw.pick(country.families);
            // Numbers that begin with 9 are not given to physicians.
            Physician {
                id: draw.uuid(),
                name: format!("Dr. {given} {family}"),
                given,
                family,
                number: format!("99{}", draw.digits(8)),
            }
        };
        let (organization, location) = (draw.uuid(), draw.uuid());
        let physicians = (0..PHYSICIANS).map(|_| physician(draw)).collect();
        Self { country, organization, location, physicians }
    }

    fn system(&self) -> String {
        format!("https://{}/fhir/sid", self.country.domain)
    }

    /// `Organization?identifier=…`: how a chart that comes in another bundle refers to the hospital.
    pub(super) fn organization_reference(&self) -> Node {
        let to = format!("Organization?identifier={}|{}", self.system(), self.organization);
        object! { "reference": to, "display": self.country.hospital }
    }

    pub(super) fn location_reference(&self) -> Node {
        let to = format!("Location?identifier={}|{}", self.system(), self.location);
        object! { "reference": to, "display": self.country.hospital }
    }

    pub(super) fn physician_reference(&self, index: usize) -> Node {
        let physician = &self.physicians[index % self.physicians.len()];
        let to = format!("Practitioner?identifier={NPI}|{}", physician.number);
        object! { "reference": to, "display": physician.name.as_str() }
    }

    /// The entries that create the hospital.
    pub(super) fn entries(&self) -> Vec<Node> {
        let in_us = self.country.jurisdiction == Jurisdiction::US;
        let city = &self.country.cities[0];
        let address = object! {
            "line": [Node::from(format!("1 {}", self.country.streets[0]))],
            "city": city.name,
            "state": city.state,
            "postalCode": city.postal_codes[0],
            "country": self.country.jurisdiction.as_str(),
        };
        let telecom = object! { "system": "phone", "value": format!("{}00", city.telephone) };
        let identifier = |value: &str| Node::from([object! { "system": self.system(), "value": value }]);
        let organization = object! {
            "resourceType": "Organization",
            "id": self.organization.as_str(),
            "meta": in_us.then(|| profile("us-core-organization")),
            "identifier": identifier(&self.organization),
            "active": true,
            "type": [object! { "coding": [coding(
                "http://terminology.hl7.org/CodeSystem/organization-type", ("prov", "Healthcare Provider"),
            )] }],
            "name": self.country.hospital,
            "telecom": [telecom.clone()],
            "address": [address.clone()],
        };
        let location = object! {
            "resourceType": "Location",
            "id": self.location.as_str(),
            "identifier": identifier(&self.location),
            "status": "active",
            "name": self.country.hospital,
            "telecom": [telecom],
            "address": address,
            "managingOrganization": reference(&format!("urn:uuid:{}", self.organization)),
        };
        let practitioners = self.physicians.iter().map(|physician| {
            let resource = object! {
                "resourceType": "Practitioner",
                "id": physician.id.as_str(),
                "meta": in_us.then(|| profile("us-core-practitioner")),
                "identifier": [object! { "system": NPI, "value": physician.number.as_str() }],
                "active": true,
                "name": [object! {
                    "family": physician.family, "given": [Node::from(physician.given)], "prefix": [Node::from("Dr.")],
                }],
            };
            entry(&physician.id, "Practitioner", resource)
        });
        let mut entries = vec![
            entry(&self.organization, "Organization", organization),
            entry(&self.location, "Location", location),
        ];
        entries.extend(practitioners);
        entries
    }
}
