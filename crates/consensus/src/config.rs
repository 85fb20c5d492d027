//! Who takes part, and how long to wait for whom.

use std::time::Duration;

use bxp_types::{Height, NetworkId, ValidatorIndex};

use crate::error::ConsensusError;
use crate::gather;
use crate::mutant::{Mutant, Mutation};

/// The most validators one network may have: it bounds the bitmasks on the wire.
pub const VALIDATORS_MAX: u16 = 1024;

/// Bodies are given time to be checked by parts of this size: about 2,000 transfers.
const VERIFY_PART_BYTES: usize = 256 << 10;

/// Who checks whether a proposal is valid before echoing it (lines V1-V5).
///
/// `docs/legal.md` says which patent claims sharded verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// Every validator checks every proposal itself.
    #[default]
    All,
    /// The proposer and t others check it, t more when those are slow or disagree; the rest go by t+1 equal reports.
    /// One message delay slower; saves up to n/(t+1) of the checks.
    Sharded,
}

/// What an engine must be told. All validators of a network use the same `validators`, `network` and
/// `body_bytes_max`; the waits may differ, since safety never depends on time.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's own index.
    pub me: ValidatorIndex,
    /// Number of validators, n. Up to (n - 1) / 3 of them may be Byzantine.
    pub validators: usize,
    /// The network; a log of another one is refused.
    pub network: NetworkId,
    /// Largest proposal body in bytes. A larger one is never echoed.
    pub body_bytes_max: usize,
    /// How many heights above the highest started (or settled) one are kept for when they start.
    pub heights_ahead: u64,
    /// How long late proposals may still enter once n-t are decided.
    pub grace: Duration,
    /// Unit of the coordinator's timers: round r waits (r - 2) units, rounds 1 and 2 do not wait.
    pub round_wait: Duration,
    /// How long a delivered proposal's body may be under way before it is fetched.
    pub fetch_after: Duration,
    /// Who checks proposals. Nodes of one network may differ in it.
    pub verification: Verification,
    /// How long the first verifiers of a proposal may take for each started 256 KiB of it before the second ones check
    /// it as well. Shorter than `grace`, so that a silent verifier does not keep a small proposal out of its height.
    pub verify_after: Duration,
    /// How long a vote may wait for others that leave in the same frame (G1-G4). Zero, which it is in small networks, has
    /// the votes of each turn leave with it.
    pub gather: Duration,
    /// How long a height may take before peers are asked to repeat what they said; doubles up to sixteen times that.
    pub pull_after: Duration,
}

impl Config {
    /// A configuration with waits that fit a continent-wide network.
    #[must_use]
    pub fn new(me: ValidatorIndex, validators: usize, network: NetworkId) -> Self {
        Self {
            me,
            validators,
            network,
            body_bytes_max: 8 << 20,
            heights_ahead: 4,
            grace: Duration::from_millis(100),
            round_wait: Duration::from_millis(250),
            fetch_after: Duration::from_millis(200),
            verification: Verification::All,
            verify_after: Duration::from_millis(50),
            gather: gather::wait_among(validators),
            pull_after: Duration::from_secs(2),
        }
    }
}

/// A checked configuration with the thresholds that follow from n.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) validators: u16,
    pub(crate) mutation: Mutation,
}

impl Settings {
    /// Checks `config`.
    ///
    /// # Errors
    /// If the number of validators is out of bounds or `me` is not one of them.
    pub(crate) fn new(config: Config) -> Result<Self, ConsensusError> {
        let validators =
            u16::try_from(config.validators)
                .ok()
                .filter(|n| (1..=VALIDATORS_MAX).contains(n))
                .ok_or(ConsensusError::Validators { validators: config.validators, max: VALIDATORS_MAX })?;
        if config.me.0 >= validators {
            return Err(ConsensusError::NotAValidator { me: config.me, validators: config.validators });
        }
        Ok(Self { config, validators, mutation: Mutation::current() })
    }

    pub(crate) const fn me(&self) -> ValidatorIndex {
        self.config.me
    }

    /// t: how many validators may be Byzantine.
    pub(crate) fn faults(&self) -> usize {
        (usize::from(self.validators) - 1) / 3
    }

    /// The least number above (n + t) / 2: two such sets share a correct validator.
    pub(crate) fn echo_quorum(&self) -> usize {
        if self.mutated(Mutant::EchoQuorumTooLow) {
            return self.one_correct();
        }
        usize::midpoint(self.validators.into(), self.faults()) + 1
    }

    /// t + 1: at least one of them is correct.
    pub(crate) fn one_correct(&self) -> usize {
        self.faults() + 1
    }

    /// 2t + 1: at least t + 1 of them are correct, so that everybody will hear t + 1.
    pub(crate) fn most_correct(&self) -> usize {
        2 * self.faults() + 1
    }

    /// How many READY deliver a digest (R6).
    pub(crate) fn delivery_quorum(&self) -> usize {
        if self.mutated(Mutant::DeliveredTooEarly) { self.faults() } else { self.most_correct() }
    }

    /// How many EST have a value relayed (B5).
    pub(crate) fn relay_quorum(&self) -> usize {
        if self.mutated(Mutant::RelayTooEarly) { 1 } else { self.one_correct() }
    }

    /// How many EST bring a value into bin (B6).
    pub(crate) fn bin_quorum(&self) -> usize {
        if self.mutated(Mutant::BinTooEarly) { self.faults() } else { self.most_correct() }
    }

    /// How many AUX end a round (B11-B13).
    pub(crate) fn auxiliary_quorum(&self) -> usize {
        self.all_but_faults() - usize::from(self.mutated(Mutant::AuxiliaryQuorumTooLow))
    }

    /// How many DECIDED are believed (B16).
    pub(crate) fn decided_quorum(&self) -> usize {
        if self.mutated(Mutant::OneDecidedBelieved) { 1 } else { self.one_correct() }
    }

    /// n - t: as many as one may wait for.
    pub(crate) fn all_but_faults(&self) -> usize {
        usize::from(self.validators) - self.faults()
    }

    /// V1: a validator's place among the verifiers of a proposal. The proposer is the first, and the others take turns
    /// by height, so that nobody depends on the same neighbours for ever.
    pub(crate) fn verifier_rank(
        &self,
        height: Height,
        proposer: ValidatorIndex,
        validator: ValidatorIndex,
    ) -> usize {
        let n = u64::from(self.validators);
        let others = n.saturating_sub(1).max(1);
        let distance = (u64::from(validator.0) + n - u64::from(proposer.0)) % n;
        if distance == 0 {
            return 0;
        }
        let turned = (distance - 1 + others - height.0 % others) % others + 1;
        usize::try_from(turned).unwrap_or(usize::MAX)
    }

    /// V1: whether that validator checks the proposal in any case.
    pub(crate) fn is_first_verifier(
        &self,
        height: Height,
        proposer: ValidatorIndex,
        validator: ValidatorIndex,
    ) -> bool {
        self.verifier_rank(height, proposer, validator) <= self.faults()
    }

    /// V1: whether that validator checks the proposal when the first verifiers are slow or disagree.
    pub(crate) fn is_second_verifier(
        &self,
        height: Height,
        proposer: ValidatorIndex,
        validator: ValidatorIndex,
    ) -> bool {
        let rank = self.verifier_rank(height, proposer, validator);
        self.faults() < rank && rank <= 2 * self.faults()
    }

    /// V4: how long the first verifiers may take for a body of that size, and to report it.
    pub(crate) fn verify_wait(&self, body_bytes: usize) -> Duration {
        let parts = u32::try_from(body_bytes / VERIFY_PART_BYTES).unwrap_or(u32::MAX);
        let check = self.config.verify_after.saturating_mul(parts.saturating_add(1));
        check.saturating_add(self.config.gather)
    }

    /// V3: how many equal reports stand for a check of one's own.
    pub(crate) fn report_quorum(&self) -> usize {
        if self.mutated(Mutant::ReportsBelievedTooEarly) { self.faults() } else { self.one_correct() }
    }

    /// Whether a test has switched this fault on.
    pub(crate) fn mutated(&self, mutant: Mutant) -> bool {
        self.mutation.is(mutant)
    }

    /// The weak coordinator of a round, offset by instance so that no validator coordinates all of them (B7).
    pub(crate) fn coordinator(&self, instance: ValidatorIndex, round: u32) -> ValidatorIndex {
        let n = u32::from(self.validators);
        let index = (u32::from(instance.0) + round % n) % n;
        ValidatorIndex(u16::try_from(index).unwrap_or(0))
    }

    /// How long round `round` waits for its coordinator, and again for more AUX: grows without end (B18).
    pub(crate) fn round_wait(&self, round: u32) -> Duration {
        self.config.round_wait.saturating_mul(round.saturating_sub(2))
    }

    /// All validators.
    pub(crate) fn all(&self) -> impl Iterator<Item = ValidatorIndex> + use<> {
        (0..self.validators).map(ValidatorIndex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(n: usize) -> Settings {
        Settings::new(Config::new(ValidatorIndex(0), n, NetworkId([0; 32]))).unwrap()
    }

    #[test]
    fn thresholds_follow_from_n() {
        for (n, t, echo) in
            [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 1, 3), (5, 1, 4), (7, 2, 5), (10, 3, 7), (11, 3, 8)]
        {
            let s = settings(n);
            assert_eq!((s.faults(), s.echo_quorum()), (t, echo), "n = {n}");
            assert!(2 * s.echo_quorum() - n > t, "two echo quorums share a correct validator");
            assert!(s.echo_quorum() <= s.all_but_faults(), "the correct ones alone can reach it");
            assert!(2 * s.all_but_faults() - n > t, "two sets of n-t share a correct validator");
        }
    }

    #[test]
    fn every_validator_coordinates_each_instance_in_n_rounds() {
        let s = settings(7);
        let coordinators: std::collections::BTreeSet<_> =
            (3..10).map(|round| s.coordinator(ValidatorIndex(5), round)).collect();
        assert_eq!(coordinators.len(), 7);
        assert_eq!(s.coordinator(ValidatorIndex(6), u32::MAX).0, ((6 + u64::from(u32::MAX)) % 7) as u16);
    }

    #[test]
    fn each_height_has_t_plus_one_first_verifiers_and_t_second_ones() {
        for n in [1, 2, 3, 4, 7, 10, 200] {
            let s = settings(n);
            for (height, proposer) in [(0, 0), (1, n - 1), (17, n / 2), (u64::MAX, 0)] {
                let proposer = ValidatorIndex(u16::try_from(proposer).unwrap());
                let ranks: std::collections::BTreeSet<usize> =
                    s.all().map(|v| s.verifier_rank(Height(height), proposer, v)).collect();
                assert_eq!(ranks, (0..n).collect(), "every rank once, n = {n}");
                assert_eq!(s.verifier_rank(Height(height), proposer, proposer), 0);
                let first = s.all().filter(|v| s.is_first_verifier(Height(height), proposer, *v)).count();
                let second = s.all().filter(|v| s.is_second_verifier(Height(height), proposer, *v)).count();
                assert_eq!((first, second), (s.faults() + 1, s.faults().min(n - 1)), "n = {n}");
            }
        }
        let s = settings(4);
        let first_of =
            |height| s.all().find(|v| s.verifier_rank(Height(height), ValidatorIndex(2), *v) == 1).unwrap().0;
        assert_eq!([first_of(0), first_of(1), first_of(2), first_of(3)], [3, 0, 1, 3], "by turns");
    }

    #[test]
    fn refuses_impossible_numbers() {
        let config =
            |me, n| Settings::new(Config::new(ValidatorIndex(me), n, NetworkId([0; 32]))).map(|_| ());
        assert!(matches!(config(0, 0), Err(ConsensusError::Validators { .. })));
        assert!(matches!(config(0, 1025), Err(ConsensusError::Validators { .. })));
        assert!(matches!(config(4, 4), Err(ConsensusError::NotAValidator { .. })));
        assert_eq!(config(3, 4), Ok(()));
    }
}
