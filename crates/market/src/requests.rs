//! Following the market: every request that is opened on the chain, found in the receipts, block by block.

use crate::{
    MarketError, RequestReader,
    tables::{OpenRow, Tables},
};
use alloy_sol_types::SolEvent;
use bxp_contracts::{DATA_MARKET, DataMarket};
use bxp_storage::{Durability, Store};
use bxp_types::{Address, Height, Ledger, StoredReceipt};
use std::sync::Arc;

/// Blocks whose logs are read before the cursor is written.
const BLOCKS_PER_STEP: u64 = 256;

/// The requests of the market as this node has followed them. Clones share the tables.
#[derive(Clone, Debug)]
pub struct Requests {
    pub(crate) reader: RequestReader,
    pub(crate) tables: Tables,
}

impl Requests {
    /// Opens the tables in `store`.
    ///
    /// # Errors
    /// [`MarketError::Storage`].
    pub fn open(store: &Store, ledger: Arc<dyn Ledger>) -> Result<Self, MarketError> {
        Ok(Self { reader: RequestReader::new(ledger), tables: Tables::open(store)? })
    }

    /// The chain's side.
    #[must_use]
    pub const fn reader(&self) -> &RequestReader {
        &self.reader
    }

    /// Reads the logs of at most 256 blocks that were not read yet. Whether there are more.
    ///
    /// # Errors
    /// [`MarketError::Ledger`], [`MarketError::Storage`].
    pub fn follow(&self) -> Result<bool, MarketError> {
        let ledger = self.reader.ledger();
        let (head, followed) = (ledger.head().height(), self.tables.followed()?);
        if followed >= head {
            return Ok(false);
        }
        let end = Height(head.0.min(followed.0.saturating_add(BLOCKS_PER_STEP)));
        let mut batch = self.tables.batch();
        for height in (followed.0.saturating_add(1)..=end.0).map(Height) {
            let receipts =
                ledger.receipts(height)?.ok_or(MarketError::Malformed("receipts below the head"))?;
            for request in opened(&receipts) {
                tracing::info!(%request, %height, "a data request is open");
                self.tables.put_open(&mut batch, request, &OpenRow::new(height))?;
            }
        }
        self.tables.put_followed(&mut batch, end);
        batch.commit(Durability::Synced)?;
        Ok(end < head)
    }

    /// The requests that may still want or owe something to or from this holder.
    ///
    /// # Errors
    /// [`MarketError::Storage`], [`MarketError::Malformed`].
    pub fn open_requests(&self) -> Result<Vec<Address>, MarketError> {
        Ok(self.tables.open_requests()?.into_iter().map(|(request, _)| request).collect())
    }
}

/// The requests that the market opened in one block. Logs of other contracts are not the market's word.
fn opened(receipts: &[StoredReceipt]) -> impl Iterator<Item = Address> + '_ {
    let logs = receipts.iter().flat_map(|receipt| receipt.receipt.logs());
    logs.filter(|log| log.address == DATA_MARKET)
        .filter_map(|log| DataMarket::RequestCreated::decode_log(log).ok())
        .map(|log| log.request)
}
