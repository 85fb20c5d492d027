//! Dead letters as they are shown: nothing of the message itself.

use serde::{Deserialize, Serialize};

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number, by which it is replayed.
    pub number: u64,
    /// When it came first, in milliseconds since 1970.
    pub received_ms: u64,
    /// The length of the message in bytes.
    pub bytes: u64,
    /// Why it was not taken, without any value of it.
    pub reasons: Vec<String>,
}

/// What became of a dead letter that was tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Its number.
    pub number: u64,
    /// Whether it was taken whole; then it is no dead letter any more.
    pub taken: bool,
    /// Why not.
    pub reasons: Vec<String>,
}
