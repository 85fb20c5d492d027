//! What was heard in one round of one binary instance.

use std::collections::BTreeMap;

use bxp_types::ValidatorIndex;

use crate::bitmask::Bitmask;
use crate::config::Settings;
use crate::mutant::Mutant;
use crate::votes::Values;

/// Each validator counts once for each estimate and once for AUX.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    zeros: Bitmask,
    ones: Bitmask,
    /// `bin_values`: estimates that at least one correct node holds, and that all will have here (B2, B6).
    pub(crate) delivered: Values,
    /// The coordinator's value, if it has come.
    pub(crate) coordinator: Option<bool>,
    auxiliary_from: Bitmask,
    auxiliary_zero: usize,
    auxiliary_one: usize,
    auxiliary_both: usize,
    pub(crate) coordinator_wait_over: bool,
    pub(crate) union_wait_over: bool,
}

impl Round {
    pub(crate) fn new(validators: u16) -> Self {
        Self {
            zeros: Bitmask::new(validators),
            ones: Bitmask::new(validators),
            delivered: Values::NONE,
            coordinator: None,
            auxiliary_from: Bitmask::new(validators),
            auxiliary_zero: 0,
            auxiliary_one: 0,
            auxiliary_both: 0,
            coordinator_wait_over: false,
            union_wait_over: false,
        }
    }

    /// Counts EST.
    pub(crate) fn count_estimate(&mut self, from: ValidatorIndex, value: bool) {
        if value {
            self.ones.insert(from)
        } else {
            self.zeros.insert(from)
        };
    }

    /// How many said EST with this value.
    pub(crate) fn estimates(&self, value: bool) -> usize {
        if value { self.ones.count() } else { self.zeros.count() }
    }

    pub(crate) fn has_estimated(&self, validator: ValidatorIndex, value: bool) -> bool {
        if value { self.ones.contains(validator) } else { self.zeros.contains(validator) }
    }

    /// Counts AUX, the first of each validator.
    pub(crate) fn count_auxiliary(&mut self, from: ValidatorIndex, values: Values, settings: &Settings) {
        let first = self.auxiliary_from.insert(from) || settings.mutated(Mutant::AuxiliaryCountsTwice);
        if values.is_empty() || !first {
            return;
        }
        match (values.contains(false), values.contains(true)) {
            (true, true) => self.auxiliary_both += 1,
            (_, one) => *self.auxiliary_of(one) += 1,
        }
    }

    pub(crate) fn has_said_auxiliary(&self, validator: ValidatorIndex) -> bool {
        self.auxiliary_from.contains(validator)
    }

    /// Whether n-t AUX hold `value` alone, and it is delivered (B11, B12).
    pub(crate) fn agrees_on(&self, value: bool, settings: &Settings) -> bool {
        let count = if value { self.auxiliary_one } else { self.auxiliary_zero };
        self.delivered.contains(value) && count >= settings.auxiliary_quorum()
    }

    /// Whether n-t AUX hold delivered values only, whichever they are (B13).
    pub(crate) fn is_complete(&self, settings: &Settings) -> bool {
        let unchecked = settings.mutated(Mutant::UnionUnchecked);
        let count =
            |values: Values, count| if unchecked || values.is_subset(self.delivered) { count } else { 0 };
        let supported = count(Values::only(false), self.auxiliary_zero)
            + count(Values::only(true), self.auxiliary_one)
            + count(Values::BOTH, self.auxiliary_both);
        supported >= settings.auxiliary_quorum()
    }

    /// How many AUX came with {0}, with {1} and with {0, 1}.
    #[cfg(test)]
    pub(crate) const fn auxiliary_counts(&self) -> [usize; 3] {
        [self.auxiliary_zero, self.auxiliary_one, self.auxiliary_both]
    }

    fn auxiliary_of(&mut self, value: bool) -> &mut usize {
        if value { &mut self.auxiliary_one } else { &mut self.auxiliary_zero }
    }
}

/// The rounds of one instance of which anything was heard. They are few, most often one: boxed, so that a map that has room
/// for eleven does not take it for eleven rounds.
pub(crate) type Rounds = BTreeMap<u32, Box<Round>>;

/// The highest round, above the first, in which each validator has said anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(BTreeMap<ValidatorIndex, u32>);

impl Reached {
    pub(crate) fn note(&mut self, validator: ValidatorIndex, round: u32) {
        if round > 1 {
            let reached = self.0.entry(validator).or_default();
            *reached = round.max(*reached);
        }
    }

    /// How many validators have reached a later round than this one, which is the first or a later one.
    pub(crate) fn beyond(&self, round: u32) -> usize {
        self.0.values().filter(|reached| **reached > round).count()
    }

    /// The highest round above the first that so many validators have reached.
    pub(crate) fn by(&self, validators: usize) -> Option<u32> {
        let mut reached: Vec<u32> = self.0.values().copied().collect();
        reached.sort_unstable_by(|left, right| right.cmp(left));
        reached.get(validators.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use bxp_types::NetworkId;

    fn settings() -> Settings {
        Settings::new(Config::new(ValidatorIndex(0), 4, NetworkId([0; 32]))).unwrap()
    }

    #[test]
    fn auxiliary_counts_each_validator_once_and_delivered_values_only() {
        let settings = settings();
        let mut round = Round::new(4);
        for from in 0..3 {
            round.count_auxiliary(ValidatorIndex(from), Values::only(true), &settings);
            round.count_auxiliary(ValidatorIndex(from), Values::only(false), &settings);
        }
        assert!(!round.agrees_on(true, &settings), "1 is not delivered");
        assert!(!round.is_complete(&settings));
        round.delivered.insert(true);
        assert!(round.agrees_on(true, &settings) && round.is_complete(&settings));
        assert!(!round.agrees_on(false, &settings));
    }

    #[test]
    fn a_mixed_union_completes_when_both_values_are_delivered() {
        let settings = settings();
        let mut round = Round::new(4);
        round.count_auxiliary(ValidatorIndex(0), Values::only(true), &settings);
        round.count_auxiliary(ValidatorIndex(1), Values::only(false), &settings);
        round.count_auxiliary(ValidatorIndex(2), Values::BOTH, &settings);
        round.delivered.insert(true);
        assert!(!round.is_complete(&settings));
        round.delivered.insert(false);
        assert!(round.is_complete(&settings));
        assert!(!round.agrees_on(true, &settings) && !round.agrees_on(false, &settings));
    }

    #[test]
    fn an_estimate_counts_once_for_each_value() {
        let mut round = Round::new(4);
        for _ in 0..2 {
            round.count_estimate(ValidatorIndex(1), true);
            round.count_estimate(ValidatorIndex(1), false);
            round.count_estimate(ValidatorIndex(9), false);
        }
        assert_eq!((round.estimates(true), round.estimates(false)), (1, 1));
    }

    #[test]
    fn what_validators_have_reached_is_counted_above_the_first_round() {
        let mut reached = Reached::default();
        for (validator, round) in [(0, 1), (1, 3), (2, 7), (1, 2), (5, 4)] {
            reached.note(ValidatorIndex(validator), round);
        }
        assert_eq!([1, 3, 4, 7].map(|round| reached.beyond(round)), [3, 2, 1, 0]);
        assert_eq!([1, 2, 3, 4].map(|validators| reached.by(validators)), [Some(7), Some(4), Some(3), None]);
    }
}
