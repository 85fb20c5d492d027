//! The chain's tables: blocks, receipts, indexes, certificates and the pool's copy on disk. What of it is past lies in
//! segments, and is read through the same functions.

use crate::{
    ChainError,
    block_index::{BlockIndex, places::Places},
    codec,
    found::{Names, named},
    fresh::{Executed, Fresh},
    locations::Locations,
    log_scan::{self, Sketch},
    receipt_rows::{ReceiptRows, part},
    segments::{Part, Segments},
};
use alloy_consensus::transaction::TxHashRef as _;
use alloy_eips::eip2718::Encodable2718;
use bxp_storage::{Batch, Durability, Store, Table};
use bxp_types::{
    B256, Bytes, Certificate, FoundLog, Height, LogQuery, RecoveredTransaction, StoredBlock, StoredReceipt,
    TransactionLocation,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Handles of the tables. Keys are heights (8 bytes BE) or hashes (32 bytes).
#[derive(Clone)]
pub struct Blocks {
    blocks: Table,
    receipts: ReceiptRows,
    heights: Table,
    locations: Locations,
    fresh: Arc<Mutex<Fresh>>,
    names: Names,
    certificates: Table,
    segments: Segments,
    dropped: Table,
    pool: Table,
}

impl Blocks {
    /// Opens the tables, and reads the newest blocks for what is not indexed yet.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn open(store: &Store) -> Result<Self, ChainError> {
        let blocks = store.table("blocks")?;
        let (locations, settled) = Locations::open(store, newest_in(&blocks)?)?;
        for entry in blocks.range(key(settled.next())..) {
            locations.note(&codec::decode_block(&entry?.1)?);
        }
        Ok(Self {
            blocks,
            locations,
            fresh: Arc::default(),
            names: Names::default(),
            receipts: ReceiptRows::open(store)?,
            heights: store.table("block-heights")?,
            certificates: store.table("certificates")?,
            segments: Segments::open(store)?,
            dropped: store.table("dropped-transactions")?,
            pool: store.table("pool")?,
        })
    }

    /// Adds a block with its receipts and indexes to `batch`. Gives the receipts as they are stored, of which
    /// [`BlockIndex::put`] makes the index of logs and accounts.
    pub fn put(
        &self,
        batch: &mut Batch,
        block: &StoredBlock,
        receipts: &[StoredReceipt],
        dropped: &[(B256, String)],
    ) -> Vec<u8> {
        let encoded = self.put_rows(batch, block, receipts);
        self.note(batch, block, dropped);
        encoded
    }

    /// The first half of [`Self::put`], which changes nothing but `batch`: it may be done before it is the block's turn.
    pub(crate) fn put_rows(
        &self,
        batch: &mut Batch,
        block: &StoredBlock,
        receipts: &[StoredReceipt],
    ) -> Vec<u8> {
        let encoded = codec::encode_receipts(receipts);
        let height = block.height();
        batch.put(&self.blocks, key(height), codec::encode_block(block));
        self.receipts.put(batch, key(height), &encoded);
        batch.put(&self.heights, block.hash, key(height));
        encoded
    }

    /// The second half: the block is about to be on disk.
    pub(crate) fn note(&self, batch: &mut Batch, block: &StoredBlock, dropped: &[(B256, String)]) {
        self.locations.note(block);
        for (hash, reason) in dropped {
            batch.put(&self.dropped, hash, reason);
        }
    }

    /// Removes a block with its receipts and indexes; what it left out stays known as left out.
    ///
    /// # Errors
    /// [`ChainError::Storage`]; [`ChainError::Decode`] where its receipts are damaged.
    pub fn remove(&self, batch: &mut Batch, block: &StoredBlock) -> Result<(), ChainError> {
        batch.remove(&self.blocks, key(block.height()));
        self.receipts.remove(batch, key(block.height()))?;
        batch.remove(&self.heights, block.hash);
        self.locations.forget(batch, block);
        self.fresh.lock().forget_from(block.height());
        self.names.forget(block.height());
        Ok(())
    }

    /// Keeps a block that is on disk at hand as it was executed.
    pub fn keep_fresh(&self, block: Arc<StoredBlock>, receipts: Arc<Vec<StoredReceipt>>) {
        self.fresh.lock().put(block, receipts);
    }

    /// The block at `height` with its receipts, if it is among the newest.
    pub(crate) fn fresh(&self, height: Height) -> Option<Executed> {
        self.fresh.lock().get(height).cloned()
    }

    /// Moves the index of transactions to disk when much of it is in memory. `head` and all blocks below are on disk.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn settle_locations(&self, head: Height) -> Result<(), ChainError> {
        self.locations.settle(head)
    }

    /// Sees to it that the transactions of all blocks up to `height` are indexed on disk, so that no start has to read
    /// them. `head` and all blocks below are on disk.
    pub(crate) fn index_before_moving(&self, height: Height, head: Height) -> Result<(), ChainError> {
        self.locations.settle_up_to(height, head)
    }

    /// Adds a certificate to `batch`.
    pub fn put_certificate(&self, batch: &mut Batch, certificate: &Certificate) {
        batch.put(&self.certificates, key(certificate.height), codec::encode_certificate(certificate));
    }

    /// Adds a waiting transaction to `batch`.
    pub fn put_pooled(&self, batch: &mut Batch, transaction: &RecoveredTransaction) {
        batch.put(&self.pool, transaction.tx_hash(), transaction.encoded_2718());
    }

    /// Removes a transaction that no longer waits.
    pub fn remove_pooled(&self, batch: &mut Batch, hash: B256) {
        batch.remove(&self.pool, hash);
    }

    /// The waiting transactions of an earlier run, with their hashes.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn pooled(&self) -> Result<Vec<(B256, Bytes)>, ChainError> {
        let read = |entry: bxp_storage::Result<bxp_storage::Entry>| {
            let (hash, raw) = entry?;
            let hash = B256::try_from(hash.as_ref()).map_err(|_| ChainError::decode("pool", "key"))?;
            Ok((hash, raw.into()))
        };
        self.pool.iter().map(read).collect()
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn newest(&self) -> Result<Option<StoredBlock>, ChainError> {
        self.blocks.last()?.map(|(_, bytes)| codec::decode_block(&bytes)).transpose()
    }

    /// The height of the newest block, by its key alone.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn newest_height(&self) -> Result<Option<Height>, ChainError> {
        newest_in(&self.blocks)
    }

    /// The block at `height`.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn block(&self, height: Height) -> Result<Option<StoredBlock>, ChainError> {
        let bytes = self.get(&self.blocks, height, Part::Block)?;
        bytes.map(|bytes| codec::decode_block(&bytes)).transpose()
    }

    /// The receipts of the block at `height`.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn receipts(&self, height: Height) -> Result<Option<Vec<StoredReceipt>>, ChainError> {
        self.encoded_receipts(height)?.map(|bytes| codec::decode_receipts(&bytes)).transpose()
    }

    /// The logs of the block at `height` that `query` asks for, in their order. Neither block nor receipts are decoded
    /// for it, and no more of them is read than `index` tells.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn logs(
        &self,
        height: Height,
        query: &LogQuery,
        index: &BlockIndex,
    ) -> Result<Option<Vec<FoundLog>>, ChainError> {
        if let Some(places) = index.places(query, height)?
            && let Some(found) = self.logs_at(height, &places, query)?
        {
            return Ok(Some(found));
        }
        self.logs_of_all(height, query)
    }

    /// The same, out of all receipts of the block.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn logs_of_all(&self, height: Height, query: &LogQuery) -> Result<Option<Vec<FoundLog>>, ChainError> {
        let Some(block) = self.get(&self.blocks, height, Part::Block)? else { return Ok(None) };
        let mut sketch = Sketch::read(&block)?;
        if !sketch.may_have(query) {
            return Ok(Some(Vec::new()));
        }
        let Some(receipts) = self.encoded_receipts(height)? else { return Ok(None) };
        let found = log_scan::find(&receipts, query)?;
        let mut name = |(place, log): (log_scan::LogPlace, _)| {
            Ok(named(self.names.read(height, place.transaction, &mut sketch)?, place, log))
        };
        found.into_iter().map(&mut name).collect::<Result<_, _>>().map(Some)
    }

    /// The same, where all logs that fit are at `places`; nothing else of the receipts is read. Nothing where the places
    /// are not of this block, or nothing that fits is there: then [`Self::logs_of_all`] knows.
    fn logs_at(
        &self,
        height: Height,
        places: &Places,
        query: &LogQuery,
    ) -> Result<Option<Vec<FoundLog>>, ChainError> {
        let mut found = Vec::with_capacity(places.iter().len());
        for place in places.iter() {
            let Some(bytes) = self.log_bytes(height, place.offset as usize)? else { return Ok(None) };
            let Ok(log) = log_scan::log_if_fits(&bytes, query) else { return Ok(None) };
            let Some(log) = log else { continue };
            let name = match self.names.get(height, place.transaction) {
                Some(name) => name,
                None => {
                    let Some(block) = self.get(&self.blocks, height, Part::Block)? else { return Ok(None) };
                    self.names.read(height, place.transaction, &mut Sketch::read(&block)?)?
                }
            };
            if !places.are_of(name.block_hash) {
                return Ok(None);
            }
            found.push(named(name, place, log));
        }
        Ok((!found.is_empty() || places.iter().len() == 0).then_some(found))
    }

    /// The log that begins at `offset` of the encoded receipts.
    fn log_bytes(&self, height: Height, offset: usize) -> Result<Option<bytes::Bytes>, ChainError> {
        // What a log of three topics and a word takes is less.
        const USUAL: usize = 256;
        let read = |length| match self.receipts.piece(key(height), offset, length)? {
            Some(piece) => Ok(Some(piece)),
            None => {
                let whole = self.segments.read(height, Part::Receipts)?;
                Ok::<_, ChainError>(whole.map(|whole| part(&whole, offset, length)))
            }
        };
        let Some(first) = read(USUAL)? else { return Ok(None) };
        match log_scan::log_length(&first) {
            None => Ok(None),
            Some(length) if length <= first.len() => Ok(Some(first.slice(..length))),
            Some(length) => read(length),
        }
    }

    /// The receipts of the block at `height`, as they are stored.
    pub(crate) fn encoded_receipts(&self, height: Height) -> Result<Option<bytes::Bytes>, ChainError> {
        match self.receipts.get(key(height))? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.segments.read(height, Part::Receipts),
        }
    }

    /// The height of a block by its hash.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn height_of(&self, hash: B256) -> Result<Option<Height>, ChainError> {
        self.heights.get(hash)?.map(|bytes| codec::decode_height("height of a block", &bytes)).transpose()
    }

    /// Where a transaction stands.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn locate(&self, hash: B256) -> Result<Option<TransactionLocation>, ChainError> {
        self.locations.locate(hash)
    }

    /// Why a transaction was left out of its block; nothing for one that was included after all.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn dropped(&self, hash: B256) -> Result<Option<String>, ChainError> {
        if self.locate(hash)?.is_some() {
            return Ok(None);
        }
        Ok(self.dropped.get(hash)?.map(|reason| String::from_utf8_lossy(&reason).into_owned()))
    }

    /// How many block hashes and how many transactions are indexed; every entry is read.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn indexed(&self) -> Result<(u64, u64), ChainError> {
        let blocks = self.heights.iter().try_fold(0, |count: u64, entry| entry.map(|_| count + 1));
        Ok((blocks?, self.locations.count()?))
    }

    /// The certificate at `height`.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, ChainError> {
        let bytes = self.get(&self.certificates, height, Part::Certificate)?;
        bytes.map(|bytes| codec::decode_certificate(&bytes)).transpose()
    }

    /// The newest height that has a certificate, by its key alone; certificates are stored in height order without gaps.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn certified(&self) -> Result<Height, ChainError> {
        Ok(newest_in(&self.certificates)?.unwrap_or_default())
    }

    /// The files of what is past.
    pub(crate) const fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The lowest height that is in a table.
    pub(crate) fn oldest_row(&self) -> Result<Height, ChainError> {
        let oldest = [&self.blocks, self.receipts.table(), &self.certificates].map(Table::first);
        let mut lowest = None;
        for entry in oldest {
            let height = entry?.map(|(key, _)| read_key(&key)).transpose()?;
            lowest = lowest.into_iter().chain(height).min();
        }
        Ok(lowest.unwrap_or_default())
    }

    /// The bytes of a height's block, receipts and certificate, as the tables have them.
    pub(crate) fn row(&self, height: Height) -> Result<[bytes::Bytes; 3], ChainError> {
        let there = |row: Option<bytes::Bytes>, what| {
            row.ok_or_else(|| ChainError::decode(what, "missing below the head"))
        };
        let block = there(self.blocks.get(key(height))?, "block")?;
        let receipts = there(self.receipts.get(key(height))?, "receipts")?;
        // The genesis block has none.
        let certificate = self.certificates.get(key(height))?.unwrap_or_default();
        if certificate.is_empty() && height > Height(0) {
            return Err(ChainError::decode("certificate", "missing below the newest"));
        }
        Ok([block, receipts, certificate])
    }

    /// Deletes the rows of the heights from `from` to below `to`, which segments have.
    pub(crate) fn delete_rows(&self, store: &Store, from: Height, to: Height) -> Result<(), ChainError> {
        let mut batch = store.batch();
        for height in (from.0..to.0).map(Height) {
            batch.remove(&self.blocks, key(height));
            self.receipts.remove(&mut batch, key(height))?;
            batch.remove(&self.certificates, key(height));
        }
        Ok(batch.commit(Durability::Buffered)?)
    }

    /// A height's part, from its table or from a segment. A row is deleted only after its segment is known, so that a
    /// height that has left the table is found in the segment.
    fn get(&self, table: &Table, height: Height, part: Part) -> Result<Option<bytes::Bytes>, ChainError> {
        match table.get(key(height))? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.segments.read(height, part),
        }
    }
}

/// The height of a table's last row.
fn newest_in(table: &Table) -> Result<Option<Height>, ChainError> {
    table.last()?.map(|(key, _)| read_key(&key)).transpose()
}

fn read_key(key: &[u8]) -> Result<Height, ChainError> {
    codec::decode_height("key of a row", key)
}

fn key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}
