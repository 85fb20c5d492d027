//! The layer rule: a crate uses lower layers only. The table is that of ARCHITECTURE.md.

use super::Finding;
use cargo_metadata::{DependencyKind, Metadata, Package};

/// Crates by layer, lowest first. The programs in `bin/` stand above all of them.
const LAYERS: &[&[&str]] = &[
    &["bxp-types", "bxp-contracts", "bxp-compression"],
    &["bxp-consensus", "bxp-trie", "bxp-privacy", "bxp-hl7v2", "bxp-ccda"],
    &[
        "bxp-storage",
        "bxp-network",
        "bxp-enclave",
        "bxp-execution",
        "bxp-vault",
        "bxp-fhir-store",
        "bxp-content",
    ],
    &["bxp-chain", "bxp-dev-chain", "bxp-simulate", "bxp-clinical", "bxp-market"],
    &["bxp-rpc", "bxp-fhir-api", "bxp-mllp", "bxp-node", "bxp-sim"],
];

/// Uses within one layer that are meant to be.
const WITHIN_LAYER: &[(&str, &str)] = &[
    ("bxp-contracts", "bxp-types"),
    ("bxp-ccda", "bxp-hl7v2"),
    ("bxp-execution", "bxp-storage"),
    ("bxp-vault", "bxp-storage"),
    ("bxp-vault", "bxp-enclave"),
    ("bxp-content", "bxp-storage"),
    ("bxp-content", "bxp-enclave"),
    ("bxp-market", "bxp-clinical"),
    ("bxp-dev-chain", "bxp-chain"),
    ("bxp-node", "bxp-rpc"),
    ("bxp-node", "bxp-fhir-api"),
    ("bxp-node", "bxp-mllp"),
];

/// Checks every dependency between crates of the workspace.
pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let packages = metadata.workspace_packages();
    let members: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in &packages {
        if package.name.as_str() == "xtask" || is_program(package) {
            continue;
        }
        let Some(_) = layer(&package.name) else {
            findings.push(unplaced(&package.name));
            continue;
        };
        let used = package
            .dependencies
            .iter()
            .filter(|dependency| members.contains(&dependency.name.as_str()))
            .filter_map(|dependency| judge(&package.name, &dependency.name, dependency.kind));
        findings.extend(used);
    }
    findings
}

fn is_program(package: &Package) -> bool {
    package.manifest_path.components().rev().nth(2).is_some_and(|folder| folder.as_str() == "bin")
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|crates| crates.contains(&name))
}

fn unplaced(name: &str) -> Finding {
    Finding::Error(format!(
        "{name} has no layer; give it one in xtask/src/tidy/layers.rs and ARCHITECTURE.md"
    ))
}

fn judge(user: &str, used: &str, kind: DependencyKind) -> Option<Finding> {
    let (Some(upper), Some(lower)) = (layer(user), layer(used)) else {
        return Some(Finding::Error(format!("{user} uses {used}, which no library crate may")));
    };
    let listed = WITHIN_LAYER.contains(&(user, used));
    let allowed = match kind {
        // A test may set a neighbour on the crate, but nothing from above.
        DependencyKind::Development => lower <= upper,
        _ => lower < upper || listed,
    };
    (!allowed).then(|| Finding::Error(format!("{user} (layer {upper}) uses {used} (layer {lower})")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DependencyKind::{Development, Normal};

    #[test]
    fn a_crate_uses_lower_layers_only() {
        assert_eq!(judge("bxp-chain", "bxp-consensus", Normal), None);
        assert_eq!(judge("bxp-vault", "bxp-storage", Normal), None, "listed");
        let refused =
            [("bxp-consensus", "bxp-storage"), ("bxp-storage", "bxp-vault"), ("bxp-types", "xtask")];
        for (user, used) in refused {
            assert!(judge(user, used, Normal).is_some(), "{user} -> {used}");
        }
    }

    #[test]
    fn a_test_may_use_a_neighbour_but_nothing_above() {
        assert_eq!(judge("bxp-network", "bxp-enclave", Development), None);
        assert!(judge("bxp-network", "bxp-chain", Development).is_some());
    }

    #[test]
    fn every_listed_neighbour_is_of_the_same_layer() {
        for (user, used) in WITHIN_LAYER {
            assert_eq!(layer(user), layer(used), "{user} -> {used}");
            assert!(layer(user).is_some());
        }
    }
}
