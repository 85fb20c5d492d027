//! Faults of binary consensus that the model notices. The simulator's are in `crates/consensus/src/mutant/tests.rs`.

use stateright::{Checker, HasDiscoveries, Model};

use super::AnySchedule;
use crate::mutant::{self, Mutant};

/// Goal: there is a schedule on which this fault breaks agreement or validity.
fn caught(mutant: Mutant, rounds: u32) {
    let model = mutant::with(Some(mutant), || AnySchedule::new(rounds));
    let broken = HasDiscoveries::AnyOf(["agreement", "validity"].into());
    let checker = model.checker().threads(1).finish_when(broken).spawn_bfs().join();
    let found = checker.discoveries();
    let caught = ["agreement", "validity"].iter().any(|property| found.contains_key(property));
    assert!(caught, "{mutant:?} breaks nothing in {rounds} rounds");
}

#[test]
fn the_model_catches_faults_of_thresholds() {
    caught(Mutant::RelayTooEarly, 2);
    caught(Mutant::BinTooEarly, 2);
    caught(Mutant::AuxiliaryQuorumTooLow, 2);
    caught(Mutant::OneDecidedBelieved, 2);
}

#[test]
fn the_model_catches_faults_of_parity() {
    caught(Mutant::WrongParity, 2);
    caught(Mutant::ParityIgnored, 2);
}

#[test]
fn the_model_catches_faults_of_counting() {
    caught(Mutant::UnionUnchecked, 2);
    caught(Mutant::AuxiliaryCountsTwice, 2);
}

#[test]
fn the_model_catches_a_coordinator_that_is_believed() {
    caught(Mutant::CoordinatorUnchecked, 3);
}
