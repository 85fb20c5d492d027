//! How far the peers say that the chain is: what one of them says is not believed.

use bxp_types::{Height, ValidatorIndex};
use std::collections::BTreeMap;

/// The highest certified height that each peer spoke of.
#[derive(Default)]
pub(super) struct Claims(BTreeMap<ValidatorIndex, Height>);

impl Claims {
    /// A peer says that it has certificates up to `height`.
    pub(super) fn note(&mut self, peer: ValidatorIndex, height: Height) {
        let claimed = self.0.entry(peer).or_default();
        *claimed = height.max(*claimed);
    }

    /// The highest height that more than `faults` peers claim, so at least one correct one.
    pub(super) fn believed(&self, faults: usize) -> Height {
        let mut heights: Vec<Height> = self.0.values().copied().collect();
        heights.sort_unstable_by(|left, right| right.cmp(left));
        heights.get(faults).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_alone_is_not_believed() {
        let mut claims = Claims::default();
        claims.note(ValidatorIndex(1), Height(u64::MAX));
        assert_eq!(claims.believed(1), Height(0));
        claims.note(ValidatorIndex(2), Height(7));
        claims.note(ValidatorIndex(3), Height(5));
        assert_eq!((claims.believed(1), claims.believed(2)), (Height(7), Height(5)));
        // An older answer that comes late takes nothing back.
        claims.note(ValidatorIndex(2), Height(6));
        assert_eq!(claims.believed(1), Height(7));
        // A network without faults to bear believes its peers.
        assert_eq!(claims.believed(0), Height(u64::MAX));
    }
}
