//! The patients' keys: the middle of the hierarchy data key, patient key, master key, in a folder of their own.
//!
//! A patient's key wraps the data keys of that patient's records. Destroying it closes them wherever a copy of the
//! database may lie, so the one place where it is kept must be one that can forget: a small file that is written anew
//! without it. The folder therefore does not belong into a backup that is kept; only its newest copy is to be held
//! (ADR 48 says exactly what erasure promises then).
//!
//! File `patients.keys`: `BXPPAT1\n`, then for each key `patient (16) || version (u32 BE) || sealed key (72)`, sealed under
//! the master key and bound to patient and version. New keys are appended and on disk before they are used; an
//! unfinished end was used for nothing and is cut off. Forgetting writes a new file, puts it in the old one's
//! place, and overwrites the old one's bytes, which a disk that moves its blocks around may still keep.

use crate::{
    DataKey, EnclaveError,
    data_key::{fill_random, gcm, open_with, seal_under},
    files::{self, failed},
    master::Master,
};
use bxp_types::Secret;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// A patient's pseudonym at the node.
pub type PatientId = [u8; 16];

const HEADER: &[u8; 8] = b"BXPPAT1\n";
const ROW_LEN: usize = 16 + 4 + SEALED_LEN;
/// Salt, key and tag of a key that is sealed at rest.
const SEALED_LEN: usize = 24 + 32 + 16;
const NONCE_LEN: usize = 12;
const FILE: &str = "patients.keys";
const DRAFT: &str = "patients.keys.unfinished";

/// The versions of one patient's key, oldest first; more than one only while data keys are being wrapped anew.
type Versions = Vec<(u32, Secret<[u8; 32]>)>;

/// The patients' keys of one folder.
pub(crate) struct Patients {
    dir: PathBuf,
    keys: RwLock<BTreeMap<PatientId, Versions>>,
    /// Held by who changes the file.
    writing: Mutex<Writing>,
}

struct Writing {
    file: File,
    end: u64,
    /// Set when a failed write could not be undone.
    poisoned: bool,
}

impl Patients {
    /// Makes the folder without keys.
    pub(crate) fn create(dir: &Path) -> Result<(), EnclaveError> {
        files::create_private_folder(dir)?;
        files::write_new(&dir.join(FILE), HEADER)?;
        files::sync_folder(dir)
    }

    /// Reads all keys. An empty folder becomes one without keys; a missing one is told.
    pub(crate) fn open(dir: &Path, master: &Master) -> Result<Self, EnclaveError> {
        if !dir.is_dir() {
            return Err(EnclaveError::PatientKeysMissing(dir.to_owned()));
        }
        let path = dir.join(FILE);
        let draft = dir.join(DRAFT);
        if draft.exists() {
            // Left by a crash before it was put in place: the old file is whole.
            fs::remove_file(&draft).map_err(failed("remove unfinished file", &draft))?;
        }
        if !path.exists() {
            files::write_new(&path, HEADER)?;
            files::sync_folder(dir)?;
        }
        let bytes = Zeroizing::new(files::read_private(&path)?);
        let damaged = |what| EnclaveError::Damaged { path: path.clone(), what };
        let rows =
            bytes.strip_prefix(HEADER).ok_or_else(|| damaged("it does not start as patients' keys"))?;
        let (rows, rest) = rows.as_chunks::<ROW_LEN>();
        let mut keys: BTreeMap<PatientId, Versions> = BTreeMap::new();
        for row in rows {
            let (patient, version, sealed) = parts(row);
            let key = master.open_at_rest(sealed, &context(&patient, version)).map(Zeroizing::new);
            let key = key.ok().and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok());
            let key = key.ok_or_else(|| damaged("a key does not open under the master key"))?;
            keys.entry(patient).or_default().push((version, Secret::new(key)));
        }
        let end = (HEADER.len() + rows.len() * ROW_LEN) as u64;
        let file = open_file(&path)?;
        if !rest.is_empty() {
            let cut = file.set_len(end).and_then(|()| file.sync_all());
            cut.map_err(failed("cut off the unfinished end of patients' keys", &path))?;
        }
        let writing = Mutex::new(Writing { file, end, poisoned: false });
        Ok(Self { dir: dir.to_owned(), keys: RwLock::new(keys), writing })
    }

    /// Gives each of `patients` that has none a key, all synced together.
    pub(crate) fn ensure(&self, master: &Master, patients: &[PatientId]) -> Result<(), EnclaveError> {
        let missing = |patients: &[PatientId]| {
            let keys = self.keys.read();
            let mut missing: Vec<PatientId> =
                patients.iter().filter(|patient| !keys.contains_key(*patient)).copied().collect();
            missing.sort_unstable();
            missing.dedup();
            missing
        };
        if patients.iter().all(|patient| self.has(patient)) {
            return Ok(());
        }
        let mut writing = self.writing.lock();
        let new: Vec<_> = missing(patients).into_iter().map(|patient| (patient, 0)).collect();
        self.append(&mut writing, master, &new)
    }

    /// Gives each of `patients` that has a key a newer one, by which everything is wrapped from now on.
    pub(crate) fn renew(&self, master: &Master, patients: &[PatientId]) -> Result<(), EnclaveError> {
        let mut writing = self.writing.lock();
        let newest = |patient: &PatientId| {
            let keys = self.keys.read();
            keys.get(patient).and_then(|versions| versions.last()).map(|(version, _)| *version)
        };
        let new: Vec<_> = patients
            .iter()
            .filter_map(|patient| Some((*patient, newest(patient)?.checked_add(1)?)))
            .collect();
        self.append(&mut writing, master, &new)
    }

    /// Destroys every key but the newest of `renewed`, and all keys of `destroyed`.
    pub(crate) fn forget(
        &self,
        master: &Master,
        renewed: &[PatientId],
        destroyed: &[PatientId],
    ) -> Result<(), EnclaveError> {
        let mut writing = self.writing.lock();
        let mut kept = self.keys.read().clone();
        for patient in renewed {
            if let Some(versions) = kept.get_mut(patient) {
                versions.drain(..versions.len().saturating_sub(1));
            }
        }
        destroyed.iter().for_each(|patient| drop(kept.remove(patient)));
        self.replace(&mut writing, master, &kept)?;
        *self.keys.write() = kept;
        Ok(())
    }

    /// The patients whose data keys are being wrapped anew.
    pub(crate) fn renewing(&self) -> Vec<PatientId> {
        let keys = self.keys.read();
        keys.iter().filter(|(_, versions)| versions.len() > 1).map(|(patient, _)| *patient).collect()
    }

    pub(crate) fn has(&self, patient: &PatientId) -> bool {
        self.keys.read().contains_key(patient)
    }

    /// Wraps data keys of one patient, each for its context: `version (u32 BE) || nonce (12) || key || tag (16)`.
    pub(crate) fn wrap<const N: usize>(
        &self,
        patient: &PatientId,
        keys: [(&DataKey, &[u8]); N],
    ) -> Result<[Vec<u8>; N], EnclaveError> {
        let (version, patient_key) = {
            let known = self.keys.read();
            let newest = known.get(patient).and_then(|versions| versions.last());
            let (version, patient_key) = newest.ok_or(EnclaveError::NoPatientKey)?;
            (*version, gcm(patient_key.expose())?)
        };
        let mut wrapped = [const { Vec::new() }; N];
        for (wrapped, (key, context)) in wrapped.iter_mut().zip(keys) {
            // A patient's key wraps some thousand keys, far below the bound for random nonces.
            let mut nonce = [0; NONCE_LEN];
            fill_random(&mut nonce)?;
            let mut prefix = [0; 4 + NONCE_LEN];
            prefix[..4].copy_from_slice(&version.to_be_bytes());
            prefix[4..].copy_from_slice(&nonce);
            *wrapped = seal_under(&patient_key, nonce, &prefix, key.expose(), &bound(patient, context))?;
        }
        Ok(wrapped)
    }

    /// Takes out what [`Patients::wrap`] wrapped.
    pub(crate) fn unwrap(
        &self,
        patient: &PatientId,
        wrapped: &[u8],
        context: &[u8],
    ) -> Result<DataKey, EnclaveError> {
        let (version, rest) = wrapped.split_first_chunk::<4>().ok_or(EnclaveError::Unsealable)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(EnclaveError::Unsealable)?;
        let keys = self.keys.read();
        let versions = keys.get(patient).ok_or(EnclaveError::NoPatientKey)?;
        let version = u32::from_be_bytes(*version);
        let known = versions.iter().find(|(known, _)| *known == version);
        let (_, patient_key) = known.ok_or(EnclaveError::NoPatientKey)?;
        let key = Zeroizing::new(open_with(patient_key.expose(), *nonce, body, &bound(patient, context))?);
        let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| EnclaveError::Unsealable)?;
        Ok(DataKey::from_bytes(key))
    }

    fn append(
        &self,
        writing: &mut Writing,
        master: &Master,
        new: &[(PatientId, u32)],
    ) -> Result<(), EnclaveError> {
        if writing.poisoned {
            return Err(EnclaveError::Poisoned);
        }
        let mut rows = Vec::with_capacity(new.len() * ROW_LEN);
        let mut made = Vec::with_capacity(new.len());
        for (patient, version) in new {
            let mut key = Zeroizing::new([0; 32]);
            fill_random(&mut *key)?;
            row(&mut rows, master, patient, *version, &key)?;
            made.push((*patient, *version, Secret::new(*key)));
        }
        let Writing { file, end, poisoned } = writing;
        if let Err(source) = file.write_all_at(&rows, *end).and_then(|()| file.sync_all()) {
            // Whether the rows reached the disk is unknown; if they cannot be taken back, nothing may follow them.
            *poisoned = file.set_len(*end).and_then(|()| file.sync_all()).is_err();
            return Err(failed("write patients' keys", &self.dir.join(FILE))(source));
        }
        *end += rows.len() as u64;
        let mut keys = self.keys.write();
        for (patient, version, key) in made {
            keys.entry(patient).or_default().push((version, key));
        }
        Ok(())
    }

    /// Puts a file with these keys alone in the place of the old one.
    fn replace(
        &self,
        writing: &mut Writing,
        master: &Master,
        keys: &BTreeMap<PatientId, Versions>,
    ) -> Result<(), EnclaveError> {
        let mut bytes = HEADER.to_vec();
        for (patient, versions) in keys {
            for (version, key) in versions {
                row(&mut bytes, master, patient, *version, key.expose())?;
            }
        }
        let (path, draft) = (self.dir.join(FILE), self.dir.join(DRAFT));
        if draft.exists() {
            fs::remove_file(&draft).map_err(failed("remove unfinished file", &draft))?;
        }
        files::write_new(&draft, &bytes)?;
        fs::rename(&draft, &path).map_err(failed("put patients' keys in place", &path))?;
        let old = std::mem::replace(&mut writing.file, open_file(&path)?);
        let length = std::mem::replace(&mut writing.end, bytes.len() as u64);
        writing.poisoned = false;
        files::sync_folder(&self.dir)?;
        overwrite(old, length).map_err(failed("overwrite the old patients' keys", &path))
    }
}

/// Nothing but zeros where the old keys stood.
fn overwrite(mut file: File, length: u64) -> std::io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut left = length;
    while left > 0 {
        let part = left.min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..usize::try_from(part).unwrap_or(ZEROS.len())])?;
        left -= part;
    }
    file.sync_all()
}

fn open_file(path: &Path) -> Result<File, EnclaveError> {
    files::private_options().write(true).open(path).map_err(failed("open patients' keys", path))
}

fn row(
    out: &mut Vec<u8>,
    master: &Master,
    patient: &PatientId,
    version: u32,
    key: &[u8; 32],
) -> Result<(), EnclaveError> {
    out.extend_from_slice(patient);
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&master.seal_at_rest(key, &context(patient, version))?);
    Ok(())
}

fn parts(row: &[u8; ROW_LEN]) -> (PatientId, u32, &[u8]) {
    let patient = std::array::from_fn(|at| row[at]);
    let version = u32::from_be_bytes(std::array::from_fn(|at| row[16 + at]));
    (patient, version, &row[20..])
}

fn context(patient: &PatientId, version: u32) -> Vec<u8> {
    [b"BXP patient key v1".as_slice(), patient, &version.to_be_bytes()].concat()
}

fn bound(patient: &PatientId, context: &[u8]) -> Vec<u8> {
    [b"BXP data key v2\0".as_slice(), patient, context].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JANE: PatientId = [1; 16];
    const JOHN: PatientId = [2; 16];

    fn folder() -> (tempfile::TempDir, PathBuf, Master) {
        let dir = tempfile::tempdir().unwrap();
        let master = Master::create(&dir.path().join("master.key"), None).unwrap();
        let keys = dir.path().join("keys");
        Patients::create(&keys).unwrap();
        (dir, keys, master)
    }

    fn data_key() -> DataKey {
        DataKey::from_bytes([9; 32])
    }

    fn wrap(patients: &Patients, patient: PatientId) -> Result<Vec<u8>, EnclaveError> {
        patients.wrap(&patient, [(&data_key(), b"cid".as_slice())]).map(|[wrapped]| wrapped)
    }

    #[test]
    fn a_key_wraps_for_its_patient_and_context_alone_and_comes_back() {
        let (_dir, path, master) = folder();
        let patients = Patients::open(&path, &master).unwrap();
        assert!(matches!(wrap(&patients, JANE), Err(EnclaveError::NoPatientKey)));
        patients.ensure(&master, &[JANE, JOHN, JANE]).unwrap();
        let wrapped = wrap(&patients, JANE).unwrap();
        drop(patients);
        let patients = Patients::open(&path, &master).unwrap();
        patients.ensure(&master, &[JANE]).unwrap();
        assert_eq!(patients.unwrap(&JANE, &wrapped, b"cid").unwrap().expose(), data_key().expose());
        assert!(matches!(patients.unwrap(&JANE, &wrapped, b"other"), Err(EnclaveError::Unsealable)));
        assert!(matches!(patients.unwrap(&JOHN, &wrapped, b"cid"), Err(EnclaveError::Unsealable)));
        for cut in 0..wrapped.len() {
            assert!(patients.unwrap(&JANE, &wrapped[..cut], b"cid").is_err());
        }
        let size = fs::metadata(path.join(FILE)).unwrap().len();
        assert_eq!(size, (HEADER.len() + 2 * ROW_LEN) as u64, "one key a patient");
    }

    #[test]
    fn a_forgotten_key_is_in_no_file() {
        let (_dir, path, master) = folder();
        let patients = Patients::open(&path, &master).unwrap();
        patients.ensure(&master, &[JANE, JOHN]).unwrap();
        let wrapped = [JANE, JOHN].map(|patient| wrap(&patients, patient).unwrap());
        let row = |patient: PatientId| {
            let bytes = fs::read(path.join(FILE)).unwrap();
            bytes.windows(16).any(|window| window == patient)
        };
        patients.forget(&master, &[], &[JANE]).unwrap();
        assert!(!row(JANE) && row(JOHN));
        patients.ensure(&master, &[[3; 16]]).unwrap();
        for patients in [patients, Patients::open(&path, &master).unwrap()] {
            assert!(matches!(patients.unwrap(&JANE, &wrapped[0], b"cid"), Err(EnclaveError::NoPatientKey)));
            assert!(patients.unwrap(&JOHN, &wrapped[1], b"cid").is_ok());
            assert!(patients.has(&[3; 16]));
        }
    }

    #[test]
    fn a_renewed_key_closes_what_the_old_one_wrapped_once_that_is_forgotten() {
        let (_dir, path, master) = folder();
        let patients = Patients::open(&path, &master).unwrap();
        patients.ensure(&master, &[JANE]).unwrap();
        let old = wrap(&patients, JANE).unwrap();
        patients.renew(&master, &[JANE, JOHN]).unwrap();
        let new = wrap(&patients, JANE).unwrap();
        assert!(patients.unwrap(&JANE, &old, b"cid").is_ok() && !patients.has(&JOHN));
        let patients = Patients::open(&path, &master).unwrap();
        assert_eq!(patients.renewing(), [JANE], "a crash in between is seen");
        patients.forget(&master, &[JANE], &[]).unwrap();
        assert!(patients.renewing().is_empty());
        assert!(matches!(patients.unwrap(&JANE, &old, b"cid"), Err(EnclaveError::NoPatientKey)));
        assert!(patients.unwrap(&JANE, &new, b"cid").is_ok());
    }

    #[test]
    fn what_a_crash_leaves_is_cut_off_and_a_missing_folder_is_told() {
        let (_dir, path, master) = folder();
        let patients = Patients::open(&path, &master).unwrap();
        patients.ensure(&master, &[JANE]).unwrap();
        drop(patients);
        let mut bytes = fs::read(path.join(FILE)).unwrap();
        bytes.extend_from_slice(&[7; 50]);
        fs::write(path.join(FILE), &bytes).unwrap();
        fs::write(path.join(DRAFT), b"half").unwrap();
        let patients = Patients::open(&path, &master).unwrap();
        assert!(patients.has(&JANE) && !path.join(DRAFT).exists());
        let elsewhere = path.with_file_name("nowhere");
        assert!(matches!(Patients::open(&elsewhere, &master), Err(EnclaveError::PatientKeysMissing(_))));
        let other = Master::create(&path.with_file_name("other.key"), None).unwrap();
        assert!(matches!(Patients::open(&path, &other), Err(EnclaveError::Damaged { .. })));
    }
}
