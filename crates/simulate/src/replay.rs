//! Running a block's transactions again, up to the one that is looked at.

use crate::{
    Deadline, SimulateError,
    database::{Database, over},
    environment,
    machine::Machine,
};
use bxp_execution::ChainSpec;
use bxp_types::{RecoveredTransaction, StateReader, StoredBlock};

/// A block that is run again on the state before it.
pub struct Replayed<'a> {
    /// The state after the parent.
    pub before: &'a dyn StateReader,
    /// The rules of the chain.
    pub spec: &'a ChainSpec,
    /// The block.
    pub block: &'a StoredBlock,
    /// When the answer has to be there.
    pub deadline: Deadline,
}

impl std::fmt::Debug for Replayed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replayed").field("block", &self.block.hash).finish_non_exhaustive()
    }
}

impl<'a> Replayed<'a> {
    /// The machine and the database before the first transaction.
    pub(crate) fn begin(&self) -> Result<(Machine, Database<'a>), SimulateError> {
        let mut machine = Machine::new(self.spec, &self.block.header);
        // What is in a block has been checked. Accounts that a developer's chain impersonates have no key.
        machine.chain.disable_eip3607 = true;
        let mut database = over(self.before);
        machine.before_transactions(&mut database, &self.block.header)?;
        Ok((machine, database))
    }

    /// The same before the transaction at `index`, and the transaction.
    pub(crate) fn before(
        &self,
        index: usize,
    ) -> Result<(Machine, Database<'a>, &'a RecoveredTransaction), SimulateError> {
        let transactions = &self.block.transactions;
        let wanted = transactions.get(index).ok_or_else(|| {
            SimulateError::InvalidParams(format!("transaction index {index} out of range for block"))
        })?;
        let (machine, mut database) = self.begin()?;
        for transaction in &transactions[..index] {
            self.deadline.check()?;
            machine.commit(&mut database, environment::transaction(transaction), self.deadline)?;
        }
        Ok((machine, database, wanted))
    }
}
