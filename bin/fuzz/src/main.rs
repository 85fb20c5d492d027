//! One target under libFuzzer: `BXP_FUZZ_TARGET` names it. `cargo xtask fuzz` builds and runs this.
#![no_main]

use bxp_fuzz::{Target, find};
use std::{fs, path::Path, sync::LazyLock};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("BXP_FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| panic!("BXP_FUZZ_TARGET names no target: {name:?}"))
});

libfuzzer_sys::fuzz_target!(
    init: {
        if let Ok(folder) = std::env::var("BXP_FUZZ_SEEDS") {
            let found = bxp_fuzz::found(TARGET.name).expect("read what was found");
            for (number, seed) in (TARGET.seeds)().iter().chain(&found).enumerate() {
                fs::write(Path::new(&folder).join(format!("seed-{number}")), seed).expect("write seeds");
            }
        }
    },
    |bytes: &[u8]| (TARGET.run)(bytes)
);
