//! Licences and versions of every crate that is built, by `deny.toml`.
//!
//! cargo-deny reads the same file. These two checks are done here as well, so that they run on every machine.
//! The lock file also names crates behind features that nobody switches on; `cargo tree` knows the others.

use super::{Finding, licences};
use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, Package};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The parts of `deny.toml` that are checked here.
#[derive(Debug, Deserialize)]
pub(crate) struct Policy {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<LicenceException>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LicenceException {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    /// Where true, the crate may be there, in one version.
    #[serde(default)]
    deny_multiple_versions: bool,
    #[serde(default)]
    reason: String,
}

/// What a check needs to know of a crate.
struct Crate<'a> {
    name: &'a str,
    version: String,
    licence: Option<&'a str>,
}

impl<'a> From<&'a Package> for Crate<'a> {
    fn from(package: &'a Package) -> Self {
        Self {
            name: package.name.as_str(),
            version: package.version.to_string(),
            licence: package.license.as_deref(),
        }
    }
}

impl Policy {
    /// Reads `deny.toml`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("read {}", path.display()))
    }
}

/// Checks every crate that is built for any target.
pub(crate) fn check(root: &Path, metadata: &Metadata, policy: &Policy) -> Result<Vec<Finding>> {
    let tree = tree(root)?;
    let built = built(&tree);
    let all = metadata.packages.iter().map(Crate::from);
    let crates: Vec<Crate<'_>> =
        all.filter(|package| built.contains(&(package.name, package.version.as_str()))).collect();
    ensure!(!crates.is_empty(), "cargo tree names no crate");
    let mut findings = check_licences(&crates, &policy.licenses);
    findings.extend(check_bans(&crates, &policy.bans));
    Ok(findings)
}

/// One line for each crate, `name vVERSION` and what else cargo has to say.
fn tree(root: &Path) -> Result<String> {
    let options =
        ["tree", "--workspace", "--locked", "--target=all", "--edges=all", "--prefix=none", "--format={p}"];
    let output =
        Command::new(env!("CARGO")).args(options).current_dir(root).output().context("run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("read cargo tree")
}

/// Names and versions out of [`tree`].
fn built(tree: &str) -> BTreeSet<(&str, &str)> {
    let words = tree.lines().map(|line| line.split(' '));
    words.filter_map(|mut words| Some((words.next()?, words.next()?.strip_prefix('v')?))).collect()
}

fn check_licences(crates: &[Crate<'_>], policy: &Licences) -> Vec<Finding> {
    let refused = |package: &&Crate<'_>| {
        let exceptions = policy.exceptions.iter().filter(|exception| exception.name == package.name);
        let allowed: Vec<String> =
            policy.allow.iter().chain(exceptions.flat_map(|exception| &exception.allow)).cloned().collect();
        !package.licence.is_some_and(|licence| licences::is_allowed(licence, &allowed))
    };
    let name_it = |package: &Crate<'_>| {
        let licence = package.licence.unwrap_or("no licence expression");
        Finding::Error(format!(
            "{} {} has {licence}, which deny.toml does not allow",
            package.name, package.version
        ))
    };
    crates.iter().filter(refused).map(name_it).collect()
}

fn check_bans(crates: &[Crate<'_>], policy: &Bans) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in crates {
        versions.entry(package.name).or_default().insert(&package.version);
    }
    let judge = |ban: &Ban| {
        let present = versions.get(ban.name.as_str())?;
        let listed = present.iter().copied().collect::<Vec<_>>().join(", ");
        match (ban.deny_multiple_versions, present.len()) {
            (true, 1) => None,
            (true, _) => Some(Finding::Error(format!("{} is there in several versions: {listed}", ban.name))),
            (false, _) => Some(Finding::Error(format!("{} {listed} is banned: {}", ban.name, ban.reason))),
        }
    };
    policy.deny.iter().filter_map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT"]
        exceptions = [{ crate = "odd", allow = ["Zlib"] }]
        [bans]
        deny = [{ crate = "revm", deny-multiple-versions = true }, { crate = "openssl", reason = "ring is used" }]
    "#;

    fn package<'a>(name: &'a str, version: &str, licence: Option<&'a str>) -> Crate<'a> {
        Crate { name, version: version.to_owned(), licence }
    }

    #[test]
    fn the_tree_gives_names_and_versions() {
        let tree = "bxp-types v0.1.0 (/somewhere)\nserde v1.0.2 (proc-macro) (*)\n\nfjall feature \"lz4\"\ncid v0.11.1\n";
        assert_eq!(built(tree), [("bxp-types", "0.1.0"), ("cid", "0.11.1"), ("serde", "1.0.2")].into());
    }

    #[test]
    fn licences_are_allowed_for_all_or_for_one_crate() {
        let policy: Policy = toml::from_str(POLICY).unwrap();
        let crates = [
            package("plain", "1.0.0", Some("MIT")),
            package("odd", "1.0.0", Some("Zlib")),
            package("other", "1.0.0", Some("Zlib")),
            package("none", "1.0.0", None),
        ];
        let findings = check_licences(&crates, &policy.licenses);
        assert_eq!(findings.len(), 2);
        assert_eq!(
            findings[0],
            Finding::Error("other 1.0.0 has Zlib, which deny.toml does not allow".to_owned())
        );
    }

    #[test]
    fn heavy_crates_are_there_once_and_banned_ones_never() {
        let policy: Policy = toml::from_str(POLICY).unwrap();
        let once = [package("revm", "43.0.0", None), package("revm", "43.0.0", None)];
        assert_eq!(check_bans(&once, &policy.bans), []);
        let twice = [package("revm", "43.0.0", None), package("revm", "42.0.0", None)];
        assert_eq!(
            check_bans(&twice, &policy.bans),
            [Finding::Error("revm is there in several versions: 42.0.0, 43.0.0".to_owned())]
        );
        let banned = [package("openssl", "0.10.0", None)];
        assert_eq!(
            check_bans(&banned, &policy.bans),
            [Finding::Error("openssl 0.10.0 is banned: ring is used".to_owned())]
        );
    }
}
