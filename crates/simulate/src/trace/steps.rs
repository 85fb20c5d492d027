//! What the struct logger records of each instruction, by estimate.

use alloy_rpc_types_trace::geth::GethDefaultTracingOptions;
use revm::{
    bytecode::opcode::{SLOAD, SSTORE},
    interpreter::{Interpreter, interpreter_types::Jumps},
    primitives::{Address, U256},
};
use std::collections::{HashMap, HashSet};

/// Bytes of a recorded instruction without its stack, memory and storage.
const STEP_BYTES: usize = 256;
/// Bytes of a recorded word of the stack.
const STACK_WORD_BYTES: usize = 32;
/// Bytes for a byte of recorded memory: in the answer, each 32 become a string of 64 characters.
const MEMORY_FACTOR: usize = 4;
/// Bytes of a recorded slot with its value, in the map that each reading or writing instruction gets.
const SLOT_BYTES: usize = 96;

/// What is recorded of each instruction, and what of the contracts' storage has been so far.
pub(super) struct Steps {
    stack: bool,
    memory: bool,
    storage: bool,
    /// Instructions of a transaction that are recorded at most.
    limit: u64,
    recorded: u64,
    /// The slots that the transaction has used: with each further use, all of the contract's are recorded again.
    slots: HashMap<Address, HashSet<U256>>,
}

impl Steps {
    pub(super) fn new(options: &GethDefaultTracingOptions) -> Self {
        Self {
            stack: !options.disable_stack.unwrap_or_default(),
            memory: options.is_memory_enabled(),
            storage: options.is_storage_enabled(),
            limit: options.limit.filter(|limit| *limit != 0).unwrap_or(u64::MAX),
            recorded: 0,
            slots: HashMap::new(),
        }
    }

    /// Begins with another transaction.
    pub(super) fn restart(&mut self) {
        self.recorded = 0;
        self.slots.clear();
    }

    /// Bytes that the record of the instruction takes that runs next.
    pub(super) fn bytes(&mut self, interp: &Interpreter) -> usize {
        if self.recorded >= self.limit {
            return 0;
        }
        self.recorded += 1;
        let mut bytes = STEP_BYTES;
        if self.stack {
            bytes += STACK_WORD_BYTES * interp.stack.len();
        }
        if self.memory {
            bytes = bytes.saturating_add(interp.memory.len().saturating_mul(MEMORY_FACTOR));
        }
        if self.storage && matches!(interp.bytecode.opcode(), SLOAD | SSTORE) {
            let slots = self.slots.entry(interp.input.target_address).or_default();
            slots.extend(interp.stack.data().last());
            bytes = bytes.saturating_add(slots.len().saturating_mul(SLOT_BYTES));
        }
        bytes
    }
}
