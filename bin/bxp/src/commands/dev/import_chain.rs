//! `bxp dev import-chain`: a chain of Ethereum through this node's executor, trie and tables.
//!
//! The file holds blocks, RLP after RLP, as geth exports them. Everything that a header says is checked but its proof of
//! work. A folder that already holds a part of the chain is gone on with.

use anyhow::{Context, Result, ensure};
use bxp_chain::blocks::Blocks;
use bxp_execution::{Ancestry, EthereumBlock, EthereumGenesis, ExecutedBlock, Retention, State};
use bxp_storage::{Durability, Store};
use bxp_types::{Digest, Height, NetworkId, StoredBlock, U256};
use clap::Args;
use serde_json::json;
use std::{fs, path::PathBuf, time::Instant};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The genesis file, in geth's format.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The blocks from block 1 on.
    #[arg(value_name = "CHAIN.RLP")]
    chain: PathBuf,
    /// Where the chain is kept; without it, a folder that is removed in the end.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one JSON line at the end.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let json =
        fs::read(&arguments.genesis).with_context(|| format!("read {}", arguments.genesis.display()))?;
    let genesis = EthereumGenesis::from_json(&json)?;
    let bytes = fs::read(&arguments.chain).with_context(|| format!("read {}", arguments.chain.display()))?;
    let blocks = EthereumBlock::read_all(&bytes)
        .with_context(|| format!("understand {}", arguments.chain.display()))?;
    let removed = tempfile::tempdir()?;
    let folder = arguments.dir.as_deref().unwrap_or(removed.path());
    let network = NetworkId(Digest::of(&json).0);
    let mut chain = Chain::open(&Store::open(&folder.join("chain"), network)?, &genesis)?;
    fs::write(folder.join("genesis.json"), &json)?;
    let started = Instant::now();
    let mut transactions = 0;
    for block in &blocks {
        chain.add(block).with_context(|| format!("import block {}", block.header.number))?;
        transactions += block.transactions.len();
    }
    let head = &chain.head;
    if arguments.json {
        let line = json!({
            "blocks": blocks.len(), "transactions": transactions, "head": head.height().0, "hash": head.hash,
            "stateRoot": head.header.state_root, "seconds": started.elapsed().as_secs_f64(),
        });
        println!("{line}");
    } else {
        println!(
            "import-chain: {} blocks with {transactions} transactions are what their headers say; the head is block {} \
             with hash {} and state root {}",
            blocks.len(),
            head.height(),
            head.hash,
            head.header.state_root
        );
    }
    Ok(())
}

/// The imported chain.
struct Chain {
    store: Store,
    state: State,
    blocks: Blocks,
    head: StoredBlock,
    /// That of the head.
    total_difficulty: U256,
    /// That of the next block of the file.
    ancestry: Ancestry,
}

impl Chain {
    fn open(store: &Store, genesis: &EthereumGenesis) -> Result<Self> {
        let state = State::open_ethereum(store, genesis, Retention::All)?;
        let blocks = Blocks::open(store)?;
        let mut head = state.genesis_block().clone();
        if blocks.newest()?.is_none() {
            let mut batch = store.batch();
            blocks.put(&mut batch, &head, &[], &[]);
            batch.commit(Durability::Synced)?;
        }
        let mut total_difficulty = head.header.difficulty;
        let ancestry = Ancestry::of(&head.header);
        let newest = state.head()?.height.0;
        for height in 1..=newest {
            let missing = || format!("block {height} is missing; give a new --dir");
            head = blocks.block(Height(height))?.with_context(missing)?;
            total_difficulty = total_difficulty.saturating_add(head.header.difficulty);
        }
        Ok(Self { store: store.clone(), state, blocks, head, total_difficulty, ancestry })
    }

    /// Adds a block; one that is there must be the same.
    fn add(&mut self, block: &EthereumBlock) -> Result<()> {
        let height = Height(block.header.number);
        if height <= self.head.height() {
            let stored = self.blocks.block(height)?;
            let same = stored.is_some_and(|stored| stored.header == block.header);
            ensure!(same, "the folder holds another block {height}; give a new --dir");
            return Ok(self.ancestry.follow(block)?);
        }
        let executed =
            self.state.import(&self.head.header, self.total_difficulty, &mut self.ancestry, block)?;
        self.commit(&executed)?;
        self.total_difficulty = self.total_difficulty.saturating_add(block.header.difficulty);
        self.head = executed.block;
        Ok(())
    }

    /// Block, receipts and state in one batch, as a node commits its own.
    fn commit(&self, executed: &ExecutedBlock) -> Result<()> {
        let mut batch = self.store.batch();
        self.blocks.put(&mut batch, &executed.block, &executed.receipts, &[]);
        self.state.commit(&mut batch, executed)?;
        Ok(batch.commit(Durability::Synced)?)
    }
}
