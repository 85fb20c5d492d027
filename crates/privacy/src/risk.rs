//! How well a release hides its patients: sizes of classes that look alike, and the three usual risks.
//!
//! Patients who are alike in all quasi-identifiers make a class. An attacker who knows that somebody is in the release
//! (the *prosecutor*) is right with one over the class's size in the release; one who only knows that somebody is in
//! the population (the *journalist*) with one over its size there; one who wants as many as possible (the *marketer*)
//! gets a share of all. The definitions are those of El Emam, Guide to the De-Identification of Personal Health
//! Information (2013), chapters 16 and 17; l-diversity is that of Machanavajjhala et al. (2007), counted distinct.
//!
//! Figures are estimates for people to read, so they are floating point; whether a release passes is decided by whole
//! class sizes.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One patient: quasi-identifiers in the order of the table's columns, and what an attacker would like to learn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// A value for each column; an empty text where the patient has none.
    pub quasi: Vec<String>,
    /// The sensitive value, such as the chart's conditions.
    pub sensitive: String,
}

/// Patients with the same columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the quasi-identifiers.
    pub columns: Vec<String>,
    /// One row a patient.
    pub rows: Vec<Row>,
}

/// What an attacker of one kind can hope for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Risk {
    /// Of the patient who is hidden worst, 0 to 1.
    pub highest: f64,
    /// Of all patients on average, 0 to 1.
    pub average: f64,
}

/// What one column does to the classes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnEffect {
    /// The column.
    pub column: String,
    /// Distinct values in the release.
    pub values: usize,
    /// The smallest class if the column were left out.
    pub k_without: usize,
    /// Patients below the threshold if the column were left out.
    pub below_without: usize,
}

/// The assessment of a release.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assessment {
    /// Patients in the release.
    pub patients: usize,
    /// Patients in the population that they are hidden in.
    pub population: usize,
    /// Classes in the release.
    pub classes: usize,
    /// The smallest class, counted in the release.
    pub k_release: usize,
    /// The smallest class of a released patient, counted in the population: what the threshold is held against.
    pub k: usize,
    /// The fewest distinct sensitive values in a class of the release.
    pub l: usize,
    /// The threshold.
    pub k_min: usize,
    /// Released patients in classes below the threshold.
    pub below: usize,
    /// Known to be in the release.
    pub prosecutor: Risk,
    /// Known to be in the population.
    pub journalist: Risk,
    /// The share of the release that is expected to be found when everybody is looked for, 0 to 1.
    pub marketer: f64,
    /// The columns, those first whose loss would help most.
    pub columns: Vec<ColumnEffect>,
}

impl Assessment {
    /// Whether every class reaches the threshold. An empty release passes.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.below == 0
    }
}

/// Assesses `release` against the `population` that its patients belong to, which holds at least the release's own
/// rows; a smaller class there counts as large as in the release. `k_min` of 0 counts as 1.
#[must_use]
pub fn assess(release: &Table, population: &Table, k_min: usize) -> Assessment {
    let k_min = k_min.max(1);
    let all: Vec<usize> = (0..release.columns.len()).collect();
    let here = classes(release, &all);
    let there = classes(population, &all);
    let size = |key: &Key<'_>, released: usize| there.get(key).map_or(0, |class| class.size).max(released);
    let patients = release.rows.len();
    let sizes: Vec<(usize, usize)> =
        here.iter().map(|(key, class)| (class.size, size(key, class.size))).collect();
    let expected: f64 = sizes.iter().map(|&(released, known)| ratio(released, known)).sum();
    let known: usize = sizes.iter().map(|&(_, known)| known).sum();
    let k_release = sizes.iter().map(|&(released, _)| released).min().unwrap_or(0);
    let k = sizes.iter().map(|&(_, known)| known).min().unwrap_or(0);
    let marketer = if patients == 0 { 0.0 } else { expected / as_f64(patients) };
    Assessment {
        patients,
        population: population.rows.len().max(patients),
        classes: here.len(),
        k_release,
        k,
        l: here.values().map(|class| class.sensitive.len()).min().unwrap_or(0),
        k_min,
        below: sizes.iter().filter(|&&(_, known)| known < k_min).map(|&(released, _)| released).sum(),
        prosecutor: Risk { highest: ratio(1, k_release), average: ratio(here.len(), patients) },
        journalist: Risk { highest: ratio(1, k), average: ratio(here.len(), known).max(marketer) },
        marketer,
        columns: effects(release, population, k_min),
    }
}

/// How many patients of a population are alike.
#[derive(Clone, Debug, Default)]
pub struct ClassSizes(BTreeMap<Vec<String>, usize>);

impl ClassSizes {
    /// Counts the classes of `rows`, each given by its quasi-identifiers.
    #[must_use]
    pub fn of(rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let mut sizes: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for quasi in rows {
            let size = sizes.entry(quasi).or_default();
            *size = size.saturating_add(1);
        }
        Self(sizes)
    }

    /// The size of the class with these quasi-identifiers; 0 if nobody has them.
    #[must_use]
    pub fn size(&self, quasi: &[String]) -> usize {
        self.0.get(quasi).copied().unwrap_or(0)
    }
}

type Key<'a> = Vec<&'a str>;

struct Class<'a> {
    size: usize,
    sensitive: BTreeSet<&'a str>,
}

/// The classes of a table by the columns with these numbers.
fn classes<'a>(table: &'a Table, columns: &[usize]) -> BTreeMap<Key<'a>, Class<'a>> {
    let mut classes: BTreeMap<Key<'a>, Class<'a>> = BTreeMap::new();
    for row in &table.rows {
        let value = |column: &usize| row.quasi.get(*column).map_or("", String::as_str);
        let key = columns.iter().map(value).collect();
        let class = classes.entry(key).or_insert(Class { size: 0, sensitive: BTreeSet::new() });
        class.size = class.size.saturating_add(1);
        class.sensitive.insert(&row.sensitive);
    }
    classes
}

/// What would be if each column in turn were left out.
fn effects(release: &Table, population: &Table, k_min: usize) -> Vec<ColumnEffect> {
    let effect = |(left_out, column): (usize, &String)| {
        let others: Vec<usize> = (0..release.columns.len()).filter(|other| *other != left_out).collect();
        let (here, there) = (classes(release, &others), classes(population, &others));
        let sizes: Vec<(usize, usize)> = here
            .iter()
            .map(|(key, class)| (class.size, there.get(key).map_or(0, |class| class.size).max(class.size)))
            .collect();
        let below = sizes.iter().filter(|&&(_, known)| known < k_min).map(|&(released, _)| released).sum();
        ColumnEffect {
            column: column.clone(),
            values: classes(release, &[left_out]).len(),
            k_without: sizes.iter().map(|&(_, known)| known).min().unwrap_or(0),
            below_without: below,
        }
    };
    let mut effects: Vec<ColumnEffect> = release.columns.iter().enumerate().map(effect).collect();
    effects.sort_by(|one, other| {
        (one.below_without, std::cmp::Reverse(one.k_without), std::cmp::Reverse(one.values)).cmp(&(
            other.below_without,
            std::cmp::Reverse(other.k_without),
            std::cmp::Reverse(other.values),
        ))
    });
    effects
}

/// 0 where there is nothing to divide by.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { as_f64(part) / as_f64(whole) }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of patients are far below 2^52")]
const fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(rows: &[(&str, &str, &str)]) -> Table {
        let row = |&(year, zip, sensitive): &(&str, &str, &str)| Row {
            quasi: vec![year.to_owned(), zip.to_owned()],
            sensitive: sensitive.to_owned(),
        };
        Table { columns: vec!["year".to_owned(), "zip".to_owned()], rows: rows.iter().map(row).collect() }
    }

    /// Worked by hand: classes of 3, 2 and 1 in the release; of 6, 4 and 2 in the population.
    #[test]
    fn a_worked_example() {
        let release = table(&[
            ("1950", "021", "flu"),
            ("1950", "021", "flu"),
            ("1950", "021", "cold"),
            ("1960", "021", "flu"),
            ("1960", "021", "cold"),
            ("1960", "100", "cold"),
        ]);
        let mut population = release.clone();
        population.rows.extend(release.rows.clone());
        let risk = assess(&release, &population, 3);
        assert_eq!((risk.patients, risk.population, risk.classes), (6, 12, 3));
        assert_eq!((risk.k_release, risk.k, risk.l, risk.below), (1, 2, 1, 1));
        assert_eq!(risk.prosecutor, Risk { highest: 1.0, average: 0.5 });
        assert_eq!(risk.journalist, Risk { highest: 0.5, average: 0.25 });
        assert_eq!(risk.marketer, 0.25, "three classes, each half of its own in the population");
        assert!(!risk.passes());
        let zip = &risk.columns[0];
        assert_eq!((zip.column.as_str(), zip.k_without, zip.below_without), ("zip", 6, 0));
        let year = &risk.columns[1];
        assert_eq!((year.column.as_str(), year.k_without, year.below_without), ("year", 2, 1));
    }

    #[test]
    fn an_empty_release_passes() {
        let risk = assess(&table(&[]), &table(&[("1950", "021", "")]), 11);
        assert!(risk.passes());
        assert_eq!((risk.k, risk.l, risk.prosecutor.highest), (0, 0, 0.0));
    }

    #[test]
    fn a_population_without_the_released_counts_them() {
        let risk = assess(&table(&[("1950", "021", "flu"); 3]), &table(&[]), 3);
        assert_eq!((risk.k, risk.below, risk.population), (3, 0, 3));
    }

    proptest! {
        #[test]
        fn risks_are_ordered_and_bounded(
            rows in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u8..3), 1..40),
            more in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u8..3), 0..40),
            k_min in 0_usize..6,
        ) {
            let of = |rows: &[(u8, u8, u8)]| {
                let texts: Vec<_> = rows.iter().map(|&(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect();
                table(&texts.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect::<Vec<_>>())
            };
            let release = of(&rows);
            let population = of(&[rows.as_slice(), &more].concat());
            let risk = assess(&release, &population, k_min);
            prop_assert!(risk.journalist.highest <= risk.prosecutor.highest);
            prop_assert!(risk.marketer <= risk.prosecutor.average + 1e-9);
            prop_assert!(risk.k >= risk.k_release && risk.k_release >= 1 && risk.l >= 1);
            prop_assert_eq!(risk.passes(), risk.k >= risk.k_min);
            for column in &risk.columns {
                prop_assert!(column.k_without >= risk.k && column.below_without <= risk.below);
            }
        }
    }
}
