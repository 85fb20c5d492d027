//! `bxp dev statetest`: Ethereum's GeneralStateTests through this node's executor and trie.
//!
//! Each case passes, or stands with its reason on the list in `exceptions.txt`; one that fails without being listed, or
//! passes in spite of it, fails the run.

use anyhow::{Context, Result, bail, ensure};
use bxp_execution::{StateTestResult, run_state_tests};
use clap::Args;
use rayon::prelude::*;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Cases that do not pass, each with its reason.
const EXCEPTIONS: &str = include_str!("statetest/exceptions.txt");

#[derive(Args)]
pub(crate) struct Arguments {
    /// A file of state tests, or a folder of them, folders below included.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Print one JSON line for each case, and one with the totals at the end.
    #[arg(long)]
    json: bool,
}

/// One case's line.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    #[serde(flatten)]
    result: &'a StateTestResult,
    /// Why a failure is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    files: usize,
    cases: usize,
    passed: usize,
    /// Failed as the list says.
    listed: usize,
    /// Failed without being listed, or passed in spite of it.
    unexpected: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut files = Vec::new();
    collect(&arguments.path, &mut files)?;
    ensure!(!files.is_empty(), "{} holds no .json files", arguments.path.display());
    let exceptions = exceptions(EXCEPTIONS)?;
    let results: Vec<(PathBuf, Vec<StateTestResult>)> = files
        .into_par_iter()
        .map(|file| {
            let json = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            let results = run_state_tests(&json).unwrap_or_else(|error| vec![no_test(error.to_string())]);
            Ok((file, results))
        })
        .collect::<Result<_>>()?;
    let mut totals = Totals { files: results.len(), ..Totals::default() };
    for (file, results) in &results {
        for result in results {
            totals.count(file, result, &exceptions, arguments.json)?;
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&totals)?);
    } else {
        println!(
            "statetest: {} of {} cases in {} files pass, {} fail as listed, {} are unexpected",
            totals.passed, totals.cases, totals.files, totals.listed, totals.unexpected
        );
    }
    if totals.unexpected > 0 {
        bail!("{} cases do not do what is expected of them", totals.unexpected);
    }
    Ok(())
}

impl Totals {
    fn count(
        &mut self,
        file: &Path,
        result: &StateTestResult,
        exceptions: &BTreeMap<&str, &str>,
        json: bool,
    ) -> Result<()> {
        let of_fork = format!("*, {}", result.fork);
        let listed =
            exceptions.get(case(result).as_str()).or_else(|| exceptions.get(of_fork.as_str())).copied();
        self.cases += 1;
        match (result.pass, listed) {
            (true, None) => self.passed += 1,
            (false, Some(_)) => self.listed += 1,
            (true, Some(_)) | (false, None) => self.unexpected += 1,
        }
        if json {
            println!("{}", serde_json::to_string(&Line { file, result, listed })?);
        } else if let Some(error) = &result.error {
            let reason = listed.map(|reason| format!(" (listed: {reason})")).unwrap_or_default();
            println!("{}: {}: {error}{reason}", file.display(), case(result));
        } else if listed.is_some() {
            println!("{}: {}: passes, though it is listed as failing", file.display(), case(result));
        }
        Ok(())
    }
}

/// The one result of a file that holds no state tests, which counts as unexpected.
fn no_test(error: String) -> StateTestResult {
    StateTestResult {
        name: "no state test".to_owned(),
        fork: String::new(),
        index: String::new(),
        pass: false,
        state_root: None,
        error: Some(error),
    }
}

fn case(result: &StateTestResult) -> String {
    format!("{}, {}, {}", result.name, result.fork, result.index)
}

/// Reasons by the name of the case, or by a fork as `*, FORK`. Names and indexes have colons of their own, so the reason follows the last one.
fn exceptions(list: &str) -> Result<BTreeMap<&str, &str>> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            line.rsplit_once(": ").with_context(|| format!("exceptions.txt: {line:?} is no `case: reason`"))
        })
        .collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("read {}", path.display()))?;
    let mut entries = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    // Archives of tests keep lists of themselves in folders like `.meta`.
    let is_hidden =
        |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    for entry in entries.into_iter().filter(|entry| !is_hidden(entry)) {
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "json") {
            files.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_exceptions_can_be_read() {
        assert!(exceptions(EXCEPTIONS).is_ok());
        let list = exceptions("# none\n\na::b, Cancun, 0: d0 g0 v0: the reason").unwrap();
        assert_eq!(list.get("a::b, Cancun, 0: d0 g0 v0"), Some(&"the reason"));
        assert!(exceptions("no reason").is_err());
    }

    #[test]
    fn a_file_without_tests_is_told_and_the_others_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".meta")).unwrap();
        fs::write(folder.path().join(".meta/index.json"), "[]").unwrap();
        fs::write(folder.path().join("list.json"), "[1]").unwrap();
        let mut files = Vec::new();
        collect(folder.path(), &mut files).unwrap();
        assert_eq!(files, [folder.path().join("list.json")]);
        let error = run(&Arguments { path: folder.path().to_owned(), json: true }).unwrap_err();
        assert_eq!(error.to_string(), "1 cases do not do what is expected of them");
    }

    #[test]
    fn a_fork_is_listed_as_a_whole() {
        let list = exceptions(EXCEPTIONS).unwrap();
        let withdrawn =
            StateTestResult { fork: "Constantinople".to_owned(), ..no_test("unknown".to_owned()) };
        let mut totals = Totals::default();
        totals.count(Path::new("a.json"), &withdrawn, &list, true).unwrap();
        assert_eq!((totals.listed, totals.unexpected), (1, 0));
    }
}
