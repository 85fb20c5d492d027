//! The trie against alloy-trie, as an oracle, and against hostile input.

mod damage;
mod oracle;
mod proofs;
mod updates;
mod vectors;
