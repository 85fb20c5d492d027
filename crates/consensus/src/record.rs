//! Log records: a message in the wire format behind the names of the network and of the validator who says it.
//!
//! ```text
//! record = first 8 bytes of the network id, validator (2, big endian), message
//! ```
//! INIT is the own proposal, BODY the body of another's proposal that is about to be echoed, VOTES what is about to
//! be said. Nothing else is logged.

use bxp_types::NetworkId;
use bxp_types::ValidatorIndex;
use bytes::{BufMut, Bytes, BytesMut};

use crate::config::Settings;
use crate::error::ConsensusError;
use crate::wire::{Envelope, WireError};

const NETWORK_BYTES: usize = 8;
const PREFIX_BYTES: usize = NETWORK_BYTES + 2;

/// The record of a message that is about to be sent (or of a body about to be echoed), and the message itself, which
/// shares the record's memory: a body is copied once.
pub(crate) fn encode(settings: &Settings, envelope: &Envelope) -> (Bytes, Bytes) {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + envelope.length());
    out.put_slice(network_name(&settings.config.network));
    out.put_u16(settings.me().0);
    envelope.encode_into(&mut out);
    let record = out.freeze();
    let message = record.slice(PREFIX_BYTES..);
    (record, message)
}

/// Reads a record written by [`encode`]. `position` is its place in the log, for the error.
///
/// # Errors
/// If it is damaged, or belongs to another network or validator.
pub(crate) fn decode(
    settings: &Settings,
    position: usize,
    record: &Bytes,
) -> Result<Envelope, ConsensusError> {
    let unreadable = |source| ConsensusError::Record { record: position, source };
    let Some((network, rest)) = record.split_first_chunk::<NETWORK_BYTES>() else {
        return Err(unreadable(WireError::Short));
    };
    if network != network_name(&settings.config.network) {
        return Err(ConsensusError::ForeignNetwork { record: position });
    }
    let Some((owner, _)) = rest.split_first_chunk::<2>() else {
        return Err(unreadable(WireError::Short));
    };
    let owner = ValidatorIndex(u16::from_be_bytes(*owner));
    if owner != settings.me() {
        return Err(ConsensusError::ForeignValidator { record: position, owner });
    }
    let message = record.slice(PREFIX_BYTES..);
    Envelope::decode(&message, settings.validators, settings.config.body_bytes_max).map_err(unreadable)
}

fn network_name(network: &NetworkId) -> &[u8; NETWORK_BYTES] {
    network.as_bytes().first_chunk().unwrap_or(&[0; NETWORK_BYTES])
}
