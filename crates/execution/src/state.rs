//! The stored state, and reading from it.

use crate::{
    ChainSpec, EthereumGenesis, ExecutionError, Retention, StateChanges, StateView, Unwritten,
    code_cache::CodeCache, genesis, hot::HotState, read::TrieRead, tables::Tables, view::View,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_storage::{Batch, Durability, Store};
use bxp_types::{AccountState, Genesis, Height, StoredBlock};
use std::sync::Arc;

/// The block whose state is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The block's number.
    pub height: Height,
    /// The block's hash.
    pub hash: B256,
    /// The root of the stored state.
    pub state_root: B256,
}

/// The state of the newest block, and of those below it that are retained. Clones share it.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    store: Store,
    tables: Arc<Tables>,
    code: CodeCache,
    hot: Arc<HotState>,
    retention: Retention,
    spec: ChainSpec,
    gas_limit: u64,
    treasury: Address,
    genesis_block: StoredBlock,
}

impl State {
    /// Opens the state in `store` with the usual [`Retention`]; in a new folder, builds the genesis state and writes
    /// it to disk.
    ///
    /// # Errors
    /// As [`State::open_retaining`].
    pub fn open(store: &Store, genesis: &Genesis) -> Result<Self, ExecutionError> {
        Self::open_retaining(store, genesis, Retention::default())
    }

    /// Opens the state in `store`, from now on keeping past states as `retention` says. What has been removed under
    /// another retention does not come back.
    ///
    /// # Errors
    /// [`ExecutionError::Genesis`] when an account of the document cannot exist; [`ExecutionError::OtherGenesis`];
    /// [`ExecutionError::Storage`].
    pub fn open_retaining(
        store: &Store,
        genesis: &Genesis,
        retention: Retention,
    ) -> Result<Self, ExecutionError> {
        Self::open_with(store, genesis, retention, false)
    }

    /// The same; with `any_sender`, accounts with code may send transactions (against EIP-3607).
    pub(crate) fn open_with(
        store: &Store,
        genesis: &Genesis,
        retention: Retention,
        any_sender: bool,
    ) -> Result<Self, ExecutionError> {
        let tables = Arc::new(Tables::open(store)?);
        let block = |state_root| Ok(genesis::block(genesis, state_root));
        let genesis_block = open_genesis(store, &tables, |base| genesis::state(base, genesis), block)?;
        let hot = hot_state(store, &tables)?;
        Ok(Self(Arc::new(Inner {
            store: store.clone(),
            tables,
            code: CodeCache::default(),
            hot,
            retention,
            spec: ChainSpec { any_sender, ..ChainSpec::bxp(genesis.chain_id) },
            gas_limit: genesis.gas_limit,
            treasury: genesis.treasury,
            genesis_block,
        })))
    }

    /// Opens the state of an Ethereum chain in `store`; in a new folder, builds the genesis state and writes it to
    /// disk. Blocks come in by [`State::import`].
    ///
    /// # Errors
    /// As [`State::open_retaining`], and [`ExecutionError::EthereumGenesis`].
    pub fn open_ethereum(
        store: &Store,
        genesis: &EthereumGenesis,
        retention: Retention,
    ) -> Result<Self, ExecutionError> {
        let tables = Arc::new(Tables::open(store)?);
        let block = |state_root| {
            let header = genesis.header(state_root)?;
            let time_ms = header.timestamp.saturating_mul(1000);
            Ok(StoredBlock { hash: header.hash_slow(), header, transactions: Vec::new(), time_ms })
        };
        let genesis_block = open_genesis(store, &tables, |base| genesis.state(base), block)?;
        let hot = hot_state(store, &tables)?;
        Ok(Self(Arc::new(Inner {
            store: store.clone(),
            tables,
            code: CodeCache::default(),
            hot,
            retention,
            spec: genesis.spec()?,
            gas_limit: genesis_block.header.gas_limit,
            treasury: genesis_block.header.beneficiary,
            genesis_block,
        })))
    }

    /// Block 0.
    #[must_use]
    pub fn genesis_block(&self) -> &StoredBlock {
        &self.0.genesis_block
    }

    /// The block whose state is stored.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn head(&self) -> Result<Head, ExecutionError> {
        self.view().head()
    }

    /// The newest state, whatever is committed later.
    #[must_use]
    pub fn newest(&self) -> StateView {
        StateView::new(self.clone(), self.view())
    }

    /// The state after the block at `height`.
    ///
    /// # Errors
    /// [`ExecutionError::NotRetained`] names the blocks whose state is kept; [`ExecutionError::Storage`].
    pub fn at(&self, height: Height) -> Result<StateView, ExecutionError> {
        Ok(StateView::new(self.clone(), self.view().at(height)?))
    }

    /// [`StateView::account`] of the newest state.
    ///
    /// # Errors
    /// As there.
    pub fn account(&self, address: Address) -> Result<AccountState, ExecutionError> {
        self.newest().account(address)
    }

    /// [`StateView::code`] of the newest state.
    ///
    /// # Errors
    /// As there.
    pub fn code(&self, address: Address) -> Result<Bytes, ExecutionError> {
        self.newest().code(address)
    }

    /// [`StateView::storage_slot`] of the newest state.
    ///
    /// # Errors
    /// As there.
    pub fn storage_slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        self.newest().storage_slot(address, slot)
    }

    /// [`StateView::block_hash`] of the newest state.
    ///
    /// # Errors
    /// As there.
    pub fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError> {
        self.newest().block_hash(height)
    }

    /// [`StateView::prove_account`] of the newest state.
    ///
    /// # Errors
    /// As there.
    pub fn prove_account(&self, address: Address) -> Result<Vec<Bytes>, ExecutionError> {
        self.newest().prove_account(address)
    }

    /// [`StateView::prove_slot`] of the newest state.
    ///
    /// # Errors
    /// As there.
    pub fn prove_slot(&self, address: Address, slot: U256) -> Result<Vec<Bytes>, ExecutionError> {
        self.newest().prove_slot(address, slot)
    }

    /// The chain's rules.
    #[must_use]
    pub fn spec(&self) -> &ChainSpec {
        &self.0.spec
    }

    pub(crate) fn view(&self) -> View {
        View::new(Arc::clone(&self.0.tables), self.0.store.snapshot()).warm(&self.0.hot)
    }

    /// The state after `below`, whether it is stored already or follows the stored one.
    pub(crate) fn view_above(&self, below: &Arc<Unwritten>) -> Result<View, ExecutionError> {
        self.above(self.view(), below)
    }

    /// The same from `view`, which is the newest state.
    pub(crate) fn above(&self, view: View, below: &Arc<Unwritten>) -> Result<View, ExecutionError> {
        if view.head()?.hash == below.hash() {
            return Ok(view);
        }
        self.check_on_head(&view, below.header().parent_hash, below.height())?;
        Ok(view.above(below))
    }

    /// Adds the rows of `changes`, which lead from the state of `view` to that of `head`, to `batch`, and the head.
    pub(crate) fn write(
        &self,
        batch: &mut Batch,
        view: &View,
        changes: &StateChanges,
        head: &Head,
    ) -> Result<(), ExecutionError> {
        batch.append(self.tables().rows(self.store(), changes));
        self.write_head(batch, view, changes, head)
    }

    /// Adds the head to `batch`, for all readers and for the memory of them; the rows are there.
    pub(crate) fn write_head(
        &self,
        batch: &mut Batch,
        view: &View,
        changes: &StateChanges,
        head: &Head,
    ) -> Result<(), ExecutionError> {
        // Before the batch is committed, for the block that is executed above this one meanwhile.
        self.0.hot.advance(view.head()?.state_root, head.state_root, changes);
        self.0.tables.write_head(batch, head);
        Ok(())
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.0.tables
    }

    pub(crate) fn code_cache(&self) -> &CodeCache {
        &self.0.code
    }

    pub(crate) fn retention(&self) -> Retention {
        self.0.retention
    }

    pub(crate) fn gas_limit(&self) -> u64 {
        self.0.gas_limit
    }

    pub(crate) fn treasury(&self) -> Address {
        self.0.treasury
    }

    /// Checks that the block at `height` with this parent follows the stored state's block.
    pub(crate) fn check_on_head(
        &self,
        view: &View,
        parent: B256,
        height: Height,
    ) -> Result<(), ExecutionError> {
        let head = view.head()?;
        if (parent, height) == (head.hash, head.height.next()) {
            return Ok(());
        }
        Err(ExecutionError::NotOnHead { height, parent, head_height: head.height, head: head.hash })
    }
}

/// What is in memory of the state in `store`, when nothing of it is yet.
fn hot_state(store: &Store, tables: &Arc<Tables>) -> Result<Arc<HotState>, ExecutionError> {
    let head = View::new(Arc::clone(tables), store.snapshot()).head()?;
    Ok(Arc::new(HotState::of(head.state_root)))
}

/// Block 0 of the state in `store`, which is built by `state` where there is none.
fn open_genesis(
    store: &Store,
    tables: &Arc<Tables>,
    state: impl FnOnce(&dyn TrieRead) -> Result<(B256, StateChanges), ExecutionError>,
    block: impl Fn(B256) -> Result<StoredBlock, ExecutionError>,
) -> Result<StoredBlock, ExecutionError> {
    let view = View::new(Arc::clone(tables), store.snapshot());
    if let Some(stored) = view.genesis()? {
        let block = block(stored.state_root)?;
        if block.hash != stored.hash {
            return Err(ExecutionError::OtherGenesis { stored: stored.hash, wanted: block.hash });
        }
        return Ok(block);
    }
    let (state_root, changes) = state(&view)?;
    let block = block(state_root)?;
    let head = Head { height: Height(0), hash: block.hash, state_root };
    let mut batch = store.batch();
    tables.write_genesis(store, &mut batch, &changes, &head);
    batch.commit(Durability::Synced)?;
    Ok(block)
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("store", &self.0.store).field("spec", &self.0.spec).finish()
    }
}
