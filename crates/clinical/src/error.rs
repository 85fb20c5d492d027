//! What can go wrong in this crate. No variant carries a value taken from a resource: an error may be logged.

use crate::source::Place;
use std::path::PathBuf;

/// An error of the clinical manager. Texts say what was wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClinicalError {
    /// A path that was handed in is not there.
    #[error("{path} is not there; give files or folders with FHIR R4 in .json or .ndjson, HL7 v2 in .hl7 or C-CDA in .xml, also as .gz or .bz2", path = .0.display())]
    PathMissing(PathBuf),
    /// A file that was named has an ending that is not read.
    #[error("{path} is not read: the name must end in .json, .ndjson, .hl7 or .xml, or in one of these and .gz or .bz2", path = .0.display())]
    UnknownEnding(PathBuf),
    /// No file under the given paths is readable input.
    #[error(
        "nothing to read under {0}: no .json, .ndjson, .hl7 or .xml, .gz or .bz2 of these; check the folder"
    )]
    NothingFound(String),
    /// Folders nested deeper than the walk goes.
    #[error("{path} lies deeper than {max} folders; name it directly", path = path.display())]
    FolderTooDeep {
        /// The folder.
        path: PathBuf,
        /// The most folders below the given one.
        max: usize,
    },
    /// The file system refused.
    #[error("read {path}", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The compressed stream is damaged or cut off.
    #[error(
        "{source_name}: the {format} data is damaged or cut off after {decoded} decompressed bytes; fetch the file again"
    )]
    Decompress {
        /// The file.
        source_name: String,
        /// `gzip` or `bzip2`.
        format: &'static str,
        /// How far it could be read.
        decoded: u64,
    },
    /// More decompressed bytes than the limit.
    #[error("{source_name} holds more than {bytes_max} bytes; split it, or raise the limit")]
    TooLarge {
        /// The file.
        source_name: String,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// Not JSON.
    #[error("{place}: the JSON is damaged ({what}); nothing of this submission was taken, fetch it again")]
    Json {
        /// File, line and column.
        place: Place,
        /// The kind of damage, never the text around it.
        what: &'static str,
    },
    /// Arrays and objects nested deeper than any FHIR resource needs.
    #[error("{place}: nested deeper than {depth_max} levels, which no FHIR resource needs")]
    TooDeep {
        /// Where the limit was passed.
        place: Place,
        /// The limit.
        depth_max: usize,
    },
    /// JSON, but nothing of FHIR that can be handed in.
    #[error("{place}: {what}")]
    NotFhir {
        /// File and place in it.
        place: Place,
        /// What was found and what is expected.
        what: &'static str,
    },
    /// Not HL7 v2, or not in a form that is read.
    #[error("{place}: not HL7 v2 that can be taken; see the cause")]
    Hl7v2 {
        /// The file or message.
        place: Place,
        /// Where in it, and what.
        #[source]
        source: Box<bxp_hl7v2::Hl7Error>,
    },
    /// No C-CDA, or not in a form that is read.
    #[error("{place}: not a C-CDA document that can be taken; see the cause")]
    Ccda {
        /// The file.
        place: Place,
        /// Where in it, and what.
        #[source]
        source: Box<bxp_ccda::CcdaError>,
    },
    /// Readings of a device that cannot be taken.
    #[error("{place}: {what}")]
    Readings {
        /// The place in the upload.
        place: String,
        /// What is wrong there, and what is expected.
        what: &'static str,
    },
    /// Readings of a device that the gate refused: the type of the resource, and why.
    #[error("{0}")]
    RefusedReadings(String),
    /// No Patient of an id is known here.
    #[error("no patient of this id is known here; hand in the Patient first")]
    UnknownPatientId,
    /// A patient has too many devices admitted.
    #[error("the patient has {0} credentials of devices already; revoke some first")]
    TooManyCredentials(usize),
    /// More resources than one submission may have.
    #[error("{source_name} has more than {resources_max} resources in one submission; split it")]
    TooManyResources {
        /// The file.
        source_name: String,
        /// The limit.
        resources_max: usize,
    },
    /// The data folder failed.
    #[error("use the clinical tables")]
    Storage(#[from] bxp_storage::StorageError),
    /// The working copy failed.
    #[error("use the FHIR store")]
    Store(#[from] bxp_fhir_store::StoreError),
    /// Others' work in the same transaction made it fail on the disk.
    #[error("commit a group of submissions: {0}")]
    Group(String),
    /// The vault refused or failed.
    #[error("use the vault")]
    Vault(#[from] bxp_vault::VaultError),
    /// Sealing, opening or making accounts failed.
    #[error("use the enclave")]
    Enclave(#[from] bxp_enclave::EnclaveError),
    /// Both sides of a record do not fit each other.
    #[error("put a record together")]
    Join(#[from] bxp_privacy::JoinError),
    /// A scan met sides that do not belong together.
    #[error("scan records")]
    Scan(#[from] bxp_privacy::scan::ScanError),
    /// The chain's database failed.
    #[error("read the chain")]
    Ledger(#[from] bxp_types::LedgerError),
    /// The chain says something that it cannot say.
    #[error("read the chain: {0}")]
    Chain(&'static str),
    /// A contract of the network answers a view as no contract of its kind does.
    #[error("contract {contract} gives no answer to {function}; is it in genesis?")]
    Contract {
        /// Where it is to stand.
        contract: bxp_types::Address,
        /// The view.
        function: &'static str,
    },
    /// A transaction did not come to be.
    #[error("send a transaction")]
    Transaction(#[from] crate::sender::SendFailure),
    /// No permit; the text is the same for every reason.
    #[error(transparent)]
    Denied(#[from] bxp_privacy::Denial),
    /// Another node did not store what was handed over to it.
    #[error("hand records over to {peer}: {reason}")]
    NotStored {
        /// The node.
        peer: bxp_types::ValidatorIndex,
        /// Its reason.
        reason: String,
    },
    /// The holder did not release a key.
    #[error("ask {holder} for a key: {reason}")]
    NotReleased {
        /// The record's holder.
        holder: bxp_types::ValidatorIndex,
        /// Why.
        reason: String,
    },
    /// No such patient here.
    #[error("no patient {0} is here")]
    UnknownPatient(bxp_types::SubjectId),
    /// Another node gave no receipt for tombstones.
    #[error("have {peer} erase its copies: {reason}")]
    NotErased {
        /// The node.
        peer: bxp_types::ValidatorIndex,
        /// Its reason.
        reason: String,
    },
    /// A record waits for the transaction that anchors it.
    #[error("record {0} is not anchored yet; ask again in a few seconds")]
    NotAnchored(bxp_types::RecordId),
    /// A task of this node broke off.
    #[error("a task stopped in the middle of its work")]
    Stopped,
    /// A record's batch is not on the chain as it should be.
    #[error("record {record} does not stand under root {root} on the chain")]
    NotOnChain {
        /// The record.
        record: bxp_types::RecordId,
        /// The root that the vault has.
        root: bxp_types::B256,
    },
    /// Something on disk is not what was written.
    #[error("read {0}: it is damaged; restore the data folder from a backup")]
    Damaged(&'static str),
    /// A cohort criterion that cannot be read.
    #[error("read the criterion: {0}")]
    Criterion(String),
    /// A generator configuration that makes no sense.
    #[error("generate patients: {0}")]
    Generator(&'static str),
}
