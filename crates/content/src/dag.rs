//! Walking a DAG depth first, each block once, within bounds.

use crate::{Block, ContentError};
use cid::Cid;
use std::collections::HashSet;

/// The most links between a root and a block under it. Publications have three; a file of the largest size has seven.
pub const DEPTH_MAX: u16 = 128;

/// The most blocks of one DAG, which bounds the memory of walking it to about 100 MiB.
pub const BLOCKS_MAX: u64 = 1 << 20;

/// Walks what `read` gives, in the order of the links, a block's children after itself (`order=dfs; dups=n`).
///
/// The bounds count what is given, so a DAG above one of them gives its first blocks and then the error.
pub struct Walk<F> {
    root: Cid,
    read: F,
    waiting: Vec<(Cid, u16)>,
    /// What was given, where each block is given once.
    met: Option<HashSet<Cid>>,
    given: u64,
}

impl<F: FnMut(&Cid) -> Result<Block, ContentError>> Walk<F> {
    /// A walk from `root`.
    pub fn new(root: Cid, read: F) -> Self {
        Self { root, read, waiting: vec![(root, 0)], met: Some(HashSet::new()), given: 0 }
    }

    /// The same walk, that gives a block as often as it is met (`dups=y`).
    #[must_use]
    pub fn with_duplicates(self) -> Self {
        Self { met: None, ..self }
    }

    fn step(&mut self, cid: Cid, depth: u16) -> Result<Block, ContentError> {
        let too_large = |what, max| ContentError::DagTooLarge { root: Box::new(self.root), what, max };
        self.given += 1;
        if self.given > BLOCKS_MAX {
            return Err(too_large("blocks", BLOCKS_MAX));
        }
        let block = (self.read)(&cid)?;
        if !block.links().is_empty() {
            let below = depth + 1;
            if below > DEPTH_MAX {
                return Err(too_large("levels", DEPTH_MAX.into()));
            }
            self.waiting.extend(block.links().iter().rev().map(|link| (*link, below)));
        }
        Ok(block)
    }
}

impl<F: FnMut(&Cid) -> Result<Block, ContentError>> Iterator for Walk<F> {
    type Item = Result<Block, ContentError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((cid, depth)) = self.waiting.pop() {
            if self.met.as_mut().is_none_or(|met| met.insert(cid)) {
                let block = self.step(cid, depth);
                if block.is_err() {
                    self.waiting.clear();
                }
                return Some(block);
            }
        }
        None
    }
}
