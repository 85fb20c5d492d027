//! One machine: its disk, its clocks, and the real chain of one node while it runs.

use crate::{byzantine::Byzantine, plan::Clock};
use bxp_chain::{
    Admitted, Attester, ChainConfig, ChainError, Effect, Input, Journal, Machine, Moment, Shared,
};
use bxp_consensus::Verification;
use bxp_storage::{MemoryDisk, Store};
use bxp_types::{Attestation, B256, Genesis, Height, NetworkId, ValidatorIndex};
use ed25519_zebra::SigningKey;
use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

const JOURNAL: &str = "/node/consensus.log";
/// Small, so that a run fills many files.
const JOURNAL_SEGMENT_BYTES: u64 = 64 << 10;
const DATABASE: &str = "/node/chain";
/// The most that a node's pool takes: more than all clients of a run have under way.
pub(crate) const POOL_TRANSACTIONS_MAX: usize = 4_096;

pub(crate) struct Host {
    pub(crate) validator: ValidatorIndex,
    pub(crate) disk: MemoryDisk,
    pub(crate) clock: Clock,
    pub(crate) verification: Verification,
    pub(crate) vote_gather: Duration,
    pub(crate) run_ahead: bool,
    pub(crate) byzantine: Option<Byzantine>,
    pub(crate) process: Option<Process>,
    /// Counts starts, so that what an earlier process asked for does not reach a later one.
    pub(crate) life: u32,
    pub(crate) paused_until: Duration,
}

/// A running node.
pub(crate) struct Process {
    pub(crate) shared: Arc<Shared>,
    pub(crate) machine: Machine,
    pub(crate) journal: Journal,
    born: Duration,
    pub(crate) inbox: VecDeque<Input>,
    /// What is left of a turn while the disk is being flushed.
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) flushing: bool,
    /// When the next turn is, and its number: earlier ones are off.
    pub(crate) turn_at: Option<Duration>,
    pub(crate) turn_number: u64,
    /// The number of the newest request for blocks.
    pub(crate) fetch_number: u64,
    pub(crate) fetch_open: bool,
    /// Submissions that wait for one flush.
    pub(crate) keeping: Vec<(Admitted, B256)>,
    /// The newest block that has been checked.
    pub(crate) checked: Height,
}

struct Key(SigningKey);

impl Attester for Key {
    fn attest(&self, me: ValidatorIndex, network: NetworkId, height: Height, hash: B256) -> Attestation {
        Attestation::sign(&self.0, me, network, height, hash)
    }
}

/// The signing key of a validator in every simulated network.
pub(crate) fn signing_key(validator: ValidatorIndex) -> SigningKey {
    let mut seed = [0xa7; 32];
    seed[..2].copy_from_slice(&validator.0.to_be_bytes());
    SigningKey::from(seed)
}

impl Host {
    /// Starts the node from what is on the disk.
    pub(crate) fn boot(
        &mut self,
        genesis: &Genesis,
        block_interval: Duration,
        now: Duration,
    ) -> Result<(), ChainError> {
        self.life += 1;
        let network = genesis.network_id();
        if self.byzantine.as_ref().is_some_and(Byzantine::forgets_its_journal) {
            self.forget_journal();
        }
        let config = ChainConfig {
            me: self.validator,
            journal: JOURNAL.into(),
            block_interval,
            pool: bxp_chain::mempool::PoolLimits {
                transactions_max: POOL_TRANSACTIONS_MAX,
                per_sender_max: 512,
                ..bxp_chain::mempool::PoolLimits::default()
            },
            retention: bxp_chain::Retention::default(),
            verification: self.verification,
            vote_gather: Some(self.vote_gather),
            // They are made beside the machine, as the indexes are: see crates/chain/tests/it/segments.rs for their crashes.
            segments: None,
            run_ahead: self.run_ahead,
        };
        let store = Store::open_in(&self.disk, Path::new(DATABASE), network)?;
        let shared = Arc::new(Shared::open(genesis.clone(), config, store)?);
        let head = shared.head().height();
        let disk = Arc::new(self.disk.clone());
        let (journal, records) =
            Journal::open_on(disk, Path::new(JOURNAL), JOURNAL_SEGMENT_BYTES, Machine::begun_max(head))?;
        let moment = self.moment_of(now, now);
        let keys = Box::new(Key(signing_key(self.validator)));
        let machine = Machine::open(Arc::clone(&shared), keys, records, moment)?;
        self.process = Some(Process {
            shared,
            machine,
            journal,
            born: now,
            inbox: VecDeque::new(),
            effects: VecDeque::new(),
            flushing: false,
            turn_at: None,
            turn_number: 0,
            fetch_number: 0,
            fetch_open: false,
            keeping: Vec::new(),
            checked: head,
        });
        Ok(())
    }

    /// Breaks the rule that what was said is remembered.
    pub(crate) fn forget_journal(&self) {
        // There is none before the first start.
        let _ = bxp_storage::SegmentedLog::remove(&self.disk, Path::new(JOURNAL));
    }

    /// What the node's clocks say.
    pub(crate) fn moment(&self, now: Duration) -> Moment {
        self.moment_of(self.process.as_ref().map_or(now, |process| process.born), now)
    }

    fn moment_of(&self, born: Duration, now: Duration) -> Moment {
        let since = i128::try_from((now - born).as_micros()).unwrap_or(i128::MAX);
        let elapsed = since * i128::from(1_000_000 + self.clock.drift_ppm) / 1_000_000;
        let wall = i128::from(START_MS) + i128::try_from(now.as_millis()).unwrap_or(0);
        let wall = wall + i128::from(self.clock.offset_ms);
        Moment {
            elapsed: Duration::from_micros(u64::try_from(elapsed).unwrap_or_default()),
            wall_ms: u64::try_from(wall).unwrap_or_default(),
        }
    }

    /// The time at which the node's clock shows `elapsed`.
    pub(crate) fn time_of(&self, elapsed: Duration) -> Duration {
        let born = self.process.as_ref().map_or(Duration::ZERO, |process| process.born);
        let micros = u128::from(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)) * 1_000_000;
        let rate = u128::try_from(1_000_000 + self.clock.drift_ppm).unwrap_or(1_000_000).max(1);
        born + Duration::from_micros(u64::try_from(micros.div_ceil(rate)).unwrap_or(u64::MAX))
    }

    /// The first validator before its first start, correct and with an empty disk, for a test of it alone.
    #[cfg(test)]
    pub(crate) fn of_tests(clock: Clock) -> Self {
        Self {
            validator: ValidatorIndex(0),
            disk: MemoryDisk::new(0),
            clock,
            verification: Verification::All,
            vote_gather: Duration::ZERO,
            run_ahead: true,
            byzantine: None,
            process: None,
            life: 0,
            paused_until: Duration::ZERO,
        }
    }

    /// Whether its chain is held to the rules.
    pub(crate) const fn is_correct(&self) -> bool {
        self.byzantine.is_none()
    }
}

/// The wall clock when a run begins, in milliseconds since the epoch.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_drift_and_are_off_and_times_convert_back() {
        for (drift_ppm, offset_ms) in [(0, 0), (50_000, -3), (-50_000, 86_400_000)] {
            let host = Host::of_tests(Clock { drift_ppm, offset_ms });
            let now = Duration::from_secs(10);
            let moment = host.moment_of(Duration::ZERO, now);
            assert_eq!(i64::try_from(moment.elapsed.as_micros()).unwrap(), 10_000_000 + 10 * drift_ppm);
            assert_eq!(i64::try_from(moment.wall_ms - START_MS).unwrap_or(-3 + 10_000), 10_000 + offset_ms);
            let back = host.time_of(moment.elapsed);
            assert!(host.moment_of(Duration::ZERO, back).elapsed >= moment.elapsed);
            assert!(
                back >= now.saturating_sub(Duration::from_micros(1))
                    && back <= now + Duration::from_micros(2)
            );
        }
    }
}
