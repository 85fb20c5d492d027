//! How much the store may hold. Writes are refused before anything is full: a node whose disk has no byte left cannot
//! even write down what consensus says.

use crate::ContentError;
use bxp_storage::StorageError;
use std::{io, path::Path};

/// The bounds of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The most bytes of blocks, sealed. The database's own overhead, and what it has not compacted yet, come on top.
    pub bytes_max: u64,
    /// Bytes that stay free on the disk, for the rest of the node.
    pub disk_free_bytes_min: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { bytes_max: 8 << 30, disk_free_bytes_min: 1 << 30 }
    }
}

impl Quota {
    /// Refuses `wanted` more bytes where they would break a bound.
    pub(super) fn check(&self, folder: &Path, used: u64, wanted: u64) -> Result<(), ContentError> {
        if used.saturating_add(wanted) > self.bytes_max {
            return Err(ContentError::Quota { wanted, used, max: self.bytes_max });
        }
        let free = free_bytes(folder)?;
        if free.saturating_sub(wanted) < self.disk_free_bytes_min {
            return Err(ContentError::DiskNearlyFull { free, kept: self.disk_free_bytes_min });
        }
        Ok(())
    }
}

/// What a user without privileges may still write on the disk of `folder`.
pub(super) fn free_bytes(folder: &Path) -> Result<u64, ContentError> {
    let found = nix::sys::statvfs::statvfs(folder).map_err(|source| StorageError::Io {
        action: "look at the disk's free space",
        path: folder.to_owned(),
        source: io::Error::from(source),
    })?;
    // Both are 64 bits wide here; on other systems one may be narrower.
    #[allow(clippy::useless_conversion)]
    let (blocks, block_bytes) = (u64::from(found.blocks_available()), u64::from(found.fragment_size()));
    Ok(blocks.saturating_mul(block_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_refuse_before_they_are_reached() {
        let folder = tempfile::tempdir().unwrap();
        let quota = Quota { bytes_max: 100, disk_free_bytes_min: 0 };
        assert!(quota.check(folder.path(), 40, 60).is_ok());
        assert!(matches!(
            quota.check(folder.path(), 40, 61),
            Err(ContentError::Quota { wanted: 61, used: 40, max: 100 })
        ));
        let free = free_bytes(folder.path()).unwrap();
        assert!(free > 0);
        let nearly = Quota { bytes_max: u64::MAX, disk_free_bytes_min: free.saturating_mul(2) };
        assert!(matches!(nearly.check(folder.path(), 0, 1), Err(ContentError::DiskNearlyFull { .. })));
    }
}
