//! Ethereum state machine: revm over the state tables and the trie.
