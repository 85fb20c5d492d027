//! Finding input files under the given paths.

use crate::ClinicalError;
use std::{
    cmp::Ordering,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const FOLDERS_DEEP_MAX: usize = 32;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Plain.
    None,
    /// `.gz`.
    Gzip,
    /// `.bz2`.
    Bzip2,
}

/// How resources stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One JSON text: a Bundle or a single resource.
    Json,
    /// One resource a line.
    Ndjson,
    /// HL7 v2 messages, one after the other.
    Hl7v2,
    /// One C-CDA document.
    Ccda,
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its packing, by its name.
    pub compression: Compression,
    /// Its shape, by its name.
    pub shape: Shape,
    /// Its size on disk in bytes.
    pub bytes: u64,
}

/// What lies under the given paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The files, in the order in which they are to be ingested.
    pub files: Vec<InputFile>,
    /// Files in the folders whose ending is not read.
    pub skipped: usize,
}

/// Finds the files under `paths`: each a file, or a folder that is searched with its subfolders.
///
/// Synthea's `0-` files (hospitals, practitioners) come first, then files of bulk exports that others refer to, then
/// all others by name. Links to folders are not followed. A file named twice is read once.
///
/// # Errors
/// A path that is missing or unreadable, a named file of unknown ending, or nothing to read at all.
pub fn find(paths: &[PathBuf]) -> Result<Found, ClinicalError> {
    let mut found = Found::default();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ClinicalError::PathMissing(path.clone()),
            _ => ClinicalError::Read { path: path.clone(), source },
        })?;
        if metadata.is_dir() {
            search(path, 0, &mut found)?;
        } else {
            let file = classify(path, metadata.len());
            found.files.push(file.ok_or_else(|| ClinicalError::UnknownEnding(path.clone()))?);
        }
    }
    found.files.sort_by(order);
    let mut seen = BTreeSet::new();
    found
        .files
        .retain(|file| seen.insert(fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone())));
    if found.files.is_empty() {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(ClinicalError::NothingFound(names.join(", ")));
    }
    Ok(found)
}

fn search(folder: &Path, deep: usize, found: &mut Found) -> Result<(), ClinicalError> {
    if deep > FOLDERS_DEEP_MAX {
        return Err(ClinicalError::FolderTooDeep { path: folder.to_owned(), max: FOLDERS_DEEP_MAX });
    }
    let failed = |source| ClinicalError::Read { path: folder.to_owned(), source };
    for item in fs::read_dir(folder).map_err(failed)? {
        let item = item.map_err(failed)?;
        let (path, kind) = (item.path(), item.file_type().map_err(failed)?);
        if kind.is_dir() {
            search(&path, deep + 1, found)?;
            continue;
        }
        let metadata =
            fs::metadata(&path).map_err(|source| ClinicalError::Read { path: path.clone(), source })?;
        match classify(&path, metadata.len()).filter(|_| metadata.is_file()) {
            Some(file) => found.files.push(file),
            None => found.skipped += 1,
        }
    }
    Ok(())
}

fn classify(path: &Path, bytes: u64) -> Option<InputFile> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let (stem, compression) = match (name.strip_suffix(".gz"), name.strip_suffix(".bz2")) {
        (Some(stem), _) => (stem, Compression::Gzip),
        (_, Some(stem)) => (stem, Compression::Bzip2),
        _ => (name.as_str(), Compression::None),
    };
    let shape = match Path::new(stem).extension()?.to_str()? {
        "json" => Shape::Json,
        "ndjson" => Shape::Ndjson,
        "hl7" => Shape::Hl7v2,
        "xml" => Shape::Ccda,
        _ => return None,
    };
    Some(InputFile { path: path.to_owned(), compression, shape, bytes })
}

/// Types that other resources of a bulk export refer to, in the order in which they are needed.
const REFERRED_FIRST: [&str; 5] = ["organization", "location", "practitioner", "practitionerrole", "patient"];

fn rank(file: &InputFile) -> usize {
    let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
    if name.starts_with("0-") {
        return 0;
    }
    let named = |kind: &&str| name.split(['.', '-', '_']).any(|part| part == *kind);
    let referred = REFERRED_FIRST.iter().position(|kind| file.shape == Shape::Ndjson && named(kind));
    referred.map_or(REFERRED_FIRST.len() + 1, |position| position + 1)
}

fn order(one: &InputFile, other: &InputFile) -> Ordering {
    (rank(one), &one.path).cmp(&(rank(other), &other.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &Found) -> Vec<&str> {
        found.files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn files_come_in_the_order_in_which_they_refer() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deeper")).unwrap();
        let all = [
            "b.json.bz2",
            "a.JSON",
            "0-hospitals.json.gz",
            "Condition.ndjson",
            "1.Patient.ndjson",
            "Organization.ndjson.gz",
            "notes.txt",
            "deeper/c.json",
        ];
        for name in all {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let found = find(&[folder.path().to_owned(), folder.path().join("a.JSON")]).unwrap();
        let expected = [
            "0-hospitals.json.gz",
            "Organization.ndjson.gz",
            "1.Patient.ndjson",
            "Condition.ndjson",
            "a.JSON",
            "b.json.bz2",
            "c.json",
        ];
        assert_eq!((names(&found), found.skipped), (expected.to_vec(), 1));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = find(&[folder.path().join("nowhere")]).unwrap_err();
        assert!(matches!(missing, ClinicalError::PathMissing(_)), "{missing}");
        assert!(matches!(find(&[folder.path().to_owned()]), Err(ClinicalError::NothingFound(_))));
        fs::write(folder.path().join("x.pdf"), "").unwrap();
        assert!(matches!(find(&[folder.path().join("x.pdf")]), Err(ClinicalError::UnknownEnding(_))));
    }
}
