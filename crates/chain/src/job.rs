//! Work that takes a processor or a disk, on whatever thread the owner has: checking a proposal, executing a decided
//! superblock, importing certified blocks.

use crate::{
    ChainError, Input,
    order::order,
    proposal::{Proposal, ProposalRules},
    shared::Shared,
    sync::SyncItem,
};
use alloy_consensus::proofs::calculate_transaction_root;
use bxp_consensus::Superblock;
use bxp_execution::{BegunBlock, Below, BlockInput, DropReason, ExecutedBlock, ReadyRows, Unwritten};
use bxp_storage::{Batch, Durability};
use bxp_types::{
    B256, Certificate, Digest, Height, RecoveredTransaction, StoredBlock, ValidatorIndex, keccak256,
};
use bytes::Bytes;
use std::sync::Arc;

/// A piece of work; [`Job::run`] gives the input that tells the machine of its end.
#[derive(Debug)]
pub enum Job {
    /// Check a proposal's body. Any number of checks may run at once.
    Check {
        /// The height.
        height: Height,
        /// Who proposed it.
        proposer: ValidatorIndex,
        /// SHA-256 of the body.
        digest: Digest,
        /// The body.
        body: Bytes,
    },
    /// Run the next block's transactions, those of a superblock. The machine asks for one block or import at a time.
    Run {
        /// What was decided.
        superblock: Superblock,
        /// The block below, where it is not written yet; else it is the head.
        below: Option<Below>,
    },
    /// Hash a block that has run, while the next one is run. The machine asks for one at a time, in their order.
    Seal {
        /// The block.
        begun: Box<BegunBlock>,
        /// The block below, where it is not written yet.
        below: Option<Arc<Unwritten>>,
    },
    /// Write a block that was made, while the next ones are made. The machine asks for one at a time, in their order.
    Write(Box<MadeBlock>),
    /// Take certified blocks and certificates over.
    Import {
        /// Who sent them.
        from: ValidatorIndex,
        /// Consecutive heights; nothing of it has been verified.
        items: Vec<SyncItem>,
    },
}

/// What became of [`Job::Run`], [`Job::Seal`], [`Job::Write`] or [`Job::Import`].
#[derive(Debug)]
pub enum Done {
    /// The block's transactions have run, or wait for the hash of the block below.
    Ran(Box<BegunBlock>),
    /// The block is made. Nothing of it is on disk.
    Sealed(Box<MadeBlock>),
    /// The block is on disk.
    Written(Arc<StoredBlock>),
    /// An import has brought the superblock's block before.
    Overtaken,
    /// Blocks and certificates taken over, up to this certified height.
    Imported {
        /// The blocks, which are on disk.
        blocks: Vec<Arc<StoredBlock>>,
        /// The height of the newest certificate.
        certified: Height,
        /// Who sent a certificate whose signatures do not verify, at which the import ended.
        forged_by: Option<ValidatorIndex>,
    },
}

/// A block that is hashed, and the rows that writing it adds.
#[derive(Debug)]
pub struct MadeBlock {
    /// The block.
    pub executed: ExecutedBlock,
    rows: Batch,
    state_rows: ReadyRows,
}

impl Job {
    /// Does the work. Blocks for as long as the processor and the disk take.
    #[must_use]
    pub fn run(self, shared: &Shared) -> Input {
        match self {
            Self::Check { height, proposer, digest, body } => {
                let rules = ProposalRules::of(&shared.genesis);
                shared.late.read(rules);
                let known = |hash: &B256| shared.late.sender(hash);
                let checked = Proposal::check_knowing(&body, rules, &known);
                let valid = checked.is_ok();
                match checked {
                    Ok(proposal) => shared.checked.lock().insert(height, digest, Arc::new(proposal)),
                    Err(error) => tracing::warn!(%height, %proposer, %error, "invalid proposal"),
                }
                Input::Checked { height, proposer, digest, valid }
            }
            Self::Run { superblock, below } => Input::Done(shared.run(&superblock, below.as_ref())),
            Self::Seal { begun, below } => Input::Done(shared.seal(*begun, below.as_ref())),
            Self::Write(made) => Input::Done(shared.commit(*made, None).map(Done::Written)),
            Self::Import { from, items } => Input::Done(shared.import(from, items)),
        }
    }
}

impl Shared {
    fn run(&self, superblock: &Superblock, below: Option<&Below>) -> Result<Done, ChainError> {
        let head = self.head.load();
        let (parent, parent_ms) =
            below.map_or_else(|| (&head.header, head.time_ms), |below| (below.header(), below.time_ms()));
        let height = Height(parent.number).next();
        if superblock.height != height {
            return Ok(Done::Overtaken);
        }
        metrics::counter!("bxp_chain_proposals_decided_total").increment(superblock.proposals.len() as u64);
        let proposals: Vec<Arc<Proposal>> = superblock
            .proposals
            .iter()
            .map(|decided| {
                self.checked.lock().take(&decided.digest).unwrap_or_else(|| {
                    // Decided means that a correct validator found it valid, and the check is deterministic.
                    let rules = ProposalRules::of(&self.genesis);
                    Arc::new(Proposal::decided(&decided.body, rules).unwrap_or_default())
                })
            })
            .collect();
        let digest = superblock.digest();
        let input = BlockInput {
            height,
            time_ms: median_time(&proposals, parent_ms),
            mix_hash: keccak256(digest.0),
            parent_beacon_root: digest.0.into(),
            beneficiary: self.genesis.treasury,
            gas_limit: self.genesis.gas_limit,
            base_fee: bxp_execution::next_base_fee(parent),
            transactions: order(
                parent.mix_hash,
                proposals.iter().map(|proposal| proposal.transactions.as_slice()),
            ),
        };
        let begun = match below {
            Some(below) => self.state.begin_above(below, input),
            None => self.state.begin(parent, input),
        };
        Ok(Done::Ran(Box::new(begun.map_err(|error| ChainError::execution(height, error))?)))
    }

    fn seal(&self, begun: BegunBlock, below: Option<&Arc<Unwritten>>) -> Result<Done, ChainError> {
        let height = begun.height();
        let executed = self.state.finish(begun, below);
        let made = self.made(executed.map_err(|error| ChainError::execution(height, error))?)?;
        Ok(Done::Sealed(Box::new(made)))
    }

    /// Makes the block's rows ready, on all cores: one thread writes them.
    fn made(&self, executed: ExecutedBlock) -> Result<MadeBlock, ChainError> {
        let (state_rows, rows) = rayon::join(
            || self.state.make_ready(&executed),
            || {
                let mut rows = self.store.batch();
                self.blocks.put_rows(&mut rows, &executed.block, &executed.receipts);
                rows
            },
        );
        let state_rows = state_rows.map_err(|error| ChainError::execution(executed.block.height(), error))?;
        Ok(MadeBlock { executed, rows, state_rows })
    }

    fn commit(
        &self,
        made: MadeBlock,
        certificate: Option<&Certificate>,
    ) -> Result<Arc<StoredBlock>, ChainError> {
        let MadeBlock { executed, rows: mut batch, state_rows } = made;
        let mut dropped = Vec::new();
        for (hash, reason) in &executed.dropped {
            dropped.push((*hash, reason.to_string()));
            if is_final(reason) {
                self.pool.lock().remove(*hash);
                self.blocks.remove_pooled(&mut batch, *hash);
            }
        }
        self.blocks.note(&mut batch, &executed.block, &dropped);
        let height = executed.block.height();
        let committed = self.state.commit_ready(&mut batch, &executed, state_rows);
        committed.map_err(|error| ChainError::execution(height, error))?;
        if let Some(certificate) = certificate {
            self.blocks.put_certificate(&mut batch, certificate);
        }
        batch.commit(Durability::Synced)?;
        let block = Arc::new(executed.block);
        self.blocks.keep_fresh(Arc::clone(&block), Arc::new(executed.receipts));
        Ok(block)
    }

    fn import(&self, from: ValidatorIndex, items: Vec<SyncItem>) -> Result<Done, ChainError> {
        let keys = self.genesis.verification_keys();
        let (mut blocks, mut certified, mut forged_by) = (Vec::new(), self.blocks.certified()?, None);
        let mut head = self.head.load_full();
        for SyncItem { block, certificate } in items {
            if certificate.height <= certified {
                continue;
            }
            if certificate.height != certified.next() {
                tracing::warn!(%from, height = %certificate.height, "peer leaves a height out");
                break;
            }
            if !certificate.verify(&keys, self.network_id, self.genesis.quorum()) {
                forged_by = Some(from);
                break;
            }
            if certificate.height <= head.height() {
                self.check_own_block(&certificate)?;
                let mut batch = self.store.batch();
                self.blocks.put_certificate(&mut batch, &certificate);
                batch.commit(Durability::Buffered)?;
            } else {
                let Some(block) = block.filter(|block| is_certified(block, &certificate)) else {
                    tracing::warn!(%from, height = %certificate.height, "peer sends a block that is not the certified one");
                    break;
                };
                head = self.import_block(&head, block, &certificate)?;
                blocks.push(Arc::clone(&head));
            }
            certified = certificate.height;
        }
        Ok(Done::Imported { blocks, certified, forged_by })
    }

    fn import_block(
        &self,
        head: &StoredBlock,
        block: StoredBlock,
        certificate: &Certificate,
    ) -> Result<Arc<StoredBlock>, ChainError> {
        let height = certificate.height;
        let executed = self
            .state
            .verify_and_execute(&head.header, &block)
            .map_err(|error| ChainError::execution(height, error))?;
        self.commit(self.made(executed)?, Some(certificate))
    }

    pub(crate) fn check_own_block(&self, certificate: &Certificate) -> Result<(), ChainError> {
        let height = certificate.height;
        if self.blocks.height_of(certificate.block_hash)? == Some(height) {
            return Ok(());
        }
        let Some(block) = self.blocks.block(height)? else {
            return Err(ChainError::decode("block", "missing below the head"));
        };
        Err(ChainError::Diverged { height, ours: block.hash, certified: certificate.block_hash })
    }
}

/// Whether `block` is, to its last byte, the one that the certificate is for: the hash covers the header, and the header
/// its transactions and its time. A difference is the sender's fault; what differs after that is a divergence.
fn is_certified(block: &StoredBlock, certificate: &Certificate) -> bool {
    let transactions: Vec<_> = block.transactions.iter().map(RecoveredTransaction::inner).collect();
    block.hash == certificate.block_hash
        && block.header.transactions_root == calculate_transaction_root(&transactions)
        && block.header.extra_data.as_ref() == block.time_ms.to_be_bytes()
}

/// Whether a dropped transaction will never be valid again; others stay in the pool and are proposed later.
const fn is_final(reason: &DropReason) -> bool {
    !matches!(
        reason,
        DropReason::NonceTooHigh { .. } | DropReason::BlockGas { .. } | DropReason::Underpriced { .. }
    )
}

/// The median of the proposers' clocks, never before the parent.
fn median_time(proposals: &[Arc<Proposal>], parent_ms: u64) -> u64 {
    let mut times: Vec<u64> = proposals.iter().map(|proposal| proposal.time_ms).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(parent_ms).max(parent_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposal::tests::transfer;
    use alloy_consensus::Header;

    #[test]
    fn only_the_certified_block_is_taken_from_a_peer() {
        let transactions = vec![transfer(1, 0, 1)];
        let bare: Vec<_> = transactions.iter().map(RecoveredTransaction::inner).collect();
        let header = Header {
            number: 1,
            transactions_root: calculate_transaction_root(&bare),
            extra_data: 7_u64.to_be_bytes().into(),
            ..Header::default()
        };
        let block = StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 7 };
        let signatures = std::collections::BTreeMap::new();
        let certificate = Certificate { height: Height(1), block_hash: block.hash, signatures };
        assert!(is_certified(&block, &certificate));
        assert!(!is_certified(&StoredBlock { time_ms: 8, ..block.clone() }, &certificate));
        assert!(!is_certified(&StoredBlock { transactions: vec![transfer(2, 0, 1)], ..block }, &certificate));
    }

    #[test]
    fn a_blocks_time_is_the_median_and_never_goes_back() {
        let at = |time_ms| Arc::new(Proposal { time_ms, transactions: Vec::new() });
        assert_eq!(median_time(&[at(9_000), at(10), at(12)], 5), 12);
        assert_eq!(median_time(&[at(1)], 5), 5);
        assert_eq!(median_time(&[], 5), 5);
    }
}
