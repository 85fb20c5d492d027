//! HL7 v2 (2.3 to 2.8) as a hospital sends it: parsing, acknowledging, MLLP framing, and mapping to FHIR R4.
//!
//! [`decode`] turns bytes into text by the message's own character set, [`split`] takes batch files apart, [`Message`]
//! reads one message in place, [`acknowledge`] answers it, [`Framer`] finds messages in a stream, and [`map`](fn@map)
//! makes a FHIR transaction Bundle of a message by HL7's own v2-to-FHIR tables, which stand in `maps/` in this
//! project's form. What cannot be mapped is named by field.
//!
//! It refuses to know sockets, disks, clocks and stores. Whatever it is given is hostile: everything is bounded, nothing
//! panics, and no error or note repeats a value of a message.

mod ack;
mod batch;
pub mod build;
mod charset;
mod error;
mod map;
mod message;
mod mllp;

pub use ack::{AckCode, Acknowledgement, When, Wish, acknowledge, wish};
pub use batch::{Split, split};
pub use charset::{Decoded, decode};
pub use error::{Hl7Error, Place};
pub use map::{Known, Mapped, Note, Options, map, patient_candidates};
pub use message::{Field, Limits, Message, Repetition, Segment, Separators};
pub use mllp::{END_BLOCK, FrameError, Framer, START_BLOCK, frame};
