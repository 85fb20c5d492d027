//! Ids of resources from what names a thing in HL7.

use super::concept::{is_oid, urn_safe};
use crate::{Message, Repetition, Segment};
use sha2::{Digest, Sha256};

/// The most identifiers of a patient that are looked at.
const CANDIDATES_MAX: usize = 16;

/// Types of identifiers (HL7 table 0203) by which a patient record is told from others, in order. Others name a person
/// in another role (a driver, a payer's member, an account) and are shared or mistyped more often.
const PATIENT_TYPES: [&str; 6] = ["MR", "PI", "PT", "", "MPI", "EN"];

/// An id in the form of a UUID: the same for the same names, and of no use to who does not know them all.
#[must_use]
pub fn derive(kind: &str, names: &[&str]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"bxp/hl7v2/id/1");
    for name in std::iter::once(&kind).chain(names) {
        hasher.update((name.len() as u64).to_be_bytes());
        hasher.update(name.as_bytes());
    }
    let digest = hasher.finalize();
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    // Version 8 of RFC 9562: a UUID of one's own making.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The system of identifiers that name no assigner: the sending facility of MSH-4, else the application of MSH-3.
pub(crate) fn facility(header: &Segment<'_>) -> String {
    let named = [4, 3].into_iter().find_map(|field| assigner(&header.field(field).first()));
    named.unwrap_or_else(|| "urn:id:unknown".to_owned())
}

/// The URI of an HD (namespace, universal id, its type).
pub(crate) fn assigner(name: &Repetition<'_>) -> Option<String> {
    let (namespace, universal, kind) = (name.component(1), name.component(2), name.component(3));
    let safe = !universal.is_empty() && !universal.contains(char::is_whitespace);
    match kind.as_str() {
        _ if !safe => {}
        "ISO" if is_oid(&universal) => return Some(format!("urn:oid:{universal}")),
        "UUID" | "GUID" => return Some(format!("urn:uuid:{}", urn_safe(&universal.to_lowercase()))),
        "URI" | "URL" if universal.contains(':') => return Some(universal),
        "DNS" => return Some(format!("urn:id:{}", urn_safe(&universal))),
        "" if is_oid(&universal) => return Some(format!("urn:oid:{universal}")),
        _ => {}
    }
    let name = if namespace.is_empty() { universal } else { namespace };
    (!name.is_empty()).then(|| format!("urn:id:{}", urn_safe(&name)))
}

/// The system of a CX: its assigning authority, else its assigning facility, else the sender's facility.
pub(crate) fn cx_system(id: &Repetition<'_>, home: &str) -> String {
    let authority = assigner(&id.nested(4)).or_else(|| assigner(&id.nested(6)));
    authority.unwrap_or_else(|| home.to_owned())
}

/// The ids that the Patient of a PID or MRG may have, the preferred one first: one for each identifier by which a
/// patient is told from others. Nothing where no identifier is there.
pub(crate) fn candidates(segment: &Segment<'_>, fields: &[usize], home: &str) -> Vec<String> {
    let mut ranked = Vec::new();
    for field in fields {
        for id in segment.field(*field).repetitions().take(CANDIDATES_MAX) {
            let (value, kind) = (id.component(1), id.component(5));
            let rank = PATIENT_TYPES.iter().position(|one| *one == kind);
            if !value.is_empty() {
                let name = derive("Patient", &[&cx_system(&id, home), &value]);
                ranked.push((rank.unwrap_or(usize::MAX), ranked.len(), name));
            }
        }
    }
    ranked.sort();
    // Where only identifiers of other types are there, the first one has to do.
    let strong = ranked.iter().filter(|(rank, ..)| *rank < usize::MAX).count().max(1);
    ranked.truncate(strong.min(CANDIDATES_MAX));
    ranked.into_iter().map(|(.., name)| name).collect()
}

/// The ids under which the patients of a message may be known: ask which of them are, and say so in
/// [`Options`](crate::Options), so that a patient who comes with fewer or other identifiers is still the same one.
#[must_use]
pub fn patient_candidates(message: &Message<'_>) -> Vec<String> {
    let home = facility(&message.header());
    let mut all = Vec::new();
    for segment in message.segments() {
        match segment.name {
            "PID" => all.extend(candidates(segment, &[3, 2, 4], &home)),
            "MRG" => all.extend(candidates(segment, &[1, 4], &home)),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn an_id_is_pinned() {
        assert_eq!(derive("Patient", &["urn:oid:1.2", "7"]), derive("Patient", &["urn:oid:1.2", "7"]));
        assert_ne!(derive("Patient", &["urn:oid:1.2", "7"]), derive("Patient", &["urn:oid:1.", "27"]));
        assert_eq!(derive("Patient", &["urn:oid:1.2", "7"]).len(), 36);
    }

    #[test]
    fn the_medical_record_number_names_a_patient_wherever_it_stands() {
        let of = |ids: &str| {
            let text = format!("MSH|^~\\&|A|HOSP|C|D|2020||ADT^A01|1|P|2.5\rPID|1||{ids}");
            patient_candidates(&Message::parse(&text, &Limits::default()).unwrap())
        };
        let first = of("7^^^HOSP^MR~123^^^USSSA^SS");
        assert_eq!((first.len(), of("123^^^USSSA^SS~7^^^HOSP^MR")), (1, first.clone()));
        assert_eq!(of("7^^^^MR"), first, "the sending facility is the assigner");
        assert_ne!(of("7^^^OTHER^MR"), first);
        assert_ne!(of("7^^^HOSP&1.2.3&ISO^MR"), first, "a universal id is more than a name");
        assert_eq!(of("123^^^USSSA^SS").len(), 1);
        assert_eq!(of("9^^^LAB^PI~7^^^HOSP^MR")[0], first[0]);
        assert!(of("").is_empty());
    }
}
