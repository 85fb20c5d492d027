//! The project's own chores: `cargo xtask contracts [--check]`, `cargo xtask fuzz` and `cargo xtask tidy`.

mod contracts;
mod fuzz;
mod tidy;

use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  contracts          compile contracts/src with the pinned solc and write contracts/artifacts
  contracts --check  fail where contracts/artifacts differs from what contracts/src gives
  fuzz SECONDS [TARGET...]
                     run each fuzz target, or those named, for so many seconds
  tidy               check layers, licences, versions, module docs and sizes";

fn main() -> ExitCode {
    if std::env::var_os(fuzz::COMPILES).is_some() {
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        return fuzz::compile(&arguments);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["contracts"] => contracts::write(&root()),
        ["contracts", "--check"] => contracts::check(&root()),
        ["fuzz", seconds, names @ ..] if seconds.parse::<u32>().is_ok() => {
            fuzz::run(&root(), names, seconds.parse().unwrap_or_default())
        }
        ["tidy"] => tidy::run(&root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    report(outcome)
}

fn report(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
