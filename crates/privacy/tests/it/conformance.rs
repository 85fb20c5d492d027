//! Real bundles: the folder of `BXP_SHARED_DATA` holds FHIR R4 bundles as `synthea/*.bz2`.

use crate::fixtures::{Pseudonyms, strings, text};
use bxp_privacy::{Removed, join};
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Value};
use std::{io::Read as _, path::PathBuf};

fn bundles() -> Option<Vec<PathBuf>> {
    let folder = PathBuf::from(std::env::var_os("BXP_SHARED_DATA")?).join("synthea");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bz2"));
    paths.sort();
    Some(paths)
}

/// What names the patient of a bundle.
fn identifiers(resources: &[&Value]) -> Vec<String> {
    let mut found = Vec::new();
    for patient in resources.iter().filter(|resource| resource["resourceType"].as_str() == Some("Patient")) {
        for name in patient["name"].as_array().into_iter().flatten() {
            strings(&name["family"], &mut found);
            strings(&name["given"], &mut found);
        }
        for address in patient["address"].as_array().into_iter().flatten() {
            strings(&address["line"], &mut found);
            strings(&address["city"], &mut found);
        }
        for list in ["telecom", "identifier"] {
            patient[list]
                .as_array()
                .into_iter()
                .flatten()
                .for_each(|item| strings(&item["value"], &mut found));
        }
        strings(&patient["birthDate"], &mut found);
        strings(&patient["id"], &mut found);
    }
    found
}

#[test]
fn real_bundles_join_again_and_let_no_identifier_out() {
    let Some(paths) = bundles() else {
        println!("skipped: BXP_SHARED_DATA is not set");
        return;
    };
    assert!(!paths.is_empty(), "no bundles in BXP_SHARED_DATA");
    let (mut resources_split, mut bytes_before, mut bytes_after) = (0_usize, 0, 0);
    let mut removed = Removed::default();
    for path in paths {
        let mut json = Vec::new();
        bzip2::read::BzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_end(&mut json).unwrap();
        let bundle: Value = sonic_rs::from_slice(&json).unwrap();
        let resources: Vec<_> =
            bundle["entry"].as_array().unwrap().iter().filter_map(|entry| entry.get("resource")).collect();
        let identifiers = identifiers(&resources);
        let pseudonyms = Pseudonyms::default();
        let mut deidentified = String::new();
        for resource in resources {
            let split = pseudonyms.split(resource).unwrap();
            let before = text(resource);
            let whole = join(split.identity.expose(), &split.deidentified).unwrap();
            assert!(text(&whole) == before, "a resource of {} changed", path.display());
            resources_split += 1;
            bytes_before += before.len();
            removed.add_all(&split.removed);
            deidentified.push_str(&text(&split.deidentified));
            deidentified.push('\n');
        }
        bytes_after += deidentified.len();
        for identifier in identifiers {
            assert!(!deidentified.contains(&identifier), "an identifier of {} left", path.display());
        }
    }
    println!("{resources_split} resources, {bytes_before} bytes, {bytes_after} left");
    let kinds = removed.iter().map(|(kind, count)| format!("({}) {count}", kind.letter()));
    println!("{}", kinds.collect::<Vec<_>>().join(" "));
}
