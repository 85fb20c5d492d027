//! What the handlers share: the rooms, and the bounds on work.

use crate::{Edge, exports::Exports, outcome::Failure};
use std::{future::Future, sync::Arc};
use tokio::{
    sync::{AcquireError, Mutex, OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Span};

/// Requests in work at once; more are told to come again.
const REQUESTS_MAX: usize = 256;
/// Submissions in memory at once; more wait.
const SUBMISSIONS_MAX: usize = 2;
/// Threads that read and open records at once; more wait.
const BLOCKING_MAX: usize = 16;

/// Shared by all requests.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<State>);

pub(crate) struct State {
    pub(crate) edge: Edge,
    /// Work that goes on after its client has left, and that stopping waits for.
    pub(crate) tasks: TaskTracker,
    pub(crate) requests: Arc<Semaphore>,
    submissions: Arc<Semaphore>,
    blocking: Arc<Semaphore>,
    /// Bulk exports that were kicked off.
    pub(crate) exports: Exports,
    /// One export is prepared at a time: others wait, and leave the threads to who reads.
    pub(crate) preparing: Semaphore,
    /// The node is stopping: what takes long breaks off.
    pub(crate) stopping: CancellationToken,
    /// One change of consents at a time: each takes the patients' next nonces.
    pub(crate) consents: Mutex<()>,
}

impl Shared {
    pub(crate) fn new(edge: Edge, stopping: CancellationToken) -> Result<Self, Failure> {
        let exports = Exports::open(&edge.store, edge.enclave.clone())?;
        Ok(Self(Arc::new(State {
            edge,
            tasks: TaskTracker::new(),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            submissions: Arc::new(Semaphore::new(SUBMISSIONS_MAX)),
            blocking: Arc::new(Semaphore::new(BLOCKING_MAX)),
            exports,
            preparing: Semaphore::new(1),
            stopping,
            consents: Mutex::new(()),
        })))
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.0.edge
    }

    /// A place for a submission in memory; it is held until the work on it has ended.
    pub(crate) async fn submission_place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.0.submissions).acquire_owned().await.map_err(stopping)
    }

    /// Runs work that reads disks or computes, off the threads that serve connections.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Edge) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = Arc::clone(&self.0.blocking).acquire_owned().await.map_err(stopping)?;
        let (shared, span) = (self.clone(), Span::current());
        let task = self.0.tasks.spawn_blocking(move || {
            let _place = place;
            span.in_scope(|| work(shared.edge()))
        });
        task.await.map_err(broken_off)?
    }

    /// Runs work to its end, also where the client leaves before.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let task = self.0.tasks.spawn(work.instrument(Span::current()));
        task.await.map_err(broken_off)?
    }
}

fn stopping(_: AcquireError) -> Failure {
    Failure::unavailable("the node is stopping")
}

/// A task that panicked. What it said is not repeated: it could be anything.
fn broken_off(_: JoinError) -> Failure {
    Failure::internal("answer a request", &std::io::Error::other("its task broke off"))
}
