//! `POST /$ingest?source=NAME`: a submission (Bundle, NDJSON, HL7 v2 messages, a C-CDA document), answered with the report of what
//! became of it.

use crate::{
    answer::{self, Answer},
    extract::{self, Form, QueryOf},
    outcome::Failure,
    state::Shared,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bxp_clinical::{
    ClinicalError,
    ingest::Report,
    source::{Limits, NDJSON_RESOURCES, Submission, parse_json, parse_ndjson},
};
use memchr::memchr_iter;
use serde::Deserialize;

/// The longest name of a source, in characters.
const SOURCE_CHARACTERS_MAX: usize = 512;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestQuery {
    source: Option<String>,
}

/// Takes a submission in. Damage anywhere in it leaves all of it out; resources are refused one by one.
pub(crate) async fn submission(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<IngestQuery>,
    request: Request,
) -> Answer {
    let source = source_name(query.source)?;
    let form = extract::form(&request)?;
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let report = shared.blocking(move |edge| {
        let _place = place;
        if is_hl7v2(&source, &body, form) {
            return Ok(edge.ingest.ingest_hl7v2(&source, &body)?);
        }
        if form == Form::Ccda || form == Form::Unsaid && bxp_ccda::looks_like(&body) {
            return Ok(edge.ingest.ingest_ccda(&source, &body)?);
        }
        let submissions = parse(&source, &body, form)?;
        drop(body);
        let mut report = Report::default();
        for submission in submissions {
            report.merge(edge.ingest.ingest_submission(&submission)?);
        }
        Ok(report)
    });
    answer::json(&report.await?)
}

/// The submitter's name for the submission, which stands in the answer and nowhere else.
fn source_name(given: Option<String>) -> Result<String, Failure> {
    let name = given.unwrap_or_else(|| "request".to_owned());
    let usable = name.chars().count() <= SOURCE_CHARACTERS_MAX && !name.chars().any(char::is_control);
    let wrong = || Failure::bad_request("parameter source must have at most 512 characters, none of control");
    usable.then_some(name).ok_or_else(wrong)
}

fn parse(source: &str, body: &[u8], form: Form) -> Result<Vec<Submission>, Failure> {
    let ndjson = match form {
        Form::Json | Form::Hl7v2 | Form::Ccda => false,
        Form::Ndjson => true,
        Form::Unsaid => source.ends_with(".ndjson") || looks_like_ndjson(body),
    };
    if !ndjson {
        return Ok(vec![parse_json(source, body, &Limits::default())?]);
    }
    if !body.contains(&b'{') {
        // The parser of one portion says what is missing.
        return Ok(vec![parse_ndjson(source, body, &Limits::default())?]);
    }
    let submissions: Result<Vec<_>, ClinicalError> =
        portions(body).map(|(line, portion)| parse_portion(source, line, portion)).collect();
    let submissions = submissions?;
    let resources = submissions.iter().map(|one| one.entries.len()).sum::<usize>();
    let resources_max = Limits::default().resources_max;
    if resources > resources_max {
        let text = format!("more than {resources_max} resources in one submission; split it");
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", text));
    }
    Ok(submissions)
}

/// Whether the body is HL7 v2: by what it says, else by its name, else by how it begins.
fn is_hl7v2(source: &str, body: &[u8], form: Form) -> bool {
    let begins = || {
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
        [b"MSH|", b"FHS|", b"BHS|"].iter().any(|head| text.starts_with(*head))
    };
    match form {
        Form::Hl7v2 => true,
        Form::Unsaid => source.to_ascii_lowercase().ends_with(".hl7") || begins(),
        Form::Json | Form::Ndjson | Form::Ccda => false,
    }
}

/// A first line that is a whole object, and another line after it.
fn looks_like_ndjson(body: &[u8]) -> bool {
    let mut lines = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let first = lines.next().is_some_and(|line| line.starts_with(b"{") && line.ends_with(b"}"));
    first && lines.next().is_some()
}

/// Cuts NDJSON into portions of as many lines as one submission may have, with the number of lines before each.
/// Portions of blank lines are left out.
fn portions(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let (mut rest, mut line) = (body, 0);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (end, lines) = match memchr_iter(b'\n', rest).nth(NDJSON_RESOURCES - 1) {
            Some(at) => (at + 1, NDJSON_RESOURCES),
            None => (rest.len(), 0),
        };
        let (portion, after) = rest.split_at(end);
        let before = line;
        (rest, line) = (after, line + lines);
        Some((before, portion))
    })
    .filter(|(_, portion)| !portion.trim_ascii().is_empty())
}

/// Parses a portion behind as many blank lines as there were lines before it, so that places name lines of the whole.
fn parse_portion(source: &str, lines_before: usize, portion: &[u8]) -> Result<Submission, ClinicalError> {
    if lines_before == 0 {
        return parse_ndjson(source, portion, &Limits::default());
    }
    let placed = [vec![b'\n'; lines_before].as_slice(), portion].concat();
    parse_ndjson(source, &placed, &Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_clinical::source::Position;

    const BUNDLE: &[u8] = b"{\"resourceType\":\"Bundle\",\n\"type\":\"batch\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\"}}]}\n";

    #[test]
    fn the_form_is_seen_where_it_is_not_said() {
        assert!(!looks_like_ndjson(BUNDLE));
        assert!(!looks_like_ndjson(b"{\"resourceType\":\"Patient\"}\n"));
        assert!(looks_like_ndjson(b"\n{\"resourceType\":\"Patient\"}\n{\"resourceType\":\"Patient\"}\n"));
        assert_eq!(parse("x", BUNDLE, Form::Unsaid).unwrap().len(), 1);
        assert_eq!(parse("x.ndjson", b"{\"resourceType\":\"Patient\"}", Form::Unsaid).unwrap().len(), 1);
    }

    #[test]
    fn long_ndjson_is_cut_and_its_lines_keep_their_numbers() {
        let line = "{\"resourceType\":\"Organization\"}\n";
        let mut text = line.repeat(NDJSON_RESOURCES + 3);
        let submissions = parse("x", text.as_bytes(), Form::Ndjson).unwrap();
        assert_eq!(
            submissions.iter().map(|one| one.entries.len()).collect::<Vec<_>>(),
            [NDJSON_RESOURCES, 3]
        );
        assert_eq!(submissions[1].entries[0].position, Position::Line(NDJSON_RESOURCES + 1));
        text.push_str("{\"resourceType\":\"Jane Doe\n");
        let failure = parse("x", text.as_bytes(), Form::Ndjson).unwrap_err().outcome().to_string();
        assert!(failure.contains(&format!("line {}", NDJSON_RESOURCES + 4)), "{failure}");
        assert!(!failure.contains("Jane"));
    }

    #[test]
    fn hl7_v2_is_seen_where_it_is_not_said() {
        assert!(is_hl7v2("x", b"\xef\xbb\xbf\r\nMSH|^~", Form::Unsaid));
        assert!(is_hl7v2("A.HL7", b"", Form::Unsaid) && is_hl7v2("x", b"", Form::Hl7v2));
        assert!(!is_hl7v2("x", b"{}", Form::Unsaid) && !is_hl7v2("x.hl7", b"MSH|", Form::Json));
    }

    #[test]
    fn nothing_is_no_submission() {
        for form in [Form::Json, Form::Ndjson, Form::Unsaid] {
            assert_eq!(parse("x", b"", form).unwrap_err().status().as_u16(), 400);
        }
        assert!(source_name(Some("a\nb".to_owned())).is_err());
        assert!(source_name(Some("a".repeat(513))).is_err());
        assert_eq!(source_name(None).unwrap(), "request");
    }
}
