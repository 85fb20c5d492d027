//! A file as a sequence of submissions.

use super::{
    InputFile, Limits, NDJSON_RESOURCES, Shape, Submission, Translation, decompress::Bounded,
    parse::NdjsonParser, parse_json, split_messages, translate_document, translate_or_refuse,
};
use crate::ClinicalError;
use std::io::{BufRead, BufReader, Read};

/// The submissions of one file. After an error there are no more.
pub struct Submissions {
    source_name: String,
    limits: Limits,
    state: State,
}

enum State {
    Json(Box<Bounded>),
    Ndjson { reader: BufReader<Bounded>, line: usize },
    Messages(std::vec::IntoIter<Submission>),
    Document(Box<Bounded>),
    Done,
}

/// Opens `file` and gives its submissions one by one.
///
/// # Errors
/// [`ClinicalError::Read`] when the file cannot be opened; each step may fail on damaged content.
pub fn read(file: &InputFile, limits: &Limits) -> Result<Submissions, ClinicalError> {
    let bounded = Bounded::open(file, limits)?;
    let state = match file.shape {
        Shape::Json => State::Json(Box::new(bounded)),
        Shape::Ndjson => State::Ndjson { reader: BufReader::new(bounded), line: 0 },
        Shape::Hl7v2 => State::Messages(messages(file, limits)?.into_iter()),
        Shape::Ccda => State::Document(Box::new(bounded)),
    };
    Ok(Submissions { source_name: file.path.display().to_string(), limits: *limits, state })
}

/// The decompressed bytes of `file`, for handing them in elsewhere.
///
/// # Errors
/// [`ClinicalError::Read`], [`ClinicalError::Decompress`], [`ClinicalError::TooLarge`].
pub fn contents(file: &InputFile, limits: &Limits) -> Result<Vec<u8>, ClinicalError> {
    let mut bounded = Bounded::open(file, limits)?;
    let mut bytes = Vec::new();
    bounded.read_to_end(&mut bytes).map_err(|source| bounded.explain(source))?;
    Ok(bytes)
}

/// The messages of an HL7 v2 file. Patients are told by their messages alone here; see [`super::Translation`].
fn messages(file: &InputFile, limits: &Limits) -> Result<Vec<Submission>, ClinicalError> {
    let source_name = file.path.display().to_string();
    let bytes = contents(file, limits)?;
    let with = Translation { limits: bxp_hl7v2::Limits::default(), known: &|_| false };
    let all = split_messages(&source_name, &bytes)?;
    Ok(all.iter().map(|one| translate_or_refuse(&source_name, one, limits, with)).collect())
}

impl Iterator for Submissions {
    type Item = Result<Submission, ClinicalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match std::mem::replace(&mut self.state, State::Done) {
            State::Json(bounded) => Some(self.whole(*bounded)),
            State::Document(bounded) => Some(self.document(*bounded)),
            State::Ndjson { reader, line } => self.chunk(reader, line).transpose(),
            State::Messages(mut rest) => {
                let next = rest.next().map(Ok);
                self.state = State::Messages(rest);
                next
            }
            State::Done => None,
        };
        if matches!(item, Some(Err(_))) {
            self.state = State::Done;
        }
        item
    }
}

impl Submissions {
    /// Of a document. Its patient is told by the document alone here; see [`translate_document`].
    fn document(&self, mut bounded: Bounded) -> Result<Submission, ClinicalError> {
        let mut bytes = Vec::new();
        bounded.read_to_end(&mut bytes).map_err(|source| bounded.explain(source))?;
        translate_document(&self.source_name, &bytes, &self.limits, &|_| false)
    }

    fn whole(&self, mut bounded: Bounded) -> Result<Submission, ClinicalError> {
        let mut bytes = Vec::new();
        bounded.read_to_end(&mut bytes).map_err(|source| bounded.explain(source))?;
        parse_json(&self.source_name, &bytes, &self.limits)
    }

    fn chunk(
        &mut self,
        mut reader: BufReader<Bounded>,
        mut line: usize,
    ) -> Result<Option<Submission>, ClinicalError> {
        let mut parser = NdjsonParser::new(&self.source_name, &self.limits);
        let mut text = Vec::new();
        while parser.resources() < NDJSON_RESOURCES {
            text.clear();
            let count =
                reader.read_until(b'\n', &mut text).map_err(|source| reader.get_ref().explain(source))?;
            if count == 0 {
                return Ok(parser.finish());
            }
            line += 1;
            parser.line(line, &text)?;
        }
        self.state = State::Ndjson { reader, line };
        Ok(parser.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Position, find};
    use std::{fs, io::Write, path::PathBuf};

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn read_all(name: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Submission>, ClinicalError> {
        let (_folder, path) = write(name, bytes);
        read(&find(&[path])?.files[0], limits)?.collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const BUNDLE: &str =
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient"}}]}"#;

    #[test]
    fn every_packing_gives_the_same_submission() {
        for (name, bytes) in [
            ("a.json", BUNDLE.as_bytes().to_vec()),
            ("a.json.gz", gzip(BUNDLE.as_bytes())),
            ("a.json.bz2", bzip2(BUNDLE.as_bytes())),
        ] {
            let submissions = read_all(name, &bytes, &Limits::default()).unwrap();
            assert_eq!(submissions.len(), 1, "{name}");
            assert_eq!(submissions[0].entries[0].position, Position::Entry(0), "{name}");
            assert_eq!(submissions[0].bytes, BUNDLE.len() as u64, "{name}");
        }
    }

    #[test]
    fn a_cut_archive_is_damaged_and_a_bomb_is_too_large() {
        let archive = bzip2(BUNDLE.as_bytes());
        let cut = read_all("a.json.bz2", &archive[..archive.len() - 6], &Limits::default()).unwrap_err();
        assert!(matches!(cut, ClinicalError::Decompress { format: "bzip2", .. }), "{cut}");
        let cut = read_all("a.json.gz", &gzip(BUNDLE.as_bytes())[..30], &Limits::default()).unwrap_err();
        assert!(matches!(cut, ClinicalError::Decompress { format: "gzip", .. }), "{cut}");
        let limits = Limits { bytes_max: 1 << 20, ..Limits::default() };
        let bomb = read_all("a.json.gz", &gzip(&vec![b' '; 4 << 20]), &limits).unwrap_err();
        assert!(matches!(bomb, ClinicalError::TooLarge { bytes_max: 1_048_576, .. }), "{bomb}");
    }

    #[test]
    fn ndjson_is_cut_into_submissions_and_a_damaged_line_is_named() {
        let good = r#"{"resourceType":"Patient","id":"a"}"#;
        let text = format!("{good}\n\r\n").repeat(NDJSON_RESOURCES + 1);
        let submissions = read_all("a.ndjson", text.as_bytes(), &Limits::default()).unwrap();
        let sizes: Vec<_> = submissions.iter().map(|submission| submission.entries.len()).collect();
        assert_eq!(sizes, [NDJSON_RESOURCES, 1]);
        assert_eq!(submissions[1].entries[0].position, Position::Line(2 * NDJSON_RESOURCES + 1));

        let damaged =
            read_all("a.ndjson.gz", &gzip(format!("{good}\n{{\"a\":\n").as_bytes()), &Limits::default());
        let error = damaged.unwrap_err().to_string();
        assert!(error.contains(" line 2 column "), "{error}");
    }
}
