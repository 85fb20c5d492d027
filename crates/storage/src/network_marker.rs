//! The file that says which network a data folder belongs to.

use crate::{Result, StorageError, disk::FileSystem, files};
use bxp_types::NetworkId;
use std::{fs, io, path::Path};

const FILE_NAME: &str = "network";

/// Checks that `folder` belongs to `network`; a folder without a mark is marked.
pub(crate) fn claim(folder: &Path, network: NetworkId) -> Result<()> {
    let path = folder.join(FILE_NAME);
    match fs::read_to_string(&path) {
        Ok(text) => check(folder, &path, text.trim_end(), network),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            files::replace(&FileSystem, "mark data folder", &path, format!("{network}\n").as_bytes())
                .map(drop)
        }
        Err(source) => Err(StorageError::io("read the data folder's network", &path, source)),
    }
}

fn check(folder: &Path, path: &Path, text: &str, wanted: NetworkId) -> Result<()> {
    let found: NetworkId = text.parse().map_err(|_| StorageError::Corrupt {
        action: "read the data folder's network",
        path: path.to_owned(),
        detail: "it holds no network id".to_owned(),
    })?;
    if found == wanted {
        Ok(())
    } else {
        Err(StorageError::OtherNetwork { folder: folder.to_owned(), found, wanted })
    }
}
