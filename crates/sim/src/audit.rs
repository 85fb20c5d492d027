//! What must hold, whatever goes wrong: checked whenever a correct node has moved.
//!
//! - **Agreement**: all correct nodes have the same block at each height.
//! - **Validity**: a proposal that is decided passes the whole check, whoever has checked it before; a block holds only
//!   transactions that a client signed, by their signer, each once, in nonce order.
//! - **Conservation**: the state of a block is what an independent book comes to; no wei appears or disappears.
//! - **Nothing acknowledged is lost**: after every restart and at the end.
//! - **Memory is bounded**: whatever waits in a correct node has a bound of its own ([`Bounds`]).

mod book;
mod bounds;

use crate::host::Process;
use alloy_consensus::{Transaction as _, transaction::SignerRecoverable};
use book::Book;
use bounds::Bounds;
use bxp_chain::proposal::{Proposal, ProposalRules};
use bxp_consensus::{Proposal as Decided, Superblock};
use bxp_types::{Address, B256, Digest, Genesis, Height, StoredBlock};
use std::collections::{BTreeMap, BTreeSet};

/// Who sent a transaction and with which nonce.
pub(crate) type Slot = (Address, u64);

pub(crate) struct Audit {
    /// The hash of the block at each height, from block 1 on.
    chain: Vec<B256>,
    book: Book,
    rules: ProposalRules,
    bounds: Bounds,
    /// The digests of decided proposals, all of them found valid here.
    decided: BTreeSet<Digest>,
    /// Everything that clients have signed.
    signed: BTreeMap<B256, Slot>,
    signed_for: BTreeMap<Slot, BTreeSet<B256>>,
    /// What is in blocks.
    included: BTreeMap<B256, Height>,
    /// Acknowledged transactions by the host that gave its word.
    acknowledged: BTreeMap<B256, usize>,
    pub(crate) transactions: u64,
    /// How often the state of a block was held against the book.
    pub(crate) books_checked: u64,
    /// The most that anything waited for in a correct node.
    pub(crate) waiting_most: usize,
}

impl Audit {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self {
            book: Book::new(genesis),
            rules: ProposalRules::of(genesis),
            bounds: Bounds::new(genesis),
            decided: BTreeSet::new(),
            chain: Vec::new(),
            signed: BTreeMap::new(),
            signed_for: BTreeMap::new(),
            included: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            transactions: 0,
            books_checked: 0,
            waiting_most: 0,
        }
    }

    /// A client has signed this.
    pub(crate) fn sign(&mut self, hash: B256, slot: Slot) {
        self.signed.insert(hash, slot);
        self.signed_for.entry(slot).or_default().insert(hash);
    }

    /// A correct host has acknowledged this.
    pub(crate) fn acknowledge(&mut self, hash: B256, host: usize) {
        self.acknowledged.entry(hash).or_insert(host);
    }

    pub(crate) fn is_acknowledged(&self, hash: B256) -> bool {
        self.acknowledged.contains_key(&hash)
    }

    pub(crate) fn acknowledged_count(&self) -> usize {
        self.acknowledged.len()
    }

    pub(crate) fn height(&self) -> Height {
        Height(self.chain.len() as u64)
    }

    pub(crate) fn is_included(&self, hash: B256) -> bool {
        self.included.contains_key(&hash)
    }

    /// Whether the slot of this transaction is taken by it or by another of the same sender.
    pub(crate) fn is_settled(&self, hash: B256) -> bool {
        self.signed.get(&hash).is_some_and(|(sender, nonce)| self.book.nonce(*sender) > *nonce)
    }

    /// How many proposals were decided.
    pub(crate) fn proposals_decided(&self) -> usize {
        self.decided.len()
    }

    /// A correct node has decided this.
    pub(crate) fn decided(&mut self, superblock: &Superblock) -> Result<(), String> {
        for Decided { proposer, digest, body } in &superblock.proposals {
            if self.decided.contains(digest) {
                continue;
            }
            if let Err(error) = Proposal::check(body, self.rules) {
                let height = superblock.height;
                return Err(format!(
                    "validity: height {height} decides an invalid proposal of {proposer}: {error}"
                ));
            }
            self.decided.insert(*digest);
        }
        Ok(())
    }

    /// Looks at a correct node after it has done something.
    pub(crate) fn look(&mut self, process: &mut Process) -> Result<(), String> {
        let head = process.shared.head();
        for height in (process.checked.0 + 1..=head.height().0).map(Height) {
            let block = process.shared.blocks().block(height).map_err(|error| error.to_string())?;
            self.block(&block.ok_or_else(|| format!("block {height} is missing below the head"))?)?;
        }
        let moved = process.checked < head.height();
        process.checked = head.height();
        // The next block may be on the disk already, before its node has heard of it.
        let stored = process.shared.state().head().map_err(|error| error.to_string())?;
        if moved && head.height() == self.height() && stored.hash == head.hash {
            self.book.check(process.shared.state())?;
            self.books_checked += 1;
        }
        self.bounds(process)
    }

    fn bounds(&mut self, process: &Process) -> Result<(), String> {
        let load = process.machine.load();
        self.waiting_most = self.waiting_most.max(load.most());
        let bounds = self.bounds.with_blocks(self.height());
        match load.above(&bounds) {
            Some(what) => Err(format!("{what} has grown beyond its bound: {load:?}, at most {bounds:?}")),
            None => Ok(()),
        }
    }

    fn block(&mut self, block: &StoredBlock) -> Result<(), String> {
        let height = block.height();
        if let Some(known) = usize::try_from(height.0 - 1).ok().and_then(|at| self.chain.get(at)) {
            return if *known == block.hash {
                Ok(())
            } else {
                Err(format!("agreement: block {height} is {known} and {}", block.hash))
            };
        }
        if height != self.height().next() {
            return Err(format!("block {height} came before block {}", self.height().next()));
        }
        for transaction in &block.transactions {
            let hash = *transaction.inner().tx_hash();
            let Some((sender, nonce)) = self.signed.get(&hash).copied() else {
                return Err(format!("validity: block {height} holds {hash}, which no client signed"));
            };
            let recovered = transaction.inner().recover_signer().map_err(|error| error.to_string())?;
            if (recovered, transaction.signer(), transaction.nonce()) != (sender, sender, nonce) {
                return Err(format!("validity: block {height} has another sender or nonce for {hash}"));
            }
            if let Some(earlier) = self.included.insert(hash, height) {
                return Err(format!("double execution: {hash} is in blocks {earlier} and {height}"));
            }
            self.book.transfer(transaction, &block.header)?;
        }
        self.transactions += block.transactions.len() as u64;
        self.chain.push(block.hash);
        Ok(())
    }

    /// A host has started again: what it acknowledged is still there, or settled.
    pub(crate) fn check_restart(&self, host: usize, process: &Process) -> Result<(), String> {
        for (hash, _) in self.acknowledged.iter().filter(|(_, by)| **by == host) {
            if process.shared.pending(*hash).is_none() && !self.is_settled(*hash) && !self.is_replaced(*hash)
            {
                return Err(format!("host {host} has lost the acknowledged transaction {hash}"));
            }
        }
        Ok(())
    }

    /// Whether the sender has signed another transaction for the same slot, which a pool may prefer.
    fn is_replaced(&self, hash: B256) -> bool {
        let slot = self.signed.get(&hash);
        slot.and_then(|slot| self.signed_for.get(slot)).is_some_and(|all| all.len() > 1)
    }

    /// The first acknowledged transaction that is neither in a block nor outdone by another of its sender.
    pub(crate) fn unsettled(&self) -> Option<B256> {
        self.acknowledged.keys().find(|hash| !self.is_settled(**hash)).copied()
    }

    /// Checks at the end of a run that whatever was acknowledged has become final.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        for hash in self.acknowledged.keys() {
            let rivals = self.signed.get(hash).and_then(|slot| self.signed_for.get(slot));
            let won = rivals
                .is_some_and(|rivals| rivals.iter().filter(|rival| self.is_included(**rival)).count() == 1);
            if !won {
                return Err(format!("the acknowledged transaction {hash} is in no block"));
            }
        }
        Ok(())
    }
}
