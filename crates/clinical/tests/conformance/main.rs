//! Real data that is not part of the project: `BXP_DATA` names the folder with `synthea/` and `hl7v2/` in it.

mod hapi;
mod hl7v2;
mod ingesting;
mod synthea;

use std::path::PathBuf;

/// The folder of real data.
fn data(name: &str) -> PathBuf {
    let root = std::env::var_os("BXP_DATA").expect("BXP_DATA names the folder of real data");
    PathBuf::from(root).join(name)
}
