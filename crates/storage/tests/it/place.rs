//! Where a store of the test-suite is: the same tests run on a folder and in memory.

use crate::store::NETWORK;
use bxp_storage::{MemoryDisk, Result, Store};
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

#[derive(Clone)]
pub(crate) enum Place {
    Folder(Arc<TempDir>),
    Memory(MemoryDisk),
}

impl Place {
    pub(crate) fn both() -> [Self; 2] {
        [Self::Folder(Arc::new(tempfile::tempdir().unwrap())), Self::Memory(MemoryDisk::new(0))]
    }

    pub(crate) fn open(&self) -> Result<Store> {
        match self {
            Self::Folder(folder) => Store::open(folder.path(), NETWORK),
            Self::Memory(disk) => Store::open_in(disk, Path::new("/node"), NETWORK),
        }
    }
}
