//! Group commit for the pool: many submissions, one disk flush.

use crate::blocks::Blocks;
use bxp_storage::{Durability, Store};
use bxp_types::{RecoveredTransaction, SubmitError};
use tokio::sync::{mpsc, oneshot};

/// Submissions that may wait for the disk; further submitters wait for a place.
const QUEUE: usize = 8_192;

type Job = (RecoveredTransaction, oneshot::Sender<Result<(), SubmitError>>);

#[derive(Clone)]
pub(crate) struct PoolWriter(mpsc::Sender<Job>);

impl PoolWriter {
    pub(crate) fn spawn(store: Store, blocks: Blocks) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, blocks, receiver));
        Self(sender)
    }

    /// Returns when the transaction is on disk.
    pub(crate) async fn persist(&self, transaction: RecoveredTransaction) -> Result<(), SubmitError> {
        let (done, answer) = oneshot::channel();
        let stopped = || SubmitError::Storage("the node is stopping".into());
        self.0.send((transaction, done)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

async fn write(store: Store, blocks: Blocks, mut receiver: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(QUEUE);
    while receiver.recv_many(&mut jobs, QUEUE).await > 0 {
        let mut batch = store.batch();
        let mut waiting = Vec::with_capacity(jobs.len());
        for (transaction, done) in jobs.drain(..) {
            blocks.put_pooled(&mut batch, &transaction);
            waiting.push(done);
        }
        let written = tokio::task::block_in_place(|| batch.commit(Durability::Synced));
        let outcome = written.map_err(|error| SubmitError::Storage(error.to_string()));
        for done in waiting {
            // A submitter that has gone away does not need the answer.
            let _ = done.send(outcome.clone());
        }
    }
}
