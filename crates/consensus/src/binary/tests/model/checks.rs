//! Nothing goes wrong in any schedule.

use stateright::{Checker, Model};

use super::AnySchedule;

fn rounds_or(usual: u32) -> u32 {
    std::env::var("BXP_MODEL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// Goal: no schedule of up to that many rounds, and nothing that a Byzantine validator says, breaks agreement or
/// validity; and the model is no empty one: both outcomes are reached by all.
#[test]
fn no_schedule_breaks_agreement_or_validity() {
    let rounds = rounds_or(3);
    let checker = AnySchedule::new(rounds).checker().threads(2).spawn_bfs().join();
    println!("{} states in {rounds} rounds, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}
