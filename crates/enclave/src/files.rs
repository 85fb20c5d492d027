//! Key files: mode 0600, written so that a crash leaves the old file or the new one.

use crate::EnclaveError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Gives an I/O error its action and path.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EnclaveError {
    let path = path.to_owned();
    move |source| EnclaveError::Io { action, path, source }
}

/// Makes `dir` with mode 0700; its parents must exist or are made with the usual mode.
pub(crate) fn create_private_folder(dir: &Path) -> Result<(), EnclaveError> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(failed("create folder", parent))?;
    }
    DirBuilder::new().mode(0o700).create(dir).map_err(failed("create folder", dir))
}

/// Options that create a file of mode 0600.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Writes a new file and waits until it is on disk. The caller syncs the folder.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), EnclaveError> {
    let mut file =
        private_options().write(true).create_new(true).open(path).map_err(failed("create key file", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write key file", path))
}

/// Waits until the names in `dir` are on disk.
pub(crate) fn sync_folder(dir: &Path) -> Result<(), EnclaveError> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(failed("sync folder", dir))
}

/// The folder that `path` stands in; the working directory for a bare name.
pub(crate) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Refuses a key file that group or others may read or write.
pub(crate) fn check_private(path: &Path) -> Result<(), EnclaveError> {
    let mode = fs::metadata(path).map_err(failed("look at key file", path))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(EnclaveError::Permissions { path: path.to_owned(), mode }) }
}

/// Reads a whole key file after [`check_private`].
pub(crate) fn read_private(path: &Path) -> Result<Vec<u8>, EnclaveError> {
    check_private(path)?;
    fs::read(path).map_err(failed("read key file", path))
}
