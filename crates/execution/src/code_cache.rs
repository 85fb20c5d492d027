//! Code, decoded once.

use crate::{ExecutionError, read::StateRead};
use alloy_primitives::B256;
use parking_lot::RwLock;
use revm::bytecode::Bytecode;
use std::collections::HashMap;

/// Contracts whose decoded code is kept in memory.
const CONTRACTS_MAX: usize = 1024;

/// Decoded code by its hash. What is named by its hash never changes, so no commit makes an entry wrong.
#[derive(Default)]
pub(crate) struct CodeCache(RwLock<HashMap<B256, Bytecode>>);

impl CodeCache {
    /// The code with this hash, from memory or from `base`.
    pub(crate) fn get(&self, hash: B256, base: &dyn StateRead) -> Result<Bytecode, ExecutionError> {
        if let Some(code) = self.0.read().get(&hash) {
            return Ok(code.clone());
        }
        let code = Bytecode::new_raw_checked(base.code(hash)?)
            .map_err(|_| ExecutionError::Malformed { table: "state.code" })?;
        let mut kept = self.0.write();
        if kept.len() >= CONTRACTS_MAX {
            kept.clear();
        }
        kept.insert(hash, code.clone());
        Ok(code)
    }
}
