//! What can go wrong outside the protocol: a wrong configuration, a log that is not ours.

use bxp_types::ValidatorIndex;

use crate::wire::WireError;

/// Why an engine could not be made or recovered. Nothing a peer sends ends here: bad messages are ignored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConsensusError {
    /// The number of validators is zero or above [`crate::VALIDATORS_MAX`].
    #[error("configure consensus: {validators} validators, must be 1 to {max}")]
    Validators {
        /// The number configured.
        validators: usize,
        /// The most that are supported.
        max: u16,
    },
    /// The node's own index is not on the list of validators.
    #[error("configure consensus: {me} is not one of {validators} validators")]
    NotAValidator {
        /// The index configured.
        me: ValidatorIndex,
        /// The number of validators.
        validators: usize,
    },
    /// A log record was written for another network.
    #[error("recover consensus: log record {record} belongs to another network")]
    ForeignNetwork {
        /// Position of the record in the log, from 0.
        record: usize,
    },
    /// A log record was written by another validator: going on would make two nodes speak with one name.
    #[error("recover consensus: log record {record} belongs to validator {owner}")]
    ForeignValidator {
        /// Position of the record in the log, from 0.
        record: usize,
        /// Who wrote it.
        owner: ValidatorIndex,
    },
    /// A log record cannot be read.
    #[error("recover consensus: log record {record} cannot be read")]
    Record {
        /// Position of the record in the log, from 0.
        record: usize,
        /// Why.
        #[source]
        source: WireError,
    },
}
