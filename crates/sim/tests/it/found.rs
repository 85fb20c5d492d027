//! Seeds that have found something, each with what it was.

use bxp_sim::Verification;

/// Each of three nodes lacked another attestation of one block. Attestations were said again to a peer that came back
/// only, so no certificate came to be, and after the most uncertified blocks the chain stood still for ever.
#[test]
fn attestations_that_were_lost_are_said_again() {
    let run = bxp_sim::run(2_006, 3, Verification::All, false);
    assert!(run.failure.is_none(), "{:?}", run.failure);
}

/// A slow node that had been away asked for the same blocks again and again while its first imports waited for their
/// turn: it took each of them several times, fell ever further behind, and its queue grew without bound.
#[test]
fn a_slow_node_catches_up_without_importing_twice() {
    let run = bxp_sim::run(1_018, 7, Verification::All, false);
    assert!(run.failure.is_none(), "{:?}", run.failure);
}
