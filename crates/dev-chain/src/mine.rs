//! Making blocks.

use crate::{
    DevChainError,
    chain::{Shared, Work},
    undo::Undo,
};
use bxp_chain::mempool::{Conditions, UnderWay};
use bxp_execution::BlockInput;
use bxp_storage::Durability;
use bxp_types::{Address, B256, RecoveredTransaction, SubmitError, keccak256};
use std::{collections::BTreeSet, sync::Arc};

/// Bytes of the transactions of one block at most.
const BLOCK_BYTES_MAX: usize = 8 << 20;

impl Shared {
    /// Takes a transaction into the pool, and makes a block of it where that is asked for.
    pub(crate) fn take(&self, transaction: RecoveredTransaction) -> Result<B256, SubmitError> {
        let failed = |error: DevChainError| SubmitError::Storage(error.to_string());
        let hash = *transaction.tx_hash();
        let mut work = self.work.lock();
        let account = self
            .state
            .account(transaction.signer())
            .map_err(|error| SubmitError::Storage(error.to_string()))?;
        let conditions =
            Conditions { account, base_fee: self.next_base_fee(&work), gas_limit: self.genesis.gas_limit };
        work.pool.insert(transaction, &conditions)?;
        // Nobody may be listening.
        let _ = self.arrivals.send(hash);
        if work.automine {
            // What waits for a transaction before it stays; what has become ready goes on.
            while work.pool.has_candidate(self.next_base_fee(&work), &UnderWay::default()) {
                self.mine_one(&mut work).map_err(failed)?;
            }
        }
        Ok(hash)
    }

    /// Makes blocks, the pool's transactions as early as they fit.
    pub(crate) fn mine(&self, blocks: u64, seconds_between: u64) -> Result<(), DevChainError> {
        let mut work = self.work.lock();
        for block in 0..blocks {
            if block > 0 {
                let next = self.head().header.timestamp.saturating_add(seconds_between.max(1));
                work.clock.set_next(next);
            }
            self.mine_one(&mut work)?;
        }
        Ok(())
    }

    pub(crate) fn next_base_fee(&self, work: &Work) -> u64 {
        work.next_base_fee.unwrap_or_else(|| bxp_execution::next_base_fee(&self.head().header))
    }

    fn mine_one(&self, work: &mut Work) -> Result<(), DevChainError> {
        let parent = self.head();
        let base_fee = self.next_base_fee(work);
        let time_ms = work.clock.take_next(parent.header.timestamp);
        let root = keccak256([parent.hash.as_slice(), &time_ms.to_be_bytes()].concat());
        let input = BlockInput {
            height: parent.height().next(),
            time_ms,
            mix_hash: work.next_mix_hash.take().unwrap_or_else(|| keccak256(root)),
            parent_beacon_root: root,
            beneficiary: self.genesis.treasury,
            gas_limit: self.genesis.gas_limit,
            base_fee,
            transactions: work.pool.take(
                BLOCK_BYTES_MAX,
                self.genesis.gas_limit,
                base_fee,
                &UnderWay::default(),
            ),
        };
        work.next_base_fee = None;
        let executed = self.state.execute(&parent.header, input)?;
        let mut batch = self.store.batch();
        let mut dropped = Vec::with_capacity(executed.dropped.len());
        for (hash, reason) in &executed.dropped {
            work.pool.remove(*hash);
            dropped.push((*hash, reason.to_string()));
        }
        let receipts = self.blocks.put(&mut batch, &executed.block, &executed.receipts, &dropped);
        self.index.put(&executed.block, &receipts)?;
        self.state.commit(&mut batch, &executed)?;
        batch.commit(Durability::Buffered)?;
        let block = Arc::new(executed.block);
        self.blocks.keep_fresh(Arc::clone(&block), Arc::new(executed.receipts));
        self.index.settle()?;
        self.blocks.settle_locations(block.height())?;
        let senders: BTreeSet<Address> =
            block.transactions.iter().map(RecoveredTransaction::signer).collect();
        for sender in senders {
            work.pool.account_moved(sender, self.state.account(sender)?.nonce);
        }
        work.undo.push(Undo::Block { changes: executed.changes, parent });
        self.move_head(block);
        Ok(())
    }
}
