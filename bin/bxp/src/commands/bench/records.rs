//! FHIR files as requests to a node: as they are, as bulk NDJSON, and again under new ids.

use crate::{commands::ingest::Taken, operator::Operator};
use anyhow::{Context, Result};
use bxp_clinical::{
    ingest::rewrite_references,
    source::{InputFile, Limits, Shape, contents, parse_json},
};
use sonic_rs::JsonValueTrait as _;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};
use tokio::task::JoinSet;

/// The most resources of one request of bulk NDJSON.
const LINES_MAX: usize = 5_000;
/// Types that others refer to come first, as a bulk export is loaded.
const FIRST: [&str; 5] = ["Organization", "Location", "Practitioner", "PractitionerRole", "Patient"];

const NDJSON: &str = "application/fhir+ndjson";

/// One submission as a node is sent it.
#[derive(Clone)]
pub(super) struct Request {
    name: String,
    media_type: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Others refer to what is in it: they wait for its answer.
    comes_first: bool,
}

/// The files' contents, decompressed. Only JSON is taken.
pub(super) fn bundles(files: &[InputFile]) -> Result<Vec<Request>> {
    let read = |file: &InputFile| {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = contents(file, &Limits::default()).with_context(|| format!("read {name}"))?;
        Ok(Request { name, media_type: "application/fhir+json", bytes, comes_first: false })
    };
    files.iter().filter(|file| file.shape == Shape::Json).map(read).collect()
}

/// The resources of bundles as NDJSON, one type after the other, with literal references in the place of `urn:uuid:`.
pub(super) fn ndjson(bundles: &[Request]) -> Result<Vec<Request>> {
    let mut addresses = HashMap::new();
    let mut lines: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
    for bundle in bundles {
        for entry in parse_json(&bundle.name, &bundle.bytes, &Limits::default())?.entries {
            let resource = entry.resource.expose();
            let member =
                |name: &'static str| resource.get(name).and_then(|text| text.as_str()).unwrap_or_default();
            let kind = member("resourceType").to_owned();
            if let Some(url) = &entry.full_url {
                addresses.insert(url.expose().clone(), format!("{kind}/{}", member("id")));
            }
            let place = FIRST.iter().position(|first| *first == kind).unwrap_or(FIRST.len());
            lines.entry((place, kind)).or_default().push(sonic_rs::to_string(resource)?);
        }
    }
    let mut requests = Vec::new();
    for ((place, kind), lines) in &lines {
        for (number, portion) in lines.chunks(LINES_MAX).enumerate() {
            let mut bytes = Vec::new();
            for line in portion {
                let rewritten =
                    rewrite_references(line, &|reference: &str| addresses.get(reference).cloned());
                bytes.extend_from_slice(rewritten.as_ref().unwrap_or(line).as_bytes());
                bytes.push(b'\n');
            }
            let name = format!("{kind}.{number}.ndjson");
            requests.push(Request { name, media_type: NDJSON, bytes, comes_first: *place < FIRST.len() });
        }
    }
    Ok(requests)
}

/// Ids of at most `most` patients, from all copies alike.
pub(super) fn patients(bundles: &[Request], copies: u32, most: usize) -> Result<Vec<String>> {
    let mut originals = Vec::new();
    for bundle in bundles {
        for entry in parse_json(&bundle.name, &bundle.bytes, &Limits::default())?.entries {
            let resource = entry.resource.expose();
            let member =
                |name: &'static str| resource.get(name).and_then(|text| text.as_str()).unwrap_or_default();
            if member("resourceType") == "Patient" {
                let bytes = member("id").as_bytes().to_vec();
                originals.push(Request {
                    name: String::new(),
                    media_type: NDJSON,
                    bytes,
                    comes_first: false,
                });
            }
        }
    }
    let all = originals.len() * copies as usize;
    let step = all.div_ceil(most.max(1)).max(1);
    // The last copy may be a part only, so the patients of it that come last are left out.
    let chosen = (0..all.saturating_sub(originals.len()).max(originals.len())).step_by(step);
    chosen
        .map(|number| {
            let copy = u32::try_from(number / originals.len())?;
            Ok(String::from_utf8(originals[number % originals.len()].copied(copy).bytes)?)
        })
        .collect()
}

impl Request {
    /// What the node parses of it.
    pub(super) fn parsed(&self) -> Result<usize> {
        if self.media_type == NDJSON {
            let lines = self.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            return lines
                .map(|line| Ok(parse_json(&self.name, line, &Limits::default())?.entries.len()))
                .sum();
        }
        Ok(parse_json(&self.name, &self.bytes, &Limits::default())?.entries.len())
    }

    /// The same resources under new ids: copy `number` changes every UUID in the text in the same way, so that what refers
    /// to something still does. Copy 0 is the original.
    pub(super) fn copied(&self, number: u32) -> Self {
        let mut copy = self.clone();
        // Odd, so that no two numbers below 2^32 give the same change.
        let change = number.wrapping_mul(0x9e37_79b1);
        let mut at = 0;
        while let Some(uuid) = copy.bytes.get_mut(at..at + UUID_CHARACTERS) {
            if is_uuid(uuid) {
                change_uuid(uuid, change);
                at += UUID_CHARACTERS;
            } else {
                at += 1;
            }
        }
        copy
    }
}

const UUID_CHARACTERS: usize = 36;

fn is_uuid(text: &[u8]) -> bool {
    // Most places fail the first look.
    text[8] == b'-'
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
        })
}

/// The first eight digits are 32 bits that are changed.
fn change_uuid(uuid: &mut [u8], change: u32) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, digit) in uuid[..8].iter_mut().enumerate() {
        let value = if digit.is_ascii_digit() { *digit - b'0' } else { *digit - b'a' + 10 };
        let bits = (change >> (28 - 4 * at)) & 0xf;
        *digit = DIGITS[usize::from(value) ^ bits as usize];
    }
}

/// Sends requests, at most `at_once` of them under way, and adds the node's reports up. The first goes alone: Synthea's names
/// the hospitals, to which the others refer by their identifiers.
pub(super) async fn hand_in(
    operator: &Operator,
    requests: impl Iterator<Item = Request>,
    at_once: usize,
) -> Result<Taken> {
    let send = |request: Request| {
        let operator = operator.clone();
        async move { operator.ingest::<Taken>(&request.name, request.media_type, request.bytes).await }
    };
    let mut requests = requests;
    let mut all = Taken::default();
    if let Some(first) = requests.next() {
        all.add(send(first).await?);
    }
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < at_once
            && let Some(request) = requests.next()
        {
            if request.comes_first {
                all.add(send(request).await?);
            } else {
                under_way.spawn(send(request));
            }
        }
        let Some(report) = under_way.join_next().await else { return Ok(all) };
        all.add(report??);
    }
}

/// Bytes of all files under `folder`.
pub(super) fn bytes_under(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        bytes += if kind.is_dir() { bytes_under(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(text: &str) -> Request {
        let name = "a.json".to_owned();
        Request { name, media_type: "application/fhir+json", bytes: text.into(), comes_first: false }
    }

    const PATIENT: &str = "01234567-89ab-cdef-0123-456789abcdef";

    #[test]
    fn a_copy_has_new_ids_that_still_lead_to_each_other() {
        let text = format!(r#"{{"id":"{PATIENT}","reference":"Patient/{PATIENT}","short":"01234567-89ab"}}"#);
        let original = bundle(&text);
        assert_eq!(original.copied(0).bytes, original.bytes);
        let copies: Vec<String> = (1..50_u32)
            .map(|number| String::from_utf8(original.copied(number).bytes).unwrap_or_default())
            .collect();
        for copy in &copies {
            let id = &copy[7..7 + UUID_CHARACTERS];
            assert!(is_uuid(id.as_bytes()) && id != PATIENT && id[8..] == PATIENT[8..], "{copy}");
            assert_eq!(*copy, text.replace(PATIENT, id));
        }
        let different: std::collections::BTreeSet<_> = copies.iter().collect();
        assert_eq!(different.len(), copies.len());
    }

    #[test]
    fn ndjson_has_patients_first_and_literal_references() {
        let text = r#"{"resourceType":"Bundle","type":"transaction","entry":[
            {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Observation","id":"1","subject":{"reference":"urn:uuid:2"}}},
            {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Patient","id":"2"}}]}"#;
        let lines = ndjson(&[bundle(text)]).unwrap_or_default();
        let texts: Vec<_> = lines.iter().map(|one| String::from_utf8_lossy(&one.bytes)).collect();
        assert_eq!(
            texts,
            [
                "{\"resourceType\":\"Patient\",\"id\":\"2\"}\n",
                "{\"resourceType\":\"Observation\",\"id\":\"1\",\"subject\":{\"reference\":\"Patient/2\"}}\n"
            ]
        );
    }
}
