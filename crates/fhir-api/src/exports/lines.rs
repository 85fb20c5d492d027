//! The rows of an export's files:
//!
//! ```text
//! key    id (32 hexadecimal digits) || number of the resource type (u16 BE) || number of the row (u32 BE)
//! row    a line after the other
//! line   record (16) || subject (16) || version (u32 BE) || length of the id (u8) || id
//! ```
//!
//! The number of a resource type is its place in R4's list of them, which does not change.

use bxp_fhir_store::{Kind, Parameters, Resource};

/// Lines of one row, which are read, accounted for and sent together.
pub(crate) const LINES_PER_ROW: usize = 500;

/// A version that an export gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) record: [u8; 16],
    pub(crate) subject: [u8; 16],
    pub(crate) version: u32,
    pub(crate) id: String,
}

impl Line {
    /// The line of a resource; none for a deletion.
    pub(super) fn of(resource: &Resource) -> Option<Self> {
        let record = resource.record?.0;
        let version = u32::try_from(resource.version).ok()?;
        Some(Self { record, subject: resource.subject.0, version, id: resource.id.clone() })
    }

    pub(super) fn write(lines: &[Self]) -> Vec<u8> {
        let mut row = Vec::new();
        for line in lines {
            row.extend_from_slice(&line.record);
            row.extend_from_slice(&line.subject);
            row.extend_from_slice(&line.version.to_be_bytes());
            // Ids of FHIR have at most 64 characters.
            row.push(u8::try_from(line.id.len()).unwrap_or(u8::MAX));
            row.extend_from_slice(line.id.as_bytes());
        }
        row
    }

    pub(super) fn read(mut row: &[u8]) -> Option<Vec<Self>> {
        let mut lines = Vec::new();
        while !row.is_empty() {
            let (record, rest) = row.split_first_chunk::<16>()?;
            let (subject, rest) = rest.split_first_chunk::<16>()?;
            let (version, rest) = rest.split_first_chunk::<4>()?;
            let (length, rest) = rest.split_first()?;
            let (id, rest) = rest.split_at_checked(usize::from(*length))?;
            let id = std::str::from_utf8(id).ok()?.to_owned();
            lines.push(Self {
                record: *record,
                subject: *subject,
                version: u32::from_be_bytes(*version),
                id,
            });
            row = rest;
        }
        Some(lines)
    }
}

/// The number of a resource type.
pub(super) fn number_of(kind: &str) -> Option<u16> {
    Parameters::r4().kind(kind).map(Kind::number)
}

/// The key of a row.
pub(super) fn key(id: &str, kind: &str, number: u32) -> Option<Vec<u8>> {
    let kind = number_of(kind)?.to_be_bytes();
    Some([id.as_bytes(), kind.as_slice(), &number.to_be_bytes()].concat())
}

/// The number of the resource type in a key.
pub(super) fn kind_of(key: &[u8]) -> Option<u16> {
    let (rest, _) = key.split_last_chunk::<4>()?;
    rest.last_chunk::<2>().map(|kind| u16::from_be_bytes(*kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str) -> Line {
        Line { record: [1; 16], subject: [2; 16], version: 3, id: id.to_owned() }
    }

    #[test]
    fn the_form_is_pinned() {
        let row = Line::write(&[line("a"), line("bc")]);
        let one = [&[1_u8; 16][..], &[2; 16], b"\0\0\0\x03\x01a"].concat();
        let two = [&[1_u8; 16][..], &[2; 16], b"\0\0\0\x03\x02bc"].concat();
        assert_eq!(row, [one, two].concat());
        assert_eq!(Line::read(&row), Some(vec![line("a"), line("bc")]));
        assert_eq!(Line::read(&row[..row.len() - 1]), None);
        assert_eq!(Line::read(&[]), Some(Vec::new()));
        let key = key(&"0".repeat(32), "Patient", 7).unwrap();
        assert_eq!((key.len(), kind_of(&key)), (38, number_of("Patient")));
        assert!(key.ends_with(b"\0\0\0\x07") && number_of("Spaceship").is_none());
    }
}
