//! Executing a block: running its transactions, and sealing what they give.

use crate::{
    BlockInput, ExecutedBlock, ExecutionError, State,
    run::{RanBlock, Way},
    seal,
};
use alloy_consensus::Header;
use alloy_primitives::B256;

/// From this many transactions on, their root is computed while they run; below, a thread costs more than it gives.
const ROOT_BESIDE_TRANSACTIONS_MIN: usize = 64;

impl State {
    /// Runs `input` on the block that `parent` heads, whose state must be the stored one. Nothing is written.
    ///
    /// Transactions run in the order given. One that cannot enter is dropped with its reason; the block goes on.
    /// Equal blocks on equal states give equal results on every node.
    ///
    /// # Errors
    /// [`ExecutionError::NotOnHead`] when `parent` is not the newest block or `input.height` not the one above;
    /// [`ExecutionError::Storage`], [`ExecutionError::Trie`] and the like when the stored state cannot be read.
    pub fn execute(&self, parent: &Header, input: BlockInput) -> Result<ExecutedBlock, ExecutionError> {
        let (ran, root) = run_beside_root(&input, |input| self.run(parent, input))?;
        ran.seal(input.transactions, root)
    }

    /// As [`State::execute`], with every transaction through the EVM: what the short cuts are held against.
    ///
    /// # Errors
    /// As [`State::execute`].
    pub fn execute_in_evm(
        &self,
        parent: &Header,
        input: BlockInput,
    ) -> Result<ExecutedBlock, ExecutionError> {
        self.run_in(parent, &input, Way::EvmOnly)?.seal(input.transactions, None)
    }

    /// The first part of [`State::execute`], as short as it can be: the transactions are run, without a receipt or a root.
    ///
    /// # Errors
    /// As [`State::execute`].
    pub fn run(&self, parent: &Header, input: &BlockInput) -> Result<RanBlock, ExecutionError> {
        self.run_in(parent, input, Way::Usual)
    }

    /// As [`State::run`], one transaction after the other: what many threads are held against.
    ///
    /// # Errors
    /// As [`State::execute`].
    pub fn run_one_by_one(&self, parent: &Header, input: &BlockInput) -> Result<RanBlock, ExecutionError> {
        self.run_in(parent, input, Way::OneByOne)
    }

    /// As [`State::run`], on all threads of the pool that it is called in, whether that helps or not;
    /// one after the other only where it has to be.
    ///
    /// # Errors
    /// As [`State::execute`].
    pub fn run_in_parallel(&self, parent: &Header, input: &BlockInput) -> Result<RanBlock, ExecutionError> {
        self.run_in(parent, input, Way::Parallel)
    }
}

/// What `run` gives of the transactions, and their root where it is worth a thread beside: it is known before they run,
/// unless some are dropped.
pub(crate) fn run_beside_root<T: Send>(
    input: &BlockInput,
    run: impl FnOnce(&BlockInput) -> Result<T, ExecutionError> + Send,
) -> Result<(T, Option<B256>), ExecutionError> {
    if input.transactions.len() < ROOT_BESIDE_TRANSACTIONS_MIN {
        return Ok((run(input)?, None));
    }
    let (ran, root) = rayon::join(|| run(input), || seal::transactions_root(&input.transactions));
    Ok((ran?, Some(root)))
}
