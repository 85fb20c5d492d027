//! What a node keeps on disk: tables with atomic batches over [fjall], and an append-only write-ahead log.
//!
//! One [`Store`] owns one data folder: it locks the folder against other processes and refuses the folder of another
//! network. A [`Table`] is an ordered map of bytes; a [`Batch`] writes to several tables at once or not at all; a
//! [`Snapshot`] reads all tables at one moment. A [`Log`] holds records that must be on disk before the node speaks. A
//! [`Segment`] is an immutable file of packed records, for what is past.
//!
//! All of these also work on a [`MemoryDisk`], whose power fails on demand.
//!
//! This crate does not know what it stores: keys and values are bytes, and so are the log's records.

mod batch;
mod disk;
mod error;
mod files;
mod log;
mod memory;
mod network_marker;
mod segment;
mod snapshot;
mod store;
mod table;

pub use batch::{Batch, Durability};
pub use disk::{Disk, DiskFile, OpenFile};
pub use error::StorageError;
pub use log::{Log, RECORD_BYTES_MAX, SegmentedLog};
pub use memory::MemoryDisk;
pub use segment::{Segment, SegmentHead, SegmentWriter, WrittenSegment};
pub use snapshot::Snapshot;
pub use store::Store;
pub use table::{Entries, Entry, KEY_BYTES_MAX, Table};

/// What this crate's operations return.
pub type Result<T> = std::result::Result<T, StorageError>;
