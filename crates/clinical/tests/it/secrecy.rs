//! Nothing that identifies a patient lies on a disk in the clear, or on the side that travels.

use crate::{
    node::{Node, clock, cluster, patients},
    replicating::replicate,
};
use bxp_clinical::replicate::holder_permit;
use bxp_types::{BlockClass, Jurisdiction};
use std::{collections::BTreeSet, fs, path::Path};

const US: Jurisdiction = Jurisdiction::US;

/// Texts of generated patients that identify them: values after these keys.
fn planted(json: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for key in [
        "\"family\":\"",
        "\"value\":\"",
        "\"postalCode\":\"",
        "\"city\":\"",
        "\"birthDate\":\"",
        "\"id\":\"",
        "\"data\":\"",
    ] {
        for (at, _) in json.match_indices(key) {
            let rest = &json[at + key.len()..];
            let end = rest.find('"').unwrap_or(0);
            if end >= 5 {
                found.insert(rest[..end].to_owned());
            }
        }
    }
    found
}

fn search(folder: &Path, planted: &BTreeSet<String>, hits: &mut Vec<String>) -> usize {
    let mut files = 0;
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files += search(&path, planted, hits);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let readable = String::from_utf8_lossy(&bytes);
        files += 1;
        for text in planted {
            if readable.contains(text.as_str()) {
                hits.push(format!("{text} in {}", path.display()));
            }
        }
    }
    files
}

fn travelling_sides(node: &Node) -> String {
    let permit = holder_permit(&node.vault, &clock(), BlockClass::Deidentified).unwrap();
    let mut all = String::new();
    for row in node.vault.entries(0) {
        let (_, entry) = row.unwrap();
        let bytes = node.vault.open_deidentified(entry.record_id, &permit).unwrap();
        all.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    all
}

#[tokio::test]
async fn no_planted_text_is_on_any_disk_or_on_the_travelling_side() {
    let cluster = cluster(&[US, Jurisdiction::DE]);
    let bundles = patients(US, 1);
    let texts = planted(&bundles[1].json);
    assert!(texts.len() > 60, "{}", texts.len());
    bundles.iter().for_each(|bundle| drop(cluster.nodes[0].take(bundle)));
    replicate(&cluster, 0).await;
    let mut hits = Vec::new();
    for node in &cluster.nodes {
        assert!(search(node.dir.path(), &texts, &mut hits) > 3);
    }
    assert_eq!(hits, Vec::<String>::new());
    let travelling = travelling_sides(&cluster.nodes[0]);
    let leaked: Vec<_> = texts.iter().filter(|text| travelling.contains(text.as_str())).collect();
    assert_eq!(leaked, Vec::<&String>::new());
}
