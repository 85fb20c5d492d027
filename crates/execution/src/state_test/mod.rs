//! Ethereum's GeneralStateTests: one transaction on a given state, under each fork, with the state root and the logs
//! that Ethereum says it gives.
//!
//! They run through this crate's own executor and trie, over a state in memory. A case passes when the transaction
//! enters or is refused as expected, and state root and hash of the logs are those of the file.

mod file;
mod fork;
mod run;

use crate::ExecutionError;
use serde::Serialize;

/// What became of one case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateTestResult {
    /// The test's name in its file.
    pub name: String,
    /// The fork, in the file's words.
    pub fork: String,
    /// Which data, gas limit and value of the transaction, and which of the fork's cases.
    pub index: String,
    /// Whether everything is as expected.
    pub pass: bool,
    /// The state root that was found.
    pub state_root: Option<alloy_primitives::B256>,
    /// What is not as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Runs every case of a file.
///
/// # Errors
/// [`ExecutionError::StateTest`] when the bytes are no state tests. A case that fails is a result, not an error.
pub fn run_state_tests(json: &[u8]) -> Result<Vec<StateTestResult>, ExecutionError> {
    let tests = file::read(json)?;
    let mut results = Vec::new();
    for (name, test) in &tests {
        for (fork, cases) in &test.post {
            results.extend(cases.iter().enumerate().map(|(number, case)| {
                let ended = run::case(test, fork, case);
                let indexes = &case.indexes;
                StateTestResult {
                    name: name.clone(),
                    fork: fork.clone(),
                    index: format!("{number}: d{} g{} v{}", indexes.data, indexes.gas, indexes.value),
                    pass: ended.error.is_none(),
                    state_root: ended.state_root,
                    error: ended.error,
                }
            }));
        }
    }
    Ok(results)
}
