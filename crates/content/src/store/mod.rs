//! The store: sealed blocks, what pins and publishes them, and how much there may be.

mod collect;
mod hold;
mod publish;
mod quota;
pub(crate) mod rows;
mod view;

pub use collect::Collected;
pub use hold::Hold;
pub use publish::{Draft, NewBlock, Publication};
pub use quota::Quota;
pub use view::View;

use crate::{Block, ContentError, Gatekeeper, Reader, block, metric};
use bxp_enclave::Enclave;
use bxp_storage::{Batch, Store, Table};
use bxp_types::SubjectId;
use bytes::Bytes;
use cid::Cid;
use hold::Holds;
use parking_lot::{Mutex, RwLock};
use rows::Opened;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::watch;

/// The content store of one node. Clones share it.
#[derive(Clone)]
pub struct ContentStore(Arc<Inner>);

struct Inner {
    store: Store,
    /// CID -> the sealed block.
    blocks: Table,
    /// CID -> bytes of the sealed block (u32 BE), so that counting reads no blocks.
    sizes: Table,
    /// Root -> when it was pinned, in seconds since the epoch (u64 BE).
    pins: Table,
    /// Root -> [`Publication`].
    publications: Table,
    /// Root || block -> the record in it (16 bytes), or nothing.
    members: Table,
    /// Block || root -> as above.
    published_in: Table,
    enclave: Enclave,
    gatekeeper: Arc<dyn Gatekeeper>,
    quota: Quota,
    /// Bytes of all blocks. Held while a batch is written, so that two writers cannot both take the last place.
    used: Mutex<u64>,
    /// Blocks of writes that are under way.
    holds: Mutex<Holds>,
    /// Written while garbage is collected, read while anything is written, pinned or published.
    collecting: RwLock<()>,
    /// Counts publications: peers' open wants are looked at again.
    changed: watch::Sender<u64>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Blocks.
    pub blocks: u64,
    /// Their bytes, sealed.
    pub used_bytes: u64,
    /// The most there may be.
    pub quota_bytes: u64,
    /// Bytes that are free on the disk.
    pub disk_free_bytes: u64,
    /// Bytes that stay free for the node itself.
    pub disk_free_bytes_min: u64,
    /// Roots that are pinned.
    pub pins: u64,
    /// Roots that are published.
    pub publications: u64,
}

impl ContentStore {
    /// Opens the tables in `store` and counts what they hold.
    ///
    /// # Errors
    /// [`ContentError::Storage`], [`ContentError::Damaged`].
    pub fn open(
        store: &Store,
        enclave: Enclave,
        gatekeeper: Arc<dyn Gatekeeper>,
        quota: Quota,
    ) -> Result<Self, ContentError> {
        metric::describe();
        let sizes = store.table("content.sizes")?;
        let mut used = 0_u64;
        for row in sizes.iter() {
            used = used.saturating_add(rows::size(&row?.1)?);
        }
        metric::used(used);
        Ok(Self(Arc::new(Inner {
            blocks: store.table("content.blocks")?,
            sizes,
            pins: store.table("content.pins")?,
            publications: store.table("content.publications")?,
            members: store.table("content.members")?,
            published_in: store.table("content.published-in")?,
            store: store.clone(),
            enclave,
            gatekeeper,
            quota,
            used: Mutex::new(used),
            holds: Mutex::default(),
            collecting: RwLock::default(),
            changed: watch::Sender::new(0),
        })))
    }

    /// What `reader` may read. There is no other way to a block.
    #[must_use]
    pub fn view(&self, reader: Reader) -> View {
        View::new(self.clone(), reader)
    }

    /// Counts.
    ///
    /// # Errors
    /// [`ContentError::Storage`].
    pub fn statistics(&self) -> Result<Statistics, ContentError> {
        let count = |table: &Table| -> Result<u64, ContentError> {
            table.iter().try_fold(0, |count, row| row.map(|_| count + 1).map_err(ContentError::from))
        };
        Ok(Statistics {
            blocks: count(&self.0.sizes)?,
            used_bytes: *self.0.used.lock(),
            quota_bytes: self.0.quota.bytes_max,
            disk_free_bytes: quota::free_bytes(self.0.store.folder())?,
            disk_free_bytes_min: self.0.quota.disk_free_bytes_min,
            pins: count(&self.0.pins)?,
            publications: count(&self.0.publications)?,
        })
    }

    /// Says when something new was published.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// A block, whoever asks; nothing where it is not here, and where its patient's key was destroyed.
    fn block(&self, cid: &Cid) -> Result<Option<Block>, ContentError> {
        if let Some(block) = Block::inline(cid)? {
            return Ok(Some(block));
        }
        let name = self.name_of(cid)?;
        let Some(row) = self.0.blocks.get(name.to_bytes())? else { return Ok(None) };
        match rows::open(&self.0.enclave, &name, &row)? {
            Opened::Bytes(bytes) => Block::verify(*cid, bytes).map(Some),
            Opened::KeyDestroyed => Ok(None),
        }
    }

    /// The CID under which a block is kept: where a node of DAG-PB came by its other name, that one.
    fn name_of(&self, cid: &Cid) -> Result<Cid, ContentError> {
        let Some(twin) = block::twin(cid) else { return Ok(*cid) };
        let is_other = !self.0.sizes.contains(cid.to_bytes())? && self.0.sizes.contains(twin.to_bytes())?;
        Ok(if is_other { twin } else { *cid })
    }

    fn known_block(&self, cid: &Cid) -> Result<Block, ContentError> {
        self.block(cid)?.ok_or(ContentError::Incomplete(*cid))
    }

    /// Adds blocks that are not here yet to `batch`; gives their CIDs and bytes. To be called with `used` locked.
    fn stage<'a>(
        &self,
        batch: &mut Batch,
        used: u64,
        blocks: impl Iterator<Item = (&'a Block, Option<SubjectId>)>,
    ) -> Result<(Vec<Cid>, u64), ContentError> {
        let (mut added, mut bytes) = (Vec::new(), 0_u64);
        for (block, patient) in blocks {
            let cid = block.cid();
            if self.0.gatekeeper.is_identifying(block) {
                return Err(ContentError::Identifying(*cid));
            }
            if block.is_inline() {
                continue;
            }
            let key = cid.to_bytes();
            if self.0.sizes.contains(&key)? {
                continue;
            }
            let row = rows::seal(&self.0.enclave, block, patient)?;
            bytes += row.len() as u64;
            self.0.quota.check(self.0.store.folder(), used, bytes)?;
            batch.put(&self.0.sizes, &key, rows::size_row(&row)?);
            batch.put(&self.0.blocks, &key, row);
            added.push(*cid);
        }
        Ok((added, bytes))
    }

    /// Adds the removal of a block to `batch`; gives its bytes.
    fn stage_removal(&self, batch: &mut Batch, key: &[u8]) -> Result<u64, ContentError> {
        let Some(size) = self.0.sizes.get(key)? else { return Ok(0) };
        batch.remove(&self.0.sizes, key);
        batch.remove(&self.0.blocks, key);
        rows::size(&size)
    }

    fn announce(&self) {
        self.0.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl std::fmt::Debug for ContentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentStore").field("quota", &self.0.quota).finish_non_exhaustive()
    }
}

/// The CID that a table's key or the first half of one is.
fn cid_of_key(key: &Bytes) -> Result<Cid, ContentError> {
    Cid::read_bytes(key.as_ref()).map_err(|_| ContentError::Damaged("table of CIDs"))
}

/// Both CIDs of a key that has two.
fn pair_of_key(key: &Bytes) -> Result<(Cid, Cid), ContentError> {
    let damaged = |_| ContentError::Damaged("table of members");
    let mut rest = key.as_ref();
    let first = Cid::read_bytes(&mut rest).map_err(damaged)?;
    Ok((first, Cid::read_bytes(&mut rest).map_err(damaged)?))
}

/// A key of two CIDs. A CID in binary form tells its own length, so none is the beginning of another.
fn pair(first: &Cid, second: &Cid) -> Vec<u8> {
    [first.to_bytes(), second.to_bytes()].concat()
}
