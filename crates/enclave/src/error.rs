//! What can go wrong with keys. No variant carries key material or what was sealed.

use alloy_primitives::Address;
use std::{io, path::PathBuf};

/// Why the enclave refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// The file system failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done, in the present tense.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder holds no keys.
    #[error("there are no keys in {}; create them first", .0.display())]
    Missing(PathBuf),
    /// Keys are never overwritten.
    #[error("{} already holds keys; they are never overwritten", .0.display())]
    AlreadyExists(PathBuf),
    /// The folder is locked.
    #[error("another process uses the keys in {}", .0.display())]
    InUse(PathBuf),
    /// Others on the machine could read a key file.
    #[error("{} has mode {mode:03o}, which lets others read it; run chmod 600 on it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        what: &'static str,
    },
    /// The master key is wrapped under a passphrase and none was given.
    #[error("the master key is protected: give the passphrase")]
    PassphraseNeeded,
    /// The passphrase does not open the master key.
    #[error("the passphrase is wrong or the master key is damaged")]
    WrongPassphrase,
    /// The folder of patients' keys is not there.
    #[error(
        "the patients' keys are not in {}; put their newest copy there, or an empty folder, which gives up every \
         record sealed so far", .0.display()
    )]
    PatientKeysMissing(PathBuf),
    /// The patient's key was destroyed, or is of another version than what it is to open.
    #[error("the patient's key is not here")]
    NoPatientKey,
    /// No such account here.
    #[error("account {0} is not kept here")]
    UnknownAccount(Address),
    /// A seed that is no secp256k1 private key.
    #[error("the account seed is not a valid secp256k1 private key")]
    InvalidSeed,
    /// Not 32 bytes of a usable X25519 key.
    #[error("the recipient's sealing key is not a usable X25519 key")]
    InvalidRecipient,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// More plaintext than one AES-GCM message may carry.
    #[error("seal {0} bytes: a message may have 2^36 - 32 at most")]
    TooLong(usize),
    /// Wrong key, wrong context, or changed bytes; which of them must not be told.
    #[error("the sealed bytes do not open with this key and context")]
    Unsealable,
    /// An earlier write failed in a way that leaves the file unknown.
    #[error("the account file failed earlier; restart to read it again")]
    Poisoned,
}
