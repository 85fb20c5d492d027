//! Literal references (R4 section 2.3.0): which forms there are.

use super::primitive::is_id;
use crate::fhir::definitions::Definitions;

/// The form of `Reference.reference`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceShape<'a> {
    /// `#id`: a contained resource; `#` alone is the container.
    Contained(&'a str),
    /// `urn:uuid:` or `urn:oid:`: another entry's `fullUrl`.
    Urn(&'a str),
    /// `Type/id`, without the version that may follow.
    Relative {
        /// The resource type.
        resource_type: &'static str,
        /// The logical id.
        id: &'a str,
    },
    /// `http(s)://…/Type/id` or any other absolute URL.
    Absolute(&'a str),
    /// `Type?parameter=…`: a conditional reference of a transaction.
    Conditional {
        /// The resource type.
        resource_type: &'static str,
        /// The search after the question mark.
        search: &'a str,
    },
}

/// The form of a literal reference; nothing if it has none that R4 knows.
#[must_use]
pub fn reference_shape(text: &str) -> Option<ReferenceShape<'_>> {
    if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    if let Some(id) = text.strip_prefix('#') {
        return (id.is_empty() || is_id(id)).then_some(ReferenceShape::Contained(id));
    }
    if text.starts_with("urn:") {
        return (is_uuid(text) || is_oid(text)).then_some(ReferenceShape::Urn(text));
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        return (!text.contains(' ')).then_some(ReferenceShape::Absolute(text));
    }
    let definitions = Definitions::r4();
    if let Some((name, search)) = text.split_once('?') {
        let resource_type = definitions.resource_name(name)?;
        return (!search.is_empty()).then_some(ReferenceShape::Conditional { resource_type, search });
    }
    let mut parts = text.split('/');
    let resource_type = definitions.resource_name(parts.next()?)?;
    let id = parts.next().filter(|id| is_id(id))?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => Some(ReferenceShape::Relative { resource_type, id }),
        (Some("_history"), Some(version), None) if is_id(version) => {
            Some(ReferenceShape::Relative { resource_type, id })
        }
        _ => None,
    }
}

/// `urn:uuid:` and a UUID; Synthea and others also write upper case.
pub(super) fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else { return false };
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    uuid.len() == 36
        && uuid
            .bytes()
            .enumerate()
            .all(|(at, byte)| if hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// `urn:oid:` and an OID.
pub(super) fn is_oid(text: &str) -> bool {
    let Some(oid) = text.strip_prefix("urn:oid:") else { return false };
    let arc = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    let mut parts = oid.split('.');
    parts.next().is_some_and(|root| matches!(root, "0" | "1" | "2")) && oid.contains('.') && parts.all(arc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_are_told_apart() {
        let uuid = "urn:uuid:057aa36e-b892-9964-75b9-ffb46b097e34";
        assert_eq!(reference_shape(uuid), Some(ReferenceShape::Urn(uuid)));
        assert_eq!(reference_shape("#a1"), Some(ReferenceShape::Contained("a1")));
        let relative = ReferenceShape::Relative { resource_type: "Patient", id: "a.b-1" };
        assert_eq!(reference_shape("Patient/a.b-1"), Some(relative));
        assert_eq!(reference_shape("Patient/a.b-1/_history/2"), Some(relative));
        let conditional =
            ReferenceShape::Conditional { resource_type: "Practitioner", search: "identifier=x|1" };
        assert_eq!(reference_shape("Practitioner?identifier=x|1"), Some(conditional));
        assert!(matches!(
            reference_shape("https://a.example/fhir/Patient/1"),
            Some(ReferenceShape::Absolute(_))
        ));
        for wrong in [
            "",
            "Patient",
            "Patient/",
            "Patient/a b",
            "Jane/1",
            "Patient/1/2",
            "urn:uuid:1",
            "urn:oid:9.1",
            "#a b",
            "Patient?",
        ] {
            assert_eq!(reference_shape(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_form_or_none(text in "\\PC{0,60}|(urn:uuid:|#|Patient/)[a-z0-9/?|.-]{0,50}") {
            let _ = reference_shape(&text);
        }
    }
}
