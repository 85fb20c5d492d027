//! Blocks, one at a time: executing a decided superblock, importing certified blocks, and what follows from either.

use super::{Driver, Outcome};
use crate::{
    ChainError,
    chain::Shared,
    order::order,
    proposal::{Proposal, ProposalRules},
    sync::SyncItem,
};
use alloy_consensus::proofs::calculate_transaction_root;
use bxp_consensus::{Input, Superblock};
use bxp_execution::{BlockInput, DropReason, ExecutedBlock};
use bxp_storage::Durability;
use bxp_types::{Address, Certificate, Height, RecoveredTransaction, StoredBlock, ValidatorIndex, keccak256};
use std::{collections::BTreeSet, sync::Arc, time::Instant};

pub(crate) enum Work {
    Execute(Superblock),
    Import { from: ValidatorIndex, items: Vec<SyncItem> },
}

pub(crate) enum Done {
    Executed(Arc<StoredBlock>),
    /// Blocks and certificates taken over, up to this certified height.
    Imported {
        blocks: Vec<Arc<StoredBlock>>,
        certified: Height,
    },
}

impl Driver {
    /// Gives execution its next piece of work when it is free.
    pub(super) fn next_work(&mut self) {
        if self.working {
            return;
        }
        let Some(work) = self.queue.pop_front() else { return };
        self.working = true;
        let (shared, results) = (Arc::clone(&self.shared), self.results.clone());
        tokio::task::spawn_blocking(move || {
            let done = match work {
                Work::Execute(superblock) => shared.execute(&superblock),
                Work::Import { from, items } => shared.import(from, items),
            };
            let _ = results.blocking_send(Outcome::Done(done));
        });
    }

    pub(super) fn on_done(&mut self, done: Done) -> Result<(), ChainError> {
        self.working = false;
        match done {
            Done::Executed(block) => {
                self.take_head(&block)?;
                self.attest(block.height(), block.hash);
            }
            Done::Imported { blocks, certified } => {
                for block in &blocks {
                    self.take_head(block)?;
                }
                self.certificates.advance(certified);
                self.settle(certified)?;
                if self.behind {
                    self.fetch_from_any();
                }
            }
        }
        self.next_work();
        Ok(())
    }

    /// The block is executed and on disk: readers see it, and the pool forgets what it spent.
    fn take_head(&mut self, block: &Arc<StoredBlock>) -> Result<(), ChainError> {
        let height = block.height();
        self.shared.head.store(Arc::clone(block));
        self.started = self.started.max(height);
        self.head_at = Instant::now();
        self.empty_blocks =
            if block.transactions.is_empty() { self.empty_blocks.saturating_add(1) } else { 0 };
        self.shared.checked.lock().forget_up_to(height);
        let senders: BTreeSet<Address> =
            block.transactions.iter().map(RecoveredTransaction::signer).collect();
        let mut batch = self.shared.store.batch();
        for sender in senders {
            let account = self.shared.state.account(sender);
            let nonce = account.map_err(|error| ChainError::execution(height, error))?.nonce;
            for spent in self.shared.pool.lock().account_moved(sender, nonce) {
                self.shared.blocks.remove_pooled(&mut batch, spent);
            }
        }
        batch.commit(Durability::Buffered)?;
        self.shared.heads.send_replace(height);
        metrics::gauge!("bxp_chain_height").set(height.0 as f64);
        metrics::counter!("bxp_chain_transactions_total").increment(block.transactions.len() as u64);
        Ok(())
    }

    /// Certificates of executed blocks that have become complete.
    pub(super) fn collect_certificates(&mut self) -> Result<(), ChainError> {
        while self.certificates.certified() < self.shared.head.load().height() {
            let Some(certificate) = self.certificates.take_next() else { return Ok(()) };
            self.shared.check_own_block(&certificate)?;
            let mut batch = self.shared.store.batch();
            self.shared.blocks.put_certificate(&mut batch, &certificate);
            batch.commit(Durability::Buffered)?;
            self.settle(certificate.height)?;
        }
        Ok(())
    }

    fn settle(&mut self, certified: Height) -> Result<(), ChainError> {
        self.certified_at = Instant::now();
        self.attestations = self.attestations.split_off(&certified.next());
        self.handle(Input::Settled(certified));
        self.journal.settled(certified)?;
        metrics::gauge!("bxp_chain_certified_height").set(certified.0 as f64);
        Ok(())
    }
}

impl Shared {
    fn execute(&self, superblock: &Superblock) -> Result<Done, ChainError> {
        let parent = self.head.load_full();
        let height = parent.height().next();
        if superblock.height != height {
            // An earlier import has already brought this height.
            return Ok(Done::Imported { blocks: Vec::new(), certified: Height(0) });
        }
        let proposals: Vec<Arc<Proposal>> = superblock
            .proposals
            .iter()
            .map(|decided| {
                self.checked.lock().get(&decided.digest).unwrap_or_else(|| {
                    // Decided means that a correct validator found it valid, and the check is deterministic.
                    Arc::new(
                        Proposal::check(&decided.body, ProposalRules::of(&self.genesis)).unwrap_or_default(),
                    )
                })
            })
            .collect();
        let digest = superblock.digest();
        let input = BlockInput {
            height,
            time_ms: median_time(&proposals, parent.time_ms),
            mix_hash: keccak256(digest.0),
            parent_beacon_root: digest.0.into(),
            beneficiary: self.genesis.treasury,
            gas_limit: self.genesis.gas_limit,
            base_fee: bxp_execution::next_base_fee(&parent.header),
            transactions: order(
                parent.hash,
                proposals.iter().map(|proposal| proposal.transactions.clone()).collect(),
            ),
        };
        let executed = self
            .state
            .execute(&parent.header, input)
            .map_err(|error| ChainError::execution(height, error))?;
        self.commit(&executed, None)?;
        Ok(Done::Executed(Arc::new(executed.block)))
    }

    fn commit(&self, executed: &ExecutedBlock, certificate: Option<&Certificate>) -> Result<(), ChainError> {
        let mut batch = self.store.batch();
        let mut dropped = Vec::new();
        for (hash, reason) in &executed.dropped {
            dropped.push((*hash, reason.to_string()));
            if is_final(reason) {
                self.pool.lock().remove(*hash);
                self.blocks.remove_pooled(&mut batch, *hash);
            }
        }
        self.blocks.put(&mut batch, &executed.block, &executed.receipts, &dropped);
        let height = executed.block.height();
        self.state.commit(&mut batch, executed).map_err(|error| ChainError::execution(height, error))?;
        if let Some(certificate) = certificate {
            self.blocks.put_certificate(&mut batch, certificate);
        }
        batch.commit(Durability::Synced)?;
        Ok(())
    }

    fn import(&self, from: ValidatorIndex, items: Vec<SyncItem>) -> Result<Done, ChainError> {
        let keys = self.genesis.verification_keys();
        let (mut blocks, mut certified) = (Vec::new(), self.blocks.certified()?);
        let mut head = self.head.load_full();
        for SyncItem { block, certificate } in items {
            if certificate.height <= certified {
                continue;
            }
            if certificate.height != certified.next()
                || !certificate.verify(&keys, self.network_id, self.genesis.quorum())
            {
                tracing::warn!(%from, height = %certificate.height, "peer sends a certificate that does not hold");
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
        Ok(Done::Imported { blocks, certified })
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
        self.commit(&executed, Some(certificate))?;
        Ok(Arc::new(executed.block))
    }

    fn check_own_block(&self, certificate: &Certificate) -> Result<(), ChainError> {
        let height = certificate.height;
        let Some(block) = self.blocks.block(height)? else {
            return Err(ChainError::decode("block", "missing below the head"));
        };
        if block.hash == certificate.block_hash {
            Ok(())
        } else {
            Err(ChainError::Diverged { height, ours: block.hash, certified: certificate.block_hash })
        }
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
