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
    /// Bytes of the proposals' bodies that consensus holds.
    pub body_bytes: usize,
}

impl Load {
    /// The greatest of the numbers of things; bytes are none.
    #[must_use]
    pub fn most(&self) -> usize {
        let Self { heights, timers, wanted, jobs, attestations, gathered, checked, pool, body_bytes: _ } =
            *self;
        [heights, timers, wanted, jobs, attestations, gathered, checked, pool].into_iter().max().unwrap_or(0)
    }

    /// The name of the first number that is above its bound.
    #[must_use]
    pub fn above(&self, bounds: &Self) -> Option<&'static str> {
        let Self { heights, timers, wanted, jobs, attestations, gathered, checked, pool, body_bytes } = *self;
        let numbers = [
            ("heights", heights, bounds.heights),
            ("timers", timers, bounds.timers),
            ("wanted", wanted, bounds.wanted),
            ("jobs", jobs, bounds.jobs),
            ("attestations", attestations, bounds.attestations),
            ("gathered", gathered, bounds.gathered),
            ("checked", checked, bounds.checked),
            ("pool", pool, bounds.pool),
            ("body_bytes", body_bytes, bounds.body_bytes),
        ];
        numbers.into_iter().find(|(_, number, bound)| number > bound).map(|(name, ..)| name)
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
            jobs: self.queue.len() + self.decided.len() + self.making.waiting(),
            attestations: self.attestations.len(),
            gathered: self.certificates.gathered(),
            checked: self.shared.checked.lock().len(),
            pool: self.shared.pool_len(),
            body_bytes: self.engine.body_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_its_bound_is_named() {
        let bounds = Load { heights: 2, pool: 7, body_bytes: 100, ..Load::default() };
        assert_eq!(bounds.above(&bounds), None);
        assert_eq!(bounds.most(), 7, "bytes are not counted with things");
        assert_eq!(Load { pool: 8, ..bounds }.above(&bounds), Some("pool"));
        assert_eq!(Load { body_bytes: 101, ..bounds }.above(&bounds), Some("body_bytes"));
        assert_eq!(Load { heights: 3, wanted: 1, ..bounds }.above(&bounds), Some("heights"));
    }
}
