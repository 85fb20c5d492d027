//! Resources drawn from FHIR's definitions: each type with its own elements, as often as records have them.

use bxp_clinical::fhir::definitions::{Definitions, Kind, Primitive, Property, Structure, StructureId};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use std::fmt::Write as _;

const CODE_SYSTEMS: &str = include_str!("../../../privacy/rules/code-systems.txt");
const US_CORE: &str = include_str!("../../data/us-core-6.1.txt");

/// How many resources of a type are drawn, beside three of each other one.
const OFTEN: [(&str, usize); 26] = [
    ("Observation", 600),
    ("ExplanationOfBenefit", 180),
    ("Claim", 150),
    ("Encounter", 180),
    ("Procedure", 180),
    ("DiagnosticReport", 150),
    ("Condition", 150),
    ("MedicationRequest", 120),
    ("DocumentReference", 90),
    ("Immunization", 75),
    ("Patient", 75),
    ("CareTeam", 45),
    ("CarePlan", 45),
    ("Coverage", 45),
    ("ServiceRequest", 45),
    ("MedicationAdministration", 30),
    ("AllergyIntolerance", 30),
    ("Device", 30),
    ("ImagingStudy", 30),
    ("Practitioner", 30),
    ("PractitionerRole", 30),
    ("Organization", 30),
    ("Location", 30),
    ("Specimen", 30),
    ("Appointment", 30),
    ("SupplyDelivery", 30),
];
/// Elements that most records have.
const USUAL: &str = " id meta status code subject patient encounter category effective[x] issued value[x] identifier period class \
    type participant location serviceProvider item diagnosis insurance billablePeriod created provider total onset[x] \
    clinicalStatus verificationStatus recordedDate performed[x] text name address telecom occurrence[x] vaccineCode \
    medication[x] authoredOn requester dosageInstruction intent use priority careTeam adjudication facility recorded agent \
    content author context date result component interpretation referenceRange gender birthDate ";
/// Elements that hardly any record has.
const RARE: &str = " contained implicitRules language modifierExtension ";
const WORDS: [&str; 14] = [
    "Encounter for problem (procedure)",
    "Body Height",
    "Hypertension (disorder)",
    "General examination of patient (procedure)",
    "Body mass index (BMI) [Ratio]",
    "Laboratory",
    "Vital signs",
    "Outpatient",
    "Blood pressure panel",
    "Acetaminophen 325 MG Oral Tablet",
    "Influenza, seasonal, injectable, preservative free",
    "Hospital",
    "Cholesterol [Mass/volume] in Serum or Plasma",
    "Observation of finding",
];
const UNITS: [&str; 12] =
    ["mg/dL", "mm[Hg]", "kg", "cm", "%", "/min", "kg/m2", "mmol/L", "10*3/uL", "{score}", "g/dL", "U/L"];
const REFERRED: [&str; 6] = ["Patient", "Encounter", "Practitioner", "Organization", "Patient", "Location"];
const DEPTH_MAX: usize = 5;

/// Draws.
pub(crate) struct Drawn {
    random: ChaCha20Rng,
    systems: Vec<(&'static str, Vec<&'static str>)>,
}

impl Drawn {
    pub(crate) fn new(seed: u64) -> Self {
        let lines = CODE_SYSTEMS.lines().filter(|line| line.starts_with("http"));
        let systems = lines.filter_map(|line| {
            let (system, rest) = line.split_once("  ")?;
            Some((system, rest.strip_prefix("codes ").unwrap_or_default().split(' ').collect()))
        });
        Self { random: ChaCha20Rng::seed_from_u64(seed), systems: systems.collect() }
    }

    /// Texts of resources.
    pub(crate) fn resources(&mut self) -> Vec<String> {
        let definitions = Definitions::r4();
        let mut texts = Vec::new();
        for name in definitions.resource_names() {
            let count = OFTEN.iter().find(|(often, _)| *often == name).map_or(3, |(_, count)| *count);
            let Some(id) = definitions.resource(name) else { continue };
            for _ in 0..count {
                let mut out = format!("{{\"resourceType\":\"{name}\"");
                self.members(&mut out, id, 0, true);
                out.push('}');
                texts.push(out);
            }
        }
        texts
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.next_u64() % bound.max(1) as u64).unwrap_or(0)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        let last = low & 0xffff_ffff_ffff;
        format!(
            "{:08x}-{:04x}-4{:03x}-9{:03x}-{last:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52
        )
    }

    fn time(&mut self) -> String {
        let zone = ["-04:00", "-05:00", "+01:00", "Z"][self.below(4)];
        let (year, month, day) = (1950 + self.below(76), 1 + self.below(12), 1 + self.below(28));
        let (hour, minute, second) = (self.below(24), self.below(60), self.below(60));
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
    }

    /// The members of a structure, each with a comma before it; without `first` the first has none.
    fn members(&mut self, out: &mut String, id: StructureId, depth: usize, mut comma: bool) {
        let structure = Definitions::r4().structure(id);
        for (index, element) in structure.elements.iter().enumerate() {
            if !self.takes(structure, index, element, depth) {
                continue;
            }
            let Some((name, property)) = self.choice(structure, index) else { continue };
            let mut value = String::new();
            match name {
                "id" => {
                    let _ = write!(value, "\"{}\"", self.uuid());
                }
                _ => self.value(&mut value, structure.name, property, depth),
            }
            if value.is_empty() {
                continue;
            }
            if property.repeats {
                value = format!("[{value}]");
            }
            let separator = if std::mem::replace(&mut comma, true) { "," } else { "" };
            let _ = write!(out, "{separator}\"{name}\":{value}");
        }
    }

    fn takes(&mut self, structure: &Structure, index: usize, element: &str, depth: usize) -> bool {
        let among = |list: &str| list.split(' ').any(|one| one == element);
        let inner_id = !structure.is_resource && matches!(element, "id" | "extension");
        let percent = if structure.required.contains(&index) {
            100
        } else if among(RARE) {
            0
        } else if inner_id {
            2
        } else if among(USUAL) {
            75
        } else {
            10
        };
        self.chance(if depth > 2 && percent < 100 { percent / 3 } else { percent })
    }

    /// One property of an element: of a choice, most often a time or a quantity.
    fn choice<'a>(&mut self, structure: &'a Structure, index: usize) -> Option<(&'static str, &'a Property)> {
        let of_element = structure.properties.iter().filter(|(_, property)| property.element == index);
        let mut properties: Vec<_> = of_element.map(|(name, property)| (*name, property)).collect();
        properties.sort_by_key(|(name, _)| *name);
        let usual =
            |name: &str| ["DateTime", "Quantity", "CodeableConcept"].iter().any(|end| name.ends_with(end));
        if properties.len() > 1 && self.chance(80) && properties.iter().any(|(name, _)| usual(name)) {
            properties.retain(|(name, _)| usual(name));
        }
        let chosen = self.below(properties.len());
        properties.get(chosen).copied()
    }

    fn value(&mut self, out: &mut String, owner: &str, property: &Property, depth: usize) {
        match &property.kind {
            Kind::Primitive(primitive, codes) => self.primitive(out, *primitive, *codes),
            Kind::Structure(id) => {
                let name = Definitions::r4().structure(*id).name;
                if !self.datatype(out, owner, name) && depth < DEPTH_MAX {
                    out.push('{');
                    self.members(out, *id, depth + 1, false);
                    out.push('}');
                    if out == "{}" {
                        out.clear();
                    }
                }
            }
            Kind::Resource => {}
        }
    }

    fn primitive(&mut self, out: &mut String, primitive: Primitive, codes: Option<&'static str>) {
        if let Some(codes) = codes {
            let codes: Vec<_> = codes.split(',').collect();
            let code = codes[self.below(codes.len())];
            let _ = write!(out, "\"{code}\"");
            return;
        }
        let text = match primitive {
            Primitive::Boolean => return out.push_str(if self.chance(50) { "true" } else { "false" }),
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
                let _ = write!(out, "{}", 1 + self.below(9));
                return;
            }
            Primitive::Decimal => {
                let _ = write!(out, "{}.{}", self.below(300), self.below(100));
                return;
            }
            Primitive::Id | Primitive::Uuid => self.uuid(),
            Primitive::Date => self.time()[..10].to_owned(),
            Primitive::DateTime | Primitive::Instant => self.time(),
            Primitive::Canonical => {
                "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient".to_owned()
            }
            Primitive::Code => "en-US".to_owned(),
            Primitive::Uri | Primitive::Url | Primitive::Oid => format!("urn:uuid:{}", self.uuid()),
            Primitive::Time => "10:11:12".to_owned(),
            Primitive::Base64Binary => "CjIwMTEt".to_owned(),
            Primitive::Xhtml => {
                r#"<div xmlns=\"http://www.w3.org/1999/xhtml\">"#.to_owned() + self.word() + "</div>"
            }
            Primitive::String | Primitive::Markdown => self.word().to_owned(),
        };
        let _ = write!(out, "\"{text}\"");
    }

    /// The data types that records write alike; false for another.
    fn datatype(&mut self, out: &mut String, owner: &str, name: &str) -> bool {
        let written = match name {
            "CodeableConcept" => {
                let (coding, word) = (self.coding(), self.word());
                write!(out, "{{\"coding\":[{coding}],\"text\":\"{word}\"}}")
            }
            "Coding" => write!(out, "{}", self.coding()),
            "Reference" => {
                let (kind, id) = (REFERRED[self.below(REFERRED.len())], self.uuid());
                match self.below(4) {
                    0 => write!(out, "{{\"reference\":\"{kind}/{id}\"}}"),
                    1 => write!(out, "{{\"reference\":\"urn:uuid:{id}\",\"display\":\"{}\"}}", self.word()),
                    2 => write!(
                        out,
                        "{{\"reference\":\"{kind}?identifier=http://hl7.org/fhir/sid/us-npi|99999{}\"}}",
                        10_000 + self.below(89_999)
                    ),
                    _ => write!(out, "{{\"reference\":\"urn:uuid:{id}\"}}"),
                }
            }
            "Period" => write!(out, "{{\"start\":\"{}\",\"end\":\"{}\"}}", self.time(), self.time()),
            "Quantity" => {
                let unit = UNITS[self.below(UNITS.len())];
                let (whole, part) = (self.below(300), self.below(100));
                write!(
                    out,
                    "{{\"value\":{whole}.{part},\"unit\":\"{unit}\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"{unit}\"}}"
                )
            }
            "Money" => {
                write!(out, "{{\"value\":{}.{:02},\"currency\":\"USD\"}}", self.below(900), self.below(100))
            }
            "Meta" => self.meta(out, owner),
            "Identifier" => {
                let system =
                    ["urn:ietf:rfc:3986", "http://hl7.org/fhir/sid/us-npi", "https://example.org/ids"]
                        [self.below(3)];
                write!(out, "{{\"system\":\"{system}\",\"value\":\"{}\"}}", self.uuid())
            }
            _ => return false,
        };
        written.is_ok()
    }

    fn meta(&mut self, out: &mut String, owner: &str) -> std::fmt::Result {
        let profiles = US_CORE.lines().filter_map(|line| line.strip_prefix("> ")?.split_once(' '));
        let names: Vec<_> = profiles.filter(|(_, kind)| *kind == owner).map(|(name, _)| name).collect();
        match names.get(self.below(names.len())) {
            Some(name) => {
                write!(out, "{{\"profile\":[\"http://hl7.org/fhir/us/core/StructureDefinition/{name}\"]}}")
            }
            None => Ok(()),
        }
    }

    fn coding(&mut self) -> String {
        let usual = self.chance(55);
        let chosen = if usual { self.below(5) } else { self.below(self.systems.len()) };
        let (system, codes) = &self.systems[chosen];
        let (system, codes) = (*system, codes.clone());
        let code = match codes.as_slice() {
            [] | [""] if system.contains("loinc") => {
                format!("{}-{}", 1_000 + self.below(98_000), self.below(10))
            }
            [] | [""] if system.contains("icd-10") => {
                format!("{}{:02}.{}", ["I", "E", "J", "Z"][self.below(4)], self.below(100), self.below(100))
            }
            [] | [""] => format!("{}", 10_000_000 + self.below(900_000_000)),
            codes => codes[self.below(codes.len())].to_owned(),
        };
        format!("{{\"system\":\"{system}\",\"code\":\"{code}\",\"display\":\"{}\"}}", self.word())
    }
}
