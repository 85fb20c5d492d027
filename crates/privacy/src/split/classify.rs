//! Which of the eighteen identifiers a removed element is counted as.

use crate::{
    IdentifierKind, Removed,
    rules::{Name, RemovedAs, Rules},
    tape::Element,
};

/// Counts a removed member; a list counts once for each of its elements.
pub(super) fn count(rules: &Rules, removed: &mut Removed, name: Name, value: Element<'_>) {
    let kind = rules.names.removed_as(name);
    match value.array() {
        Some(array) => array.for_each(|element| removed.add(kind_of(kind, element), 1)),
        None => removed.add(kind_of(kind, value), 1),
    }
}

fn kind_of(removed_as: RemovedAs, value: Element<'_>) -> IdentifierKind {
    match removed_as {
        RemovedAs::Kind(kind) => kind,
        RemovedAs::Telecom => telecom(value),
        RemovedAs::Identifier => identifier(value),
    }
}

/// By ContactPoint.system (hl7.org/fhir/R4/valueset-contact-point-system.html).
fn telecom(contact_point: Element<'_>) -> IdentifierKind {
    match contact_point.object().and_then(|object| object.get_str(Name::SYSTEM)).as_deref() {
        Some("phone" | "sms" | "pager") => IdentifierKind::Telephone,
        Some("fax") => IdentifierKind::Fax,
        Some("email") => IdentifierKind::Email,
        Some("url") => IdentifierKind::Url,
        _ => IdentifierKind::Other,
    }
}

/// By Identifier.type (HL7 v2 table 0203), then by the naming system.
fn identifier(identifier: Element<'_>) -> IdentifierKind {
    let Some(identifier) = identifier.object() else { return by_system("") };
    let codings = identifier.get(Name::TYPE).and_then(|kind| kind.object()?.get(Name::CODING)?.array());
    let codes = codings.into_iter().flatten();
    let by_type = codes.filter_map(|coding| by_type_code(&coding.object()?.get_str(Name::CODE)?)).next();
    by_type.unwrap_or_else(|| by_system(&identifier.get_str(Name::SYSTEM).unwrap_or_default()))
}

fn by_type_code(code: &str) -> Option<IdentifierKind> {
    Some(match code {
        "SS" | "SB" => IdentifierKind::SocialSecurityNumber,
        "MR" | "MRT" | "PI" | "PT" => IdentifierKind::MedicalRecordNumber,
        "MB" | "MA" | "MC" | "SN" | "HC" | "NI" | "JHN" | "GN" => IdentifierKind::HealthPlanNumber,
        "AN" | "BA" | "BC" | "AM" | "DI" | "VN" => IdentifierKind::AccountNumber,
        "DL" | "MD" | "DO" | "DN" | "LN" | "RN" | "LICN" | "PPN" | "NPI" | "DEA" | "PRN" => {
            IdentifierKind::LicenseNumber
        }
        "VIN" | "LP" => IdentifierKind::Vehicle,
        "UDI" | "SNO" | "SERNO" => IdentifierKind::Device,
        "IP" => IdentifierKind::IpAddress,
        _ => return None,
    })
}

fn by_system(system: &str) -> IdentifierKind {
    match system {
        "http://hl7.org/fhir/sid/us-ssn" => IdentifierKind::SocialSecurityNumber,
        "http://hl7.org/fhir/sid/us-npi" => IdentifierKind::LicenseNumber,
        "http://hl7.org/fhir/sid/us-mbi" | "http://fhir.de/sid/gkv/kvid-10" => {
            IdentifierKind::HealthPlanNumber
        }
        _ => IdentifierKind::Other,
    }
}
