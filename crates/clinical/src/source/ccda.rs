//! C-CDA documents to submissions: each document is one.

use super::{Limits, Place, Submission, parse_json};
use crate::ClinicalError;
use bxp_ccda::{Document, Limits as DocumentLimits, Options, map, patient_candidates};

/// Translates a document to what is made of it in FHIR, with the document itself beside, so that nothing is lost. `known`
/// says whether a Patient of an id is known here.
///
/// # Errors
/// [`ClinicalError::Ccda`] where it is no document that can be read.
pub fn translate_document(
    source_name: &str,
    bytes: &[u8],
    limits: &Limits,
    known: &dyn Fn(&str) -> bool,
) -> Result<Submission, ClinicalError> {
    let wrong = |source| {
        let place = Place { source_name: source_name.to_owned(), line_column: None, position: None };
        ClinicalError::Ccda { place, source: Box::new(source) }
    };
    let document = Document::parse(bytes, &DocumentLimits::default()).map_err(wrong)?;
    let known = patient_candidates(&document).into_iter().filter(|id| known(id)).collect();
    let mapped = map(&document, &Options { known, original: bytes.to_vec() }).map_err(wrong)?;
    let mut submission = parse_json(source_name, mapped.bundle.as_bytes(), limits)?;
    submission.bytes = bytes.len() as u64;
    submission.unmapped = mapped.notes.into_iter().map(|note| (note.path, note.what)).collect();
    Ok(submission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{Mode, validate};
    use proptest::prelude::*;

    const DOCUMENT: &str = include_str!("../../../ccda/tests/fixtures/everything.xml");

    fn translate(bytes: &[u8]) -> Result<Submission, ClinicalError> {
        translate_document("a.xml", bytes, &Limits::default(), &|_| false)
    }

    #[test]
    fn a_document_becomes_valid_resources() {
        let submission = translate(DOCUMENT.as_bytes()).unwrap();
        for entry in &submission.entries {
            let found = validate(entry.resource.expose(), Mode::Strict);
            assert!(found.accepted(), "{:?} of {:?}", found.issues, entry.resource.expose());
        }
        assert_eq!(submission.entries.len(), 39, "one for each entry, person, place and organization");
    }

    #[test]
    fn a_damaged_document_is_refused_without_its_words() {
        let error = translate(&DOCUMENT.as_bytes()[..DOCUMENT.len() / 2]).unwrap_err();
        let ClinicalError::Ccda { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().contains("the XML is damaged"), "{source}");
        assert_eq!(error.to_string(), "a.xml: not a C-CDA document that can be taken; see the cause");
    }

    /// Values of attributes and texts of every kind of nonsense, put in place of what stands in the document.
    fn nonsense() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            Just(" ".to_owned()),
            "[0-9]{1,16}([+-][0-9]{4})?",
            "[A-Za-z0-9 .:/-]{0,16}",
            "(UNK|NI|OTH|MSK|CD|PQ|ST|IVL_PQ|IVL_TS|TS|BL|INT|RTO_PQ_PQ|EVN|INT|RQO|GOL|true)",
            "[^<>&\"\\x00-\\x1f]{0,8}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn whatever_a_document_says_its_resources_are_valid(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), nonsense()), 1..60),
        ) {
            // Every second piece between quotes is an attribute's value; the namespace stays.
            let mut pieces: Vec<String> = DOCUMENT.split('"').map(str::to_owned).collect();
            for (at, text) in changes {
                let at = at.index(pieces.len() / 2) * 2 + 1;
                if !pieces[at].starts_with("urn:hl7-org") && at > 2 && !pieces[at - 1].ends_with("xmlns:xsi=") {
                    pieces[at] = text;
                }
            }
            let Ok(submission) = translate(pieces.join("\"").as_bytes()) else { return Ok(()) };
            for entry in &submission.entries {
                let found = validate(entry.resource.expose(), Mode::Strict);
                prop_assert!(found.accepted(), "{:?} of {:?}", found.issues, entry.resource.expose());
            }
        }

        #[test]
        fn a_document_with_bytes_changed_never_panics(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = DOCUMENT.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = translate(&bytes);
            let _ = translate(&bytes[..cut.index(bytes.len())]);
        }
    }
}
