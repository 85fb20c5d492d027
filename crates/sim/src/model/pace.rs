//! How many heights a validator begins of its own accord, and how far apart.

use bxp_chain::Machine;
use bxp_types::Height;
use std::time::Duration;

/// Heights above its newest block that a node takes part in where others have begun them.
const LAG_MAX: u64 = Machine::begun_max(Height(0)).0;
/// How far above those a node listens.
const HEIGHTS_AHEAD_BEYOND: u64 = 2;

/// When a validator begins heights of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Heights that it opens before earlier ones are done.
    pub open_heights_max: u64,
    /// The least time between two of them while own transactions are under way.
    pub spread: Duration,
    /// The least time between two of them in any case. Where transactions are only ordered, a full proposal waits for neither.
    pub pause: Duration,
}

impl Pace {
    /// A node's. The chain keeps its constants to itself (`OPEN_MAX` and `SPREAD` of `crates/chain/src/machine/start.rs`): the
    /// test below holds these beside its machine. `pause` is a node's usual `block_interval_ms`.
    pub const CHAIN: Self =
        Self { open_heights_max: 2, spread: Duration::from_millis(50), pause: Duration::from_millis(50) };

    /// That of the driver of `bxp bench consensus`.
    pub const ORDERING: Self =
        Self { open_heights_max: 4, spread: Duration::from_millis(20), pause: Duration::from_millis(10) };

    /// Heights above its newest block that a node takes part in, whoever began them: never fewer than it begins itself.
    pub(super) fn lag_max(self) -> u64 {
        LAG_MAX.max(self.open_heights_max)
    }

    /// What a node tells its engine of how far others may be ahead.
    pub(super) fn heights_ahead(self) -> u64 {
        self.lag_max() + HEIGHTS_AHEAD_BEYOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::Host,
        plan::Clock,
        wallet::{Transfer, Wallet},
        world,
    };
    use bxp_chain::Effect;
    use bxp_consensus::wire::{Envelope, Message};

    /// Whether it tells the others of an own proposal.
    fn begins(effect: &Effect) -> bool {
        let Effect::Broadcast { bytes, .. } = effect else { return false };
        matches!(Envelope::decode(bytes, 4, usize::MAX), Ok(Envelope { message: Message::Init { .. }, .. }))
    }

    /// Goal: the chain's pace is the chain's. Way: its own machine, alone among four validators, so that no height is ever
    /// decided, with one transaction more in its pool each millisecond.
    #[test]
    fn the_chain_begins_as_many_heights_and_as_far_apart() {
        let wallet = Wallet::new(1).expect("make a wallet");
        let genesis = world::genesis(4, [wallet.address()].into_iter());
        let mut host = Host::of_tests(Clock::default());
        host.boot(&genesis, Duration::ZERO, Duration::ZERO).expect("start a node");
        let mut begun = Vec::new();
        for nonce in 0..400 {
            let now = Duration::from_millis(nonce);
            let moment = host.moment(now);
            let process = host.process.as_mut().expect("a node that runs");
            let transfer = Transfer { nonce, to: wallet.address(), value: 1, tip: 1 };
            process.shared.admit(&wallet.sign(transfer).raw).expect("take a transaction in");
            let effects = process.machine.turn(moment).expect("take a turn");
            begun.extend(effects.iter().filter(|effect| begins(effect)).map(|_| now));
        }
        let mut expected = vec![Duration::ZERO];
        while (expected.len() as u64) < Pace::CHAIN.open_heights_max {
            expected.push(Pace::CHAIN.spread * u32::try_from(expected.len()).expect("few heights"));
        }
        assert_eq!(begun, expected);
    }
}
