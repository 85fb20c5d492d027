//! Goal: no input breaks a decoder. Way: each target with its real encodings, with thousands of changed ones, and with
//! every input that once broke one (`bin/fuzz/found/TARGET/`). `make fuzz` goes further.

use bxp_fuzz::{TARGETS, found, mutate::Mutator};
use std::thread;

/// Changed inputs of each target, unless `BXP_FUZZ_INPUTS` says otherwise.
const INPUTS: usize = 10_000;

fn inputs() -> usize {
    std::env::var("BXP_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(INPUTS)
}

#[test]
fn real_encodings_are_taken() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in &seeds {
            (target.run)(seed);
        }
    }
}

#[test]
fn changed_encodings_break_nothing() {
    thread::scope(|scope| {
        for lane in 0..2 {
            scope.spawn(move || {
                for target in TARGETS.iter().skip(lane).step_by(2) {
                    let mut mutator = Mutator::new((target.seeds)(), target.bytes_max, 1);
                    for _ in 0..inputs() {
                        run(target, &mutator.input());
                    }
                }
            });
        }
    });
}

/// Runs one input and says which it was where it breaks something.
fn run(target: &bxp_fuzz::Target, input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| (target.run)(input)) {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{} is broken by {hex}", target.name);
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn what_was_found_stays_mended() {
    for target in TARGETS {
        found(target.name).unwrap().iter().for_each(|input| run(target, input));
    }
    assert!(!found("proposal").unwrap().is_empty(), "the folder is where it is looked for");
}
