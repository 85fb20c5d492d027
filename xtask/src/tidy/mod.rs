//! The house's rules as checks: layers, licences, one version of heavy crates, module docs, sizes, forbidden code.
//!
//! Each check gives findings; an error fails, a remark is printed. Reading the tree and judging it are apart, so that
//! every rule is tested on text.

mod dependencies;
mod files;
mod layers;
mod licences;
mod rust_code;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;
use std::path::Path;

/// What a check has to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// The rule is broken.
    Error(String),
    /// Worth a look.
    Remark(String),
}

/// Runs every check on the workspace at `root`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .context("read cargo metadata")?;
    let policy = dependencies::Policy::read(&root.join("deny.toml"))?;

    let mut findings = layers::check(&metadata);
    findings.extend(dependencies::check(root, &metadata, &policy)?);
    findings.extend(files::check(root)?);
    findings.sort();
    findings.dedup();
    print(&findings)
}

fn print(findings: &[Finding]) -> Result<()> {
    let mut errors = 0;
    for finding in findings {
        match finding {
            Finding::Error(text) => {
                errors += 1;
                eprintln!("tidy: error: {text}");
            }
            Finding::Remark(text) => println!("tidy: remark: {text}"),
        }
    }
    if errors > 0 {
        bail!("tidy found {errors} broken rules");
    }
    println!("tidy: no broken rules, {} remarks", findings.len());
    Ok(())
}
