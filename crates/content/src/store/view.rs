//! Reading, bound to a reader.

use super::{ContentStore, pair_of_key, rows};
use crate::{Block, ContentError, Reader, dag::Walk};
use bxp_privacy::Purpose;
use cid::Cid;

/// What one reader may read, at the moment of each read.
#[derive(Clone, Debug)]
pub struct View {
    store: ContentStore,
    reader: Reader,
}

impl View {
    pub(super) const fn new(store: ContentStore, reader: Reader) -> Self {
        Self { store, reader }
    }

    /// A block; nothing where it is not here and where the reader has no right to it, which look the same.
    ///
    /// # Errors
    /// [`ContentError::Gatekeeper`], [`ContentError::Storage`], [`ContentError::Enclave`].
    pub fn block(&self, cid: &Cid) -> Result<Option<Block>, ContentError> {
        // What a CID holds itself is no secret to who has the CID.
        let inline = Block::inline(cid)?;
        let found = match inline {
            Some(block) => Some(block),
            None if self.permitted(&self.store.name_of(cid)?)? => self.store.block(cid)?,
            None => None,
        };
        let Some(block) = found else { return Ok(None) };
        Ok(Some(block).filter(|block| !self.store.0.gatekeeper.is_identifying(block)))
    }

    /// The DAG under `root`, depth first, each block once. A block that may not be read ends it with
    /// [`ContentError::Incomplete`]. Blocks that their CIDs hold are among them.
    pub fn walk(&self, root: &Cid) -> Walk<impl FnMut(&Cid) -> Result<Block, ContentError> + use<>> {
        let view = self.clone();
        Walk::new(*root, move |cid| view.block(cid)?.ok_or(ContentError::Incomplete(*cid)))
    }

    /// Whether the reader has a right to the block, wherever it is.
    fn permitted(&self, cid: &Cid) -> Result<bool, ContentError> {
        let inner = &self.store.0;
        let mut published = false;
        for row in inner.published_in.iter_prefix(cid.to_bytes()) {
            published = true;
            let (key, value) = row?;
            let (_, root) = pair_of_key(&key)?;
            let record = rows::record(&value)?;
            let purpose = match &self.reader {
                Reader::Operator => Purpose::Operations,
                named => match self.store.publication(&root)? {
                    Some(publication)
                        if publication.readers.contains(named)
                            && inner.gatekeeper.now_s() < publication.terms.until_s =>
                    {
                        publication.terms.purpose
                    }
                    _ => continue,
                },
            };
            if inner.gatekeeper.permits(&self.reader, purpose, record)? {
                return Ok(true);
            }
        }
        // What was imported is the operator's to read, and nobody else's.
        Ok(!published && self.reader == Reader::Operator)
    }
}
