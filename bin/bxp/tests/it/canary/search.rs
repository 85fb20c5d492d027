//! Looks for planted identifiers in bytes, in every form in which they may have come there.

use super::planted::Planted;
use aho_corasick::AhoCorasick;
use alloy_primitives::{hex, keccak256};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, fs, path::Path};

/// Shorter numbers also turn up by chance within hexadecimal text, so they count only where they stand alone.
const ALONE_BELOW_DIGITS: usize = 10;
/// The most that is reported.
const FINDINGS_MAX: usize = 20;

/// One form of one identifier.
#[derive(Debug)]
struct Form {
    identifier: String,
    how: &'static str,
    alone: bool,
}

/// All forms of all identifiers, searched for at once.
pub(super) struct Search {
    automaton: AhoCorasick,
    forms: Vec<Form>,
    longest: usize,
}

impl Search {
    /// A search for everything in `planted`.
    pub(super) fn new<'a>(planted: impl IntoIterator<Item = &'a Planted>) -> Self {
        let (mut forms, mut patterns) = (Vec::new(), Vec::new());
        for one in planted {
            let spellings: BTreeSet<_> = one.identifiers.iter().flatten().chain([&one.written]).collect();
            for spelling in spellings {
                for (how, bytes) in forms_of(spelling) {
                    let digits = bytes.iter().all(u8::is_ascii_digit);
                    let alone = digits && bytes.len() < ALONE_BELOW_DIGITS;
                    forms.push(Form { identifier: spelling.clone(), how, alone });
                    patterns.push(bytes);
                }
            }
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or_default();
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(&patterns).unwrap();
        Self { automaton, forms, longest }
    }

    /// How many bytes the longest form has.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    /// What is found in `bytes`, as `identifier (form)`.
    pub(super) fn find(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for hit in self.automaton.find_overlapping_iter(bytes) {
            let form = &self.forms[hit.pattern().as_usize()];
            let beside =
                |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
            if form.alone && (beside(hit.start().checked_sub(1)) || beside(Some(hit.end()))) {
                continue;
            }
            found.insert(format!("{} ({})", form.identifier, form.how));
            if found.len() == FINDINGS_MAX {
                break;
            }
        }
        found
    }

    /// Asserts that nothing is in `bytes`.
    pub(super) fn assert_clean(&self, place: &str, bytes: &[u8]) {
        let found = self.find(bytes);
        assert!(found.is_empty(), "{place} holds {found:?}");
    }

    /// Asserts that nothing is in any file below `folder`, nor in the files' names; gives how many files and bytes were
    /// searched.
    pub(super) fn assert_clean_folder(&self, folder: &Path) -> (usize, usize) {
        let (mut files, mut bytes) = (0, 0);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            self.assert_clean("a file's name", path.as_os_str().as_encoded_bytes());
            let (more_files, more_bytes) = if path.is_dir() {
                self.assert_clean_folder(&path)
            } else {
                let content = fs::read(&path).unwrap();
                self.assert_clean(&path.display().to_string(), &content);
                (1, content.len())
            };
            files += more_files;
            bytes += more_bytes;
        }
        (files, bytes)
    }
}

/// The forms of a text; upper and lower case are one.
fn forms_of(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let wide = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let (sha256, keccak) = (Sha256::digest(bytes).to_vec(), keccak256(bytes).to_vec());
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("reversed", bytes.iter().rev().copied().collect()),
        ("hexadecimal", hex::encode(bytes).into()),
        ("UTF-16LE", wide(u16::to_le_bytes)),
        ("UTF-16BE", wide(u16::to_be_bytes)),
        ("hexadecimal SHA-256", hex::encode(&sha256).into()),
        ("SHA-256", sha256),
        ("hexadecimal Keccak-256", hex::encode(&keccak).into()),
        ("Keccak-256", keccak),
    ];
    for encoded in (0..3).map(|offset| base64_within(bytes, offset)) {
        let url_safe: Vec<u8> = encoded
            .iter()
            .map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            })
            .collect();
        if url_safe != encoded {
            forms.push(("base64url", url_safe));
        }
        forms.push(("base64", encoded));
    }
    forms
}

/// The characters that `bytes` become within any base64 text in which they begin at `offset` modulo three.
fn base64_within(bytes: &[u8], offset: usize) -> Vec<u8> {
    let shifted = [&[0; 3][..offset], bytes].concat();
    let encoded = STANDARD_NO_PAD.encode(&shifted).into_bytes();
    // The first and last characters may carry bits of the neighbours.
    let first = (offset * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    encoded[first..last].to_vec()
}

#[cfg(test)]
mod tests {
    use super::{super::planted::Planter, *};
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    /// Goal: the search that finds nothing elsewhere does find what is there.
    #[test]
    fn every_form_is_found() {
        let mut planter = Planter::new("forms");
        for kind in ["name", "street", "mrn", "ssn", "phone", "email", "date", "uuid", "note", "text", "url"]
        {
            planter.plant(kind);
        }
        let search = Search::new(&planter.planted);
        for one in &planter.planted {
            for spelling in one.identifiers.iter().flatten() {
                for offset in 0..3 {
                    let within = format!("{}{spelling} and more", "~?>".split_at(offset).0);
                    let reversed: String = within.chars().rev().collect();
                    let wide: Vec<u8> = within.encode_utf16().flat_map(u16::to_le_bytes).collect();
                    for bytes in [
                        within.clone().into_bytes(),
                        within.to_uppercase().into(),
                        within.to_lowercase().into(),
                        reversed.into(),
                        hex::encode(&within).into(),
                        hex::encode_upper(&within).into(),
                        STANDARD.encode(&within).into(),
                        URL_SAFE.encode(&within).into(),
                        wide,
                        hex::encode(Sha256::digest(spelling)).into(),
                        keccak256(spelling).to_vec(),
                    ] {
                        assert!(!search.find(&bytes).is_empty(), "{spelling} at {offset}");
                    }
                }
            }
        }
        assert!(search.find(b"Nobody lives at 4711 Elm Street since 1970-13-01.").is_empty());
    }
}
