//! What lies on disk, who may read it, and what a thief gets.

use crate::{passphrase, seeds};
use bxp_enclave::{Enclave, EnclaveError};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn the_folder_is_private_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("node").join("enclave");
    let enclave = Enclave::open_or_create(&keys, None).unwrap();
    let (public, account) = (enclave.public(), enclave.new_account().unwrap());
    enclave.ensure_patients(&[[1; 16]]).unwrap();
    let wrapped = enclave.wrap_key(&[1; 16], &enclave.seal(b"x", b"").unwrap().1, b"cid").unwrap();
    for folder in [&keys, &keys.with_file_name("enclave-patients")] {
        assert_eq!(mode(folder), 0o700);
        for entry in fs::read_dir(folder).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
    drop(enclave);
    let again = Enclave::open_or_create(&keys, None).unwrap();
    assert_eq!((again.public(), again.accounts()), (public, vec![account]));
    assert!(again.unwrap_key(&[1; 16], &wrapped, b"cid").is_ok());
    assert!(!keys.with_file_name("enclave.unfinished").exists());
}

#[test]
fn seeds_give_the_same_identity_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let one = Enclave::create(&dir.path().join("one"), None, Some(&seeds())).unwrap();
    let two = Enclave::create(&dir.path().join("two"), None, Some(&seeds())).unwrap();
    let random = Enclave::create(&dir.path().join("three"), None, None).unwrap();
    assert_eq!(one.public(), two.public());
    assert_ne!(one.public(), random.public());
    assert_ne!(one.fingerprint(b"x"), two.fingerprint(b"x"), "the master key is random all the same");
}

#[test]
fn keys_are_never_overwritten_and_held_by_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("enclave");
    assert!(matches!(Enclave::open(&keys, None), Err(EnclaveError::Missing(_))));
    let enclave = Enclave::create(&keys, None, None).unwrap();
    assert!(matches!(Enclave::create(&keys, None, None), Err(EnclaveError::AlreadyExists(_))));
    assert!(matches!(Enclave::open(&keys, None), Err(EnclaveError::InUse(_))));
    drop(enclave);
    Enclave::open(&keys, None).unwrap();
}

#[test]
fn an_unfinished_folder_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let draft = dir.path().join("enclave.unfinished");
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join("master.key"), b"half").unwrap();
    Enclave::create(&dir.path().join("enclave"), None, None).unwrap();
    assert!(!draft.exists());
}

#[test]
fn a_stolen_folder_opens_nothing_without_the_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("enclave");
    let right = passphrase("correct horse battery staple");
    let enclave = Enclave::create(&keys, Some(&right), Some(&seeds())).unwrap();
    let account = enclave.new_account().unwrap();
    let stolen = dir.path().join("stolen");
    copy_folder(&keys, &stolen);
    assert!(matches!(Enclave::open(&stolen, None), Err(EnclaveError::PassphraseNeeded)));
    let wrong = passphrase("correct horse battery stable");
    assert!(matches!(Enclave::open(&stolen, Some(&wrong)), Err(EnclaveError::WrongPassphrase)));
    for entry in fs::read_dir(&stolen).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for secret in [[1; 16], [2; 16], [0x46; 16]] {
            assert!(!bytes.windows(16).any(|window| window == secret));
        }
        assert!(!bytes.windows(20).any(|window| window == account.as_slice()), "nor whose accounts are kept");
    }
    assert!(matches!(Enclave::open(&stolen, Some(&right)), Err(EnclaveError::PatientKeysMissing(_))));
    copy_folder(&dir.path().join("enclave-patients"), &dir.path().join("stolen-patients"));
    assert_eq!(Enclave::open(&stolen, Some(&right)).unwrap().accounts(), [account]);
}

#[test]
fn every_flipped_bit_of_a_protected_master_key_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("enclave");
    let right = passphrase("correct horse battery staple");
    drop(Enclave::create(&keys, Some(&right), None).unwrap());
    let master = keys.join("master.key");
    let whole = fs::read(&master).unwrap();
    // Magic, kind, salt and ciphertext; the iteration count is in the middle of them and changes the key as well.
    for position in [0, 7, 11, 12, 28, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[position] ^= 1;
        fs::write(&master, flipped).unwrap();
        assert!(Enclave::open(&keys, Some(&right)).is_err(), "byte {position}");
    }
}

#[test]
fn readable_damaged_and_foreign_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, other) = (dir.path().join("enclave"), dir.path().join("other"));
    drop(Enclave::create(&keys, None, None).unwrap());
    drop(Enclave::create(&other, None, None).unwrap());
    let identity = keys.join("identity.sealed");
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Enclave::open(&keys, None).unwrap_err();
    assert!(matches!(refused, EnclaveError::Permissions { mode: 0o640, .. }));
    assert!(refused.to_string().contains("identity.sealed"));
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).unwrap();
    let whole = fs::read(&identity).unwrap();
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x80;
        fs::write(&identity, flipped).unwrap();
        assert!(matches!(Enclave::open(&keys, None), Err(EnclaveError::Damaged { .. })), "byte {position}");
    }
    fs::copy(other.join("identity.sealed"), &identity).unwrap();
    assert!(
        matches!(Enclave::open(&keys, None), Err(EnclaveError::Damaged { .. })),
        "another node's identity"
    );
}
