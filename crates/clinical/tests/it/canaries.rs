//! An identifier in every string-like field of every resource type of FHIR R4, generated from the definitions: none
//! leaves, under no profile.

use bxp_clinical::fhir::definitions::{Definitions, Kind, Primitive, Property, StructureId};
use bxp_privacy::{DAY_OFFSET_URL, DayAnchor, Profile, SplitContext, join, release, split};
use sonic_rs::Value;
use std::{cell::RefCell, collections::BTreeMap, collections::BTreeSet, fmt::Write as _};

/// Types nest this deep below a resource; what recurs below is of the same types again.
const DEPTH_MAX: usize = 4;
/// The first plants in every field; in the others each field that has a rightful value has it half of the time, so that
/// a plant stands among neighbours that let an object through.
const VARIANTS: u32 = 4;
/// What every planted text contains.
const MARK: &str = "Zq0";
/// Planted numbers begin here: longer than any that may leave.
const NUMBER: u64 = 80_000_000;

struct Planter {
    variant: u32,
    /// Fields planted so far, over all resources: the number makes each plant another one.
    planted: u64,
    fields: BTreeSet<String>,
}

impl Planter {
    fn resource(&mut self, name: &str, id: StructureId) -> String {
        let mut out = format!(r#"{{"resourceType":"{name}""#);
        self.members(&mut out, id, name, 0);
        out.push('}');
        out
    }

    fn members(&mut self, out: &mut String, id: StructureId, path: &str, depth: usize) {
        let structure = Definitions::r4().structure(id);
        let properties: BTreeMap<_, _> = structure.properties.iter().collect();
        for (name, property) in properties {
            let path = format!("{path}.{name}");
            let Some(text) = self.value(structure.name, name, property, &path, depth) else { continue };
            let text = if property.repeats { format!("[{text}]") } else { text };
            let comma = if out.ends_with('{') { "" } else { "," };
            let _ = write!(out, r#"{comma}"{name}":{text}"#);
            if let (Kind::Primitive(..), false) = (&property.kind, *name == "id") {
                let (key, value) = (self.plant(&path), self.plant(&path));
                let sibling =
                    format!(r#"{{"id":"{key}","extension":[{{"url":"{key}","valueString":"{value}"}}]}}"#);
                let sibling = if property.repeats { format!("[{sibling}]") } else { sibling };
                let _ = write!(out, r#","_{name}":{sibling}"#);
            }
        }
    }

    fn value(
        &mut self,
        owner: &str,
        name: &str,
        property: &Property,
        path: &str,
        depth: usize,
    ) -> Option<String> {
        match &property.kind {
            Kind::Primitive(primitive, codes) => Some(self.primitive(owner, name, *primitive, *codes, path)),
            Kind::Structure(_) if depth >= DEPTH_MAX => None,
            // Every type has extensions, and an extension holds every type: below the resource they are short.
            Kind::Structure(id) if depth > 0 && Definitions::r4().structure(*id).name == "Extension" => {
                let (url, value) = (self.plant(path), self.plant(path));
                Some(format!(r#"{{"url":"{url}","valueString":"{value}"}}"#))
            }
            Kind::Structure(id) => {
                let mut out = String::from("{");
                self.members(&mut out, *id, path, depth + 1);
                out.push('}');
                Some(out)
            }
            Kind::Resource => {
                let (id, family) = (self.plant(path), self.plant(path));
                Some(format!(
                    r#"{{"resourceType":"Patient","id":"{id}","gender":"{family}","birthDate":"1987-11-23","name":[{{"family":"{family}"}}]}}"#
                ))
            }
        }
    }

    fn primitive(
        &mut self,
        owner: &str,
        name: &str,
        primitive: Primitive,
        codes: Option<&str>,
        path: &str,
    ) -> String {
        if let Some(rightful) = rightful(owner, name, codes)
            && self.variant > 0
            && chance(path, self.variant)
        {
            return format!("\"{rightful}\"");
        }
        match primitive {
            Primitive::Boolean => "true".to_owned(),
            Primitive::Decimal | Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
                self.note(path);
                (NUMBER + self.planted).to_string()
            }
            Primitive::Date | Primitive::DateTime if self.variant % 2 == 1 => "\"1987-11-23\"".to_owned(),
            Primitive::DateTime | Primitive::Instant if self.variant == 2 => {
                "\"1987-11-23T10:11:12Z\"".to_owned()
            }
            _ => format!("\"{}\"", self.plant(path)),
        }
    }

    /// An identifier that nothing else has.
    fn plant(&mut self, path: &str) -> String {
        self.note(path);
        format!("{MARK}{:07}", self.planted)
    }

    fn note(&mut self, path: &str) {
        self.planted += 1;
        if !self.fields.contains(path) {
            self.fields.insert(path.to_owned());
        }
    }
}

/// Half of the time, for each variant another half. FNV-1a over the path.
fn chance(path: &str, variant: u32) -> bool {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(variant);
    let hash = path.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    hash >> 40 & 1 == 1
}

/// A value that an honest sender writes there, where that decides on the neighbours.
fn rightful<'a>(owner: &str, name: &str, codes: Option<&'a str>) -> Option<&'a str> {
    match (owner, name) {
        ("Coding", "system") => Some("http://loinc.org"),
        ("Coding", "code") => Some("8302-2"),
        (_, "system") if is_quantity(owner) => Some("http://unitsofmeasure.org"),
        (_, "code" | "unit") if is_quantity(owner) => Some("mg"),
        ("Address", "country") => Some("US"),
        ("Address", "state") => Some("MA"),
        ("Address", "postalCode") => Some("02138"),
        ("Reference", "reference") => Some("Patient/1"),
        ("Reference", "type") => Some("Patient"),
        ("Extension", "url") => Some("http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"),
        ("Meta", "profile") => Some("http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"),
        _ => codes.and_then(|codes| codes.split(',').next()),
    }
}

fn is_quantity(owner: &str) -> bool {
    ["Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity"].contains(&owner)
}

/// Whether a planted number stands in `text`.
fn has_planted_number(text: &str) -> bool {
    text.split(|one: char| !one.is_ascii_digit()).any(|digits| digits.len() == 8 && digits.starts_with("80"))
}

#[test]
fn no_planted_identifier_leaves_from_any_field_of_any_resource_type() {
    let names = RefCell::new(BTreeMap::new());
    let mapping = |original: &str| {
        let mut names = names.borrow_mut();
        let next = names.len();
        Some(format!("Patient/p{}", names.entry(original.to_owned()).or_insert(next)))
    };
    let context = SplitContext { mapping: &mapping, now_year: 2026 };
    let mut planter = Planter { variant: 0, planted: 0, fields: BTreeSet::new() };
    let (mut types, mut offsets, mut kept) = (0, 0, 0);
    for name in Definitions::r4().resource_names() {
        types += 1;
        for variant in 0..VARIANTS {
            planter.variant = variant;
            let before = planter.planted;
            let text = planter.resource(name, Definitions::r4().resource(name).unwrap());
            let resource: Value = sonic_rs::from_str(&text).unwrap();
            assert_eq!(text.matches(MARK).count() > 0, planter.planted > before, "{name}");
            let sides = split(&resource, &context).unwrap();
            let whole = join(sides.identity.expose(), &sides.deidentified).unwrap();
            assert!(sonic_rs::to_string(&whole).unwrap() == text, "both sides of {name} give it back");
            let anchor = DayAnchor::from_random(u64::from(variant) * 31);
            for profile in
                [Profile::SafeHarbor, Profile::ExpertDetermination(anchor), Profile::LimitedDataSet]
            {
                let left = release(sides.identity.expose(), &sides.deidentified, &profile).unwrap();
                let left = String::from_utf8(left).unwrap();
                let about = format!("{name}, variant {variant}, {}", profile.name());
                assert!(!left.contains(MARK), "{about}: {}", around(&left, MARK));
                assert!(!has_planted_number(&left), "{about}: {left}");
                let whole_date = left.contains("-11-23");
                assert!(!whole_date || profile == Profile::LimitedDataSet, "{about}");
                offsets += left.matches(DAY_OFFSET_URL).count();
                kept += usize::from(whole_date);
            }
        }
        names.borrow_mut().clear();
    }
    println!("{types} types, {} fields, {} planted", planter.fields.len(), planter.planted);
    assert_eq!(types, 146);
    assert!(planter.fields.len() > 10_000, "{} fields", planter.fields.len());
    // The other profiles give back what they may, so an empty answer would be noticed.
    assert!(offsets > 100 && kept > 50, "{offsets} offsets, {kept} resources with whole dates");
}

/// The text near what should not be there, which is planted and so may be shown.
fn around<'a>(text: &'a str, mark: &str) -> &'a str {
    let at = text.find(mark).unwrap_or(0);
    text.get(at.saturating_sub(120)..(at + 40).min(text.len())).unwrap_or(text)
}
