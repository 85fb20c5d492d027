//! The enclave itself: a folder of keys and the operations on them.

use crate::{
    DataKey, EnclaveError, Seeds,
    custody::Custody,
    ecdsa::{self, AccountKey},
    files::{self, failed},
    identity::Identity,
    master::Master,
    patients::{PatientId, Patients},
    recipient,
};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes};
use bxp_types::{Attestation, Height, NetworkId, Secret, ValidatorIndex};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

const MASTER: &str = "master.key";
const IDENTITY: &str = "identity.sealed";
const ACCOUNTS: &str = "accounts.log";
const LOCK: &str = "lock";

/// What the genesis document says of a node's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIdentity {
    /// Ed25519: the libp2p identity and the attestations.
    pub public_key: B256,
    /// X25519: what others seal to.
    pub sealing_key: B256,
    /// The node's own account.
    pub account: Address,
}

/// A signed transaction, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// EIP-2718 encoding.
    pub raw: Bytes,
    /// keccak256 of `raw`.
    pub hash: B256,
}

/// The keys of one node. Cloning shares them; one process holds the folder at a time.
///
/// The folder (mode 0700, files 0600):
/// - `master.key`: the master key, in clear or wrapped under a passphrase (PBKDF2-HMAC-SHA256, 600,000 rounds). In
///   clear it protects nothing against who can read the file: that is for machines whose disk is encrypted.
/// - `identity.sealed`: the three private keys of the node, under the master key.
/// - `accounts.log`: the accounts in custody, under the master key.
/// - `lock`: held while the enclave is open.
///
/// Beside it stands the folder NAME`-patients` with the patients' keys, under the master key. Of it only the newest copy
/// may be kept: an older one would open what was erased.
#[derive(Clone)]
pub struct Enclave(Arc<Inner>);

struct Inner {
    master: Master,
    identity: Identity,
    public: PublicIdentity,
    custody: RwLock<Custody>,
    patients: Patients,
    _lock: File,
}

impl Enclave {
    /// Makes the keys of a new node in `dir`: from `seeds`, else random. The folder appears whole or not at all.
    ///
    /// # Errors
    /// [`EnclaveError::AlreadyExists`] if `dir` has anything in it, [`EnclaveError::Io`],
    /// [`EnclaveError::InvalidSeed`], [`EnclaveError::Randomness`].
    pub fn create(
        dir: &Path,
        passphrase: Option<&Secret<String>>,
        seeds: Option<&Seeds>,
    ) -> Result<Self, EnclaveError> {
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(EnclaveError::AlreadyExists(dir.to_owned()));
        }
        let random;
        let seeds = match seeds {
            Some(seeds) => seeds,
            None => {
                random = Seeds::random()?;
                &random
            }
        };
        let draft = draft_of(dir);
        if draft.exists() {
            // Left by a crash before the rename below: nobody was told of these keys.
            fs::remove_dir_all(&draft).map_err(failed("remove unfinished folder", &draft))?;
        }
        files::create_private_folder(&draft)?;
        let master = Master::create(&draft.join(MASTER), passphrase)?;
        Identity::create(&draft.join(IDENTITY), &master, seeds)?;
        Custody::create(&draft.join(ACCOUNTS))?;
        files::write_new(&draft.join(LOCK), &[])?;
        files::sync_folder(&draft)?;
        if !patients_of(dir).exists() {
            Patients::create(&patients_of(dir))?;
        }
        fs::rename(&draft, dir).map_err(failed("name the key folder", dir))?;
        files::sync_folder(&files::parent_of(dir))?;
        Self::open(dir, passphrase)
    }

    /// Opens the keys in `dir`.
    ///
    /// # Errors
    /// [`EnclaveError::Missing`], [`EnclaveError::InUse`], [`EnclaveError::Permissions`],
    /// [`EnclaveError::PassphraseNeeded`], [`EnclaveError::WrongPassphrase`], [`EnclaveError::Damaged`],
    /// [`EnclaveError::Io`].
    pub fn open(dir: &Path, passphrase: Option<&Secret<String>>) -> Result<Self, EnclaveError> {
        if !dir.join(MASTER).exists() {
            return Err(EnclaveError::Missing(dir.to_owned()));
        }
        let lock = lock(dir)?;
        let master = Master::open(&dir.join(MASTER), passphrase)?;
        let identity = Identity::open(&dir.join(IDENTITY), &master)?;
        let custody = RwLock::new(Custody::open(&dir.join(ACCOUNTS), &master)?);
        let patients = Patients::open(&patients_of(dir), &master)?;
        let public = PublicIdentity {
            public_key: B256::from(<[u8; 32]>::from(identity.signing.verification_key())),
            sealing_key: identity.sealing.public_key(),
            account: identity.account.address(),
        };
        Ok(Self(Arc::new(Inner { master, identity, public, custody, patients, _lock: lock })))
    }

    /// Opens the keys in `dir`, or makes random ones if there are none.
    ///
    /// # Errors
    /// As [`Enclave::open`] and [`Enclave::create`].
    pub fn open_or_create(dir: &Path, passphrase: Option<&Secret<String>>) -> Result<Self, EnclaveError> {
        match Self::open(dir, passphrase) {
            Err(EnclaveError::Missing(_)) => Self::create(dir, passphrase, None),
            other => other,
        }
    }

    /// The public halves of the node's keys.
    #[must_use]
    pub fn public(&self) -> PublicIdentity {
        self.0.public
    }

    /// The Ed25519 private key, for libp2p's handshake alone: the only key that leaves.
    #[must_use]
    pub fn network_key(&self) -> Secret<[u8; 32]> {
        self.0.identity.signing_seed.clone()
    }

    /// A key for a database that encrypts by itself, derived from the master key (HKDF-SHA256, RFC 5869). Equal for equal
    /// labels; it is never on disk.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn database_key(&self, label: &str) -> Result<Secret<[u8; 32]>, EnclaveError> {
        self.0.master.derived_key(label)
    }

    /// The node's attestation of a block.
    #[must_use]
    pub fn attest(
        &self,
        me: ValidatorIndex,
        network: NetworkId,
        height: Height,
        block_hash: B256,
    ) -> Attestation {
        Attestation::sign(&self.0.identity.signing, me, network, height, block_hash)
    }

    /// An Ed25519 signature by the node over `domain || 0x00 || message`; `domain` names what is signed, so that a
    /// signature for one purpose is none for another.
    #[must_use]
    pub fn sign_message(&self, domain: &str, message: &[u8]) -> [u8; 64] {
        let bytes = [domain.as_bytes(), &[0], message].concat();
        self.0.identity.signing.sign(&bytes).to_bytes()
    }

    /// Makes an account in custody. It is on disk when this returns.
    ///
    /// # Errors
    /// [`EnclaveError::Io`], [`EnclaveError::Randomness`], [`EnclaveError::Poisoned`].
    pub fn new_account(&self) -> Result<Address, EnclaveError> {
        let made = self.new_accounts(1)?;
        made.first().copied().ok_or(EnclaveError::Randomness)
    }

    /// Makes `count` accounts in custody, synced together.
    ///
    /// # Errors
    /// As [`Enclave::new_account`]; on an error some of them may exist.
    pub fn new_accounts(&self, count: usize) -> Result<Vec<Address>, EnclaveError> {
        self.0.custody.write().create_accounts(&self.0.master, count)
    }

    /// The accounts in custody, in the order of their creation, without the node's own.
    #[must_use]
    pub fn accounts(&self) -> Vec<Address> {
        self.0.custody.read().addresses().to_vec()
    }

    /// Whether this enclave can sign for `account`.
    #[must_use]
    pub fn can_sign_for(&self, account: &Address) -> bool {
        *account == self.0.public.account || self.0.custody.read().key(account).is_some()
    }

    /// Signs a digest, such as one of EIP-712, as `account`: `r || s || v` with v 27 or 28 and low s.
    ///
    /// # Errors
    /// [`EnclaveError::UnknownAccount`].
    pub fn sign_digest(&self, account: Address, digest: B256) -> Result<[u8; 65], EnclaveError> {
        self.with_key(account, |key| Ok(ecdsa::sign_digest(key, digest)?.as_bytes()))
    }

    /// Signs an EIP-1559 transaction as `account`.
    ///
    /// # Errors
    /// [`EnclaveError::UnknownAccount`].
    pub fn sign_eip1559(&self, account: Address, transaction: TxEip1559) -> Result<Signed, EnclaveError> {
        let digest = transaction.signature_hash();
        let signature = self.with_key(account, |key| ecdsa::sign_digest(key, digest))?;
        let signed = transaction.into_signed(signature);
        let mut raw = Vec::with_capacity(signed.eip2718_encoded_length());
        signed.eip2718_encode(&mut raw);
        Ok(Signed { raw: raw.into(), hash: *signed.hash() })
    }

    fn with_key<T>(
        &self,
        account: Address,
        sign: impl FnOnce(&Secret<[u8; 32]>) -> Result<T, EnclaveError>,
    ) -> Result<T, EnclaveError> {
        if account == self.0.public.account {
            return sign(self.own_account().secret());
        }
        // The key is copied out, wiped after use, so that signing holds up no one who makes accounts.
        let key =
            self.0.custody.read().key(&account).cloned().ok_or(EnclaveError::UnknownAccount(account))?;
        sign(&key)
    }

    fn own_account(&self) -> &AccountKey {
        &self.0.identity.account
    }

    /// Seals `plaintext` under a fresh data key: `nonce (12) || ciphertext || tag (16)`. Costs no lock and no I/O.
    ///
    /// # Errors
    /// [`EnclaveError::Randomness`], [`EnclaveError::TooLong`].
    pub fn seal(&self, plaintext: &[u8], aad: &[u8]) -> Result<(Vec<u8>, DataKey), EnclaveError> {
        DataKey::seal(plaintext, aad)
    }

    /// As [`Enclave::seal`], of what stands in `buffer`; see [`DataKey::seal_in_place`].
    ///
    /// # Errors
    /// As [`Enclave::seal`].
    pub fn seal_in_place(
        &self,
        buffer: &mut Vec<u8>,
        at: usize,
        aad: &[u8],
    ) -> Result<DataKey, EnclaveError> {
        DataKey::seal_in_place(buffer, at, aad)
    }

    /// Opens what [`Enclave::seal`] gave.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn unseal(&self, key: &DataKey, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        key.unseal(sealed, aad)
    }

    /// Gives each of `patients` that has none a key, all of them on disk when this returns.
    ///
    /// # Errors
    /// [`EnclaveError::Io`], [`EnclaveError::Randomness`], [`EnclaveError::Poisoned`].
    pub fn ensure_patients(&self, patients: &[PatientId]) -> Result<(), EnclaveError> {
        self.0.patients.ensure(&self.0.master, patients)
    }

    /// Whether the patient has a key here.
    #[must_use]
    pub fn has_patient(&self, patient: &PatientId) -> bool {
        self.0.patients.has(patient)
    }

    /// Gives patients newer keys, by which everything is wrapped from now on; what the older ones wrapped still opens
    /// until [`Enclave::forget_patients`]. Who has no key gets none.
    ///
    /// # Errors
    /// As [`Enclave::ensure_patients`].
    pub fn renew_patients(&self, patients: &[PatientId]) -> Result<(), EnclaveError> {
        self.0.patients.renew(&self.0.master, patients)
    }

    /// Patients whose older keys are still here: a renewal that was not finished.
    #[must_use]
    pub fn renewing_patients(&self) -> Vec<PatientId> {
        self.0.patients.renewing()
    }

    /// Destroys the older keys of the `renewed`, and all keys of the `destroyed`. They are in no file when this returns.
    ///
    /// # Errors
    /// As [`Enclave::ensure_patients`]; then nothing was destroyed, unless only the overwriting of the old file failed.
    pub fn forget_patients(
        &self,
        renewed: &[PatientId],
        destroyed: &[PatientId],
    ) -> Result<(), EnclaveError> {
        self.0.patients.forget(&self.0.master, renewed, destroyed)
    }

    /// Wraps a data key under its patient's key, for this node's own tables: 64 bytes that open in `context` only.
    ///
    /// # Errors
    /// [`EnclaveError::NoPatientKey`], [`EnclaveError::Randomness`].
    pub fn wrap_key(
        &self,
        patient: &PatientId,
        key: &DataKey,
        context: &[u8],
    ) -> Result<Vec<u8>, EnclaveError> {
        let [wrapped] = self.wrap_keys(patient, [(key, context)])?;
        Ok(wrapped)
    }

    /// As [`Enclave::wrap_key`], several of one patient at once.
    ///
    /// # Errors
    /// As [`Enclave::wrap_key`].
    pub fn wrap_keys<const N: usize>(
        &self,
        patient: &PatientId,
        keys: [(&DataKey, &[u8]); N],
    ) -> Result<[Vec<u8>; N], EnclaveError> {
        self.0.patients.wrap(patient, keys)
    }

    /// Takes out what [`Enclave::wrap_key`] wrapped.
    ///
    /// # Errors
    /// [`EnclaveError::NoPatientKey`], [`EnclaveError::Unsealable`].
    pub fn unwrap_key(
        &self,
        patient: &PatientId,
        wrapped: &[u8],
        context: &[u8],
    ) -> Result<DataKey, EnclaveError> {
        self.0.patients.unwrap(patient, wrapped, context)
    }

    /// Seals anything for this node's own tables, under the master key: 40 bytes more than `plaintext`.
    ///
    /// # Errors
    /// [`EnclaveError::Randomness`], [`EnclaveError::TooLong`].
    pub fn seal_at_rest(&self, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        self.0.master.seal_at_rest(plaintext, &domain(b"at rest", context))
    }

    /// Opens what [`Enclave::seal_at_rest`] gave.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn open_at_rest(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        self.0.master.open_at_rest(sealed, &domain(b"at rest", context))
    }

    /// Wraps a data key for another node or a buyer (HPKE).
    ///
    /// # Errors
    /// [`EnclaveError::InvalidRecipient`].
    pub fn wrap_for(&self, recipient: B256, key: &DataKey, info: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        recipient::wrap_for(recipient, key, info)
    }

    /// Takes out a data key that another node wrapped for this one.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn unwrap_from(&self, wrapped: &[u8], info: &[u8]) -> Result<DataKey, EnclaveError> {
        self.0.identity.sealing.unwrap_from(wrapped, info)
    }

    /// Wraps many data keys for another node in one message (HPKE).
    ///
    /// # Errors
    /// [`EnclaveError::InvalidRecipient`].
    pub fn wrap_all_for(
        &self,
        recipient: B256,
        keys: &[DataKey],
        info: &[u8],
    ) -> Result<Vec<u8>, EnclaveError> {
        recipient::wrap_all_for(recipient, keys, info)
    }

    /// Takes out the data keys that another node wrapped for this one together, in their order.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn unwrap_all_from(&self, wrapped: &[u8], info: &[u8]) -> Result<Vec<DataKey>, EnclaveError> {
        self.0.identity.sealing.unwrap_all_from(wrapped, info)
    }

    /// Seals a whole message to another node or a buyer (HPKE).
    ///
    /// # Errors
    /// [`EnclaveError::InvalidRecipient`].
    pub fn seal_to(
        &self,
        recipient: B256,
        plaintext: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, EnclaveError> {
        recipient::seal_to(recipient, plaintext, info, aad)
    }

    /// Opens a message that was sealed to this node.
    ///
    /// # Errors
    /// [`EnclaveError::Unsealable`].
    pub fn open_sealed(&self, message: &[u8], info: &[u8], aad: &[u8]) -> Result<Vec<u8>, EnclaveError> {
        self.0.identity.sealing.open_sealed(message, info, aad)
    }

    /// HMAC-SHA256 of `bytes` under a key of this node: equal for equal content, and of no use to who guesses content
    /// without the master key.
    #[must_use]
    pub fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.master.fingerprint(bytes)
    }
}

impl fmt::Debug for Enclave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enclave").field(&self.0.public).finish()
    }
}

fn domain(kind: &[u8], context: &[u8]) -> Vec<u8> {
    [kind, &[0], context].concat()
}

/// Where a new folder is made before it gets its name.
fn draft_of(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    files::parent_of(dir).join(name)
}

/// Where the patients' keys stand.
fn patients_of(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push("-patients");
    files::parent_of(dir).join(name)
}

fn lock(dir: &Path) -> Result<File, EnclaveError> {
    let path = dir.join(LOCK);
    let options = &mut files::private_options();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed("open lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EnclaveError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock key folder", &path)(source)),
    }
}
