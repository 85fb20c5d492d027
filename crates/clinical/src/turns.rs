//! The turns of a worker that carries something to the chain or to another node: again and again until it is stopped.

use crate::ingest::Ingest;
use bxp_types::ValidatorIndex;
use std::{future::Future, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a worker rests between two turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rests {
    /// After a turn that went well; new work ends this rest.
    pub(crate) quiet: Duration,
    /// After a first failure; it doubles with each one more.
    pub(crate) failed: Duration,
    /// The longest after failures.
    pub(crate) failed_max: Duration,
}

impl Rests {
    fn after(&self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => self.quiet,
            Some(doubled) => self.failed.saturating_mul(2_u32.saturating_pow(doubled)).min(self.failed_max),
        }
    }
}

/// Takes turns until `stop`; a turn tells whether it went well.
pub(crate) async fn take_turns<T: Future<Output = bool>>(
    ingest: &Ingest,
    stop: &CancellationToken,
    rests: Rests,
    turn: impl Fn() -> T,
) {
    let mut work = ingest.0.work.subscribe();
    let mut failures = 0_u32;
    loop {
        work.borrow_and_update();
        let done = tokio::select! {
            () = stop.cancelled() => return,
            done = turn() => done,
        };
        failures = if done { 0 } else { failures.saturating_add(1) };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = work.changed(), if failures == 0 => if changed.is_err() { return },
            () = tokio::time::sleep(rests.after(failures)) => {}
        }
    }
}

/// Serves all other nodes at once, each as `serve` does; ends when it has ended for all of them.
pub(crate) async fn serve_others<S>(ingest: &Ingest, serve: impl Fn(ValidatorIndex) -> S)
where
    S: Future<Output = ()> + Send + 'static,
{
    let mut peers: JoinSet<()> = ingest.0.others.iter().map(|peer| serve(*peer)).collect();
    while peers.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_with_failures_up_to_a_bound() {
        let seconds = Duration::from_secs;
        let rests = Rests { quiet: seconds(5), failed: seconds(10), failed_max: seconds(60) };
        let expected = [5, 10, 20, 40, 60, 60].map(seconds);
        assert_eq!([0, 1, 2, 3, 4, u32::MAX].map(|failures| rests.after(failures)), expected);
    }
}
