//! Who stands in a network on this machine, and under whose law.

use alloy_primitives::Address;
use bxp_node::Verification;
use bxp_types::Jurisdiction;
use std::{collections::BTreeMap, num::NonZeroU16};

/// One validator to be.
#[derive(Clone, Debug)]
pub(crate) struct PlannedNode {
    pub(crate) name: String,
    pub(crate) jurisdiction: Jurisdiction,
    /// Whether it oversees.
    pub(crate) regulator: bool,
}

/// A network to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: Vec<PlannedNode>,
    /// Development accounts whose keys are printed.
    pub(crate) funded_accounts: usize,
    /// Further accounts with a balance, whose keys the caller has.
    pub(crate) extra_accounts: Vec<Address>,
    /// Who checks signatures.
    pub(crate) verification: Verification,
    /// How many nodes of a country keep a record's identity block; all of them where none is given.
    pub(crate) identity_copies: BTreeMap<Jurisdiction, NonZeroU16>,
}

/// Star and Dawn are the white paper's holders (row E), both in the US; a hospital in Germany and a regulator in
/// Canada make it three countries.
const NAMED: [(&str, Jurisdiction); 4] = [
    ("star", Jurisdiction::US),
    ("dawn", Jurisdiction::US),
    ("rhein", Jurisdiction::DE),
    ("regulator", Jurisdiction::CA),
];

impl Plan {
    /// `count` validators: the four named ones first, then numbered ones in the same countries in turn.
    pub(crate) fn usual(count: u16) -> Self {
        let node = |index: usize| {
            let (name, jurisdiction) = NAMED[index % NAMED.len()];
            let round = index / NAMED.len();
            let name = if round == 0 { name.to_owned() } else { format!("{name}-{}", round + 1) };
            PlannedNode { regulator: name.starts_with("regulator"), name, jurisdiction }
        };
        Self {
            nodes: (0..usize::from(count)).map(node).collect(),
            funded_accounts: 10,
            extra_accounts: Vec::new(),
            verification: Verification::All,
            identity_copies: BTreeMap::new(),
        }
    }

    /// As [`Plan::usual`], where t + 1 validators check a proposal and the others go by their reports, if it is `sharded`.
    pub(crate) fn usual_checking(count: u16, sharded: bool) -> Self {
        let verification = if sharded { Verification::Sharded } else { Verification::All };
        Self { verification, ..Self::usual(count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_four_stand_in_three_countries() {
        let plan = Plan::usual(9);
        let names: std::collections::BTreeSet<_> = plan.nodes.iter().map(|node| &node.name).collect();
        assert_eq!(names.len(), 9);
        let countries: std::collections::BTreeSet<_> =
            plan.nodes[..4].iter().map(|node| node.jurisdiction).collect();
        assert_eq!(countries.len(), 3);
    }
}
