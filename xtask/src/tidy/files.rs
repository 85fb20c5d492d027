//! Rules about files: module docs, forbidden macros, panics in pure crates, sizes, hidden characters.

use super::{Finding, rust_code};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

const LINES_USUAL_MAX: usize = 400;
const LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Crates without clock, randomness, I/O and panics.
const PURE_CRATES: &[&str] = &["crates/consensus/", "crates/trie/", "crates/privacy/", "crates/types/"];
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];
const PANICS: &[&str] = &[".unwrap()", ".expect(", ".unwrap_err()", ".expect_err(", "panic!"];
/// What builds, installs and runs leave behind; hidden folders are skipped but for these.
const SKIPPED_FOLDERS: &[&str] = &["target", "node_modules", "kubo", "venv"];
const HIDDEN_FOLDERS_READ: &[&str] = &[".ci", ".cargo"];
/// Files that are not text by their nature.
const BINARY_EXTENSIONS: &[&str] = &["bz2", "gz", "ico", "png", "woff2", "zdict"];

/// Checks every file under `root`.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let size = path.metadata().with_context(|| format!("read {name}"))?.len();
        if size > FILE_BYTES_MAX {
            findings.push(Finding::Error(format!(
                "{name} has {size} bytes; files have at most {FILE_BYTES_MAX}"
            )));
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("read {name}"))?;
        findings.extend(check_file(&name, bytes));
    }
    Ok(findings)
}

fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let context = || format!("list {}", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(context)? {
            let entry = entry.with_context(context)?;
            let kind = entry.file_type().with_context(context)?;
            if kind.is_dir() && is_read(&entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn is_read(folder: &str) -> bool {
    let hidden = folder.starts_with('.') && !HIDDEN_FOLDERS_READ.contains(&folder);
    !hidden && !folder.starts_with("target-") && !SKIPPED_FOLDERS.contains(&folder)
}

fn check_file(name: &str, bytes: Vec<u8>) -> Vec<Finding> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if BINARY_EXTENSIONS.contains(&extension) {
        return vec![];
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return vec![Finding::Error(format!("{name} is not UTF-8 text"))];
    };
    let mut findings = check_characters(name, &text);
    if extension == "rs" {
        findings.extend(check_rust(name, &text));
    }
    findings
}

/// Control and direction characters make text read otherwise than it is (CVE-2021-42574).
fn check_characters(name: &str, text: &str) -> Vec<Finding> {
    let hidden = |c: &char| {
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
            || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    };
    let lines = text.lines().enumerate();
    let found = lines.filter_map(|(line, content)| content.chars().find(hidden).map(|c| (line + 1, c)));
    found.map(|(line, c)| Finding::Error(format!("{name}:{line} has the hidden character {c:?}"))).collect()
}

fn check_rust(name: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !has_module_docs(text) {
        findings.push(Finding::Error(format!("{name} does not begin with //! docs")));
    }
    let code = rust_code::without_text(text);
    findings.extend(occurrences(name, &code, UNFINISHED));
    if is_pure(name) {
        findings.extend(occurrences(name, &rust_code::without_tests(&code), PANICS));
    }
    findings.extend(check_length(name, text));
    findings.extend(check_functions(name, &code));
    findings
}

/// Whether the file is shipped code of a pure crate. `tests.rs` is the test module of its folder.
fn is_pure(name: &str) -> bool {
    let shipped = !name.ends_with("/tests.rs") && !name.contains("/tests/");
    shipped && PURE_CRATES.iter().any(|folder| name.starts_with(folder))
}

fn has_module_docs(text: &str) -> bool {
    text.lines().map(str::trim).find(|line| !line.is_empty()).is_some_and(|line| line.starts_with("//!"))
}

fn occurrences(name: &str, code: &str, words: &[&str]) -> Vec<Finding> {
    let in_line = |(line, content): (usize, &str)| {
        let word = words.iter().find(|word| content.contains(**word))?;
        Some(Finding::Error(format!("{name}:{} has {word}", line + 1)))
    };
    code.lines().enumerate().filter_map(in_line).collect()
}

fn check_length(name: &str, text: &str) -> Option<Finding> {
    match text.lines().count() {
        lines if lines > LINES_MAX => {
            Some(Finding::Error(format!("{name} has {lines} lines; files have at most {LINES_MAX}")))
        }
        lines if lines > LINES_USUAL_MAX => Some(Finding::Remark(format!(
            "{name} has {lines} lines; a usual file has under {LINES_USUAL_MAX}"
        ))),
        _ => None,
    }
}

fn check_functions(name: &str, code: &str) -> Vec<Finding> {
    let long = rust_code::functions(code).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
    let remark = |function: rust_code::Function| {
        let rust_code::Function { name: function_name, line, lines } = function;
        Finding::Remark(format!(
            "{name}:{line} {function_name} has {lines} lines; a function fits {FUNCTION_LINES_MAX}"
        ))
    };
    long.map(remark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str) -> Vec<String> {
        let say = |finding| match finding {
            Finding::Error(text) => format!("error: {text}"),
            Finding::Remark(text) => format!("remark: {text}"),
        };
        check_file(name, text.as_bytes().to_vec()).into_iter().map(say).collect()
    }

    #[test]
    fn a_clean_module_has_no_findings() {
        let text =
            "//! A module.\n\n/// Says dbg! in a comment.\nfn f() -> &'static str {\n    \"todo!\"\n}\n";
        assert_eq!(check("crates/types/src/a.rs", text), [""; 0]);
    }

    #[test]
    fn docs_unfinished_code_and_hidden_characters_are_errors() {
        assert_eq!(check("a.rs", "fn f() {}\n"), ["error: a.rs does not begin with //! docs"]);
        assert_eq!(check("a.rs", "//! A.\nfn f() { todo!() }\n"), ["error: a.rs:2 has todo!"]);
        assert_eq!(
            check("a.md", "one\ntwo \u{202e}\n"),
            ["error: a.md:2 has the hidden character '\\u{202e}'"]
        );
        assert_eq!(check("a.md", "nul\0"), ["error: a.md:1 has the hidden character '\\0'"]);
        assert_eq!(check_file("a.bin", vec![0xff]), [Finding::Error("a.bin is not UTF-8 text".to_owned())]);
        assert_eq!(check_file("a.png", vec![0xff]), []);
    }

    #[test]
    fn pure_crates_do_not_panic_outside_tests() {
        let text = "//! A.\nfn f() { x.unwrap(); }\n#[cfg(test)]\nmod tests { fn g() { x.unwrap(); } }\n";
        assert_eq!(check("crates/trie/src/a.rs", text), ["error: crates/trie/src/a.rs:2 has .unwrap()"]);
        assert_eq!(check("crates/storage/src/a.rs", text), [""; 0]);
        assert_eq!(check("crates/trie/tests/it/a.rs", text), [""; 0]);
        assert_eq!(check("crates/trie/src/a/tests.rs", text), [""; 0]);
    }

    #[test]
    fn long_files_and_functions_are_named() {
        let lines = |count: usize| format!("//! A.\n{}", "// x\n".repeat(count - 1));
        assert_eq!(check("a.rs", &lines(400)), [""; 0]);
        assert_eq!(check("a.rs", &lines(401)), ["remark: a.rs has 401 lines; a usual file has under 400"]);
        assert_eq!(check("a.rs", &lines(801)), ["error: a.rs has 801 lines; files have at most 800"]);
        let function = format!("//! A.\nfn long() {{\n{}}}\n", "    x();\n".repeat(69));
        assert_eq!(check("a.rs", &function), ["remark: a.rs:2 long has 71 lines; a function fits 70"]);
    }

    #[test]
    fn folders_of_builds_are_not_read() {
        for (folder, read) in
            [("src", true), (".ci", true), (".git", false), ("target", false), ("target-2", false)]
        {
            assert_eq!(is_read(folder), read, "{folder}");
        }
    }
}
