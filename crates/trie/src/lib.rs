//! Incremental Merkle-Patricia trie with proofs.
