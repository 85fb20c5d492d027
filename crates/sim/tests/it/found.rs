//! Seeds that have found something, each with what it was.

/// Each of three nodes lacked another attestation of one block. Attestations were said again to a peer that came back
/// only, so no certificate came to be, and after the most uncertified blocks the chain stood still for ever.
#[test]
fn attestations_that_were_lost_are_said_again() {
    let run = bxp_sim::run(2_006, 3, false);
    assert!(run.failure.is_none(), "{:?}", run.failure);
}
