//! Publications: DAGs that named readers may read for a purpose until a time.

use super::{ContentStore, cid_of_key, pair, pair_of_key, rows};
use crate::{Block, ContentError, Reader, Terms, dag::Walk};
use bxp_storage::{Batch, Durability};
use bxp_types::{RecordId, SubjectId};
use cid::Cid;
use std::collections::{BTreeMap, HashMap};

/// The most readers of one publication.
const READERS_MAX: usize = 64;

/// The most bytes of one publication, which is written in one piece, so that it is there whole or not at all.
const PUBLICATION_BYTES_MAX: u64 = 128 << 20;

/// A DAG that is given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its root.
    pub root: Cid,
    /// What for, and until when.
    pub terms: Terms,
    /// Who may read it, besides the operator.
    pub readers: Vec<Reader>,
    /// When it was published, in seconds since the epoch.
    pub made_s: u64,
}

/// A block of a DAG that is to be published.
#[derive(Clone, Debug)]
pub struct NewBlock {
    /// The block.
    pub block: Block,
    /// The record in it; none where it has but links.
    pub record: Option<RecordId>,
    /// Whose record, under whose key it will lie on disk.
    pub patient: Option<SubjectId>,
}

/// A publication to be.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The root, which is one of the blocks.
    pub root: Cid,
    /// What for, and until when.
    pub terms: Terms,
    /// Who may read it.
    pub readers: Vec<Reader>,
    /// The whole DAG.
    pub blocks: Vec<NewBlock>,
}

impl Draft {
    fn check(&self, now_s: u64) -> Result<(), ContentError> {
        let wrong = |what| Err(ContentError::Draft(what));
        if self.readers.is_empty() || self.readers.len() > READERS_MAX {
            return wrong("name 1 to 64 readers: ids of peers, or gateway tokens");
        }
        if self.terms.until_s <= now_s {
            return wrong("the term is over already");
        }
        let blocks: HashMap<&Cid, &Block> =
            self.blocks.iter().map(|one| (one.block.cid(), &one.block)).collect();
        let mut met = 0;
        for block in Walk::new(self.root, |cid| {
            blocks.get(cid).map(|&block| block.clone()).ok_or(ContentError::Incomplete(*cid))
        }) {
            block?;
            met += 1;
        }
        if met != blocks.len() || met != self.blocks.len() {
            return wrong("a block comes twice, or is not under the root");
        }
        let bytes: u64 = self.blocks.iter().map(|one| one.block.bytes().len() as u64).sum();
        if bytes > PUBLICATION_BYTES_MAX {
            return Err(ContentError::DagTooLarge {
                root: Box::new(self.root),
                what: "bytes",
                max: PUBLICATION_BYTES_MAX,
            });
        }
        Ok(())
    }
}

impl ContentStore {
    /// Publishes a DAG. It is on disk, whole, when this returns.
    ///
    /// # Errors
    /// [`ContentError::Draft`], [`ContentError::Incomplete`] where a link leads out of the draft,
    /// [`ContentError::Identifying`], [`ContentError::Quota`], [`ContentError::DiskNearlyFull`].
    pub fn publish(&self, draft: Draft) -> Result<Publication, ContentError> {
        let inner = &self.0;
        let made_s = inner.gatekeeper.now_s();
        draft.check(made_s)?;
        let Draft { root, terms, readers, blocks } = draft;
        let publication = Publication { root, terms, readers, made_s };
        let row = rows::encode(&publication)?;
        let _writing = inner.collecting.read();
        let mut used = inner.used.lock();
        let mut batch = inner.store.batch();
        let staged = blocks.iter().map(|one| (&one.block, one.patient));
        let (_, bytes) = self.stage(&mut batch, *used, staged)?;
        for one in &blocks {
            let record = one.record.map(|record| record.0);
            let value = record.as_ref().map_or(&[][..], |record| record.as_slice());
            batch.put(&inner.members, pair(&root, one.block.cid()), value);
            batch.put(&inner.published_in, pair(one.block.cid(), &root), value);
        }
        batch.put(&inner.publications, root.to_bytes(), row);
        batch.commit(Durability::Synced)?;
        *used += bytes;
        crate::metric::used(*used);
        drop(used);
        self.announce();
        Ok(publication)
    }

    /// The publication of `root`.
    ///
    /// # Errors
    /// [`ContentError::Storage`], [`ContentError::Damaged`].
    pub fn publication(&self, root: &Cid) -> Result<Option<Publication>, ContentError> {
        let row = self.0.publications.get(root.to_bytes())?;
        row.map(|row| rows::decode(*root, &row)).transpose()
    }

    /// All publications, by root.
    ///
    /// # Errors
    /// [`ContentError::Storage`], [`ContentError::Damaged`].
    pub fn publications(&self) -> Result<Vec<Publication>, ContentError> {
        let publication = |row: bxp_storage::Result<bxp_storage::Entry>| {
            let (key, value) = row?;
            rows::decode(cid_of_key(&key)?, &value)
        };
        self.0.publications.iter().map(publication).collect()
    }

    /// Whether a publication names the reader, whatever it may read.
    ///
    /// # Errors
    /// [`ContentError::Storage`], [`ContentError::Damaged`].
    pub fn knows(&self, reader: &Reader) -> Result<bool, ContentError> {
        Ok(self.publications()?.iter().any(|publication| publication.readers.contains(reader)))
    }

    /// Ends a publication: nothing of it is given out any more. Its blocks stay until garbage is collected.
    ///
    /// # Errors
    /// [`ContentError::UnknownRoot`], [`ContentError::Storage`].
    pub fn withdraw(&self, root: &Cid) -> Result<(), ContentError> {
        let _writing = self.0.collecting.read();
        if !self.0.publications.contains(root.to_bytes())? {
            return Err(ContentError::UnknownRoot(*root));
        }
        let mut batch = self.0.store.batch();
        self.stage_withdrawal(&mut batch, root)?;
        Ok(batch.commit(Durability::Synced)?)
    }

    fn stage_withdrawal(&self, batch: &mut Batch, root: &Cid) -> Result<(), ContentError> {
        batch.remove(&self.0.publications, root.to_bytes());
        for row in self.0.members.iter_prefix(root.to_bytes()) {
            let (key, _) = row?;
            let (_, block) = pair_of_key(&key)?;
            batch.remove(&self.0.published_in, pair(&block, root));
            batch.remove(&self.0.members, key);
        }
        Ok(())
    }

    /// Withdraws what is over, and removes every block of a record that was erased. Gives the number of each.
    ///
    /// # Errors
    /// [`ContentError::Gatekeeper`], [`ContentError::Storage`].
    pub fn sweep(&self) -> Result<(usize, usize), ContentError> {
        let inner = &self.0;
        let _writing = inner.collecting.read();
        let now_s = inner.gatekeeper.now_s();
        let over: Vec<_> =
            self.publications()?.into_iter().filter(|one| one.terms.until_s <= now_s).collect();
        let mut used = inner.used.lock();
        let (mut batch, mut freed, mut erased) = (inner.store.batch(), 0, 0);
        let mut gone = BTreeMap::new();
        for row in inner.members.iter() {
            let (key, value) = row?;
            let Some(record) = rows::record(&value)? else { continue };
            let gone = match gone.get(&record) {
                Some(known) => *known,
                None => *gone.entry(record).or_insert(inner.gatekeeper.is_gone(record)?),
            };
            if gone {
                let (root, block) = pair_of_key(&key)?;
                batch.remove(&inner.published_in, pair(&block, &root));
                batch.remove(&inner.members, key);
                freed += self.stage_removal(&mut batch, &block.to_bytes())?;
                erased += 1;
            }
        }
        for publication in &over {
            self.stage_withdrawal(&mut batch, &publication.root)?;
        }
        if !batch.is_empty() {
            batch.commit(Durability::Synced)?;
            *used = used.saturating_sub(freed);
            crate::metric::used(*used);
        }
        Ok((over.len(), erased))
    }
}
