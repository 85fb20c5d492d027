//! Key release: a node that holds a de-identified block but not its key asks the record's holder, who decides, accounts for the
//! disclosure, and answers with the key wrapped for that node alone.
//!
//! Request: `version (1) || record id (16) || purpose (1) || data request's address (20)`; the address is zero but for
//! research. A good answer (`answer.rs`) has the wrapped key. What a peer sends is adversarial; every refusal that could
//! tell something of a record reads the same.

use crate::{
    ClinicalError,
    answer::{self, DONE, refused},
    facts::ChainFacts,
};
use bxp_network::{Network, Service};
use bxp_privacy::{Purpose, Request, Scope, decide};
use bxp_types::{Address, BlockClass, RecordId, ValidatorIndex};
use bxp_vault::Vault;
use bytes::Bytes;

const VERSION: u8 = 1;
const REQUEST_BYTES: usize = 38;

/// What a node asks for: the key of a record's de-identified side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// The record.
    pub record: RecordId,
    /// What for.
    pub purpose: Purpose,
}

impl KeyRequest {
    /// The wire form; nothing for a purpose that is not asked for between nodes.
    #[must_use]
    pub fn encode(&self) -> Option<Bytes> {
        let (code, address) = match self.purpose {
            Purpose::Treatment => (1, Address::ZERO),
            Purpose::Oversight => (2, Address::ZERO),
            Purpose::Research { request } => (3, request),
            _ => return None,
        };
        let parts: [&[u8]; 4] = [&[VERSION], &self.record.0, &[code], address.as_slice()];
        Some(parts.concat().into())
    }

    /// Reads the wire form.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; REQUEST_BYTES] = bytes.try_into().ok()?;
        let address = Address::from_slice(&bytes[18..]);
        let purpose = match (bytes[0], bytes[17]) {
            (VERSION, 1) if address.is_zero() => Purpose::Treatment,
            (VERSION, 2) if address.is_zero() => Purpose::Oversight,
            (VERSION, 3) => Purpose::Research { request: address },
            _ => return None,
        };
        Some(Self { record: RecordId(bytes[1..17].try_into().ok()?), purpose })
    }
}

/// The holder's answer to `from`'s request: the bytes for the network. The disclosure is on disk when this returns.
#[must_use]
pub fn answer_key_request(vault: &Vault, facts: &ChainFacts, from: ValidatorIndex, request: &[u8]) -> Bytes {
    let Some(request) = KeyRequest::decode(request) else {
        return refused("the request is malformed");
    };
    match release(vault, facts, from, request) {
        Ok(key) => [&[DONE], key.as_ref()].concat().into(),
        Err(ClinicalError::Denied(denial)) => {
            tracing::info!(%from, record = %request.record, code = denial.code(), "refuse a key");
            refused("not permitted")
        }
        Err(error) => {
            tracing::warn!(%from, record = %request.record, error = ?error, "refuse a key");
            refused("not permitted")
        }
    }
}

fn release(
    vault: &Vault,
    facts: &ChainFacts,
    from: ValidatorIndex,
    asked: KeyRequest,
) -> Result<Bytes, ClinicalError> {
    let record = asked.record;
    let entry = vault.entry(record)?.ok_or(bxp_vault::VaultError::UnknownRecord(record))?;
    if entry.holder != vault.me() {
        return Err(bxp_vault::VaultError::NotOurs(record).into());
    }
    let request = Request {
        requester: from,
        scope: Scope::Record(record),
        class: BlockClass::Deidentified,
        purpose: asked.purpose,
    };
    let permit = decide(&request, &facts.of(from, &entry, asked.purpose)?)?;
    let recipient = vault.directory().recipient(from).ok_or(bxp_privacy::Denial::NotAMember)?;
    let wrapped = vault.release_key(&entry.deidentified_cid, &recipient, &permit)?;
    Ok(Bytes::from(wrapped))
}

/// Asks the record's holder for the key of its de-identified side and keeps it. Does nothing where the key is here.
///
/// # Errors
/// [`ClinicalError::NotReleased`], [`ClinicalError::Vault`] for an unknown record or a key that does not fit.
pub async fn fetch_key(
    vault: &Vault,
    network: &Network,
    record: RecordId,
    purpose: Purpose,
) -> Result<(), ClinicalError> {
    let entry = vault.entry(record)?.ok_or(bxp_vault::VaultError::UnknownRecord(record))?;
    if vault.has_key(&entry.deidentified_cid)? {
        return Ok(());
    }
    let holder = entry.holder;
    let failed = |reason: String| ClinicalError::NotReleased { holder, reason };
    let request = KeyRequest { record, purpose }.encode();
    let request = request.ok_or_else(|| failed("keys are not released for this purpose".to_owned()))?;
    let answer = network.request(holder, Service::KeyRelease, request).await;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    let wrapped = answer::read(&answer).map_err(failed)?.to_vec();
    Ok(vault.accept_key(&entry.deidentified_cid, &wrapped)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_wire_form_is_pinned() {
        let request = KeyRequest {
            record: RecordId([7; 16]),
            purpose: Purpose::Research { request: Address::repeat_byte(9) },
        };
        let bytes = request.encode().unwrap();
        assert_eq!(hex::encode(&bytes), format!("01{}03{}", "07".repeat(16), "09".repeat(20)));
        assert_eq!(KeyRequest::decode(&bytes), Some(request));
        for purpose in [Purpose::Treatment, Purpose::Oversight] {
            let request = KeyRequest { purpose, ..request };
            assert_eq!(KeyRequest::decode(&request.encode().unwrap()), Some(request));
        }
        assert_eq!(KeyRequest { purpose: Purpose::Operations, ..request }.encode(), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(request) = KeyRequest::decode(&bytes) {
                prop_assert_eq!(request.encode().unwrap().to_vec(), bytes.clone());
            }
            let _ = answer::read(&bytes);
        }
    }
}
