//! What can go wrong in the store. No text has a value of a resource or of a search.

use tokio_postgres::error::SqlState;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("use the FHIR store")]
    Database(#[from] rusqlite::Error),
    /// The database server failed, or the way to it.
    #[error("use the FHIR store on its database server: {message}")]
    Server {
        /// What it said; its details, which may repeat what was sent, are left out.
        message: String,
        /// Its disk is full.
        full: bool,
    },
    /// The database server is not configured as it must be.
    #[error("use the FHIR store on its database server: {0}")]
    Configuration(&'static str),
    /// The database has ended a transaction that was not done.
    #[error("use the FHIR store: what was being written was undone after a failure; try again")]
    Undone,
    /// All connections to the database server were in use for too long.
    #[error("use the FHIR store: all connections to its database server are in use; allow more of them")]
    Busy,
    /// The key does not open what is on the database server.
    #[error(
        "open the FHIR store on its database server: it was written under another key; name this node's database"
    )]
    OtherKey,
    /// The key does not open the file, or a page of it was changed.
    #[error(
        "open the FHIR store {0}: its key is another one, another version of bxp wrote it, or it is damaged; restore the data folder, or, if only this file is damaged, move it away with its -wal and -shm: the node makes it again from the vault"
    )]
    Sealed(std::path::PathBuf),
    /// A file system error.
    #[error("open the FHIR store {path}", path = path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store was written by a later program.
    #[error(
        "open the FHIR store: its schema is version {found}, this program knows {known}; use the later program"
    )]
    LaterSchema {
        /// The version in the file.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// Something is not as it was written.
    #[error("read {0}: it is damaged; restore the data folder from a backup")]
    Damaged(&'static str),
    /// A resource that cannot be stored.
    #[error("store a resource: {0}")]
    Unusable(&'static str),
    /// A permit that does not open whole resources, or has ended.
    #[error("not permitted")]
    NotPermitted,
    /// A search that cannot be carried out as it is asked.
    #[error("search: {reason}")]
    Search {
        /// The parameter, as far as it is one of FHIR's; never its value.
        parameter: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A search that would take more than this server gives to one.
    #[error("search: {0}")]
    TooCostly(&'static str),
}

impl StoreError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Self::Server { full, .. } => *full,
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(said) = error.as_db_error() {
            let message = format!("{} ({})", said.message(), said.code().code());
            return Self::Server { message, full: *said.code() == SqlState::DISK_FULL };
        }
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(reason) = cause {
            message.push_str(": ");
            message.push_str(&reason.to_string());
            cause = reason.source();
        }
        Self::Server { message, full: false }
    }
}
