//! Anchoring: the Merkle root of each batch goes to the `RecordRegistry`, exactly once.
//!
//! A batch is on disk before its transaction is sent, and the contract refuses the same root of the same holder twice. So after
//! a crash the contract is asked first: what it knows is only noted, what it does not know is sent again.

use crate::{
    ClinicalError,
    contract::view,
    ingest::Ingest,
    sender::{Call, SendFailure, TransactionSender},
    turns::{Rests, take_turns},
};
use alloy_primitives::FixedBytes;
use alloy_sol_types::{SolCall, SolEvent};
use bxp_contracts::{RECORD_REGISTRY, RecordRegistry};
use bxp_storage::Durability;
use bxp_types::{Address, B256, Height, Ledger, U256};
use bxp_vault::{Anchor, PendingBatch};
use futures::{StreamExt, stream};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// In quiet, it is looked that often whether other holders have anchored what this node has replicas of.
const RESTS: Rests = Rests {
    quiet: Duration::from_secs(2),
    failed: Duration::from_secs(4),
    failed_max: Duration::from_secs(60),
};
/// Anchor transactions that are on the way at once.
const AT_ONCE: usize = 16;

/// A batch as the contract has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredBatch {
    /// The institution that anchored it.
    pub holder: Address,
    /// Number of records.
    pub count: u32,
    /// The root.
    pub root: B256,
    /// Block time in seconds since the epoch.
    pub time: u64,
}

/// Anchors this node's batches and notes where those of others came to stand.
#[derive(Clone, Debug)]
pub struct Anchoring {
    ingest: Ingest,
    sender: TransactionSender,
}

impl Anchoring {
    /// Anchors what `ingest` writes, as the node's own account.
    #[must_use]
    pub const fn new(ingest: Ingest, sender: TransactionSender) -> Self {
        Self { ingest, sender }
    }

    /// Works until `stop`. Failures are logged and tried again with longer and longer pauses.
    pub async fn run(self, stop: CancellationToken) {
        let turn = async || {
            let anchored = self.anchor_pending().await;
            anchored.inspect_err(|error| tracing::warn!(?error, "anchor batches; trying again")).is_ok()
        };
        take_turns(&self.ingest, &stop, RESTS, turn).await;
    }

    /// Anchors every own batch that is not anchored yet, and notes the anchors of others' batches. Gives the number of
    /// batches that still wait for their holder.
    ///
    /// # Errors
    /// The first failure; what else could be done is done.
    pub async fn anchor_pending(&self) -> Result<usize, ClinicalError> {
        let (own, others): (Vec<_>, Vec<_>) =
            self.ingest.0.vault.pending_batches()?.into_iter().partition(|pending| pending.own);
        let anchored = stream::iter(own)
            .map(|pending| async move { self.note(&pending, self.anchor(&pending).await?) })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        anchored.await.into_iter().collect::<Result<(), _>>()?;
        let mut waiting = 0;
        for pending in others {
            match self.anchored_by_another(&pending)? {
                Some(anchor) => self.note(&pending, anchor)?,
                None => waiting += 1,
            }
        }
        Ok(waiting)
    }

    fn note(&self, pending: &PendingBatch, anchor: Anchor) -> Result<(), ClinicalError> {
        let inner = &self.ingest.0;
        let mut batch = inner.store.batch();
        inner.vault.stage_anchor(&mut batch, pending.root, anchor)?;
        batch.commit(Durability::Synced)?;
        tracing::info!(root = %pending.root, batch = anchor.batch_id, height = %anchor.height, "anchored");
        Ok(())
    }

    async fn anchor(&self, pending: &PendingBatch) -> Result<Anchor, ClinicalError> {
        let account = self.ingest.0.enclave.public().account;
        let ledger = self.sender.ledger().as_ref();
        if let Some(anchor) = find_anchor(ledger, account, pending.root)? {
            return Ok(anchor);
        }
        let country: [u8; 2] = pending
            .home
            .as_str()
            .as_bytes()
            .try_into()
            .map_err(|_| ClinicalError::Damaged("a batch's country"))?;
        let call = RecordRegistry::anchorCall {
            root: pending.root,
            count: pending.count,
            jurisdiction: FixedBytes(country),
        };
        let call = Call { to: RECORD_REGISTRY, value: U256::ZERO, data: call.abi_encode().into() };
        match self.sender.send(account, &call).await {
            Ok(mined) => {
                let logs = mined.receipt.receipt.logs().iter().filter(|log| log.address == RECORD_REGISTRY);
                let event = logs.filter_map(|log| RecordRegistry::Anchored::decode_log(log).ok()).next();
                let event =
                    event.ok_or(ClinicalError::Chain("the anchor transaction has no Anchored event"))?;
                Ok(Anchor { batch_id: batch_id(event.batchId)?, height: mined.height })
            }
            // An earlier life of this node had sent it.
            Err(error @ (SendFailure::Refused { .. } | SendFailure::Reverted { .. })) => {
                find_anchor(ledger, account, pending.root)?.ok_or(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A replica's batch is anchored by its holder; which one, only the contract knows.
    fn anchored_by_another(&self, pending: &PendingBatch) -> Result<Option<Anchor>, ClinicalError> {
        let ledger = self.sender.ledger().as_ref();
        for validator in &ledger.genesis().validators {
            if let Some(anchor) = find_anchor(ledger, validator.account, pending.root)? {
                return Ok(Some(anchor));
            }
        }
        Ok(None)
    }
}

/// Where `holder` anchored `root`, by the contract's state.
///
/// # Errors
/// [`ClinicalError::Ledger`], [`ClinicalError::Contract`], [`ClinicalError::Chain`].
pub fn find_anchor(
    ledger: &dyn Ledger,
    holder: Address,
    root: B256,
) -> Result<Option<Anchor>, ClinicalError> {
    let id = view(ledger, RECORD_REGISTRY, &RecordRegistry::batchIdOfCall { holder, root })?;
    if id.is_zero() {
        return Ok(None);
    }
    let batch_id = batch_id(id)?;
    let registered = registered_batch(ledger, batch_id)?;
    let height = height_at(ledger, registered.time, |height| has_anchor(ledger, height, root, holder))?;
    let height =
        height.ok_or(ClinicalError::Chain("no block has the Anchored event of a registered batch"))?;
    Ok(Some(Anchor { batch_id, height }))
}

/// A batch of the `RecordRegistry`.
///
/// # Errors
/// [`ClinicalError::Ledger`], [`ClinicalError::Contract`] when there is no such batch.
pub fn registered_batch(ledger: &dyn Ledger, batch_id: u64) -> Result<RegisteredBatch, ClinicalError> {
    let batch = view(ledger, RECORD_REGISTRY, &RecordRegistry::batchCall { batchId: U256::from(batch_id) })?;
    let time = batch.time.to::<u64>();
    Ok(RegisteredBatch { holder: batch.holder, count: batch.count, root: batch.root, time })
}

fn batch_id(id: U256) -> Result<u64, ClinicalError> {
    u64::try_from(id).map_err(|_| ClinicalError::Chain("a batch id above 2^64"))
}

/// The block with this time, in seconds, that `holds`: block times never fall, so a binary search finds the first.
fn height_at(
    ledger: &dyn Ledger,
    time: u64,
    holds: impl Fn(Height) -> Result<bool, ClinicalError>,
) -> Result<Option<Height>, ClinicalError> {
    let head = ledger.head().height().0;
    let time_of = |height: u64| -> Result<u64, ClinicalError> {
        let block = ledger.block(Height(height))?;
        block
            .map(|block| block.header.timestamp)
            .ok_or(ClinicalError::Chain("a block below the head is missing"))
    };
    let (mut low, mut high) = (0, head);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_of(middle)? < time { low = middle + 1 } else { high = middle }
    }
    for height in low..=head {
        if time_of(height)? > time {
            break;
        }
        if holds(Height(height))? {
            return Ok(Some(Height(height)));
        }
    }
    Ok(None)
}

fn has_anchor(
    ledger: &dyn Ledger,
    height: Height,
    root: B256,
    holder: Address,
) -> Result<bool, ClinicalError> {
    let Some(receipts) = ledger.receipts(height)? else { return Ok(false) };
    let logs = receipts.iter().flat_map(|receipt| receipt.receipt.logs());
    let mut events = logs
        .filter(|log| log.address == RECORD_REGISTRY)
        .filter_map(|log| RecordRegistry::Anchored::decode_log(log).ok());
    Ok(events.any(|event| event.root == root && event.holder == holder))
}
