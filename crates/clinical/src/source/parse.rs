//! JSON text to submissions. Decimals keep their digits; damage is named by place, never by content.

use super::{
    Entry, Limits, NDJSON_RESOURCES, Place, Position, Refusal, Submission,
    scan::{Form, scan},
};
use crate::{
    ClinicalError,
    fhir::{
        definitions::Definitions,
        element::{child, resource_type, text},
    },
};
use bxp_types::Phi;
use memchr::memchr_iter;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// Parses a Bundle (transaction, batch, collection, searchset) or a single resource.
///
/// # Errors
/// Damaged JSON, a text that is no FHIR resource, a Bundle type that cannot be ingested, or a limit.
pub fn parse_json(source_name: &str, bytes: &[u8], limits: &Limits) -> Result<Submission, ClinicalError> {
    let place = |position| Place { source_name: source_name.to_owned(), line_column: None, position };
    let root = parse_tree(source_name, bytes, limits)?;
    let mut submission = Submission {
        source_name: source_name.to_owned(),
        bytes: bytes.len() as u64,
        entries: Vec::new(),
        refused: Vec::new(),
        unmapped: Vec::new(),
    };
    match resource_type(&root) {
        None => {
            let what = "no FHIR resource: the text must be a JSON object with a resourceType";
            return Err(ClinicalError::NotFhir { place: place(None), what });
        }
        Some("Bundle") => take_bundle(&root, &mut submission, place(None))?,
        Some(_) => {
            submission.entries.push(Entry::new(Position::Whole, None, Phi::new(root)));
        }
    }
    if submission.entries.len() > limits.resources_max {
        let (source_name, resources_max) = (source_name.to_owned(), limits.resources_max);
        return Err(ClinicalError::TooManyResources { source_name, resources_max });
    }
    Ok(submission)
}

/// Parses one JSON text within the limits, whatever it holds.
///
/// # Errors
/// [`ClinicalError::Json`], [`ClinicalError::TooDeep`].
pub fn parse_tree(source_name: &str, bytes: &[u8], limits: &Limits) -> Result<Value, ClinicalError> {
    Ok(parse_value(source_name, bytes, limits, 0)?.value)
}

/// Parses NDJSON text, such as the body of a request; see [`super::read`] for files.
///
/// # Errors
/// As [`parse_json`], naming the line; also when there are more than [`NDJSON_RESOURCES`] resources.
pub fn parse_ndjson(source_name: &str, bytes: &[u8], limits: &Limits) -> Result<Submission, ClinicalError> {
    let mut parser = NdjsonParser::new(source_name, limits);
    let (mut start, ends) = (0, memchr_iter(b'\n', bytes).chain([bytes.len()]));
    for (index, end) in ends.enumerate() {
        parser.line(index + 1, bytes.get(start..end).unwrap_or_default())?;
        start = end + 1;
        if parser.resources() > NDJSON_RESOURCES {
            let source_name = source_name.to_owned();
            return Err(ClinicalError::TooManyResources { source_name, resources_max: NDJSON_RESOURCES });
        }
    }
    let empty = Place { source_name: source_name.to_owned(), line_column: None, position: None };
    let what = "no resource in it: NDJSON has one resource a line";
    parser.finish().ok_or(ClinicalError::NotFhir { place: empty, what })
}

/// Collects lines of NDJSON.
pub(super) struct NdjsonParser<'a> {
    limits: &'a Limits,
    submission: Submission,
}

impl<'a> NdjsonParser<'a> {
    pub(super) fn new(source_name: &str, limits: &'a Limits) -> Self {
        let source_name = source_name.to_owned();
        Self {
            limits,
            submission: Submission {
                source_name,
                bytes: 0,
                entries: Vec::new(),
                refused: Vec::new(),
                unmapped: Vec::new(),
            },
        }
    }

    /// Takes one line, with or without its end; blank lines are passed over.
    pub(super) fn line(&mut self, line: usize, bytes: &[u8]) -> Result<(), ClinicalError> {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Ok(());
        }
        let Parsed { value: root, compact } =
            parse_value(&self.submission.source_name, bytes, self.limits, line)?;
        let position = Position::Line(line);
        let wrong = match resource_type(&root) {
            None => Some("no FHIR resource: each line must be a JSON object with a resourceType"),
            Some("Bundle") => Some("a Bundle in NDJSON: hand it in as .json"),
            Some(_) => None,
        };
        if let Some(what) = wrong {
            let source_name = self.submission.source_name.clone();
            let place = Place { source_name, line_column: None, position: Some(position) };
            return Err(ClinicalError::NotFhir { place, what });
        }
        self.submission.bytes += bytes.len() as u64;
        let entry = Entry::new(position, None, Phi::new(root));
        let text = compact.and_then(|text| std::str::from_utf8(text).ok());
        self.submission.entries.push(match text {
            Some(text) => entry.with_text(text.into()),
            None => entry,
        });
        Ok(())
    }

    pub(super) fn resources(&self) -> usize {
        self.submission.entries.len()
    }

    pub(super) fn finish(self) -> Option<Submission> {
        Some(self.submission).filter(|submission| !submission.entries.is_empty())
    }
}

/// A value, and its text if that is compact.
struct Parsed<'a> {
    value: Value,
    compact: Option<&'a [u8]>,
}

/// Parses one JSON text; `line_base` is the line of an NDJSON file, or 0.
fn parse_value<'a>(
    source_name: &str,
    bytes: &'a [u8],
    limits: &Limits,
    line_base: usize,
) -> Result<Parsed<'a>, ClinicalError> {
    let place = |(line, column): (usize, usize)| Place {
        source_name: source_name.to_owned(),
        line_column: Some((if line_base == 0 { line } else { line_base }, column)),
        position: None,
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Before anything walks the text by calling itself.
    let form = scan(bytes, limits.depth_max).map_err(|at| ClinicalError::TooDeep {
        place: place(line_column(bytes, at)),
        depth_max: limits.depth_max,
    })?;
    let value = sonic_rs::from_slice(bytes).map_err(|error| {
        let what = if error.is_eof() || bytes.trim_ascii().is_empty() {
            "it ends too early"
        } else {
            "it is not valid JSON in UTF-8"
        };
        ClinicalError::Json { place: place((error.line(), error.column())), what }
    })?;
    Ok(Parsed { value, compact: (form == Form::Compact).then_some(bytes) })
}

/// Line and column of a place in bytes, counted from 1.
fn line_column(text: &[u8], at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    (line, at - start + 1)
}

fn take_bundle(bundle: &Value, submission: &mut Submission, place: Place) -> Result<(), ClinicalError> {
    let refuse = |what| Err(ClinicalError::NotFhir { place: place.clone(), what });
    match text(bundle, "type") {
        Some("transaction" | "batch" | "collection" | "searchset") => {}
        Some("document" | "message" | "history" | "transaction-response" | "batch-response") => {
            return refuse(
                "a Bundle of a type that is not ingested; give transaction, batch, collection or searchset",
            );
        }
        _ => {
            return refuse("a Bundle without a type of R4; give transaction, batch, collection or searchset");
        }
    }
    let entries = match child(bundle, "entry") {
        None => &[][..],
        Some(list) => match list.as_array() {
            Some(entries) => entries.as_slice(),
            None => return refuse("Bundle.entry must be an array"),
        },
    };
    if entries.is_empty() {
        return refuse("a Bundle without entries; there is nothing to take");
    }
    submission.entries.reserve(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        take_entry(entry, Position::Entry(index), submission);
    }
    Ok(())
}

fn take_entry(entry: &Value, position: Position, submission: &mut Submission) {
    let resource = child(entry, "resource").filter(JsonValueTrait::is_object);
    let method = child(entry, "request").and_then(|request| text(request, "method"));
    let mode = child(entry, "search").and_then(|search| text(search, "mode"));
    let reason = match (resource, method, mode) {
        (_, _, Some("outcome")) => return,
        (_, Some("DELETE" | "PATCH" | "GET" | "HEAD"), _) => {
            "the entry asks for an operation other than storing; only POST and PUT are carried out on ingest"
        }
        (None, _, _) => "the entry has no resource",
        (Some(resource), _, _) => {
            let full_url = text(entry, "fullUrl").map(|url| Phi::new(url.to_owned()));
            submission.entries.push(Entry::new(position, full_url, Phi::new(resource.clone())));
            return;
        }
    };
    let known = resource.and_then(resource_type).and_then(|name| Definitions::r4().resource_name(name));
    submission.refused.push(Refusal { position, resource_type: known, reason: reason.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Submission, ClinicalError> {
        parse_json("in.json", text.as_bytes(), &Limits::default())
    }

    #[test]
    fn decimals_keep_their_digits_and_keys_their_order() {
        let text =
            r#"{"resourceType":"Observation","z":1.50,"a":0.00100,"e":1E+2,"long":1.2345678901234567890123}"#;
        let submission = parse(text).unwrap();
        assert_eq!(sonic_rs::to_string(submission.entries[0].resource.expose()).unwrap(), text);
    }

    #[test]
    fn what_cannot_be_taken_is_named_without_its_content() {
        let deep = format!("{{\"resourceType\":\"Patient\",\n\"a\":{}", "[".repeat(100_000));
        let table = [
            ("{\"resourceType\":\"Patient\",\"name\":\"Jane Doe", "in.json line 1 column"),
            ("{\"resourceType\":\"Patient\",\n \"birthDate\": Jane}", "in.json line 2 column"),
            (deep.as_str(), "in.json line 2 column 68: nested deeper than 64 levels"),
            ("[]", "in.json: no FHIR resource"),
            ("{}", "in.json: no FHIR resource"),
            ("", "ends too early"),
            (r#"{"resourceType":"Bundle","type":"Jane Doe","entry":[]}"#, "without a type of R4"),
            (r#"{"resourceType":"Bundle","type":"document","entry":[]}"#, "not ingested"),
            (r#"{"resourceType":"Bundle","type":"batch","entry":[]}"#, "without entries"),
            (r#"{"resourceType":"Bundle","type":"batch","entry":{}}"#, "must be an array"),
        ];
        for (text, expected) in table {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("Jane"), "{error}");
        }
    }

    #[test]
    fn entries_that_do_not_store_are_refused_and_others_go_on() {
        let bundle = r#"{"resourceType":"Bundle","type":"transaction","entry":[
            {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"POST"}},
            {"request":{"method":"DELETE","url":"Patient/1"}},
            {"resource":7},
            {"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}},
            {"resource":{"resourceType":"Observation"},"request":{"method":"PATCH"}}]}"#;
        let submission = parse(bundle).unwrap();
        assert_eq!(submission.entries.len(), 1);
        assert_eq!(
            submission.entries[0].full_url.as_ref().map(|url| url.expose().as_str()),
            Some("urn:uuid:1")
        );
        let refused: Vec<_> =
            submission.refused.iter().map(|one| (one.position, one.resource_type)).collect();
        let expected = [
            (Position::Entry(1), None),
            (Position::Entry(2), None),
            (Position::Entry(4), Some("Observation")),
        ];
        assert_eq!(refused, expected);
    }

    #[test]
    fn lines_are_counted_with_the_blank_ones() {
        let text = "{\"resourceType\":\"Basic\"}\n\n \r\n\u{feff}{\"resourceType\": \"Basic\"}\r\n{\"resourceType\":\"Basic\"}";
        let submission = parse_ndjson("x", text.as_bytes(), &Limits::default()).unwrap();
        let positions: Vec<_> = submission.entries.iter().map(|entry| entry.position).collect();
        assert_eq!(positions, [Position::Line(1), Position::Line(4), Position::Line(5)]);
        for entry in &submission.entries {
            assert_eq!(&**entry.text().unwrap().expose(), r#"{"resourceType":"Basic"}"#);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a0-9 ]{0,80}") {
            let _ = parse_json("x", &bytes, &Limits::default());
            let _ = parse_json("x", text.as_bytes(), &Limits::default());
            let _ = parse_ndjson("x", &bytes, &Limits::default());
        }
    }
}
