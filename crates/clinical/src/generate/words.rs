//! FHIR's small recurring pieces: codings, quantities, references, entries of a transaction.

use super::node::{Node, object};

pub(super) const SNOMED: &str = "http://snomed.info/sct";
pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
pub(super) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
pub(super) const CVX: &str = "http://hl7.org/fhir/sid/cvx";
pub(super) const HL7: &str = "http://terminology.hl7.org/CodeSystem";

/// A code with its display, as tables of this module hold them.
pub(super) type Coded = (&'static str, &'static str);

pub(super) fn coding(system: &str, (code, display): Coded) -> Node {
    object! { "system": system, "code": code, "display": display }
}

pub(super) fn concept(system: &str, coded: Coded) -> Node {
    object! { "coding": [coding(system, coded)], "text": coded.1 }
}

/// A concept of one of HL7's own code systems, without text.
pub(super) fn hl7_concept(system: &str, code: &str) -> Node {
    object! { "coding": [object! { "system": format!("{HL7}/{system}"), "code": code }] }
}

/// A quantity in UCUM: `value` / 10^`decimals`.
pub(super) fn quantity(value: i32, decimals: usize, unit: &str, code: &str) -> Node {
    object! { "value": Node::decimal(value, decimals), "unit": unit, "system": UCUM, "code": code }
}

pub(super) fn reference(to: &str) -> Node {
    object! { "reference": to }
}

pub(super) fn named_reference(to: &str, display: &str) -> Node {
    object! { "reference": to, "display": display }
}

pub(super) fn profile(name: &str) -> Node {
    object! { "profile": [Node::from(format!("http://hl7.org/fhir/us/core/StructureDefinition/{name}"))] }
}

/// An entry of a transaction that creates `resource`.
pub(super) fn entry(id: &str, kind: &str, resource: Node) -> Node {
    object! {
        "fullUrl": format!("urn:uuid:{id}"),
        "resource": resource,
        "request": object! { "method": "POST", "url": kind },
    }
}

pub(super) fn transaction(entries: Vec<Node>) -> String {
    let mut text = String::new();
    object! { "resourceType": "Bundle", "type": "transaction", "entry": entries }.write(&mut text);
    text
}

/// Standard base64 with padding (RFC 4648 section 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let index = (group >> (18 - 6 * position)) as usize & 63;
            out.push(if position > chunk.len() { '=' } else { char::from(ALPHABET[index]) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
