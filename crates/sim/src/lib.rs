//! The simulator: the real consensus, mempool, chain, sync, execution and log of a whole network, in one process, on
//! one seed.
//!
//! Time is virtual, and messages, disks and clocks are models that reorder, repeat, lose, tear, lie and stop; some
//! validators are Byzantine. After each step of a correct node it is checked that what must hold holds ([`Summary`]
//! says what was broken). The same seed gives the same run, to the last step, so that a failing seed is a test.
//!
//! It knows no real clock, socket or disk, and nothing of health data.

mod audit;
mod byzantine;
mod clients;
mod host;
mod links;
mod model;
mod plan;
mod report;
mod sabotage;
mod said;
mod trace;
mod wallet;
mod world;

pub use bxp_consensus::Verification;
pub use byzantine::Behaviour;
pub use model::{Costs, Limit, ModelError, Pace, Place, Report, Setup, model};
pub use report::{Failure, Summary};
pub use sabotage::Sabotage;

/// Runs the network of `seed` with that many validators to its end. With `print`, every step is printed as it happens.
/// Where verification is sharded, validators that verify falsely are among the Byzantine ones, and a third of the runs
/// mixes nodes of both kinds.
#[must_use]
pub fn run(seed: u64, validators: usize, verification: Verification, print: bool) -> Summary {
    world::World::new(seed, validators, verification, print, None).run()
}

/// [`run`] with something broken in the correct nodes: a rule should fail on some seed.
#[must_use]
pub fn run_sabotaged(seed: u64, validators: usize, sabotage: Sabotage) -> Summary {
    world::World::new(seed, validators, Verification::All, false, Some(sabotage)).run()
}
