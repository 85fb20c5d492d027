//! Whole networks of real `bxp` processes: killed, restarted, fed with bad input, and searched for what must not leave.

mod bad_input;
mod bench;
mod canary;
mod hl7;
mod hl7_tls;
mod ingest_kills;
mod kill;
mod kit;
mod moved;
mod placement;
mod records;
mod segments;
