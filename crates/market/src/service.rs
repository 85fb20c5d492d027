//! Handing sealed deliveries out: to the HTTP gateway, and to other nodes that ask for their clients.
//!
//! Everything here is ciphertext that one buyer can open. It is given out once the contract has counted the delivery,
//! and until its term and the time after it are over: a delivery that the chain refused has never left.

use crate::{MarketError, RequestReader, tables::Tables};
use bxp_network::{Network, Service};
use bxp_storage::Store;
use bxp_types::{Address, Bytes, Ledger, ValidatorIndex};
use bxp_vault::{Clock, cid_of};
use cid::Cid;
use std::sync::Arc;

/// A CID in its binary form has no more bytes than this in any contract.
const CID_BYTES_MAX: usize = 64;

/// The deliveries of this node. Clones share the tables.
#[derive(Clone, Debug)]
pub struct DeliveryService {
    tables: Tables,
    reader: RequestReader,
    account: Address,
    clock: Clock,
}

impl DeliveryService {
    /// Opens the tables in `store`; `account` is the holder's.
    ///
    /// # Errors
    /// [`MarketError::Storage`].
    pub fn open(
        store: &Store,
        ledger: Arc<dyn Ledger>,
        account: Address,
        clock: Clock,
    ) -> Result<Self, MarketError> {
        Ok(Self { tables: Tables::open(store)?, reader: RequestReader::new(ledger), account, clock })
    }

    /// A sealed delivery of this holder; nothing where there is none, where the contract has not counted it, and where
    /// its time is over.
    ///
    /// # Errors
    /// [`MarketError::Storage`], [`MarketError::Malformed`], [`MarketError::Ledger`].
    pub fn delivery(&self, cid: &Cid) -> Result<Option<Bytes>, MarketError> {
        let Some(row) = self.tables.delivery(cid)? else { return Ok(None) };
        // The chain may have counted it a moment before the agent notes so.
        let counted =
            row.number.is_some() || self.reader.number_of(row.request, self.account, cid)?.is_some();
        let in_time = self.clock.now_ms() / 1_000 < row.until;
        if counted && in_time { self.tables.block(cid) } else { Ok(None) }
    }

    /// Whether the chain names this delivery of this holder.
    ///
    /// # Errors
    /// [`MarketError::Storage`], [`MarketError::Malformed`].
    pub fn is_counted(&self, cid: &Cid) -> Result<bool, MarketError> {
        Ok(self.tables.delivery(cid)?.is_some_and(|row| row.number.is_some()))
    }

    /// The answer to another node's request on `Service::Market`: the delivery whose CID it sent. `None` leaves the request
    /// unanswered.
    #[must_use]
    pub fn answer(&self, request: &[u8]) -> Option<Bytes> {
        let cid = requested(request)?;
        match self.delivery(&cid) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%cid, %error, "hand out a delivery");
                None
            }
        }
    }

    /// A sealed delivery from here or from `holder`. What a peer sends is checked against the CID.
    ///
    /// # Errors
    /// [`MarketError::Storage`], [`MarketError::Malformed`], [`MarketError::WrongDelivery`].
    pub async fn fetch(
        &self,
        network: &Network,
        holder: ValidatorIndex,
        cid: &Cid,
    ) -> Result<Option<Bytes>, MarketError> {
        if let Some(found) = self.delivery(cid)? {
            return Ok(Some(found));
        }
        let answer = match network.request(holder, Service::Market, cid.to_bytes().into()).await {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                tracing::debug!(%holder, %cid, %error, "no delivery from the holder");
                return Ok(None);
            }
        };
        if cid_of(&answer)? != *cid {
            return Err(MarketError::WrongDelivery("the bytes do not hash to the CID"));
        }
        Ok(Some(answer))
    }

    /// A sealed delivery from here or from any connected node, asked one after the other.
    ///
    /// # Errors
    /// As [`DeliveryService::fetch`] where the last one asked answered wrongly and nobody had it.
    pub async fn find(&self, network: &Network, cid: &Cid) -> Result<Option<Bytes>, MarketError> {
        if let Some(found) = self.delivery(cid)? {
            return Ok(Some(found));
        }
        let mut wrong = None;
        for peer in network.connected() {
            match self.fetch(network, peer, cid).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => wrong = Some(error),
            }
        }
        wrong.map_or(Ok(None), Err)
    }
}

/// The CID that a peer asks for.
pub(crate) fn requested(request: &[u8]) -> Option<Cid> {
    let cid = if request.len() > CID_BYTES_MAX { None } else { Cid::try_from(request).ok() };
    // Nothing may follow it.
    cid.filter(|cid| cid.to_bytes() == request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_a_cid_in_its_binary_form() {
        let cid = cid_of(b"sealed").unwrap();
        assert_eq!(requested(&cid.to_bytes()), Some(cid));
        assert_eq!(requested(cid.to_string().as_bytes()), None);
        assert_eq!(requested(&[1; CID_BYTES_MAX + 1]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_requests_never_panic(request in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = requested(&request);
        }
    }
}
