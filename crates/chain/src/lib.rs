//! Mempool, proposals, block import, certificates and sync.
