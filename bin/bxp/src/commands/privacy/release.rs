//! `bxp privacy release`: de-identified copies of FHIR files, as NDJSON, with the rules that decided beside them.

use anyhow::{Context, Result};
use bxp_clinical::{
    audit::{RandomNames, for_each},
    fhir::element::{child, resource_type, text},
    source::find,
};
use bxp_privacy::{DayAnchor, Profile, RULES_VERSION, release, rules_digest};
use bxp_vault::Clock;
use clap::{Args, ValueEnum};
use sonic_rs::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::PathBuf,
};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON; .gz and .bz2 too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A new folder for `resources.ndjson` and `rules.json`.
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// By which rule of the Privacy Rule the copies leave.
    #[arg(long, value_enum, default_value_t = Kind::SafeHarbor)]
    profile: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// 45 CFR 164.514(b)(2).
    SafeHarbor,
    /// 45 CFR 164.514(b)(1): you declare that an expert determined the risk.
    ExpertDetermination,
    /// 45 CFR 164.514(e): you declare that a data use agreement stands.
    LimitedDataSet,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::SafeHarbor => "safe-harbor",
            Self::ExpertDetermination => "expert-determination",
            Self::LimitedDataSet => "limited-data-set",
        }
    }

    /// The profile of one resource: all of a patient's count their days from one anchor.
    fn of(self, anchors: &mut BTreeMap<String, DayAnchor>, rest: &Value) -> Profile {
        match self {
            Self::SafeHarbor => Profile::SafeHarbor,
            Self::LimitedDataSet => Profile::LimitedDataSet,
            Self::ExpertDetermination => {
                let fresh = || DayAnchor::from_random(rand::random());
                let anchor = match patient(rest) {
                    Some(patient) => *anchors.entry(patient.to_owned()).or_insert_with(fresh),
                    None => fresh(),
                };
                Profile::ExpertDetermination(anchor)
            }
        }
    }
}

/// The pseudonym of the patient that a de-identified resource is about.
fn patient(rest: &Value) -> Option<&str> {
    if resource_type(rest) == Some("Patient") {
        return text(rest, "id");
    }
    let reference = ["subject", "patient", "beneficiary", "individual"]
        .iter()
        .find_map(|name| child(rest, name).and_then(|one| text(one, "reference")));
    reference.and_then(|reference| reference.rsplit(['/', ':']).next())
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { paths, output, profile } = arguments;
    fs::create_dir(output).with_context(|| format!("create folder {}", output.display()))?;
    let path = output.join("resources.ndjson");
    let file = File::create_new(&path).with_context(|| format!("create {}", path.display()))?;
    let mut out = BufWriter::new(file);
    let (clock, mut kept, mut left_out) = (Clock::system(), 0_u64, 0_u64);
    let (names, mut anchors) = (RandomNames::default(), BTreeMap::new());
    for input in find(paths)?.files {
        let mut texts = Vec::new();
        for_each(std::slice::from_ref(&input), |entry| {
            let Ok(sides) = names.split(entry.resource.expose(), &clock) else {
                left_out += 1;
                return Ok(());
            };
            let profile = profile.of(&mut anchors, &sides.deidentified);
            texts.push(release(sides.identity.expose(), &sides.deidentified, &profile)?);
            Ok(())
        })?;
        for text in texts {
            out.write_all(&text).and_then(|()| out.write_all(b"\n")).context("write resources.ndjson")?;
            kept += 1;
        }
    }
    out.flush().context("write resources.ndjson")?;
    let digest: String = rules_digest().iter().map(|byte| format!("{byte:02x}")).collect();
    let rules =
        serde_json::json!({ "profile": profile.name(), "rules": RULES_VERSION, "rulesSha256": digest });
    fs::write(output.join("rules.json"), serde_json::to_vec_pretty(&rules)?).context("write rules.json")?;
    println!("{kept} resources written, {left_out} that cannot be split left out, rules {digest}");
    Ok(())
}
