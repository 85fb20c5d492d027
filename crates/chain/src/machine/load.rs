//! How much waits in a machine: what must stay bounded, whatever peers send.

use super::Machine;

/// Numbers of things that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Heights that consensus has open.
    pub heights: usize,
    /// Timers of consensus.
    pub timers: usize,
    /// Heights that others work on and this node has not begun.
    pub wanted: usize,
    /// Blocks and imports that wait for execution.
    pub jobs: usize,
    /// Own attestations of blocks without a certificate.
    pub attestations: usize,
    /// Attestations gathered for certificates that are not complete.
    pub gathered: usize,
    /// Checked proposals that wait for their execution.
    pub checked: usize,
    /// Transactions in the pool.
    pub pool: usize,
}

impl Load {
    /// The greatest of the numbers.
    #[must_use]
    pub fn most(&self) -> usize {
        let Self { heights, timers, wanted, jobs, attestations, gathered, checked, pool } = *self;
        [heights, timers, wanted, jobs, attestations, gathered, checked, pool].into_iter().max().unwrap_or(0)
    }
}

impl Machine {
    /// How much waits.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            heights: self.engine.open_heights(),
            timers: self.timers.len(),
            wanted: self.wanted.len(),
            jobs: self.queue.len() + self.decided.len(),
            attestations: self.attestations.len(),
            gathered: self.certificates.gathered(),
            checked: self.shared.checked.lock().len(),
            pool: self.shared.pool_len(),
        }
    }
}
