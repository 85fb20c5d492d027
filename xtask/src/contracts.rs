//! Compiles the system contracts. The artifacts are committed, so that only a change of the sources needs Node.

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

/// Compiles and writes the artifacts that changed.
pub(crate) fn write(root: &Path) -> Result<()> {
    compile(root, &[])
}

/// Compiles and compares; the compiler script names each file that differs.
pub(crate) fn check(root: &Path) -> Result<()> {
    compile(root, &["--check"])?;
    println!("contracts: artifacts are what the sources give");
    Ok(())
}

fn compile(root: &Path, options: &[&str]) -> Result<()> {
    let folder = root.join("contracts");
    install(&folder)?;
    let status = Command::new("node")
        .arg("compile.mjs")
        .args(options)
        .current_dir(&folder)
        .status()
        .context("run node; install Node 20 or newer (https://nodejs.org)")?;
    ensure!(status.success(), "contracts/compile.mjs failed, see above");
    Ok(())
}

/// Installs the pinned compiler where it is missing or of another version than the lock file's.
fn install(folder: &Path) -> Result<()> {
    let lock = read(&folder.join("package-lock.json"))?;
    let installed =
        std::fs::read_to_string(folder.join("node_modules/.package-lock.json")).unwrap_or_default();
    if solc_version(&installed).is_some() && solc_version(&installed) == solc_version(&lock) {
        return Ok(());
    }
    println!("contracts: installing the pinned solc");
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .status()
        .context("run npm; install Node 20 or newer (https://nodejs.org)")?;
    if !status.success() {
        bail!("npm ci failed in {}; is the package registry reachable?", folder.display());
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// The version that a lock file gives for solc.
fn solc_version(lock: &str) -> Option<&str> {
    let entry = lock.split_once("\"node_modules/solc\"")?.1;
    let version = entry.split_once("\"version\": \"")?.1;
    version.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_read_from_the_lock_file() {
        let lock = r#"{ "packages": { "node_modules/solc": { "version": "0.8.36", "x": 1 } } }"#;
        assert_eq!(solc_version(lock), Some("0.8.36"));
        assert_eq!(solc_version("{}"), None);
    }
}
