//! Fresh names for one chart in one delivery.
//!
//! A holder's de-identified records name themselves and each other by pseudonyms that stay the same for as long as the
//! holder keeps them. Two deliveries with these would be linked by them, so each chart gets new ones, which keep the
//! references within the chart and mean nothing outside of it.

use crate::MarketError;
use bxp_privacy::DEPTH_MAX;
use sonic_rs::{JsonContainerTrait as _, JsonType, JsonValueTrait as _, Value};
use std::collections::BTreeMap;

const WHAT: &str = "de-identified record";

/// The new names of one chart.
#[derive(Debug, Default)]
pub(crate) struct Pseudonyms(BTreeMap<String, String>);

impl Pseudonyms {
    /// The record's JSON with new names in the place of the ids of resources and in references. All else stays as
    /// it is, down to the order of keys and the digits of numbers.
    pub(crate) fn rename(&mut self, record: &[u8]) -> Result<String, MarketError> {
        let value: Value = sonic_rs::from_slice(record).map_err(|_| MarketError::Malformed(WHAT))?;
        let mut out = Vec::with_capacity(record.len() + 64);
        self.write(&mut out, &value, DEPTH_MAX, true)?;
        String::from_utf8(out).map_err(|_| MarketError::Malformed(WHAT))
    }

    fn write(
        &mut self,
        out: &mut Vec<u8>,
        value: &Value,
        depth: usize,
        root: bool,
    ) -> Result<(), MarketError> {
        let inner = depth.checked_sub(1).ok_or(MarketError::Malformed(WHAT))?;
        match value.get_type() {
            JsonType::Object => {
                out.push(b'{');
                for (index, (key, member)) in value.as_object().into_iter().flatten().enumerate() {
                    separate(out, index);
                    write_text(out, key)?;
                    out.push(b':');
                    match (key, member.as_str()) {
                        ("id", Some(id)) if root => write_text(out, self.fresh(id))?,
                        ("reference", Some(target)) => write_text(out, &self.target(target))?,
                        _ => self.write(out, member, inner, false)?,
                    }
                }
                out.push(b'}');
            }
            JsonType::Array => {
                out.push(b'[');
                for (index, element) in value.as_array().into_iter().flatten().enumerate() {
                    separate(out, index);
                    self.write(out, element, inner, false)?;
                }
                out.push(b']');
            }
            _ => write_scalar(out, value)?,
        }
        Ok(())
    }

    /// A reference: `#place` within the resource stays, `Type/id`, `urn:uuid:id` and `id` get the new name.
    fn target(&mut self, reference: &str) -> String {
        if reference.starts_with('#') {
            return reference.to_owned();
        }
        let split = reference.rfind(['/', ':']).map_or(0, |at| at + 1);
        let (place, id) = reference.split_at(split);
        format!("{place}{}", self.fresh(id))
    }

    fn fresh(&mut self, id: &str) -> &str {
        self.0.entry(id.to_owned()).or_insert_with(random_uuid)
    }
}

/// 128 random bits in the form of a UUID, which is an id of FHIR.
fn random_uuid() -> String {
    let bits: u128 = rand::random();
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) -> Result<(), MarketError> {
    serde_json::to_writer(out, text).map_err(|_| MarketError::Malformed(WHAT))
}

fn write_scalar(out: &mut Vec<u8>, value: &Value) -> Result<(), MarketError> {
    if let Some(text) = value.as_str() {
        return write_text(out, text);
    }
    if let Some(literal) = value.as_raw_number() {
        out.extend_from_slice(literal.as_str().as_bytes());
        return Ok(());
    }
    out.extend_from_slice(&sonic_rs::to_vec(value).map_err(|_| MarketError::Malformed(WHAT))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_change_together_and_nothing_else_does() {
        let patient = r#"{"resourceType":"Patient","id":"aa","n":1.10,"b":true,"z":null,"q":"\"é\u0001"}"#;
        let condition = r##"{"resourceType":"Condition","id":"bb","subject":{"reference":"Patient/aa"},"encounter":{"reference":"urn:uuid:cc"},"contained":[{"id":"c0"}],"x":{"reference":"#c0"},"y":[{"reference":"bb"}]}"##;
        let mut names = Pseudonyms::default();
        let (first, second) =
            (names.rename(patient.as_bytes()).unwrap(), names.rename(condition.as_bytes()).unwrap());
        let (aa, bb, cc) = (names.0["aa"].clone(), names.0["bb"].clone(), names.0["cc"].clone());
        assert_eq!(names.0.len(), 3);
        assert_eq!(first, patient.replace("\"aa\"", &format!("\"{aa}\"")));
        let expected = condition
            .replace("Patient/aa", &format!("Patient/{aa}"))
            .replace("urn:uuid:cc", &format!("urn:uuid:{cc}"))
            .replace("\"bb\"", &format!("\"{bb}\""));
        assert_eq!(second, expected);
        assert_ne!(Pseudonyms::default().rename(patient.as_bytes()).unwrap(), first, "fresh for each chart");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Pseudonyms::default().rename(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(Pseudonyms::default().rename(nested(DEPTH_MAX + 1).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pseudonyms::default().rename(&bytes);
        }
    }
}
