//! Parts of resources: `_summary` and `_elements` (R4 sections 3.1.1.5.8 and 3.1.1.5.9).

use crate::outcome::Failure;
use bxp_fhir_store::{Kind, Parameters};
use sonic_rs::{JsonContainerTrait, Value};

/// What of a resource is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subset {
    /// All of it.
    #[default]
    Whole,
    /// The elements that R4 marks as its summary.
    Summary,
    /// The narrative, and what must be there.
    Narrative,
    /// All but the narrative.
    Data,
    /// These elements, and what must be there.
    Elements(Vec<String>),
}

impl Subset {
    /// From the parameters `_summary` and `_elements`; `_summary=count` is the search's.
    pub(crate) fn read(summary: Option<&str>, elements: Option<&str>) -> Result<Self, Failure> {
        Ok(match (summary, elements) {
            (Some("true"), _) => Self::Summary,
            (Some("text"), _) => Self::Narrative,
            (Some("data"), _) => Self::Data,
            (Some("false" | "count") | None, None) => Self::Whole,
            (Some("false" | "count") | None, Some(list)) => {
                let named =
                    list.split(',').map(|name| name.trim().rsplit('.').next().unwrap_or_default().to_owned());
                Self::Elements(named.filter(|name| !name.is_empty()).collect())
            }
            _ => {
                return Err(Failure::bad_request(
                    "parameter _summary must be true, text, data, count or false",
                ));
            }
        })
    }

    fn has(&self, kind: Kind, name: &str) -> bool {
        let name = name.trim_start_matches('_');
        let must = || Parameters::r4().is_mandatory(kind, name);
        match self {
            Self::Whole => true,
            Self::Summary => Parameters::r4().in_summary(kind, name) || must(),
            Self::Narrative => name == "text" || must(),
            Self::Data => name != "text",
            Self::Elements(names) => must() || names.iter().any(|one| one == name || is_choice(one, name)),
        }
    }

    /// The part of a resource's text, marked as one.
    pub(crate) fn of(&self, kind: Kind, text: String) -> Result<String, Failure> {
        if *self == Self::Whole {
            return Ok(text);
        }
        let value: Value = sonic_rs::from_str(&text).map_err(Failure::encoding)?;
        let mut part = String::from("{");
        for (name, child) in value.as_object().into_iter().flat_map(|object| object.iter()) {
            let always = matches!(name, "resourceType" | "id" | "meta");
            if !always && !self.has(kind, name) {
                continue;
            }
            if part.len() > 1 {
                part.push(',');
            }
            part.push_str(&sonic_rs::to_string(name).map_err(Failure::encoding)?);
            part.push(':');
            let child = sonic_rs::to_string(child).map_err(Failure::encoding)?;
            part.push_str(&if name == "meta" { marked(&child) } else { child });
        }
        part.push('}');
        Ok(part)
    }
}

fn is_choice(stem: &str, name: &str) -> bool {
    name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
}

/// `meta` with the tag that says that the resource is not whole: who writes it back would lose the rest.
fn marked(meta: &str) -> String {
    const TAG: &str =
        "{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\"code\":\"SUBSETTED\"}";
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(meta) else { return meta.to_owned() };
    let Ok(tag) = serde_json::from_str::<serde_json::Value>(TAG) else { return meta.to_owned() };
    match value.get_mut("tag").and_then(serde_json::Value::as_array_mut) {
        Some(tags) => tags.push(tag),
        None => value["tag"] = serde_json::Value::Array(vec![tag]),
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_what_was_asked_for_and_what_must_be_there() {
        let kind = Parameters::r4().kind("Observation").unwrap();
        let text = r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"1"},"text":{"div":"x"},"status":"final","code":{},"valueQuantity":{"value":1.50},"note":[]}"#;
        let names = |subset: Subset| {
            let part: serde_json::Value =
                serde_json::from_str(&subset.of(kind, text.to_owned()).unwrap()).unwrap();
            assert_eq!(part["meta"]["tag"][0]["code"], "SUBSETTED");
            let mut names: Vec<String> = part.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(names(Subset::Narrative), "code id meta resourceType status text");
        assert_eq!(
            names(Subset::read(None, Some("value,x")).unwrap()),
            "code id meta resourceType status valueQuantity"
        );
        assert_eq!(names(Subset::Summary), "code id meta resourceType status valueQuantity");
        assert!(!names(Subset::Data).contains("text"));
        assert_eq!(Subset::Whole.of(kind, text.to_owned()).unwrap(), text);
        assert!(Subset::read(Some("x"), None).is_err());
    }
}
