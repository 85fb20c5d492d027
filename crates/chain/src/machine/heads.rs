//! What follows from blocks: heads, attestations, certificates, settled heights.

use super::{Effect, Fetching, Machine, Moment};
use crate::{ChainError, Done, checked::Unread, codec};
use bxp_consensus::Input as Consensus;
use bxp_network::Channel;
use bxp_storage::Durability;
use bxp_types::{Address, B256, Height, RecoveredTransaction, StoredBlock};
use std::{collections::BTreeSet, sync::Arc};

impl Machine {
    pub(super) fn on_done(&mut self, done: Done, now: Moment) -> Result<(), ChainError> {
        match done {
            Done::Ran(block) => {
                self.making.working = false;
                self.making.begun = Some(block);
            }
            Done::Sealed(block) => {
                self.making.sealing = None;
                self.making.made = Some(block);
            }
            Done::Written(block) => {
                self.making.writing = None;
                self.take_head(&block, now)?;
                self.attest(block.height(), block.hash);
            }
            Done::Overtaken => self.making.working = false,
            Done::Imported { blocks, certified, forged_by } => {
                self.making.working = false;
                self.fetching = Fetching::Idle;
                if let Some(peer) = forged_by {
                    self.ban(peer, "a certificate whose signatures do not verify");
                }
                for block in &blocks {
                    self.take_head(block, now)?;
                }
                self.certificates.advance(certified);
                self.settle(certified, now);
                // Whoever gave blocks may have more, whatever another one said of the end.
                if self.behind || !blocks.is_empty() {
                    self.fetch_from_any();
                }
            }
        }
        self.next_work();
        Ok(())
    }

    /// The block is executed and on disk: readers see it, and the pool forgets what it spent.
    fn take_head(&mut self, block: &Arc<StoredBlock>, now: Moment) -> Result<(), ChainError> {
        let height = block.height();
        self.shared.head.store(Arc::clone(block));
        self.started = self.started.max(height);
        self.count_empty(block.transactions.is_empty(), now);
        self.head_at = now.elapsed;
        self.keep_late(height);
        self.under_way.forget_up_to(height);
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

    /// Keeps what is known of others' proposals that came too late for their superblock: they come again.
    fn keep_late(&mut self, height: Height) {
        let mut checked = self.shared.checked.lock();
        let late = self.engine.left_out(height).map(|(digest, body)| {
            checked.take(&digest).map_or_else(|| Unread::Vouched(body.clone()), Unread::Checked)
        });
        self.shared.late.add(late);
        checked.forget_up_to(height);
    }

    /// Certificates of executed blocks that have become complete.
    pub(super) fn collect_certificates(&mut self, now: Moment) -> Result<(), ChainError> {
        while self.certificates.certified() < self.shared.head.load().height() {
            let Some(certificate) = self.certificates.take_next() else { return Ok(()) };
            self.shared.check_own_block(&certificate)?;
            let mut batch = self.shared.store.batch();
            self.shared.blocks.put_certificate(&mut batch, &certificate);
            batch.commit(Durability::Buffered)?;
            self.settle(certificate.height, now);
        }
        Ok(())
    }

    fn settle(&mut self, certified: Height, now: Moment) {
        self.certified_at = now.elapsed;
        self.attestations = self.attestations.split_off(&certified.next());
        self.consensus(Consensus::Settled(certified));
        self.effects.push(Effect::Settled(certified));
        metrics::gauge!("bxp_chain_certified_height").set(certified.0 as f64);
    }

    pub(super) fn attest(&mut self, height: Height, hash: B256) {
        let attestation = self.keys.attest(self.shared.config.me, self.shared.network_id, height, hash);
        let bytes = codec::encode_attestation(&attestation).into();
        self.effects.push(Effect::Broadcast { channel: Channel::Attestation, bytes });
        self.certificates.add(&attestation);
        self.attestations.insert(height, attestation);
    }
}

#[cfg(test)]
mod tests;
