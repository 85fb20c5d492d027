//! Group commit for the pool: many submissions, one disk flush.

use crate::shared::{Admitted, Shared};
use bxp_types::SubmitError;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Submissions that may wait for the disk; further submitters wait for a place.
const QUEUE: usize = 8_192;

/// Transactions that were submitted together, and who waits for them.
type Job = (Vec<Admitted>, oneshot::Sender<Result<(), SubmitError>>);

#[derive(Clone)]
pub(crate) struct PoolWriter(mpsc::Sender<Job>);

impl PoolWriter {
    pub(crate) fn spawn(shared: Arc<Shared>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write(shared, receiver));
        Self(sender)
    }

    /// Returns when all of these are on disk.
    pub(crate) async fn persist(&self, admitted: Vec<Admitted>) -> Result<(), SubmitError> {
        let (done, answer) = oneshot::channel();
        let stopped = || SubmitError::Storage("the node is stopping".into());
        self.0.send((admitted, done)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

async fn write(shared: Arc<Shared>, mut receiver: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(QUEUE);
    while receiver.recv_many(&mut jobs, QUEUE).await > 0 {
        let written =
            tokio::task::block_in_place(|| shared.keep(jobs.iter().flat_map(|(admitted, _)| admitted)));
        for (_, done) in jobs.drain(..) {
            // A submitter that has gone away does not need the answer.
            let _ = done.send(written.clone());
        }
    }
}
