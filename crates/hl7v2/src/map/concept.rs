//! HL7 v2 table codes to FHIR codes, from `maps/concepts.txt`; and the names of code systems.

use std::{collections::HashMap, sync::LazyLock};

const TABLE: &str = include_str!("../../maps/concepts.txt");
const SYSTEMS: &str = include_str!("../../maps/systems.txt");

static CONCEPTS: LazyLock<HashMap<(&str, &str), Concept>> = LazyLock::new(|| {
    let mut concepts = HashMap::new();
    let (mut map, mut usual) = ("", "");
    for line in TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(head) = line.strip_prefix("> ") {
            (map, usual) = head.split_once(' ').unwrap_or((head, ""));
            continue;
        }
        let mut parts = line.splitn(3, ' ');
        let (Some(from), Some(to)) = (parts.next(), parts.next()) else { continue };
        let (code, system) = to.split_once('@').unwrap_or((to, usual));
        let display = parts.next().unwrap_or_default();
        concepts.entry((map, from)).or_insert(Concept { code, system, display });
    }
    concepts
});

static BY_NAME: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = SYSTEMS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// A FHIR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Concept {
    pub(crate) code: &'static str,
    pub(crate) system: &'static str,
    pub(crate) display: &'static str,
}

/// What a map gives for a v2 code. Codes are looked up as they are, then in capitals.
pub(crate) fn concept(map: &str, code: &str) -> Option<Concept> {
    let upper = code.to_uppercase();
    [code, upper.as_str()].into_iter().find_map(|code| CONCEPTS.get(&(map, code)).copied())
}

/// The URI of a code system by its name in HL7 table 0396; names of no known system become `urn:id:` names.
pub(crate) fn system_uri(name: &str) -> Option<String> {
    let upper = name.trim().to_uppercase();
    if upper.is_empty() {
        return None;
    }
    if let Some(known) = BY_NAME.get(upper.as_str()) {
        return Some((*known).to_owned());
    }
    if let Some(table) = v2_table(&upper) {
        return Some(format!("http://terminology.hl7.org/CodeSystem/v2-{table}"));
    }
    if name.starts_with("http://") || name.starts_with("https://") || name.starts_with("urn:") {
        return (!name.contains(char::is_whitespace)).then(|| name.to_owned());
    }
    if is_oid(name) {
        return Some(format!("urn:oid:{name}"));
    }
    Some(format!("urn:id:{}", urn_safe(name)))
}

/// The URI of a code system by its OID: FHIR's own where there is one.
#[must_use]
pub fn system_of_oid(oid: &str) -> String {
    let known = match oid {
        "2.16.840.1.113883.6.1" => "http://loinc.org",
        "2.16.840.1.113883.6.96" => "http://snomed.info/sct",
        "2.16.840.1.113883.6.88" => "http://www.nlm.nih.gov/research/umls/rxnorm",
        "2.16.840.1.113883.6.90" => "http://hl7.org/fhir/sid/icd-10-cm",
        "2.16.840.1.113883.6.3" => "http://hl7.org/fhir/sid/icd-10",
        "2.16.840.1.113883.6.103" | "2.16.840.1.113883.6.104" => "http://hl7.org/fhir/sid/icd-9-cm",
        "2.16.840.1.113883.6.4" => "http://www.cms.gov/Medicare/Coding/ICD10",
        "2.16.840.1.113883.6.12" => "http://www.ama-assn.org/go/cpt",
        "2.16.840.1.113883.6.285" => "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "2.16.840.1.113883.6.69" => "http://hl7.org/fhir/sid/ndc",
        "2.16.840.1.113883.12.292" => "http://hl7.org/fhir/sid/cvx",
        "2.16.840.1.113883.6.59" => "http://hl7.org/fhir/sid/cvx",
        "2.16.840.1.113883.4.9" => "http://fdasis.nlm.nih.gov",
        "2.16.840.1.113883.3.26.1.1" => "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
        "2.16.840.1.113883.6.101" => "http://nucc.org/provider-taxonomy",
        "2.16.840.1.113883.6.254" => "http://hl7.org/fhir/sid/icf",
        "2.16.840.1.113883.6.8" => "http://unitsofmeasure.org",
        "2.16.840.1.113883.5.4" => "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "2.16.840.1.113883.5.83" => "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
        "2.16.840.1.113883.5.111" => "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
        "2.16.840.1.113883.5.2" => "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
        "2.16.840.1.113883.5.1008" => "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
        "2.16.840.1.113883.5.1076" => "http://terminology.hl7.org/CodeSystem/v3-ReligiousAffiliation",
        "2.16.840.1.113883.5.112" => "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration",
        "" => "",
        _ if is_oid(oid) => return format!("urn:oid:{oid}"),
        _ => return format!("urn:id:{}", urn_safe(oid)),
    };
    known.to_owned()
}

/// The code, system and display that a concept map of HL7 v2 gives for a code.
#[must_use]
pub fn concept_of(map: &str, code: &str) -> Option<(&'static str, &'static str, &'static str)> {
    concept(map, code).map(|found| (found.code, found.system, found.display))
}

/// `HL70005`, `HL7005`, `HL75` name a table.
fn v2_table(upper: &str) -> Option<String> {
    let digits = upper.strip_prefix("HL7")?.trim_start_matches(['-', '_']);
    let usable = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = digits.parse().ok().filter(|_| usable)?;
    (number > 0 && number < 10_000).then(|| format!("{number:04}"))
}

/// Whether a text is a dotted object identifier.
pub(crate) fn is_oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    let first = arcs.next().is_some_and(|arc| matches!(arc, "0" | "1" | "2"));
    let arcs: Vec<&str> = arcs.collect();
    let whole = |arc: &&str| {
        !arc.is_empty()
            && arc.bytes().all(|byte| byte.is_ascii_digit())
            && (*arc == "0" || !arc.starts_with('0'))
    };
    first && !arcs.is_empty() && arcs.iter().all(whole)
}

/// A text as part of a URN: other characters than letters, digits and `-._~` as bytes.
pub(crate) fn urn_safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.trim().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                safe.push(char::from(byte));
            }
            _ => safe.push_str(&format!("%{byte:02X}")),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_with_their_system() {
        let female = concept("AdministrativeSex", "f").unwrap();
        assert_eq!((female.code, female.system), ("female", "http://hl7.org/fhir/administrative-gender"));
        assert_eq!(
            concept("MaritalStatus", "U").unwrap().system,
            "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
        );
        assert_eq!(concept("AdministrativeSex", "X"), None);
        assert_eq!(concept("Nowhere", "F"), None);
    }

    #[test]
    fn systems_are_found_by_name() {
        let table = [
            ("LN", "http://loinc.org"),
            ("SCT", "http://snomed.info/sct"),
            ("HL70005", "http://terminology.hl7.org/CodeSystem/v2-0005"),
            ("HL7005", "http://terminology.hl7.org/CodeSystem/v2-0005"),
            ("1.2.840.1", "urn:oid:1.2.840.1"),
            ("My codes", "urn:id:My%20codes"),
            ("http://a.example/b", "http://a.example/b"),
        ];
        for (name, uri) in table {
            assert_eq!(system_uri(name).as_deref(), Some(uri), "{name}");
        }
        assert_eq!(system_uri(" "), None);
        assert!(
            is_oid("2.16.840") && !is_oid("2.16..1") && !is_oid("3.1") && !is_oid("2.016") && !is_oid("2")
        );
    }
}
