//! C-CDA documents and what is made of them.

use bxp_ccda::{Document, Limits, Options, map, patient_candidates};

/// A document becomes a Bundle that our own FHIR reader takes, or an error.
pub(crate) fn document(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes, &Limits::default()) else { return };
    let _ = patient_candidates(&document);
    let options = Options { original: bytes.to_vec(), ..Options::default() };
    let Ok(mapped) = map(&document, &options) else { return };
    let limits = bxp_clinical::source::Limits::default();
    let read = bxp_clinical::source::parse_json("mapped", mapped.bundle.as_bytes(), &limits);
    assert!(read.is_ok(), "what is made of a document is FHIR");
}

/// A document with every section, and its sections one by one.
pub(crate) fn documents() -> Vec<Vec<u8>> {
    let whole = include_str!("../../../../crates/ccda/tests/fixtures/everything.xml");
    let Some((head, body)) = whole.split_once("<component>") else { return vec![whole.into()] };
    let sections = body.split("<component>").skip(1).map(|section| {
        let section = section.split("</component>").next().unwrap_or_default();
        format!(
            "{head}<component><structuredBody><component>{section}</component></structuredBody></component></ClinicalDocument>"
        )
    });
    std::iter::once(whole.to_owned()).chain(sections).map(String::into_bytes).collect()
}
