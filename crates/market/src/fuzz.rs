//! What reads deliveries and requests for them, without a buyer or a service: for the fuzz targets.

use crate::{
    Chart, MarketError,
    delivery::{self, Content},
    service,
};
use bxp_enclave::SealingKeypair;
use bxp_types::{Address, B256};
use cid::Cid;

const PROFILE: &str = "safe-harbor";

/// Whether a sealed delivery opens for the buyer with these keys.
#[must_use]
pub fn opens(keys: &SealingKeypair, request: Address, holder: Address, sealed: &[u8]) -> bool {
    delivery::open(keys, request, holder, sealed).is_ok()
}

/// A delivery of these charts as it is handed out.
///
/// # Errors
/// [`MarketError::WrongDelivery`] where there is no chart, [`MarketError::Enclave`] for a key to which nothing is sealed.
pub fn sealed(
    request: Address,
    holder: Address,
    sealing_key: B256,
    charts: Vec<Chart>,
) -> Result<Vec<u8>, MarketError> {
    let content = Content { charts, profile: PROFILE.to_owned(), rules: Vec::new() };
    Ok(delivery::seal(request, holder, sealing_key, content)?.bytes.to_vec())
}

/// Undoes the compression of a delivery's content.
///
/// # Errors
/// [`MarketError::Malformed`], [`MarketError::TooLarge`].
pub fn unpacked(packed: &[u8]) -> Result<Vec<u8>, MarketError> {
    delivery::unpack(packed)
}

/// Content as it is compressed.
///
/// # Errors
/// [`MarketError::Compression`].
pub fn packed(content: &[u8]) -> Result<Vec<u8>, MarketError> {
    delivery::pack(content)
}

/// Reads the content of a delivery, and gives it as a holder writes it.
///
/// # Errors
/// [`MarketError::Malformed`], [`MarketError::WrongDelivery`].
pub fn content(request: Address, holder: Address, content: &[u8]) -> Result<Vec<u8>, MarketError> {
    delivery::write_content(request, holder, delivery::read_content(request, holder, content)?)
}

/// The content of a delivery of these charts.
///
/// # Errors
/// Never in practice: every content has an encoding.
pub fn content_of(
    request: Address,
    holder: Address,
    charts: Vec<Chart>,
    rules: Vec<B256>,
) -> Result<Vec<u8>, MarketError> {
    delivery::write_content(request, holder, Content { charts, profile: PROFILE.to_owned(), rules })
}

/// Reads which delivery another node asks for.
#[must_use]
pub fn requested(request: &[u8]) -> Option<Cid> {
    service::requested(request)
}
