//! Red Belly consensus as a pure state machine.
