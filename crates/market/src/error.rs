//! What the market refuses, and how it fails. No variant carries content or a chart.

use bxp_clinical::{ClinicalError, sender::SendFailure};
use bxp_content::ContentError;
use bxp_enclave::EnclaveError;
use bxp_privacy::Denial;
use bxp_storage::StorageError;
use bxp_types::{Address, LedgerError};
use bxp_vault::VaultError;

/// Why the market refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// The data folder failed.
    #[error("use the market's tables")]
    Storage(#[from] StorageError),
    /// The chain's database failed.
    #[error("read the chain")]
    Ledger(#[from] LedgerError),
    /// The vault refused or failed.
    #[error("open a chart")]
    Vault(#[from] VaultError),
    /// The clinical manager failed.
    #[error("read charts and criteria")]
    Clinical(#[from] ClinicalError),
    /// Sealing or opening failed.
    #[error("seal or open a delivery")]
    Enclave(#[from] EnclaveError),
    /// No permit. The text is the same for every reason; the code is for the holder's own log.
    #[error("decide on a delivery: {}", .0.code())]
    Denied(#[from] Denial),
    /// The content store refused or failed.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A reader whom the purpose does not allow.
    #[error("publish: {0}")]
    Reader(&'static str),
    /// There is nothing to publish.
    #[error("publish: no chart of this node may be given out for this purpose now")]
    NothingToPublish,
    /// A transaction did not come to be.
    #[error("send a transaction to {request}")]
    Send {
        /// The request.
        request: Address,
        /// Why.
        #[source]
        source: Box<SendFailure>,
    },
    /// The contract would refuse a delivery; no chart was opened for it.
    #[error("deliver to {request}: {reason}")]
    Refused {
        /// The request.
        request: Address,
        /// The contract's reason in words.
        reason: String,
    },
    /// Every chart that could be delivered is of a patient who is alike too few others of this holder.
    #[error(
        "deliver to {request}: no chart reaches k = {k_min} among this holder's patients (the best has {k_best}); \
         the column that hides them least is {column}"
    )]
    TooIdentifying {
        /// The request.
        request: Address,
        /// The threshold.
        k_min: usize,
        /// The largest class of a chart that was held back.
        k_best: usize,
        /// The quasi-identifier whose loss would help most.
        column: String,
    },
    /// The address is no data request of this network's market.
    #[error("{0} is no data request of this network")]
    NotARequest(Address),
    /// A contract of the network answers as no contract of its kind does.
    #[error("contract {0} gives no answer of its kind; is it in genesis?")]
    UnexpectedAnswer(Address),
    /// Bytes that are no canonical encoding of what they should be.
    #[error("decode {0}: the bytes are not its canonical encoding")]
    Malformed(&'static str),
    /// A delivery that is not what the contract says of it.
    #[error("the delivery is not what its holder recorded on the chain: {0}")]
    WrongDelivery(&'static str),
    /// Terms that the contract would refuse.
    #[error("{0}")]
    Terms(String),
    /// More than may be delivered at once.
    #[error("{what} has {size} bytes, above the bound of {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much it has.
        size: usize,
        /// The most.
        max: usize,
    },
    /// Compression failed, which only a lack of memory explains.
    #[error("compress a delivery")]
    Compression(#[source] std::io::Error),
    /// The system gives no threads.
    #[error("start threads for matching")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A task of this node panicked.
    #[error("a task of the market stopped in the middle of its work")]
    Stopped,
}
