//! Hostile documents: nothing panics, everything is bounded, nothing of a value is told.

use bxp_ccda::{CcdaError, Document, Limits, Options, map};
use proptest::prelude::*;

const DOCUMENT: &str = include_str!("../fixtures/everything.xml");

fn taken(bytes: &[u8]) -> Result<bxp_ccda::Mapped, CcdaError> {
    let document = Document::parse(bytes, &Limits::default())?;
    map(&document, &Options { original: bytes.to_vec(), ..Options::default() })
}

#[test]
fn two_patients_and_none_are_refused() {
    let start = DOCUMENT.find("<recordTarget>").unwrap();
    let end = DOCUMENT.find("</recordTarget>").unwrap() + "</recordTarget>".len();
    let none = [&DOCUMENT[..start], &DOCUMENT[end..]].concat();
    let two = [&DOCUMENT[..end], &DOCUMENT[start..]].concat();
    for text in [none, two] {
        let error = taken(text.as_bytes()).unwrap_err();
        assert!(matches!(error, CcdaError::NotCcda(_)), "{error}");
    }
}

#[test]
fn many_references_to_one_text_do_not_make_a_small_document_large() {
    let observation = "<entry><observation moodCode=\"EVN\"><code nullFlavor=\"UNK\"><originalText><reference value=\"#long\"/></originalText></code></observation></entry>";
    let section = format!(
        "<component><section><code code=\"29762-2\"/><text><paragraph ID=\"long\">{}</paragraph></text>{}</section></component></structuredBody>",
        "word ".repeat(2_000),
        observation.repeat(20_000)
    );
    let text = DOCUMENT.replace("</structuredBody>", &section);
    let mapped = taken(text.as_bytes()).unwrap();
    // The document itself goes along as base64, of the repeated text 8 MiB, and a resource has its own few hundred bytes.
    assert!(
        mapped.bundle.len() < (8 << 20) + text.len() * 2 + 20_000 * 700,
        "{} of {}",
        mapped.bundle.len(),
        text.len()
    );
    assert!(mapped.notes.iter().any(|note| note.what.contains("more text of the narrative")));
}

#[test]
fn names_of_a_senders_making_are_not_repeated() {
    let text = DOCUMENT.replace("<realmCode code=\"US\"/>", "<JaneDoe value=\"Plantedname\"><x/></JaneDoe>");
    let mapped = taken(text.as_bytes()).unwrap();
    let said = format!("{:?}", mapped.notes);
    assert!(said.contains("\"element\"") && !said.contains("JaneDoe") && !said.contains("Planted"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn pieces_of_a_document_in_any_order_never_panic(
        order in proptest::collection::vec(any::<proptest::sample::Index>(), 1..200),
    ) {
        let pieces: Vec<&str> = DOCUMENT.split_inclusive('\n').collect();
        let mut text = DOCUMENT[..DOCUMENT.find("<component>").unwrap()].to_owned();
        order.iter().for_each(|at| text.push_str(pieces[at.index(pieces.len())]));
        let _ = taken(text.as_bytes());
    }

    #[test]
    fn leaving_out_elements_without_content_never_fails(
        gone in proptest::collection::vec(any::<proptest::sample::Index>(), 1..120),
    ) {
        let mut lines: Vec<&str> = DOCUMENT.lines().collect();
        for at in gone {
            let at = at.index(lines.len());
            if lines[at].ends_with("/>") {
                lines[at] = "";
            }
        }
        let mapped = taken(lines.join("\n").as_bytes()).unwrap();
        prop_assert!(mapped.resources > 10);
    }
}
