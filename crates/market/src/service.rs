//! Handing sealed deliveries out: to the HTTP gateway, and to other nodes that ask for their clients.
//!
//! Everything here is ciphertext that one buyer can open. It is given out once the contract has counted the delivery,
//! and until its term and the time after it are over: a delivery that the chain refused has never left.

use crate::{MarketError, tables::Tables};
use bxp_network::{Network, Service};
use bxp_storage::Store;
use bxp_types::{Bytes, ValidatorIndex};
use bxp_vault::{Clock, cid_of};
use cid::Cid;

/// A CID in its binary form has no more bytes than this in any contract.
const CID_BYTES_MAX: usize = 64;

/// The deliveries of this node. Clones share the tables.
#[derive(Clone, Debug)]
pub struct DeliveryService {
    tables: Tables,
    clock: Clock,
}

impl DeliveryService {
    /// Opens the tables in `store`.
    ///
    /// # Errors
    /// [`MarketError::Storage`].
    pub fn open(store: &Store, clock: Clock) -> Result<Self, MarketError> {
        Ok(Self { tables: Tables::open(store)?, clock })
    }

    /// A sealed delivery of this holder; nothing where there is none, where the contract has not counted it, and where
    /// its time is over.
    ///
    /// # Errors
    /// [`MarketError::Storage`], [`MarketError::Malformed`].
    pub fn delivery(&self, cid: &Cid) -> Result<Option<Bytes>, MarketError> {
        let now = self.clock.now_ms() / 1_000;
        match self.tables.delivery(cid)? {
            Some(row) if row.number.is_some() && now < row.until => self.tables.block(cid),
            _ => Ok(None),
        }
    }

    /// The answer to another node's request on `Service::Market`: the delivery whose CID it sent. `None` leaves the request
    /// unanswered.
    #[must_use]
    pub fn answer(&self, request: &[u8]) -> Option<Bytes> {
        if request.len() > CID_BYTES_MAX {
            return None;
        }
        let cid = Cid::try_from(request).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::DeliveryRow;
    use bxp_storage::Durability;
    use bxp_types::{Address, NetworkId};
    use proptest::prelude::*;

    fn service(dir: &std::path::Path) -> DeliveryService {
        let store = Store::open(dir, NetworkId([1; 32])).unwrap();
        DeliveryService::open(&store, Clock::from_fn(|| 100_000)).unwrap()
    }

    #[test]
    fn only_counted_deliveries_leave_and_only_in_their_time() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path());
        for (number, until, expected) in
            [(Some(0), 101, true), (None, 101, false), (Some(1), 100, false), (Some(2), 0, false)]
        {
            let sealed = [format!("{number:?}").as_bytes(), b" sealed"].concat();
            let cid = cid_of(&sealed).unwrap();
            let row =
                DeliveryRow { request: Address::ZERO, subjects: vec![], call: Bytes::new(), number, until };
            let mut batch = service.tables.batch();
            service.tables.put_delivery(&mut batch, &cid, &row).unwrap();
            service.tables.put_block(&mut batch, &cid, &sealed);
            batch.commit(Durability::Synced).unwrap();
            assert_eq!(service.delivery(&cid).unwrap().is_some(), expected, "{number:?} until {until}");
            assert_eq!(service.answer(&cid.to_bytes()), expected.then(|| sealed.into()));
        }
        assert_eq!(service.answer(&cid_of(b"unknown").unwrap().to_bytes()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn arbitrary_requests_never_panic(requests in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..32)) {
            let dir = tempfile::tempdir().unwrap();
            let service = service(dir.path());
            for request in requests {
                prop_assert_eq!(service.answer(&request), None);
            }
        }
    }
}
