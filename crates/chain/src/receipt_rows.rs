//! Rows of receipts. Those of a large block are cut into pages, so that one log of it is read without the others (ADR 84).
//!
//! | table | key | value |
//! |---|---|---|
//! | `receipts` | height (8 bytes BE) | the first [`PAGE_BYTES`] of the block's encoded receipts, or all where there are fewer |
//! | `receipt-pages` | height (8 bytes BE), page from 1 (4 BE) | the next ones, as many in each page but the last |
//!
//! A row from before there were pages has all of them, however many. The length of the whole is that of the RLP list with
//! which it begins.

use crate::ChainError;
use bxp_storage::{Batch, Result, Store, Table};
use bytes::Bytes;

/// Bytes of a page: what has to be read for one log.
pub(crate) const PAGE_BYTES: usize = 32 << 10;
/// The most bytes of a block's receipts: the index of logs has places in them of 4 bytes.
const BYTES_MAX: usize = u32::MAX as usize;
/// The first byte of an RLP list of 56 bytes and more, less the number of bytes of its length (Yellow Paper, B).
const LONG_LIST: u8 = 0xf7;

/// The tables. Keys are heights.
#[derive(Clone)]
pub(crate) struct ReceiptRows {
    rows: Table,
    pages: Table,
}

type Key = [u8; 8];

impl ReceiptRows {
    pub(crate) fn open(store: &Store) -> Result<Self> {
        Ok(Self { rows: store.table("receipts")?, pages: store.table("receipt-pages")? })
    }

    /// The table that has a row for each height.
    pub(crate) const fn table(&self) -> &Table {
        &self.rows
    }

    /// Adds encoded receipts to `batch`.
    pub(crate) fn put(&self, batch: &mut Batch, height: Key, encoded: &[u8]) {
        let mut pages = encoded.chunks(PAGE_BYTES);
        batch.put(&self.rows, height, pages.next().unwrap_or_default());
        for (number, page) in (1..).zip(pages) {
            batch.put(&self.pages, page_key(height, number), page);
        }
    }

    /// Removes a height's rows.
    ///
    /// # Errors
    /// [`ChainError::Storage`]; [`ChainError::Decode`] for a row that says a length which no receipts have, before
    /// anything is removed.
    pub(crate) fn remove(&self, batch: &mut Batch, height: Key) -> std::result::Result<(), ChainError> {
        if let Some(length) = self.rows.get(height)?.as_deref().and_then(continued) {
            if length > BYTES_MAX {
                let reason = format!("they say that they have {length} bytes; the most is {BYTES_MAX}");
                return Err(ChainError::decode("receipts", reason));
            }
            for number in (1..).take(length.div_ceil(PAGE_BYTES).saturating_sub(1)) {
                batch.remove(&self.pages, page_key(height, number));
            }
        }
        batch.remove(&self.rows, height);
        Ok(())
    }

    /// All of a height's receipts; nothing where a row of them is not there, or no longer.
    pub(crate) fn get(&self, height: Key) -> Result<Option<Bytes>> {
        let Some(row) = self.rows.get(height)? else { return Ok(None) };
        let Some(length) = continued(&row) else { return Ok(Some(row)) };
        let mut whole = row.to_vec();
        for number in 1.. {
            if whole.len() >= length {
                break;
            }
            let Some(page) = self.pages.get(page_key(height, number))? else { return Ok(None) };
            whole.extend_from_slice(&page);
        }
        Ok(Some(whole.into()))
    }

    /// At most `length` bytes of a height's receipts from `offset` on, and fewer where they end; nothing where a row of
    /// them is not there, or no longer.
    pub(crate) fn piece(&self, height: Key, offset: usize, length: usize) -> Result<Option<Bytes>> {
        let (first, start) = ((offset / PAGE_BYTES) as u32, offset % PAGE_BYTES);
        let page = match first {
            0 => self.rows.get(height)?,
            number => self.pages.get(page_key(height, number))?,
        };
        let Some(page) = page else {
            // A row from before there were pages.
            let row = self.rows.get(height)?.filter(|row| continued(row).is_none());
            return Ok(row.map(|row| part(&row, offset, length)));
        };
        let mut piece = part(&page, start, length);
        if piece.len() == length {
            return Ok(Some(piece));
        }
        let mut joined = piece.to_vec();
        for number in first.saturating_add(1).. {
            let Some(page) = self.pages.get(page_key(height, number))? else { break };
            joined.extend_from_slice(&part(&page, 0, length - joined.len()));
            if joined.len() == length {
                break;
            }
        }
        piece = joined.into();
        Ok(Some(piece))
    }
}

/// The length of the whole of which this row is the first page; nothing where it is all.
pub(crate) fn continued(row: &[u8]) -> Option<usize> {
    if row.len() != PAGE_BYTES {
        return None;
    }
    let (first, rest) = row.split_first()?;
    let bytes = usize::from(first.checked_sub(LONG_LIST)?);
    let length = rest
        .get(..bytes)?
        .iter()
        .try_fold(0_usize, |length, byte| length.checked_mul(1 << 8)?.checked_add(usize::from(*byte)));
    let whole = length?.checked_add(1 + bytes)?;
    (whole > row.len()).then_some(whole)
}

/// At most `length` bytes from `offset` on.
pub(crate) fn part(bytes: &Bytes, offset: usize, length: usize) -> Bytes {
    let start = offset.min(bytes.len());
    bytes.slice(start..start.saturating_add(length).min(bytes.len()))
}

fn page_key(height: Key, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&height);
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_storage::{Durability, MemoryDisk};
    use bxp_types::NetworkId;
    use std::path::Path;

    const HEIGHT: Key = [0, 0, 0, 0, 0, 0, 1, 0];

    fn rows() -> (Store, ReceiptRows) {
        let store = Store::open_in(&MemoryDisk::new(1), Path::new("/node"), NetworkId([1; 32])).unwrap();
        let rows = ReceiptRows::open(&store).unwrap();
        (store, rows)
    }

    /// An RLP list of `bytes` bytes in all.
    fn list(bytes: usize) -> Vec<u8> {
        let payload = bytes - if bytes > 56 { 4 } else { 1 };
        let mut list = match bytes > 56 {
            true => vec![0xfa, (payload >> 16) as u8, (payload >> 8) as u8, payload as u8],
            false => vec![0xc0 + payload as u8],
        };
        list.extend((0..payload).map(|at| (at % 251) as u8));
        list
    }

    #[test]
    fn what_is_put_is_read_whole_and_in_pieces_and_removed() {
        for bytes in [1, 40, 5_000, PAGE_BYTES, PAGE_BYTES + 1, 3 * PAGE_BYTES, 3 * PAGE_BYTES + 77] {
            let (store, rows) = rows();
            let encoded = list(bytes);
            assert_eq!(encoded.len(), bytes);
            let mut batch = store.batch();
            rows.put(&mut batch, HEIGHT, &encoded);
            batch.commit(Durability::Buffered).unwrap();
            assert_eq!(rows.pages.iter().count(), bytes.div_ceil(PAGE_BYTES) - 1);
            assert_eq!(rows.get(HEIGHT).unwrap().unwrap(), encoded);
            for (offset, length) in
                [(0, 9), (PAGE_BYTES - 3, 9), (PAGE_BYTES, 300), (10, 2 * PAGE_BYTES), (bytes - 1, 50)]
            {
                let wanted = &encoded[offset.min(bytes)..(offset + length).min(bytes)];
                let found = rows.piece(HEIGHT, offset, length).unwrap();
                assert!(found.as_deref() == Some(wanted) || offset >= bytes, "{bytes}, {offset}, {length}");
            }
            let mut batch = store.batch();
            rows.remove(&mut batch, HEIGHT).unwrap();
            batch.commit(Durability::Buffered).unwrap();
            assert_eq!((rows.rows.iter().count(), rows.pages.iter().count()), (0, 0));
            assert_eq!((rows.get(HEIGHT).unwrap(), rows.piece(HEIGHT, 0, 9).unwrap()), (None, None));
        }
    }

    #[test]
    fn a_row_from_before_there_were_pages_is_whole() {
        let (store, rows) = rows();
        let encoded = list(2 * PAGE_BYTES + 5);
        let mut batch = store.batch();
        batch.put(&rows.rows, HEIGHT, &encoded);
        batch.commit(Durability::Buffered).unwrap();
        assert_eq!(rows.get(HEIGHT).unwrap().unwrap(), encoded);
        for offset in [3, PAGE_BYTES - 2, PAGE_BYTES + 1, 2 * PAGE_BYTES] {
            let end = (offset + 40).min(encoded.len());
            assert_eq!(rows.piece(HEIGHT, offset, 40).unwrap().unwrap(), encoded[offset..end], "{offset}");
        }
    }

    #[test]
    fn a_damaged_length_ends_the_removal_at_once() {
        let (store, rows) = rows();
        let mut damaged = vec![0_u8; PAGE_BYTES];
        for (head, refused) in [
            ([0xfc, 1, 0, 0, 0, 0], true),
            ([0xfb, 0xff, 0xff, 0xff, 0xff, 0], true),
            ([0xfa, 1, 0, 0, 0, 0], false),
        ] {
            damaged[..head.len()].copy_from_slice(&head);
            let mut batch = store.batch();
            batch.put(&rows.rows, HEIGHT, &damaged);
            batch.commit(Durability::Buffered).unwrap();
            let mut batch = store.batch();
            let removed = rows.remove(&mut batch, HEIGHT);
            batch.commit(Durability::Buffered).unwrap();
            let damage = matches!(removed, Err(ChainError::Decode { what: "receipts", .. }));
            assert_eq!(damage, refused, "{head:?}");
            assert_eq!(rows.rows.iter().count(), usize::from(refused), "{head:?}");
        }
    }

    #[test]
    fn a_page_that_is_gone_leaves_nothing() {
        let (store, rows) = rows();
        let mut batch = store.batch();
        rows.put(&mut batch, HEIGHT, &list(3 * PAGE_BYTES));
        batch.commit(Durability::Buffered).unwrap();
        let mut batch = store.batch();
        batch.remove(&rows.pages, page_key(HEIGHT, 2));
        batch.commit(Durability::Buffered).unwrap();
        assert_eq!(rows.get(HEIGHT).unwrap(), None);
        assert_eq!(rows.piece(HEIGHT, 2 * PAGE_BYTES + 1, 9).unwrap(), None);
        assert_eq!(page_key(HEIGHT, 2), [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2]);
    }
}
