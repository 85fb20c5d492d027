//! This very test binary as a child process, so that it can be killed.

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Runs one test by itself, which finds `folder` under the name `variable` in its environment; what it says can be read.
pub(crate) fn child(test: &str, variable: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(variable, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
