//! Recomputing a whole stored chain: `bxp verify chain`.
//!
//! Nothing that the folder says of itself is believed. Each block is read, its senders recovered from their
//! signatures, its hash, parent link, roots and bloom computed anew and its certificate's signatures checked. A deep
//! verification also executes all blocks from genesis on, in a store of its own, and holds the stored state against
//! the one that comes of it, entry by entry.

mod block;

use crate::{ChainError, block_index::BlockIndex, blocks::Blocks};
use bxp_execution::{Retention, State, VerifyError};
use bxp_storage::{Durability, Store};
use bxp_types::{Genesis, Height, StoredBlock, StoredReceipt};
use std::fmt;

/// Findings after which verifying ends: a folder with so many is beyond repair, and a list without a bound helps nobody.
const FINDINGS_MAX: usize = 100;

/// Something stored that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The block; none for what belongs to no block.
    pub height: Option<Height>,
    /// The field, or the table with the entry's key.
    pub field: String,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.height {
            Some(height) => write!(f, "block {height}: ")?,
            None => f.write_str("state: ")?,
        }
        write!(f, "{} is {}, must be {}", self.field, self.found, self.expected)
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The newest block.
    pub head: Height,
    /// The newest certified block; those above wait for the others' attestations.
    pub certified: Height,
    /// Transactions whose signatures, receipts and places in the index were checked.
    pub transactions: u64,
    /// Entries in the index of logs and accounts, which were compared with the blocks.
    pub index_entries: u64,
    /// Segments of old blocks that were read whole.
    pub segments: usize,
    /// The newest block that was executed anew; none where that was not asked for.
    pub executed: Option<Height>,
    /// Entries of the state's tables that were compared; none unless every block could be executed.
    pub state_entries: Option<u64>,
    /// The faults, at most a hundred.
    pub findings: Vec<Finding>,
}

/// A stored chain to be verified.
pub struct Verifier<'a> {
    genesis: &'a Genesis,
    store: &'a Store,
    blocks: Blocks,
    index: BlockIndex,
    /// Up to here the index of logs and accounts is in its table.
    index_stored: Option<Height>,
    /// Entries that the blocks up to there must have in it.
    index_expected: u64,
    report: Report,
}

/// The chain that grows from genesis anew.
struct Rerun {
    store: Store,
    state: State,
    parent: StoredBlock,
}

impl<'a> Verifier<'a> {
    /// For the chain in `store`.
    ///
    /// # Errors
    /// [`ChainError`] when the newest block cannot be read, or there is none.
    pub fn new(genesis: &'a Genesis, store: &'a Store) -> Result<Self, ChainError> {
        let blocks = Blocks::open(store)?;
        let head = blocks.newest_height()?.ok_or_else(|| ChainError::decode("chain", "there is no block"))?;
        let index = BlockIndex::open(store)?;
        let report = Report { head, ..Report::default() };
        Ok(Self { genesis, store, blocks, index_stored: index.stored(), index, index_expected: 0, report })
    }

    /// Verifies everything; with `scratch`, an empty store, also by executing all blocks in it. Tells `progress` of
    /// each block that is done, and of the newest.
    ///
    /// # Errors
    /// [`ChainError`] when the database or the scratch store fails; what is wrong with the chain is in the report.
    pub fn run(
        mut self,
        scratch: Option<&Store>,
        mut progress: impl FnMut(Height, Height),
    ) -> Result<Report, ChainError> {
        match self.blocks.certified() {
            Ok(certified) => self.report.certified = certified,
            Err(error) => self.found(None, "certificates", "readable", &error),
        }
        let mut rerun = scratch.map(|scratch| self.begin(scratch)).transpose()?;
        let mut parent: Option<StoredBlock> = None;
        for height in (0..=self.report.head.0).map(Height) {
            if self.report.findings.len() >= FINDINGS_MAX {
                return Ok(self.report);
            }
            let stored = self.check_block(height, parent.as_ref());
            if !matches!(stored, Some((_, Some(_)))) {
                // What cannot be read is a fault already, and nobody knows what the index must have of it.
                self.index_stored = None;
            }
            let done = match (rerun.take(), stored.as_ref()) {
                (Some(rerun), Some((block, receipts))) => self.execute(rerun, block, receipts.as_deref())?,
                _ => None,
            };
            rerun = done;
            parent = stored.map(|(block, _)| block);
            progress(height, self.report.head);
        }
        self.check_indexed()?;
        self.check_index_entries()?;
        self.check_segments();
        if let Some(rerun) = rerun {
            self.compare_state(&rerun.state)?;
        }
        Ok(self.report)
    }

    fn begin(&self, scratch: &Store) -> Result<Rerun, ChainError> {
        // Kept as far back as in the folder, and in its form, so that past states can be compared as well.
        let state_error = |error| ChainError::State(Box::new(error));
        let stored = self.stored_state()?;
        let oldest = stored.oldest().map_err(state_error)?;
        let depth = self.report.head.0.saturating_sub(oldest.0).max(1);
        let in_packs = stored.keeps_packs().map_err(state_error)?;
        let retention = if oldest.0 == 0 && !in_packs { Retention::All } else { Retention::Blocks(depth) };
        let state = State::open_retaining(scratch, self.genesis, retention);
        let state = state.map_err(|error| ChainError::State(Box::new(error)))?;
        Ok(Rerun { store: scratch.clone(), parent: state.genesis_block().clone(), state })
    }

    fn stored_state(&self) -> Result<State, ChainError> {
        State::open_retaining(self.store, self.genesis, Retention::All)
            .map_err(|error| ChainError::State(Box::new(error)))
    }

    /// Executes `block` and compares it with what comes of it. None where the chain cannot go on from it.
    fn execute(
        &mut self,
        mut rerun: Rerun,
        block: &StoredBlock,
        receipts: Option<&[StoredReceipt]>,
    ) -> Result<Option<Rerun>, ChainError> {
        let height = block.height();
        if height == Height(0) {
            let first = rerun.parent.hash;
            self.equal(height, "hash", first, block.hash);
            self.report.executed = Some(height);
            return Ok((first == block.hash).then_some(rerun));
        }
        let executed = match rerun.state.verify_and_execute(&rerun.parent.header, block) {
            Ok(executed) => executed,
            Err(VerifyError::Mismatch { field, expected, found, .. }) => {
                self.found(Some(height), field, expected, found);
                return Ok(None);
            }
            Err(VerifyError::Included { transaction, reason, .. }) => {
                self.found(Some(height), format!("transaction {transaction}"), "one that can enter", reason);
                return Ok(None);
            }
            Err(VerifyError::Execution(error)) => return Err(ChainError::execution(height, error)),
        };
        for (index, (wanted, stored)) in
            executed.receipts.iter().zip(receipts.unwrap_or_default()).enumerate()
        {
            if wanted != stored {
                self.found(
                    Some(height),
                    format!("receipt {index}"),
                    format!("{wanted:?}"),
                    format!("{stored:?}"),
                );
            }
        }
        let mut batch = rerun.store.batch();
        let committed = rerun.state.commit(&mut batch, &executed);
        committed.map_err(|error| ChainError::execution(height, error))?;
        batch.commit(Durability::Buffered)?;
        rerun.parent = executed.block;
        self.report.executed = Some(height);
        Ok(Some(rerun))
    }

    /// Each block and transaction was found by its hash; there must be no others.
    fn check_indexed(&mut self) -> Result<(), ChainError> {
        let (blocks, transactions) = self.blocks.indexed()?;
        if blocks != self.report.head.0 + 1 {
            self.found(None, "number of indexed blocks", self.report.head.0 + 1, blocks);
        }
        if transactions != self.report.transactions {
            self.found(None, "number of indexed transactions", self.report.transactions, transactions);
        }
        Ok(())
    }

    /// Each entry of a block was looked up in the index of logs and accounts; there must be no others.
    fn check_index_entries(&mut self) -> Result<(), ChainError> {
        let Some(stored) = self.index_stored else { return Ok(()) };
        if stored > self.report.head {
            self.found(None, "height of the index of logs and accounts", self.report.head, stored);
            return Ok(());
        }
        let entries = self.index.count_up_to(stored)?;
        self.report.index_entries = entries;
        if entries != self.index_expected {
            self.found(
                None,
                "number of entries in the index of logs and accounts",
                self.index_expected,
                entries,
            );
        }
        Ok(())
    }

    /// Each block was read out of its segment; a whole segment is what was written, to its last byte.
    fn check_segments(&mut self) {
        let segments = self.blocks.segments().clone();
        self.report.segments = segments.len();
        segments.verify(self.genesis.network_id(), self.genesis.chain_id, |first, file, found| {
            self.found(Some(first), file, "what was written", found);
        });
    }

    fn compare_state(&mut self, rerun: &State) -> Result<(), ChainError> {
        let max = FINDINGS_MAX.saturating_sub(self.report.findings.len());
        let (differences, entries) = self
            .stored_state()?
            .differences(rerun, max)
            .map_err(|error| ChainError::State(Box::new(error)))?;
        self.report.state_entries = Some(entries);
        for difference in differences {
            let field = format!("{} 0x{}", difference.table, difference.key);
            self.found(None, field, "what the blocks give", difference.kind);
        }
        Ok(())
    }

    fn equal<T: fmt::Display + PartialEq>(&mut self, height: Height, field: &str, expected: T, found: T) {
        if expected != found {
            self.found(Some(height), field, expected, found);
        }
    }

    fn found(
        &mut self,
        height: Option<Height>,
        field: impl Into<String>,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        if self.report.findings.len() < FINDINGS_MAX {
            let (expected, found) = (expected.to_string(), found.to_string());
            self.report.findings.push(Finding { height, field: field.into(), expected, found });
        }
    }
}
