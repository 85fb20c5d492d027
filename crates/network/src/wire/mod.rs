//! What is written to streams. Decoders treat every byte as adversarial: bounded, never panicking.

pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod verdict;
