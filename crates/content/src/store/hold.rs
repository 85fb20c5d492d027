//! Writing blocks. A hold keeps garbage collection away from what is being written until it is pinned; what a crash or an
//! error leaves without a pin is garbage.

use super::{ContentStore, cid_of_key};
use crate::{Block, ContentError, car::CarReader, dag::Walk};
use bxp_storage::Durability;
use cid::Cid;
use std::{
    collections::{HashMap, HashSet},
    io::Read,
};

/// Blocks of a CAR file that are written at once.
const BATCH_BLOCKS: usize = 64;

/// What each write under way has touched.
#[derive(Debug, Default)]
pub(super) struct Holds {
    next: u64,
    held: HashMap<u64, HashSet<Cid>>,
}

impl Holds {
    pub(super) fn all(&self) -> impl Iterator<Item = &Cid> {
        self.held.values().flatten()
    }
}

/// A write under way. Dropping it lets go of its blocks.
#[derive(Debug)]
pub struct Hold {
    store: ContentStore,
    number: u64,
    /// Blocks that were not here before.
    added: Vec<Cid>,
}

impl ContentStore {
    /// Begins to write.
    #[must_use]
    pub fn hold(&self) -> Hold {
        let mut holds = self.0.holds.lock();
        let number = holds.next;
        holds.next += 1;
        holds.held.insert(number, HashSet::new());
        drop(holds);
        Hold { store: self.clone(), number, added: Vec::new() }
    }

    /// Takes a CAR file in and pins its roots: all of it, or on an error nothing.
    ///
    /// # Errors
    /// [`ContentError::Car`] and [`ContentError::CarIo`] for the file, [`ContentError::Incomplete`] where it does not
    /// hold all blocks under a root, [`ContentError::Identifying`], [`ContentError::Quota`],
    /// [`ContentError::DiskNearlyFull`].
    pub fn import(&self, source: impl Read) -> Result<Vec<Cid>, ContentError> {
        let mut hold = self.hold();
        match hold.import(source) {
            Ok(roots) => Ok(roots),
            Err(error) => {
                hold.abandon()?;
                Err(error)
            }
        }
    }

    /// Pins a DAG that is wholly here.
    ///
    /// # Errors
    /// [`ContentError::Incomplete`], [`ContentError::DagTooLarge`].
    pub fn pin(&self, root: &Cid) -> Result<(), ContentError> {
        self.hold().pin(&[*root])
    }

    /// Takes a pin away. The blocks stay until garbage is collected.
    ///
    /// # Errors
    /// [`ContentError::UnknownRoot`], [`ContentError::Storage`].
    pub fn unpin(&self, root: &Cid) -> Result<(), ContentError> {
        let _writing = self.0.collecting.read();
        if !self.0.pins.contains(root.to_bytes())? {
            return Err(ContentError::UnknownRoot(*root));
        }
        let mut batch = self.0.store.batch();
        batch.remove(&self.0.pins, root.to_bytes());
        Ok(batch.commit(Durability::Synced)?)
    }

    /// The roots that are pinned.
    ///
    /// # Errors
    /// [`ContentError::Storage`].
    pub fn pins(&self) -> Result<Vec<Cid>, ContentError> {
        self.0.pins.iter().map(|row| cid_of_key(&row?.0)).collect()
    }
}

impl Hold {
    /// Writes blocks, within the quota. They stay only if they are pinned in the end.
    ///
    /// # Errors
    /// [`ContentError::Quota`], [`ContentError::DiskNearlyFull`], [`ContentError::Identifying`],
    /// [`ContentError::Storage`].
    pub fn put(&mut self, blocks: &[Block]) -> Result<(), ContentError> {
        let inner = &self.store.0;
        let _writing = inner.collecting.read();
        self.keep(blocks.iter().map(|block| *block.cid()));
        let mut used = inner.used.lock();
        let mut batch = inner.store.batch();
        let (added, bytes) = self.store.stage(&mut batch, *used, blocks.iter().map(|block| (block, None)))?;
        // Not synced: the pin that makes them count is, and with it everything before.
        batch.commit(Durability::Buffered)?;
        *used += bytes;
        crate::metric::used(*used);
        self.added.extend(added);
        Ok(())
    }

    /// Pins DAGs that are wholly here. What was put is on disk when this returns.
    ///
    /// # Errors
    /// [`ContentError::Incomplete`], [`ContentError::DagTooLarge`], [`ContentError::Storage`].
    pub fn pin(&mut self, roots: &[Cid]) -> Result<(), ContentError> {
        let inner = &self.store.0;
        let _writing = inner.collecting.read();
        let mut batch = inner.store.batch();
        for root in roots {
            for block in Walk::new(*root, |cid| self.store.known_block(cid)) {
                block?;
            }
            batch.put(&inner.pins, root.to_bytes(), inner.gatekeeper.now_s().to_be_bytes());
        }
        Ok(batch.commit(Durability::Synced)?)
    }

    /// Removes again what this hold has written and no other has touched since.
    ///
    /// # Errors
    /// [`ContentError::Storage`]; what stays is garbage.
    pub fn abandon(self) -> Result<(), ContentError> {
        let inner = &self.store.0;
        let _writing = inner.collecting.read();
        let holds = inner.holds.lock();
        let others = holds.held.iter().filter(|(number, _)| **number != self.number);
        let others: HashSet<Cid> = others.flat_map(|(_, held)| held.iter().copied()).collect();
        drop(holds);
        let mut used = inner.used.lock();
        let (mut batch, mut freed) = (inner.store.batch(), 0);
        for cid in self.added.iter().filter(|cid| !others.contains(cid)) {
            freed += self.store.stage_removal(&mut batch, &cid.to_bytes())?;
        }
        batch.commit(Durability::Buffered)?;
        *used = used.saturating_sub(freed);
        crate::metric::used(*used);
        Ok(())
    }

    fn import(&mut self, source: impl Read) -> Result<Vec<Cid>, ContentError> {
        let mut reader = CarReader::new(source)?;
        let roots = reader.roots().to_vec();
        let mut waiting = Vec::with_capacity(BATCH_BLOCKS);
        for block in &mut reader {
            waiting.push(block?);
            if waiting.len() == BATCH_BLOCKS {
                self.put(&waiting)?;
                waiting.clear();
            }
        }
        self.put(&waiting)?;
        self.pin(&roots)?;
        Ok(roots)
    }

    fn keep(&self, cids: impl Iterator<Item = Cid>) {
        if let Some(held) = self.store.0.holds.lock().held.get_mut(&self.number) {
            held.extend(cids);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.store.0.holds.lock().held.remove(&self.number);
    }
}
