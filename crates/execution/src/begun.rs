//! A block in two steps, so that blocks overlap: its transactions are run while the one below it is hashed, and it is
//! hashed while the one above it is run (ADR 102).
//!
//! Nearly nothing that transactions can see follows from the hash of the block below: its number in BLOCKHASH, its row in
//! the history contract (EIP-2935), and whether an account without code and nonce has stored slots (EIP-7610). A block in
//! which a transaction asks for one of them waits, and is run when the one below is hashed.

use crate::{
    BlockInput, ExecutedBlock, ExecutionError, State, Unwritten,
    execute::run_beside_root,
    ran::Ran,
    run::{RanBlock, RanTransactions},
    view::View,
};
use alloy_consensus::Header;
use alloy_primitives::B256;
use bxp_types::{Height, RecoveredTransaction};
use std::sync::Arc;

/// The block below one that is begun, where that one is not on disk yet.
#[derive(Clone, Debug)]
pub enum Below {
    /// It is hashed, and being written.
    Unwritten(Arc<Unwritten>),
    /// It has run, and is being hashed.
    Ran {
        /// The block.
        block: Arc<Ran>,
        /// The one below it, where that one is not on disk yet.
        beneath: Option<Arc<Unwritten>>,
    },
}

impl Below {
    /// The block's header; without what is not known yet, see [`Ran::header`].
    #[must_use]
    pub fn header(&self) -> &Header {
        match self {
            Self::Unwritten(block) => block.header(),
            Self::Ran { block, .. } => block.header(),
        }
    }

    /// The block's time in milliseconds since the epoch.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        match self {
            Self::Unwritten(block) => block.time_ms(),
            Self::Ran { block, .. } => block.time_ms(),
        }
    }
}

/// A block whose transactions have run, or that waits for the one below it to be hashed.
#[derive(Debug)]
pub struct BegunBlock(Step);

#[derive(Debug)]
enum Step {
    /// It ran on a state whose roots were known.
    Ran(Box<RanBlock>, Transactions),
    /// It ran while the block below, which has this `mixHash`, was hashed.
    RanAbove {
        below: B256,
        ran: Box<RanTransactions>,
        transactions: Transactions,
    },
    Waits(BlockInput),
}

/// A block's transactions, and their root where it was computed beside.
#[derive(Debug)]
struct Transactions(Vec<RecoveredTransaction>, Option<B256>);

impl BegunBlock {
    /// The block's number.
    #[must_use]
    pub fn height(&self) -> Height {
        match &self.0 {
            Step::Ran(ran, _) => ran.transactions.block.height(),
            Step::RanAbove { ran, .. } => ran.block.height(),
            Step::Waits(input) => input.height,
        }
    }

    /// What the next block can be run on; none where this one waits.
    #[must_use]
    pub fn ran(&self) -> Option<Arc<Ran>> {
        match &self.0 {
            Step::Ran(ran, _) => Some(Arc::clone(&ran.transactions.block)),
            Step::RanAbove { ran, .. } => Some(Arc::clone(&ran.block)),
            Step::Waits(_) => None,
        }
    }
}

impl State {
    /// Runs the transactions of the block above the stored one, which `parent` heads. Nothing is hashed or written.
    ///
    /// # Errors
    /// As [`State::execute`].
    pub fn begin(&self, parent: &Header, input: BlockInput) -> Result<BegunBlock, ExecutionError> {
        self.begin_on(self.view(), parent.hash_slow(), input)
    }

    /// As [`State::begin`], above a block that is not stored yet. Where that one is not hashed and a transaction asks for
    /// what only its hash or its roots say, nothing has run, and [`State::finish`] does it.
    ///
    /// # Errors
    /// As [`State::execute`]; [`ExecutionError::NotOnHead`] where `below` neither is the stored block nor follows it.
    pub fn begin_above(&self, below: &Below, input: BlockInput) -> Result<BegunBlock, ExecutionError> {
        let view = self.view();
        let head = view.head()?;
        let (block, beneath) = match below {
            Below::Unwritten(block) => return self.begin_on(self.above(view, block)?, block.hash(), input),
            // It was hashed and written since.
            Below::Ran { block, .. } if head.height == block.height() => {
                return self.begin_on(view, head.hash, input);
            }
            Below::Ran { block, beneath } => (block, beneath),
        };
        let view = match beneath {
            Some(beneath) => self.above(view, beneath)?,
            None => view,
        };
        match run_beside_root(&input, |input| self.run_above(block, &view, input)) {
            Ok((ran, root)) => {
                let (below, transactions) = (block.header().mix_hash, Transactions(input.transactions, root));
                Ok(BegunBlock(Step::RanAbove { below, ran: Box::new(ran), transactions }))
            }
            Err(ExecutionError::NotSealed(_)) => Ok(BegunBlock(Step::Waits(input))),
            Err(error) => Err(error),
        }
    }

    fn begin_on(&self, view: View, parent: B256, input: BlockInput) -> Result<BegunBlock, ExecutionError> {
        let (ran, root) = run_beside_root(&input, |input| self.run_usual(view, parent, input))?;
        Ok(BegunBlock(Step::Ran(Box::new(ran), Transactions(input.transactions, root))))
    }

    /// Hashes a block that was begun. `below` is the one below it where that is not on disk yet; it is hashed by now.
    ///
    /// # Errors
    /// As [`State::begin_above`].
    pub fn finish(
        &self,
        begun: BegunBlock,
        below: Option<&Arc<Unwritten>>,
    ) -> Result<ExecutedBlock, ExecutionError> {
        let view = || below.map_or_else(|| Ok(self.view()), |below| self.view_above(below));
        match begun.0 {
            Step::Ran(ran, Transactions(transactions, root)) => ran.seal(transactions, root),
            Step::RanAbove { below: expected, ran, transactions: Transactions(transactions, root) } => {
                let view = view()?;
                let parent = view.head()?;
                self.check_on_head(&view, parent.hash, ran.block.height())?;
                // The stored block is the one below where none is given; a network makes no other one at its height.
                if let Some(below) = below.filter(|below| below.header().mix_hash != expected) {
                    let (height, head_height) = (ran.block.height(), below.height());
                    return Err(ExecutionError::NotOnHead {
                        height,
                        parent: expected,
                        head_height,
                        head: below.hash(),
                    });
                }
                ran.seal_above(self, &view, parent.hash, transactions, root)
            }
            Step::Waits(input) => {
                let view = view()?;
                let parent = view.head()?.hash;
                let (ran, root) = run_beside_root(&input, |input| self.run_usual(view, parent, input))?;
                ran.seal(input.transactions, root)
            }
        }
    }
}
