//! `cargo xtask fuzz`: every target of `bin/fuzz` under libFuzzer, on the stable compiler.
//!
//! Our own crates alone are compiled with coverage counters: this program stands before the compiler
//! (`RUSTC_WORKSPACE_WRAPPER`) and adds the flags for them. So dependencies are those of every other build, and what guides
//! the fuzzer is the code that is to be tested.

use anyhow::{Context, Result, bail, ensure};
use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, ExitCode},
};

/// What cargo-fuzz passes too, without the sanitizers, which need the nightly compiler and look for what `unsafe` breaks.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// Set where this program is called by cargo, in the compiler's place.
pub(crate) const COMPILES: &str = "BXP_XTASK_COMPILES";
/// An input that takes longer is a find, in seconds.
const INPUT_SECONDS_MAX: u32 = 10;
/// A target that takes more memory has a find, in MiB.
const MEMORY_MIB_MAX: u32 = 2_048;

/// Builds the targets and runs each of `names`, or all, for `seconds`.
pub(crate) fn run(root: &Path, names: &[&str], seconds: u32) -> Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    build(root)?;
    let program = target.join("debug/bxp-fuzz");
    let all = targets(root)?;
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|known| known == *name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    let mut found = Vec::new();
    for name in all.iter().filter(|name| names.is_empty() || names.contains(&name.as_str())) {
        let corpus = target.join("fuzz").join(name);
        let finds = target.join("fuzz-finds").join(name);
        fs::create_dir_all(&corpus).and_then(|()| fs::create_dir_all(&finds)).context("make folders")?;
        println!("== {name}");
        let ended = Command::new(&program)
            .env("BXP_FUZZ_TARGET", name)
            .env("BXP_FUZZ_SEEDS", &corpus)
            .arg(&corpus)
            .args(["-print_final_stats=1", "-verbosity=0", "-use_value_profile=1"])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
            .arg(format!("-artifact_prefix={}/", finds.display()))
            .status()
            .with_context(|| format!("run {}", program.display()))?;
        if !ended.success() {
            found.push(name.as_str());
        }
    }
    ensure!(
        found.is_empty(),
        "{} broke; the inputs are in {}: mend it and keep them in bin/fuzz/found, as hexadecimal",
        found.join(", "),
        target.join("fuzz-finds").display()
    );
    Ok(())
}

/// The names in `bin/fuzz/src/lib.rs`, in its order.
fn targets(root: &Path) -> Result<Vec<String>> {
    let path = root.join("bin/fuzz/src/lib.rs");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let names = text.split("name: \"").skip(1).filter_map(|rest| rest.split_once('"'));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

fn build(root: &Path) -> Result<()> {
    let wrapper = std::env::current_exe().context("find this program")?;
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env(COMPILES, "1")
        // The whole workspace is named so that dependencies have the features of every other build.
        .args(["build", "--locked", "--workspace", "--bin", "bxp-fuzz", "--features", "bxp-fuzz/libfuzzer"])
        .status()
        .context("run cargo")?;
    ensure!(built.success(), "the targets do not build; libFuzzer needs a C++ compiler as c++");
    Ok(())
}

/// Stands before the compiler: `arguments` are the compiler and what it is called with.
pub(crate) fn compile(arguments: &[OsString]) -> ExitCode {
    let Some((compiler, rest)) = arguments.split_first() else { return ExitCode::FAILURE };
    let name = rest.iter().position(|one| one == "--crate-name").and_then(|at| rest.get(at + 1));
    let is_ours = name.and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("bxp"));
    let mut command = Command::new(compiler);
    command.args(rest);
    if is_ours {
        command.args(COVERAGE);
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: run {}: {error}", compiler.display());
            ExitCode::FAILURE
        }
    }
}
