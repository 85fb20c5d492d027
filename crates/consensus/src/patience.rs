//! How long second verifiers wait for the first ones (line V4), learned from whether the waits were long enough.
//!
//! What a check takes depends on the load, and what a report takes on the distance. Too short a wait costs a check that
//! nobody needed; too long a one costs time only where a verifier is silent. There is no clock here: a wait is judged
//! by what came first, its end or the reports.

/// The most multiples of the configured wait. A verifier that is always a little late can keep it there; its proposals then
/// miss their height's grace and come with the next one, as they would at an eighth of it.
const FACTOR_MAX: u32 = 32;
/// Waits in a row that were long enough before a shorter one is tried.
const TIMELY_BEFORE_SHORTER: u32 = 64;

/// A multiple of the configured wait: 1, 2, 4, 8, 16 or 32.
#[derive(Debug)]
pub(crate) struct Patience {
    factor: u32,
    timely: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { factor: 1, timely: 0 }
    }
}

impl Patience {
    pub(crate) const fn factor(&self) -> u32 {
        self.factor
    }

    /// All first verifiers reported alike, after the wait was over.
    pub(crate) fn was_too_short(&mut self) {
        self.timely = 0;
        self.factor = self.factor.saturating_mul(2).min(FACTOR_MAX);
    }

    /// All first verifiers reported alike within the wait.
    pub(crate) fn was_long_enough(&mut self) {
        self.timely = self.timely.saturating_add(1);
        if self.timely >= TIMELY_BEFORE_SHORTER {
            self.timely = 0;
            self.factor = (self.factor / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_at_once_to_a_bound_and_shrinks_slowly() {
        let mut patience = Patience::default();
        for factor in [2, 4, 8, 16, 32, 32] {
            patience.was_too_short();
            assert_eq!(patience.factor(), factor);
        }
        let shrink = |patience: &mut Patience| {
            (0..TIMELY_BEFORE_SHORTER).for_each(|_| patience.was_long_enough());
            patience.factor()
        };
        let shrunk: Vec<u32> = (0..6).map(|_| shrink(&mut patience)).collect();
        assert_eq!(shrunk, [16, 8, 4, 2, 1, 1]);
    }
}
