//! One test case: requests, and the answers that are right.

use super::compare::{Strictness, compare};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{fs, path::Path};

/// A file of requests (`>> `) and answers (`<< `), with comments.
pub(super) struct Case {
    /// `method/file` without its ending.
    pub(super) name: String,
    strictness: Strictness,
    exchanges: Vec<(Value, Value)>,
}

impl Case {
    /// All cases below `folder`, in order.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut files = Vec::new();
        let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
        for method in entries {
            let method = method?.path();
            if !method.is_dir() {
                continue;
            }
            for file in fs::read_dir(&method)? {
                let file = file?.path();
                if file.extension().is_some_and(|ending| ending == "io") {
                    files.push(file);
                }
            }
        }
        files.sort();
        ensure!(!files.is_empty(), "{} holds no test cases", folder.display());
        files.iter().map(|file| Self::read(folder, file)).collect()
    }

    fn read(folder: &Path, file: &Path) -> Result<Self> {
        let name = file.strip_prefix(folder)?.with_extension("").to_string_lossy().into_owned();
        let text = fs::read_to_string(file).with_context(|| format!("read {name}"))?;
        Self::parse(name, &text)
    }

    fn parse(name: String, text: &str) -> Result<Self> {
        let (mut strictness, mut exchanges, mut request) = (Strictness::Exact, Vec::new(), None);
        for line in text.lines().map(str::trim) {
            let json = |text| serde_json::from_str(text).with_context(|| format!("understand {name}"));
            if line.starts_with("//") {
                if line.contains("speconly") {
                    strictness = Strictness::Shape;
                }
            } else if let Some(text) = line.strip_prefix(">> ") {
                request = Some(json(text)?);
            } else if let Some(text) = line.strip_prefix("<< ") {
                let asked = request.take().with_context(|| format!("{name}: an answer without a request"))?;
                exchanges.push((asked, json(text)?));
            }
        }
        Ok(Self { name, strictness, exchanges })
    }

    /// Asks; gives what is wrong with the answers.
    pub(super) async fn run(&self, client: &reqwest::Client, url: &str) -> Result<Option<String>> {
        for (request, expected) in &self.exchanges {
            let answer = client.post(url).json(request).send().await.context("ask the server")?;
            let answer: Value = answer.json().await.context("understand the server")?;
            if let Some(difference) = compare(expected, &answer, self.strictness) {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_with_its_comments() {
        let text = "// speconly: shape\n>> {\"id\":1}\n<< {\"result\":\"0x1\"}\n";
        let case = Case::parse("eth_x/y".to_owned(), text).unwrap();
        assert_eq!((case.strictness, case.exchanges.len()), (Strictness::Shape, 1));
        assert!(Case::parse("a".to_owned(), "<< {}").is_err());
    }
}
