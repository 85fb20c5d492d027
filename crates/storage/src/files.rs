//! Files that appear whole or not at all.

use crate::{
    Result, StorageError,
    disk::{Disk, DiskFile},
};
use std::path::{Path, PathBuf};

/// What is added to the name of a file that is not whole yet.
const BESIDE: &str = ".new";

/// Replaces the file at `path` by one that holds `bytes`: written beside it, synced, renamed, folder synced. A crash
/// leaves the old file or the new one. Returns the new file, which stands at its end.
pub(crate) fn replace(
    disk: &dyn Disk,
    action: &'static str,
    path: &Path,
    bytes: &[u8],
) -> Result<Box<dyn DiskFile>> {
    let file = write_beside(disk, action, path, bytes)?;
    move_in_place(disk, action, path)?;
    Ok(file)
}

/// The first half of [`replace`]: after it, and after its failure, the old file is untouched.
pub(crate) fn write_beside(
    disk: &dyn Disk,
    action: &'static str,
    path: &Path,
    bytes: &[u8],
) -> Result<Box<dyn DiskFile>> {
    let beside = beside(path);
    disk.create(&beside, bytes).map_err(|source| {
        // A half-written file takes up space that a full disk lacks; whether it goes does not matter otherwise.
        let _ = disk.remove(&beside);
        StorageError::io(action, path, source)
    })
}

/// The second half of [`replace`]: after its failure it is unknown which file has the name.
pub(crate) fn move_in_place(disk: &dyn Disk, action: &'static str, path: &Path) -> Result<()> {
    disk.rename(&beside(path), path).map_err(|source| StorageError::io(action, path, source))?;
    sync_folder_of(disk, action, path)
}

/// Where [`replace`] writes before it renames; a leftover there is of an interrupted replacement.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(BESIDE);
    PathBuf::from(name)
}

/// Whether a file of this name is one of [`beside`].
pub(crate) fn is_beside(name: &str) -> bool {
    name.ends_with(BESIDE)
}

/// Makes the names in the folder that holds `path` durable.
pub(crate) fn sync_folder_of(disk: &dyn Disk, action: &'static str, path: &Path) -> Result<()> {
    let folder = folder_of(path);
    disk.sync_folder(folder).map_err(|source| StorageError::io(action, folder, source))
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FileSystem;
    use std::fs;

    #[test]
    fn replacing_leaves_one_file_with_the_new_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes in [b"first and longer".as_slice(), b"second"] {
            drop(replace(&FileSystem, "write file", &path, bytes).unwrap());
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
