//! What left, indexed: random names in a set, all other text in a sorted list of suffixes.

use super::variants::{ANYWHERE_FROM, compact};
use crate::{json::DEPTH_MAX, rules::rules};
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Value};
use std::collections::BTreeMap;

/// A random name in compact form: 128 bits in hexadecimal.
const NAME_LENGTH: usize = 32;
/// Suffixes are told apart by this many bytes; longer texts are compared to their end when found.
const SORTED_BY: usize = 64;

/// Collects the de-identified side.
#[derive(Debug, Default)]
pub struct Haystack {
    /// Text -> where it stood first.
    leaves: BTreeMap<String, String>,
}

impl Haystack {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a de-identified resource: strings, numbers and keys. Words of closed vocabularies are left out. What is
    /// nested deeper than [`DEPTH_MAX`] cannot have come from a split and is looked at no further.
    pub fn add(&mut self, deidentified: &Value) {
        let root = deidentified.get("resourceType").and_then(|name| name.as_str()).unwrap_or("Resource");
        self.value(&mut vec![root.to_owned()], deidentified, DEPTH_MAX);
    }

    fn value(&mut self, path: &mut Vec<String>, value: &Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if let Some(text) = value.as_str() {
            self.leaf(path, text);
        } else if let Some(object) = value.as_object() {
            for (key, member) in object {
                self.leaf(path, key);
                path.push(key.to_owned());
                self.value(path, member, depth);
                path.pop();
            }
        } else if let Some(array) = value.as_array() {
            for element in array.iter() {
                self.value(path, element, depth);
            }
        } else if let Some(number) = value.as_raw_number() {
            // 11220.19 is an amount, and not the twelfth of January 2019.
            for digits in number.as_str().split(|one: char| !one.is_ascii_digit()) {
                self.leaf(path, digits);
            }
        }
    }

    fn leaf(&mut self, path: &[String], text: &str) {
        if !self.leaves.contains_key(text) && !rules().is_ok_and(|rules| rules.is_vocabulary(text)) {
            self.leaves.insert(text.to_owned(), path.join("."));
        }
    }

    pub(super) fn into_index(self) -> Index {
        let mut index = Index { leaves: self.leaves.len() as u64, ..Index::default() };
        for (text, path) in self.leaves {
            let number = index.paths.len();
            index.paths.push(path);
            index.words(&text, number);
            match random_name(&text) {
                Some(name) => drop(index.names.insert(name, number)),
                None => index.text(&compact(&text), number),
            }
        }
        index.sort();
        index
    }
}

/// The compact form of the 128 bits in `Type/name`, `urn:uuid:name` or `name`.
fn random_name(text: &str) -> Option<String> {
    let last = text.rsplit(['/', ':']).next().unwrap_or(text);
    let name = compact(last);
    let is_name = name.len() == NAME_LENGTH && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_name.then_some(name)
}

/// What left, ready to be searched.
#[derive(Debug, Default)]
pub(super) struct Index {
    leaves: u64,
    paths: Vec<String>,
    /// Random names, which are found whole only.
    names: BTreeMap<String, usize>,
    /// Runs of whole words that are shorter than [`ANYWHERE_FROM`].
    runs: BTreeMap<String, usize>,
    /// All other leaves in compact form, with a zero byte behind each.
    text: Vec<u8>,
    /// Where each leaf begins in `text`, and its number.
    starts: Vec<(usize, usize)>,
    /// Places in `text`, sorted by what stands there.
    suffixes: Vec<u32>,
}

impl Index {
    pub(super) const fn leaves(&self) -> u64 {
        self.leaves
    }

    fn words(&mut self, text: &str, number: usize) {
        let words: Vec<String> = text
            .split(|one: char| !one.is_alphanumeric())
            .map(compact)
            .filter(|word| !word.is_empty())
            .collect();
        for first in 0..words.len() {
            let mut run = String::new();
            for word in &words[first..] {
                run.push_str(word);
                if run.len() >= 4 * ANYWHERE_FROM {
                    break;
                }
                if !self.runs.contains_key(&run) {
                    self.runs.insert(run.clone(), number);
                }
            }
        }
    }

    fn text(&mut self, compact: &str, number: usize) {
        self.starts.push((self.text.len(), number));
        self.text.extend_from_slice(compact.as_bytes());
        self.text.push(0);
    }

    fn sort(&mut self) {
        // A text beyond four gigabytes would have places that are not sorted in; it is bounded by the distinct leaves.
        let last = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        let text = &self.text;
        let mut suffixes: Vec<u32> = (0..last).filter(|&at| text[at as usize] != 0).collect();
        suffixes.sort_unstable_by(|&one, &other| head(text, one).cmp(head(text, other)));
        self.suffixes = suffixes;
    }

    /// Where `compact` stands: anywhere if it is long, else as whole words only.
    pub(super) fn find(&self, compact: &str) -> Option<&str> {
        let number = match compact.chars().count() < ANYWHERE_FROM {
            true => self.runs.get(compact).copied(),
            false => self.names.get(compact).copied().or_else(|| self.find_anywhere(compact.as_bytes())),
        };
        number.and_then(|number| self.paths.get(number)).map(String::as_str)
    }

    fn find_anywhere(&self, wanted: &[u8]) -> Option<usize> {
        let key = &wanted[..wanted.len().min(SORTED_BY)];
        let first = self.suffixes.partition_point(|&at| head(&self.text, at) < key);
        let candidates =
            self.suffixes[first..].iter().take_while(|&&at| head(&self.text, at).starts_with(key));
        let at = candidates.copied().find(|&at| self.text[at as usize..].starts_with(wanted))? as usize;
        let leaf = self.starts.partition_point(|&(start, _)| start <= at).checked_sub(1)?;
        self.starts.get(leaf).map(|&(_, number)| number)
    }
}

fn head(text: &[u8], at: u32) -> &[u8] {
    let rest = &text[at as usize..];
    &rest[..rest.len().min(SORTED_BY)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(json: &str) -> Index {
        let mut haystack = Haystack::new();
        haystack.add(&sonic_rs::from_str(json).unwrap());
        haystack.into_index()
    }

    #[test]
    fn long_strings_are_found_anywhere_and_short_ones_as_words() {
        let index = index(
            r#"{"resourceType":"Observation","id":"057aa36eb892996475b9ffb46b097e34","x":[{"y":"xxChi-Cormier 1949"}],"n":8675309999}"#,
        );
        assert_eq!(index.find("chicormier"), Some("Observation.x.y"));
        assert_eq!(index.find("1949"), Some("Observation.x.y"));
        assert_eq!(index.find("chi"), None, "xxChi is another word");
        assert_eq!(index.find("8675309999"), Some("Observation.n"));
        assert_eq!(index.find("057aa36eb892996475b9ffb46b097e34"), Some("Observation.id"));
        assert_eq!(index.find("057aa36eb8929964"), None, "a part of a random name");
        assert_eq!(index.find("observation"), None, "FHIR's own word");
        let amount = self::index(r#"{"resourceType":"Claim","net":11220.19,"n":19490321}"#);
        assert_eq!(amount.find("1122019"), None, "a point in a number is no separator");
        assert_eq!(amount.find("19490321"), Some("Claim.n"));
    }
}
