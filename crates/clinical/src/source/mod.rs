//! What is handed in: finding files, decompressing them within bounds, and parsing them into submissions.
//!
//! A submission is all or nothing: a damaged file gives an error that names file and place, and nothing of it is
//! taken. An NDJSON file is cut into submissions of at most [`NDJSON_RESOURCES`] resources.

mod ccda;
mod decompress;
mod device;
mod find;
mod hl7v2;
mod parse;
mod read;
mod scan;
mod submission;

pub use ccda::translate_document;
pub use device::{READINGS_MAX, Upload, translate_readings};
pub use find::{Compression, Found, InputFile, Shape, find};
pub use hl7v2::{Translation, split_messages, translate, translate_or_refuse};
pub use parse::{parse_json, parse_ndjson, parse_tree};
pub use read::{Submissions, contents, read};
pub use submission::{Entry, Limits, Place, Position, Refusal, Submission};

/// The most resources of one submission that is cut from an NDJSON file.
pub const NDJSON_RESOURCES: usize = 2_000;
