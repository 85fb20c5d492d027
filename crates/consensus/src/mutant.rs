//! Deliberate faults of the protocol, one at a time, that show whether the model and the simulator would notice one.
//!
//! Only this crate's own unit tests can switch one on: in every other build [`Mutation::is`] is the constant false.

/// One thing done wrong. The line that it breaks stands in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// ECHO although the body was found invalid (R3).
    EchoUnchecked,
    /// READY after t+1 ECHO instead of more than (n+t)/2 (R4).
    EchoQuorumTooLow,
    /// READY is not repeated after t+1 (R5).
    NoReadyAmplification,
    /// Delivery after t READY instead of 2t+1 (R6).
    DeliveredTooEarly,
    /// A missing body is never fetched (R7).
    NoFetch,
    /// A fetched body is taken without hashing it (R9).
    BodyUnchecked,
    /// 0 is proposed as soon as one instance has decided 1 (S3).
    ZeroTooEarly,
    /// EST is relayed after one instead of t+1 (B5).
    RelayTooEarly,
    /// A value enters bin after t EST instead of 2t+1 (B6).
    BinTooEarly,
    /// No coordinator ever speaks (B7).
    NoCoordinator,
    /// The coordinator's value is taken although it is not in bin (B8).
    CoordinatorUnchecked,
    /// n-t-1 AUX suffice (B11, B12, B13).
    AuxiliaryQuorumTooLow,
    /// The union of AUX is not held against bin (B13).
    UnionUnchecked,
    /// A validator's second AUX counts again.
    AuxiliaryCountsTwice,
    /// Any unanimous value is decided, whatever the parity of the round (B11).
    ParityIgnored,
    /// Who sees both values takes the wrong one (B13).
    WrongParity,
    /// A node that has decided never enters another round, and does not say so (B14, B15).
    NoHelpAfterDeciding,
    /// One DECIDED is believed (B16).
    OneDecidedBelieved,
    /// t reports stand for a check of one's own instead of t+1 (V3).
    ReportsBelievedTooEarly,
    /// The second verifiers never check (V4).
    NoSecondVerifiers,
    /// Votes leave before they are in the log (W1).
    SaidBeforeLogged,
    /// A superblock is handed out while votes on which it rests still wait to be logged (G4).
    DecidedBeforeLogged,
    /// Own votes of the log are not counted as said (W3).
    VotesForgotten,
    /// Nothing is ever said again (H4, H6).
    NothingRepeated,
}

/// Which fault is switched on.
#[cfg(not(test))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation;

#[cfg(not(test))]
impl Mutation {
    pub(crate) const fn current() -> Self {
        Self
    }

    /// Never: this is not a test of this crate.
    #[expect(clippy::unused_self, reason = "the tests' version looks at itself")]
    pub(crate) const fn is(self, _mutant: Mutant) -> bool {
        false
    }
}

/// Which fault is switched on.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation(Option<Mutant>);

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
impl Mutation {
    pub(crate) fn current() -> Self {
        Self(ACTIVE.get())
    }

    pub(crate) fn is(self, mutant: Mutant) -> bool {
        self.0 == Some(mutant)
    }
}

/// Runs `work` with every engine that this thread makes meanwhile having that fault.
#[cfg(test)]
pub(crate) fn with<T>(mutant: Option<Mutant>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Mutant>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0);
        }
    }
    let _restore = Restore(ACTIVE.replace(mutant));
    work()
}

#[cfg(test)]
mod tests;
