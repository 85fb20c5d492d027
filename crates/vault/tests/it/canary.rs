//! Planted strings: after sealing, no byte of any file of the node may tell them, in any common encoding.

use crate::node::Node;
use bxp_storage::Durability;
use bxp_types::Jurisdiction;
use bxp_vault::MerkleBatch;
use std::{fs, path::Path};

const PLANTED: [&str; 8] = [
    "Zebedee Quixworth-Canary",
    "4711 Nightingale Parade",
    "987-65-4321",
    "MRN-CANARY-0042",
    "+1-555-0199-777",
    "zebedee@canary.example",
    "1931-02-29T03:04:05",
    "Patient/canary-0042",
];

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let padded = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let number = padded.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        (0..=chunk.len()).for_each(|digit| out.push(char::from(ALPHABET[number >> (18 - 6 * digit) & 63])));
    }
    out
}

/// Every form in which the text could stand in a file without being sealed.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let reversed: String = text.chars().rev().collect();
    let mut forms = vec![hex::encode(text).into_bytes(), hex::encode_upper(text).into_bytes()];
    for text in [text, &text.to_lowercase(), &text.to_uppercase(), &reversed] {
        forms.push(text.as_bytes().to_vec());
        forms.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        forms.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        // At each of the three alignments, without the digits that depend on the neighbours.
        for start in 0..3 {
            let whole = &text.as_bytes()[start..];
            forms.push(base64(&whole[..whole.len() / 3 * 3]).into_bytes());
        }
    }
    forms
}

fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn search(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    files(node.dir.path(), &mut found);
    assert!(
        found.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 10_000,
        "there is something to search"
    );
    let mut hits = Vec::new();
    for form in PLANTED.iter().flat_map(|text| forms(text)) {
        for (path, bytes) in &found {
            if bytes.windows(form.len()).any(|window| window == form) {
                hits.push(format!("{path}: {}", String::from_utf8_lossy(&form)));
            }
        }
    }
    hits
}

#[test]
fn the_search_finds_what_is_in_the_clear() {
    let node = Node::new(0, Jurisdiction::US);
    let table = node.store.table("clear").unwrap();
    let mut batch = node.store.batch();
    for (number, form) in forms(PLANTED[2]).into_iter().enumerate() {
        batch.put(&table, number.to_be_bytes(), [b"xx".as_slice(), &form, &[0; 900]].concat());
    }
    (100..120_u64).for_each(|number| batch.put(&table, number.to_be_bytes(), [7; 1000]));
    batch.commit(Durability::Synced).unwrap();
    assert!(!search(&node).is_empty());
}

#[test]
fn no_file_tells_a_planted_string() {
    let (node, replica) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let content = format!("{{\"resourceType\":\"Patient\",\"planted\":{PLANTED:?}}}");
    let long = content.repeat(40);
    let records =
        [node.seal(1, &content, &content), node.seal(2, &long, &long), node.seal(3, &content, "{}")];
    let mut batch = node.store.batch();
    node.vault.stage(&mut batch, &records, &node.vault.sealing()).unwrap();
    let entries: Vec<_> = records.iter().map(|record| record.entry.clone()).collect();
    node.vault.stage_batch(&mut batch, &MerkleBatch::new(&entries).unwrap()).unwrap();
    batch.commit(Durability::Synced).unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.record_id).collect();
    let sent =
        node.vault.replicate(&ids, &replica.recipient(), &node.own_permit(node.identity_class())).unwrap();
    replica.accept(node.vault.me(), &sent).unwrap();
    let permit = replica.treatment(1, Jurisdiction::US, ids[1], replica.identity_class());
    assert_eq!(replica.vault.open_identity(ids[1], &permit).unwrap().expose(), long.as_bytes());
    assert!(replica.vault.open_deidentified(ids[1], &permit).is_ok());
    node.vault.erase(ids[0]).unwrap();
    assert_eq!(search(&node), Vec::<String>::new());
    assert_eq!(search(&replica), Vec::<String>::new());
}
