//! Figures of rounds in which two ways take turns. A host that gives a machine more and less processor moves both figures of
//! a round alike, and not their ratio.

/// What was measured in each round. The first is not counted: it makes code and data known to the processor.
#[derive(Default)]
pub(super) struct Rounds(Vec<f64>);

/// Ratios of single rounds, in order of size.
pub(super) struct Ratios {
    pub(super) lowest: f64,
    pub(super) middle: f64,
    pub(super) highest: f64,
}

impl Rounds {
    pub(super) fn push(&mut self, measured: f64) {
        self.0.push(measured);
    }

    /// The one in the middle.
    pub(super) fn median(&self) -> f64 {
        median(&sorted(self.counted()))
    }

    /// These over the `others` of the same rounds.
    pub(super) fn over(&self, others: &Self) -> Ratios {
        let ratios = sorted(self.counted().zip(others.counted()).map(|(one, other)| one / other));
        Ratios {
            lowest: ratios.first().copied().unwrap_or_default(),
            middle: median(&ratios),
            highest: ratios.last().copied().unwrap_or_default(),
        }
    }

    fn counted(&self) -> impl Iterator<Item = f64> {
        self.0.iter().skip(1).copied()
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_is_not_counted_and_ratios_are_of_single_rounds() {
        let (mut ones, mut others) = (Rounds::default(), Rounds::default());
        for (one, other) in [(100.0, 1.0), (2.0, 1.0), (9.0, 3.0), (4.0, 4.0)] {
            ones.push(one);
            others.push(other);
        }
        assert_eq!((ones.median(), others.median()), (4.0, 3.0));
        let Ratios { lowest, middle, highest } = ones.over(&others);
        assert_eq!((lowest, middle, highest), (1.0, 2.0, 3.0));
    }
}
