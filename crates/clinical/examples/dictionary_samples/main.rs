//! Texts from which the dictionary of `bxp-compression` is trained: `cargo run -p bxp-clinical --example
//! dictionary_samples -- FOLDER`, then the command in `crates/compression/data/README.md`.
//!
//! None of them is taken from a record: they are resources drawn from FHIR's own definitions, with the code systems that
//! the split knows, and the patients that `bxp dev generate` invents, each whole and in its two sides. The same program
//! gives the same texts.

mod drawn;

use bxp_clinical::{
    fhir::{CivilDay, definitions::Definitions},
    generate::{GeneratorConfig, generate},
};
use bxp_privacy::{SplitContext, split_text};
use drawn::Drawn;
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Value};
use std::{
    error::Error,
    fs::{create_dir_all, write},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

/// The year from which ages are told.
const NOW_YEAR: i32 = 2026;
/// Invented patients.
const PATIENTS: u32 = 12;
/// Of the resources of one bundle, every how many is taken: the same kinds come again and again.
const EVERY: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("say into which folder")?;
    create_dir_all(&folder)?;
    let mut samples = Samples { folder: &folder, count: 0 };
    let mut drawn = Drawn::new(1);
    for text in drawn.resources() {
        samples.add(&text)?;
    }
    let config =
        GeneratorConfig { patients: PATIENTS, today: CivilDay(20_634), ..GeneratorConfig::default() };
    for bundle in generate(&config)? {
        let bundle: Value = sonic_rs::from_str(&bundle.json)?;
        let entries = bundle.get("entry").and_then(|entries| entries.as_array());
        for entry in entries.into_iter().flatten().step_by(EVERY) {
            samples.add(&sonic_rs::to_string(&entry.get("resource"))?)?;
        }
    }
    println!("{} texts in {}", samples.count, folder.display());
    Ok(())
}

struct Samples<'a> {
    folder: &'a Path,
    count: usize,
}

impl Samples<'_> {
    /// A resource whole, as the working copy has it, and in the two sides that the vault seals.
    fn add(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        let mapping = |reference: &str| pseudonym(reference);
        let sides = split_text(text, &SplitContext { mapping: &mapping, now_year: NOW_YEAR })?;
        self.write(text.as_bytes())?;
        self.write(&sides.deidentified)?;
        self.write(sides.identity.into_exposed().as_bytes())
    }

    fn write(&mut self, text: &[u8]) -> Result<(), Box<dyn Error>> {
        write(self.folder.join(format!("{:06}", self.count)), text)?;
        self.count += 1;
        Ok(())
    }
}

/// Any id of 32 digits does: the dictionary shall know the form of a pseudonym, and the split asks that it is another.
fn pseudonym(reference: &str) -> Option<String> {
    let half = |which: u8| {
        let mut hasher = DefaultHasher::new();
        (which, reference).hash(&mut hasher);
        hasher.finish()
    };
    let name = format!("{:016x}{:016x}", half(0), half(1));
    let kind = reference.split_once('?').map_or_else(|| reference.rsplit('/').nth(1), |(kind, _)| Some(kind));
    let kind = kind.and_then(|kind| Definitions::r4().resource_name(kind));
    Some(kind.map_or_else(|| format!("urn:uuid:{name}"), |kind| format!("{kind}/{name}")))
}
