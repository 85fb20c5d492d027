//! How long a run may take, and an inspector that ends it.

use crate::SimulateError;
use revm::{
    Inspector,
    context_interface::{ContextError, ContextTr},
    handler::FrameResult,
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter},
    primitives::{Address, Log, U256},
};
use std::time::{Duration, Instant};

/// The words of a run that took too long; [`crate::SimulateError::Timeout`] is made of them.
pub(crate) const WORDS: &str = "execution timeout";
/// Instructions between two looks at the clock: a microsecond or so of work each.
const STEPS_PER_LOOK: u32 = 256;
/// Jump destinations and calls between two looks at the clock of a run without an inspector: the code between two of
/// them may read state several times.
const ASKED_PER_LOOK: u32 = 64;

/// When a run has to be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `allowed` from now on.
    #[must_use]
    pub fn after(allowed: Duration) -> Self {
        Self(Instant::now() + allowed)
    }

    /// Whether the time is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// Ends what is done step by step when the time is over.
    pub(crate) fn check(self) -> Result<(), SimulateError> {
        if self.is_over() { Err(SimulateError::Timeout) } else { Ok(()) }
    }
}

/// What a run without an inspector looks at the time by. It is part of the run's context, where instructions find it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// None where gas alone bounds the run.
    deadline: Option<Deadline>,
    asked: u32,
}

impl Clock {
    /// Ends a run at `deadline`.
    pub(crate) const fn until(deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), asked: 0 }
    }

    /// Whether the time is over, as far as the last look at it tells.
    pub(crate) fn is_over(&mut self) -> bool {
        let Some(deadline) = self.deadline else { return false };
        self.asked = self.asked.wrapping_add(1);
        self.asked.is_multiple_of(ASKED_PER_LOOK) && deadline.is_over()
    }
}

/// Passes everything on to `inner`, and ends the run with an error when the time is over.
pub(crate) struct Watched<I> {
    pub(crate) inner: I,
    deadline: Deadline,
    steps: u32,
}

impl<I> Watched<I> {
    pub(crate) const fn new(inner: I, deadline: Deadline) -> Self {
        Self { inner, deadline, steps: 0 }
    }
}

impl<CTX: ContextTr, I: Inspector<CTX>> Inspector<CTX> for Watched<I> {
    fn initialize_interp(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        self.inner.initialize_interp(interp, context);
    }

    fn step(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS_PER_LOOK) && self.deadline.is_over() {
            *context.error() = Err(ContextError::Custom(WORDS.to_owned()));
            interp.halt_fatal();
            return;
        }
        self.inner.step(interp, context);
    }

    fn step_end(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        self.inner.step_end(interp, context);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        self.inner.log(context, log);
    }

    fn log_full(&mut self, interp: &mut Interpreter, context: &mut CTX, log: Log) {
        self.inner.log_full(interp, context, log);
    }

    fn frame_start(&mut self, context: &mut CTX, input: &mut FrameInput) -> Option<FrameResult> {
        self.inner.frame_start(context, input)
    }

    fn frame_end(&mut self, context: &mut CTX, input: &FrameInput, result: &mut FrameResult) {
        self.inner.frame_end(context, input, result);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.inner.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.inner.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.inner.create(context, inputs)
    }

    fn create_end(&mut self, context: &mut CTX, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.inner.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.inner.selfdestruct(contract, target, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_tells_within_its_looks_and_one_without_a_deadline_never() {
        let looks = |mut clock: Clock| (0..ASKED_PER_LOOK).filter(|_| clock.is_over()).count();
        assert_eq!(looks(Clock::until(Deadline::after(Duration::ZERO))), 1);
        assert_eq!(looks(Clock::until(Deadline::after(Duration::from_secs(3_600)))), 0);
        assert_eq!(looks(Clock::default()), 0);
    }
}
