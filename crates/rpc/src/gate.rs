//! How many calls of the ledger run at once.

use crate::{fault::Fault, metric};
use std::{sync::Arc, thread, time::Instant};
use tokio::{sync::Semaphore, task};

/// Calls that run at once for each processor: some wait for the disk while others compute.
const CALLS_PER_PROCESSOR: usize = 4;

/// Lets a bounded number of calls run on threads that may block, so that clients cannot take all of the node. The
/// others wait their turn; how many can wait is bounded by the connections and the length of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
}

impl Gate {
    /// A gate for this machine's processors.
    pub(crate) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self { places: Arc::new(Semaphore::new(processors.saturating_mul(CALLS_PER_PROCESSOR))) }
    }

    /// Runs `work` for `method` on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        method: &'static str,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| Fault::Interrupted)?;
        let done = task::spawn_blocking(move || {
            let began = Instant::now();
            let result = work();
            metric::called(method, began.elapsed(), result.is_err());
            drop(place);
            result
        });
        done.await.map_err(|_| Fault::Interrupted)?
    }
}
